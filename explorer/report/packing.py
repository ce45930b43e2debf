"""What a page carries: a table as one string of digits per column, and everything deflated, since browsers inflate."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from explorer.units import FloatArray

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
    told = [float(f"{v:.7g}") if numeric else str(v) for v in levels]
    listed = {"levels": told, **_written(codes + 1)}
    if not numeric:
        return listed
    counted = _counted(values)
    weight = len(listed["text"]) + sum(len(f"{v:.7g}") + 1 for v in levels)
    return counted if counted is not None and len(counted["text"]) <= weight else listed


def _counted(values: FloatArray) -> dict[str, Any] | None:
    """Numbers as whole multiples of a power of ten; None where they are not, or need too many digits."""
    finite = np.isfinite(values)
    known = values[finite]
    for places in range(-12, 13):
        scaled = known * 10.0**places
        if np.abs(scaled).max(initial=0.0) > 2.0**52:
            return None
        if np.all(np.abs(scaled - np.rint(scaled)) <= SIGNIFICANT * np.abs(scaled)):
            break
    else:
        return None
    low = np.rint(scaled).min() if len(scaled) else 0.0
    codes = np.zeros(len(values), dtype=np.int64)
    codes[finite] = (np.rint(scaled) - low + 1).astype(np.int64)
    if codes.max(initial=0) >= len(DIGITS) ** MOST_WIDE:
        return None
    return {"low": int(low), "places": places, **_written(codes)}


def _written(codes: Any) -> dict[str, Any]:
    """Codes in as few digits as the largest needs, the first digit of each counting most; none where all are 1."""
    codes = np.asarray(codes, dtype=np.int64)
    if len(codes) and (codes == 1).all():
        return {"width": 0, "text": ""}
    base, width = len(DIGITS), 1
    while codes.max(initial=0) >= base**width:
        width += 1
    places = base ** np.arange(width - 1, -1, -1)
    digits = np.frombuffer(DIGITS.encode("ascii"), dtype=np.uint8)
    text = digits[(codes[:, None] // places) % base].tobytes().decode("ascii")
    return {"width": width, "text": text}
