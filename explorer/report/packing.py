"""What a page carries: a table as one string of digits per column, and everything deflated, since browsers inflate."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from explorer.units import FloatArray

    IntArray = np.ndarray[Any, np.dtype[np.int64]]

DIGITS = "".join(chr(k) for k in range(33, 127) if chr(k) not in "\"\\&'<>")
"""Printable characters that neither JSON nor HTML escapes, by value."""
SIGNIFICANT = 5e-8
"""Numbers keep seven significant digits: half a unit in the last, relative to the number."""
MOST_WIDE = 7
"""Digits of a code: as many as a float64 counts exactly."""


def deflated(text: str) -> str:
    """A text as zlib makes it shorter (RFC 1950), in base 64; the page's script inflates it."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def packed(frame: pd.DataFrame) -> dict[str, Any]:
    """`rows` (how many) and `columns` by name. Each has `text`, the codes of its rows in `width` digits each.

    Code 0 is nothing. Others count from 1 into `levels`, or are a number: (`low` + code − 1) / 10^`places`.
    The shorter of both is taken.
    """
    columns = frame.columns if len(frame) else ()
    return {"rows": len(frame), "columns": {str(name): column(frame[name]) for name in columns}}


def rounded(values: pd.Series[Any], digits: int = 3) -> pd.Series[Any]:
    """Values to as many decimals as codes of so many digits tell apart."""
    most = float(values.abs().max())
    if not most > 0:
        return values
    return values.round(int(np.floor(np.log10(0.9 * len(DIGITS) ** digits / most))))


def column(values: Any) -> dict[str, Any]:
    """One column of `packed`."""
    import pandas as pd

    numeric = getattr(values.dtype, "kind", "O") in "biuf"
    if numeric:
        values = np.asarray(values, dtype=np.float64)
        values = np.where(np.isfinite(values), values, np.nan)
    codes, levels = pd.factorize(values)
    codes += 1
    if numeric and (counted := _counted(values)) is not None:
        digits, listed = len(counted["text"]), len(codes) * _width(codes)
        # A level takes two characters at least, so most need not be written out to be counted.
        if digits <= listed + 2 * len(levels) or digits <= listed + sum(
            len(f"{v:.7g}") for v in levels
        ) + len(levels):
            return counted
    told = [float(f"{v:.7g}") if numeric else str(v) for v in levels]
    return {"levels": told, **_written(codes)}


def _counted(values: FloatArray) -> dict[str, Any] | None:
    """Numbers as whole multiples of a power of ten, the largest that does; None where none does, or they need too
    many digits."""
    finite = np.isfinite(values)
    scaled = values[finite] * _POWERS
    whole = np.rint(scaled)
    good = np.all(np.abs(scaled - whole) <= SIGNIFICANT * np.abs(scaled), axis=1)
    small = np.abs(scaled).max(axis=1, initial=0.0) <= 2.0**52
    if not (good & small).any():
        return None
    at = int(np.argmax(good & small))
    whole = whole[at]
    low = whole.min() if len(whole) else 0.0
    codes = np.zeros(len(values), dtype=np.int64)
    codes[finite] = (whole - low + 1).astype(np.int64)
    if codes.max(initial=0) >= len(DIGITS) ** MOST_WIDE:
        return None
    return {"low": int(low), "places": _PLACES[at], **_written(codes)}


_PLACES = range(-12, 13)
_POWERS = 10.0 ** np.array(_PLACES)[:, None]


def _width(codes: IntArray) -> int:
    """Digits of the largest code; none where all are 1."""
    if len(codes) and (codes == 1).all():
        return 0
    most, width = int(codes.max(initial=0)), 1
    while most >= len(DIGITS) ** width:
        width += 1
    return width


def _written(codes: Any) -> dict[str, Any]:
    """Codes in as few digits as the largest needs, the first digit of each counting most."""
    codes = np.asarray(codes, dtype=np.int64)
    base, width = len(DIGITS), _width(codes)
    places = base ** np.arange(width - 1, -1, -1)
    digits = np.frombuffer(DIGITS.encode("ascii"), dtype=np.uint8)
    text = digits[(codes[:, None] // places) % base].tobytes().decode("ascii")
    return {"width": width, "text": text}
