"""What comes out of the claims room: frozen records, written to JSON and read back without loss.

Shares and probabilities lie in [0, 1]; losses and values are nats per token; "equivalent compute" is
the extra training compute the short-context arm would need for the same gain, as a fraction (.05 =
5% more). An infinite one means that no amount of compute reaches it; JSON writes it as "inf".
"""

from __future__ import annotations

from explorer.claims.records.base import Record
from explorer.claims.records.claim import Claim, Finding, Variant
from explorer.claims.records.estimate import Estimate
from explorer.claims.records.trade import (
    Arm,
    ArmName,
    AspectTrade,
    ContextPoint,
    CorpusTrade,
    CurvePoint,
    Factor,
    LimitEffect,
    Trade,
    Value,
    ValueName,
)
from explorer.claims.records.verdict import Statement, StatementName, Status, Verdict

__all__ = [
    "Arm",
    "ArmName",
    "AspectTrade",
    "Claim",
    "ContextPoint",
    "CorpusTrade",
    "CurvePoint",
    "Estimate",
    "Factor",
    "Finding",
    "LimitEffect",
    "Record",
    "Statement",
    "StatementName",
    "Status",
    "Trade",
    "Value",
    "ValueName",
    "Variant",
    "Verdict",
]
