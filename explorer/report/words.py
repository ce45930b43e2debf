"""Numbers as people read them: every figure leaves here with its unit, rounded to what it is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from explorer.claims.records import Estimate
from explorer.units import QUANTILES, format_bytes, format_count, format_loss

LOSS_HEADING = "Loss (nats/token; 5 to 95%, median)"
"""Heads a column of losses with what their draws say."""
MINUS = "−"
LIMIT_LABELS = {
    "parameters": "parameter limit",
    "gpu_memory": "training memory",
    "memory": "training memory",
    "training": "training compute",
    "gpu_hours": "GPU-hours",
    "flops": "training FLOPs",
    "tokens": "training tokens",
    "days": "training days",
    "serving": "serving memory",
    "serving_memory": "serving memory",
    "serving_gpu_memory": "serving memory",
    "plan": "a plan that fills the GPUs",
    "batch": "the global batch",
    "global_batch": "the global batch",
}
"""Limits of a budget in words; a name that is not here is shown as it is."""

CHOICE_LABELS = {
    "context_length": "context length c",
    "d_model": "width d",
    "n_layers": "layers L",
    "n_kv_heads": "KV heads",
    "d_head": "head size",
    "ffn": "feed-forward kind",
    "ffn_ratio": "feed-forward ratio",
    "vocab_size": "vocabulary",
    "attention": "attention pattern",
    "schedule": "schedule",
    "d_ff": "feed-forward width",
    "n_params": "parameters N",
    "n_tokens": "training tokens D",
    "tokens_per_parameter": "tokens per parameter",
    "aspect": "aspect ratio d/L",
    "tokens_per_param": "tokens per parameter",
    "staged_share": "share of tokens at full length",
}


def limit(name: str) -> str:
    """A limit's name in words."""
    return LIMIT_LABELS.get(name, name.replace("_", " "))


def lever(name: str) -> str:
    """A lever's name in words."""
    return CHOICE_LABELS.get(name, name.replace("_", " "))


def plainly(text: str) -> str:
    """A sentence with the field names in it (`n_layers`) said in words."""
    for name in sorted(CHOICE_LABELS, key=len, reverse=True):
        if "_" in name:
            text = text.replace(name, CHOICE_LABELS[name])
    return text


def number(value: float, digits: int = 3) -> str:
    """Significant digits without an exponent where a person would not write one: 0.00163, 4,352, 1.6e22."""
    if not math.isfinite(value):
        return "unbounded" if value > 0 else ("−unbounded" if value < 0 else "not known")
    if value == 0:
        return "0"
    if abs(value) >= 1e7:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa} × 10{_superscript(int(exponent))}".replace("-", MINUS)
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace("-", MINUS)
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 6)}f}".replace("-", MINUS)


def tidy(text: str) -> str:
    """`c = 8,192` kept on one line."""
    return text.replace(" = ", "\u00a0=\u00a0")


def with_unit(value: float, unit: str) -> str:
    """3.76% more FLOPs, 12 × d, 1.2 GiB: the unit set as its kind is."""
    return f"{number(value)}{'' if unit.startswith('%') else ' '}{unit}"


def whole(value: float) -> str:
    """27648 → 27,648."""
    return f"{value:,.0f}".replace("-", MINUS)


def tokens(value: float) -> str:
    """A context length: 27,648 tokens."""
    return f"{whole(value)} tokens"


def count(value: float) -> str:
    """7.62B; the noun follows in the sentence."""
    return format_count(value)


def memory(value: float) -> str:
    """71.2 GiB."""
    return format_bytes(value)


def nats(value: float, *, signed: bool = False) -> str:
    """A difference of losses: 0.0016 nats, four decimals because seed noise is larger than that."""
    if abs(value) < 5e-6:
        return "0 nats"
    if abs(value) < 5e-5:
        return "<0.0001 nats" if value > 0 else f">{MINUS}0.0001 nats"
    sign = "+" if signed and value > 0 else ""
    return f"{sign}{value:.4f} nats".replace("-", MINUS)


