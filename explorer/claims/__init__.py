"""Does the idea hold? The ledger of claims, the trade experiment, the verdict."""

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
]
