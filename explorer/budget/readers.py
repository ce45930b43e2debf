"""How one value of a budget is read: each reader names what it accepts, and a wrong value is told so.

A reader takes what YAML gave (text, a number, true or false, nothing) and returns the value that the
models hold; a ValueError's text is the requirement, to be followed by "got …". The models and the
file checker share these, so they cannot disagree. Nothing here is evaluated as code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from explorer.units import GIB, MIB, format_bytes, format_duration, parse_bytes, parse_count, parse_duration

Reader: TypeAlias = Callable[[Any], Any]

LARGEST_WHOLE = 2**53
"""The largest count below which a float64 holds every whole number."""
LONGEST = 10_000 * 86400.0
"""Seconds."""
FOLDER_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%")
_RATE = re.compile(r"(.*\S)\s*(?:/\s*s|ps)", re.DOTALL)
_BITS = re.compile(r"([0-9]+(?:\.[0-9]*)?)\s*([MGT]bit)")
_BIT_UNITS = {"Mbit": 1e6 / 8, "Gbit": 1e9 / 8, "Tbit": 1e12 / 8}


def count(value: Any) -> float:
    """A positive count: 7B, 300e9, 1e22, 20k."""
    read = _count(value, "a count such as 7B, 300e9 or 20k")
    if not read > 0:
        raise ValueError("a count above zero")
    return read


def whole(value: Any) -> int:
    """A whole number of at least 1, as a number or a count such as 4k."""
    read = _count(value, "a whole number of at least 1")
    if read < 1 or read != math.floor(read) or read > LARGEST_WHOLE:
        raise ValueError(f"a whole number {'of at least 1' if read <= LARGEST_WHOLE else 'up to 2^53'}")
    return int(read)


def index(value: Any) -> int:
    """A whole number of at least 0."""
    read = _count(value, "a whole number of at least 0")
    if read < 0 or read != math.floor(read) or read > LARGEST_WHOLE:
        raise ValueError(f"a whole number {'of at least 0' if read <= LARGEST_WHOLE else 'up to 2^53'}")
    return int(read)


def kv_heads(value: Any) -> int | Literal["all"]:
    """A number of key-value heads, or `all` for multi-head attention."""
    if value == "all":
        return "all"
    try:
        return whole(value)
    except ValueError:
        raise ValueError("a whole number of at least 1, or 'all' (multi-head)") from None


def size(value: Any) -> float:
    """Bytes with a unit: 80GiB (2^30) or 80GB (10^9)."""
    try:
        read = parse_bytes(value)
    except ValueError:
        raise ValueError("bytes with a unit, such as 80GiB (2^30) or 80GB (10^9)") from None
    # 80B is eighty bytes, and no memory is that small: a slip for 80GB.
    if not MIB <= read < math.inf:
        raise ValueError("bytes with a unit, such as 80GiB (2^30) or 80GB (10^9), at least 1MiB")
    return read


def byte_count(value: Any) -> float:
    """Bytes where the key already says `_bytes`: a number, or with a unit."""
    if not _is_number(value):
        return size(value)
    if not 0.25 * GIB <= _finite(value) < math.inf:
        raise ValueError("bytes, such as 8.5e10 or 80GiB, at least 256MiB")
    return float(value)


def rate(value: Any) -> float:
    """Bytes per second with a unit: 50GB/s, or 400Gbit/s as networks are sold."""
    wanted = "bytes per second with a unit, such as 50GB/s or 400Gbit/s"
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(wanted)
    bits = _BITS.fullmatch(match[1])
    try:
        read = float(bits[1]) * _BIT_UNITS[bits[2]] if bits else parse_bytes(match[1])
    except ValueError:
        raise ValueError(wanted) from None
    if not 0 < read < math.inf:
        raise ValueError(wanted)
    return read


def byte_rate(value: Any) -> float:
    """Bytes per second as a catalogue row has them (a number), or with a unit."""
    if not _is_number(value):
        return rate(value)
    if not 0 < _finite(value) < math.inf:
        raise ValueError("bytes per second above zero")
    return float(value)


def amount(value: Any) -> float:
    """A plain number above zero."""
    return _plain(value, "a number above zero", lambda x: x > 0)


def number(value: Any) -> float:
    """A plain number of at least zero."""
    return _plain(value, "a number of at least 0", lambda x: x >= 0)


def share(value: Any) -> float:
    """A share above 0 and up to 1: 0.05 or 5%."""
    return _plain(_percent(value), "a share above 0 and up to 1, such as 0.05 or 5%", lambda x: 0 < x <= 1)


def gain(value: Any) -> float:
    """A gain from 0 to 1: 0.05 or 5%."""
    return _plain(_percent(value), "a share from 0 to 1, such as 0.05 or 5%", lambda x: 0 <= x <= 1)


def duration(value: Any) -> float:
    """A time in seconds: 90s, 30m, 12h, 2d, or a number of seconds."""
    wanted = "a time such as 90s, 30m, 12h or 2d"
    try:
        read = parse_duration(value)
    except (ValueError, OverflowError):
        raise ValueError(wanted) from None
    if not 0 < read <= LONGEST:
        raise ValueError(f"{wanted}, above 0 and up to {format_duration(LONGEST)}")
    return read


def name(value: Any) -> str:
    """A text on one line."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("a name")
    return value.strip()


def folder_name(value: Any) -> str:
    """The study's name, which names its output folder: letters, digits, `.`, `_` and `-`."""
    if not isinstance(value, str) or re.fullmatch(FOLDER_NAME, value) is None:
        raise ValueError("a name of letters, digits, '.', '_' and '-' (it names the output folder)")
    return value


def truth(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


READERS: dict[str, Reader] = {
    reader.__name__: reader
    for reader in (
        count, whole, index, kv_heads, size, byte_count, rate, byte_rate, amount, number, share, gain,
        duration, name, folder_name, truth,
    )
}  # fmt: skip
"""Every reader by the name that the schema's `x-reader` carries."""


def written_size(value: float) -> str:
    """Bytes as `size` reads them back exactly; in GiB or GB where that is a whole number."""
    for unit, scale in (("GiB", GIB), ("GB", 1e9), ("MiB", MIB)):
        if value >= scale and value % scale == 0:
            return f"{value / scale:.0f}{unit}"
    return f"{_exact(value)}B"


def written_rate(value: float) -> str:
    """Bytes per second as `rate` reads them back exactly."""
    return f"{value / 1e9:.0f}GB/s" if value >= 1e9 and value % 1e9 == 0 else f"{_exact(value)}B/s"


def shown(value: Any) -> str:
    """A value as an error line quotes it: text in quotes, bytes readable, never more than one line."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "…")
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def shown_size(value: float) -> str:
    """Bytes as an error line or a note says them."""
    return format_bytes(value)


def _count(value: Any, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(wanted)
    if isinstance(value, str):
        try:
            return parse_count(value)
        except ValueError as error:
            # A byte unit is its own mistake; all else is told as what this key wants.
            raise ValueError(str(error) if "byte" in str(error) else wanted) from None
    read = _finite(value)
    if not math.isfinite(read):
        raise ValueError("a finite number")
    return read


def _plain(value: Any, wanted: str, holds: Callable[[float], bool]) -> float:
    if not _is_number(value):
        raise ValueError(wanted)
    read = _finite(value)
    if not (math.isfinite(read) and holds(read)):
        raise ValueError(wanted)
    return read


def _percent(value: Any) -> Any:
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) / 100 if match else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _exact(value: float) -> str:
    return str(int(value)) if value.is_integer() and value < LARGEST_WHOLE else repr(value)
