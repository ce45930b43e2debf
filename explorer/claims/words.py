"""Figures as a sentence says them."""

from __future__ import annotations

import math

from explorer.claims.records import Estimate


def nats(value: Estimate) -> str:
    """`0.036 nats (0.009 to 0.075)`; the interval is the 5 and 95% quantile."""
    if value.p05 is None or value.p95 is None:
        return f"{_nats(value.central)} nats"
    return f"{_nats(value.central)} nats ({_nats(value.p05)} to {_nats(value.p95)})"


def compute(value: float) -> str:
    """Equivalent training compute in words, from the extra compute as a fraction."""
    if math.isinf(value):
        return "more than any amount of training compute would buy"
    if value >= 9:
        return "more than ten times the training compute"
    if value >= 1:
        return f"{1 + value:.1f} times the training compute"
    if abs(value) < 0.005:
        return "less than 1% of the training compute"
    return f"{abs(value):.0%} {'more' if value > 0 else 'less'} training compute"


def chance(p: Estimate) -> str:
    """`P = 42%, 37% to 47%`: the Monte Carlo interval where the answer is open. No draws, no probability."""
    if not p.has_interval:
        return "at central values"
    if 0.1 < p.central < 0.9:
        return f"{percent(p.central)}, {p.p05:.0%} to {p.p95:.0%}"
    return percent(p.central)


def percent(p: float) -> str:
    """`P = 12%`; the ends are never written as certain."""
    if p < 0.005:
        return "P < 1%"
    if p > 0.995:
        return "P > 99%"
    return f"P = {p:.0%}"


def listed(names: tuple[str, ...] | list[str]) -> str:
    """`a, b and c`"""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def limit(name: str) -> str:
    """A limit's name in a sentence."""
    known = {
        "parameters": "the parameter limit",
        "gpu_memory": "training memory per GPU",
        "serving": "serving memory",
        "plan": "the global batch, which leaves no plan that fills the GPUs",
    }
    if name in known:
        return known[name]
    kind = name.removeprefix("training.").replace("_", " ")
    return {"tokens": "the amount of data", "flops": "training FLOPs", "gpu hours": "GPU-hours"}.get(
        kind, kind
    )


def is_nothing(value: float) -> bool:
    """Whether a value in nats would be written as zero."""
    return abs(value) < 0.5e-4


def _nats(value: float) -> str:
    digits = 3 if abs(value) >= 0.00995 else 4
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"
