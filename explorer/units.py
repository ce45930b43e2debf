"""Numbers with units, read and written the way people write them.

A `Num` is one float64 or a broadcastable array of them; every cost and quality function takes
either. Counts are dimensionless ("7B" = 7e9); bytes always carry a unit (GiB = 2^30, GB = 10^9).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Quoted: numpy costs more to import than everything else a malformed budget needs.
FloatArray: TypeAlias = "NDArray[np.float64]"
Num: TypeAlias = "float | NDArray[np.float64]"

KIB, MIB, GIB, TIB = 2.0**10, 2.0**20, 2.0**30, 2.0**40
KB, MB, GB, TB = 1e3, 1e6, 1e9, 1e12

QUANTILES = ("p05", "p50", "p95")
"""What is told of a loss beside its central value: `loss_p05`, … are quantiles over the posterior's draws."""

_COUNT_SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_BYTE_UNITS = {
    "B": 1.0, "KB": KB, "MB": MB, "GB": GB, "TB": TB, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB,
}  # fmt: skip
_TIME_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"([0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
_COUNT = re.compile(rf"{_NUMBER}\s*([kKmMbBgGtT]?)")
_BYTES = re.compile(rf"{_NUMBER}\s*([A-Za-z]+)")
_DURATION = re.compile(rf"{_NUMBER}\s*([smhd]?)")


def parse_count(text: str | float) -> float:
    """A count such as `7B`, `300e9`, `1e22` or `20k`, as a float; ValueError says what would do."""
    if isinstance(text, bool):
        raise ValueError("a count such as 7B, 300e9 or 20k")
    if isinstance(text, int | float):
        value = float(text)
    else:
        match = _COUNT.fullmatch(text.strip())
        if match is None:
            unit = _BYTES.fullmatch(text.strip())
            if unit and unit[2].lower() in {known.lower() for known in _BYTE_UNITS}:
                raise ValueError("a count without a byte unit, such as 7B, 300e9 or 20k")
            raise ValueError("a count such as 7B, 300e9 or 20k")
        value = float(match[1]) * _COUNT_SUFFIXES[match[2].lower()]
    if not math.isfinite(value):
        raise ValueError("a finite count")
    return value


def parse_bytes(text: str | float) -> float:
    """Bytes such as `80GiB` or `24 GB`; a bare number is refused, since 80 what? ValueError says so."""
    if isinstance(text, bool) or not isinstance(text, str):
        raise ValueError("bytes with a unit, such as 80GiB (2^30) or 80GB (10^9)")
    match = _BYTES.fullmatch(text.strip())
    if match is None or match[2] not in _BYTE_UNITS:
        raise ValueError("bytes with a unit, such as 80GiB (2^30) or 80GB (10^9)")
    return float(match[1]) * _BYTE_UNITS[match[2]]


def parse_duration(text: str | float) -> float:
    """Seconds from `90s`, `30m`, `12h` or `2d`; a bare number is seconds. ValueError says what would do."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError("a time such as 90s, 30m, 12h or 2d")
    return float(match[1]) * _TIME_UNITS[match[2] or "s"]


def format_duration(seconds: float) -> str:
    """`1800` → `30m`, in the largest unit that it is whole in; `parse_duration` gives the same seconds back."""
    for unit, scale in reversed(_TIME_UNITS.items()):
        if seconds >= scale and seconds % scale == 0:
            return f"{seconds / scale:.0f}{unit}"
    return f"{seconds!r}s"


def format_count(value: float, digits: int = 3) -> str:
    """`6738415616` → `6.74B`; exact below 1,000. Thousands of trillions stay trillions: `1,200T`."""
    for suffix, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        # Half a unit in the last digit short of the scale already rounds up to it.
        if abs(value) >= scale * (1 - 0.5 * 10.0**-digits):
            shown = value / scale
            return (
                f"{shown:,.0f}{suffix}" if abs(shown) >= 10**digits - 0.5 else f"{shown:.{digits}g}{suffix}"
            )
    return f"{value:.{digits}g}"


def format_loss(row: Any, of: str = "loss") -> str:
    """A loss of a mapping or table row with its 5, 95 and 50%: `2.5855 (2.552 to 2.607, median 2.581)`, nats.

    The loss stands at the law's central constants, the median is that of its draws; alone where none are known.
    """
    low, mid, high = (float(row.get(f"{of}_{q}", math.nan)) for q in QUANTILES)
    known = not any(math.isnan(v) for v in (low, mid, high))
    return f"{float(row[of]):.4f}" + (f" ({low:.3f} to {high:.3f}, median {mid:.3f})" if known else "")


def at_most(share: float, digits: int = 2) -> str:
    """A share as a percentage of so many digits that is never less: 0.000871 → `0.088%`."""
    percent = 100 * share
    if percent <= 0:
        return "0%"
    places = max(0, digits - 1 - math.floor(math.log10(percent)))
    # What rounding alone put above a decimal is that decimal.
    raised = math.ceil(round(percent * 10.0**places, 6)) / 10.0**places
    text = f"{raised:.{places}f}"
    return f"{text.rstrip('0').rstrip('.') if places else text}%"


def at_least(share: float, decimals: int = 2) -> str:
    """A share as a percentage that is never more: 0.99996 → `99.99%`."""
    scale = 10**decimals
    return f"{math.floor(round(100 * share * scale, 6)) / scale:.{decimals}f}%"


def format_bytes(value: float, digits: int = 3) -> str:
    """`85899345920` → `80 GiB`; binary units throughout."""
    for suffix, scale in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(value) >= scale * (1 - 0.5 * 10.0**-digits):
            scaled = value / scale
            # 1,023 of a unit are not yet one of the next; they need no exponent.
            return f"{scaled:.0f} {suffix}" if abs(scaled) >= 10**digits else f"{scaled:.{digits}g} {suffix}"
    return f"{value:.0f} B"
