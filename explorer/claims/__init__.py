"""Does the idea hold? The ledger of claims, the trade experiment, the verdict."""

from explorer.claims.ledger import ledger
from explorer.claims.records import (
    Arm,
    Claim,
    ContextPoint,
    CorpusTrade,
    CurvePoint,
    Estimate,
    Factor,
    LimitEffect,
    Statement,
    Trade,
    Value,
    Variant,
    Verdict,
)
from explorer.claims.trade import trade
from explorer.claims.verdict import verdict

__all__ = [
    "Arm",
    "Claim",
    "ContextPoint",
    "CorpusTrade",
    "CurvePoint",
    "Estimate",
    "Factor",
    "LimitEffect",
    "Statement",
    "Trade",
    "Value",
    "Variant",
    "Verdict",
    "ledger",
    "trade",
    "verdict",
]