def loss(row: Any, of: str = "loss") -> str:
    """2.0427 nats/token (2.003 to 2.071, median 2.031): a row's loss with the 90% interval and median of its draws."""
    central, found, beside = format_loss(row, of).partition(" (")
    return f"{central} nats/token{found}{beside}"


def percent(value: float, digits: int = 2) -> str:
    """0.0163 → 1.6%."""
    if not math.isfinite(value):
        return "unbounded" if value > 0 else "not known"
    scaled = 100 * value
    if scaled == 0:
        return "0%"
    if abs(scaled) >= 10 ** (digits - 1):
        return f"{scaled:,.0f}%".replace("-", MINUS)
    places = max(0, digits - 1 - math.floor(math.log10(abs(scaled))))
    return f"{scaled:.{min(places, 4)}f}%".replace("-", MINUS)


def share(value: float, of: str) -> str:
    """All of the cells lie, 45% of the cells lie, none of the cells lies."""
    return f"{'All' if value == 1 else percent(value) if value > 0 else 'None'} of {of} {'lie' if value > 0 else 'lies'}"


def probability(value: float) -> str:
    """A probability in whole percent; draws never show that one is 0 or 1."""
    if value < 0.005:
        return "<1%"
    if value > 0.995:
        return ">99%"
    return f"{100 * value:.0f}%"


def compute(value: float) -> str:
    """Extra training compute: 26% more compute, 3.2 times the compute."""
    if not math.isfinite(value):
        return "more than any compute" if value > 0 else "not known"
    if abs(value) < 1:
        return f"{percent(value)} more compute"
    return f"{number(1 + value, 2)} times the compute" if value > 0 else f"{percent(value)} more compute"


def days(value: float) -> str:
    """104 days, 5.2 days, 7.3 hours."""
    return f"{number(value * 24, 2)} hours" if value < 1 else f"{number(value, 2 if value < 10 else 3)} days"


def hours(value: float) -> str:
    """20,000 GPU-hours."""
    return f"{number(value, 3)} GPU-hours"


def flops(value: float) -> str:
    """1.60 × 10²² FLOPs."""
    return f"{number(value)} FLOPs"


def estimated_loss(estimate: Estimate) -> str:
    """An estimate of a loss as the loss of a design is written, the unit left to the heading."""
    beside = {f"loss_{q}": value for q in QUANTILES if (value := getattr(estimate, q)) is not None}
    return format_loss({"loss": estimate.central, **beside})


def interval(estimate: Estimate, show: str = "nats", *, short: bool = False) -> str:
    """A central value with its 90% interval where it has one; `short` for tables whose heading names it."""
    how = {
        "nats": nats,
        "percent": percent,
        "probability": probability,
        "number": number,
        "compute": compute,
    }[show]
    text = how(estimate.central)
    if estimate.p05 is None or estimate.p95 is None:
        return text
    low, high = how(estimate.p05), how(estimate.p95)
    unit = f" {text.split(' ', 1)[1]}" if " " in text else ""
    # The unit is said once where all three share it.
    if not (low.endswith(unit) and high.endswith(unit)):
        unit = ""
    span = f"{low.removesuffix(unit)} to {high.removesuffix(unit)}"
    return f"{text.removesuffix(unit)} ({span})" if short else f"{text} (90% interval {span})"


def listed(items: Iterable[str]) -> str:
    """a, b and c."""
    words = list(items)
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


def sentence(text: str) -> str:
    """With a capital first and a full stop last."""
    text = text.strip()
    if not text:
        return text
    word = text.split(" ", 1)[0]
    # Symbols (ν) and names (budget.gpu_memory) keep the case that makes them what they are.
    plain = word.isascii() and (len(word) > 1 or word == "a") and not set("._=") & set(word.rstrip(".:,"))
    first = text[0].upper() + text[1:] if plain else text
    return first if first[-1] in ".!?" else first + "."


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
