"""How one value of a budget is read: each reader names what it accepts, and a wrong value is told so.

A reader takes what YAML gave (str, int, float, bool, None, list, dict) and returns the value that the
models hold; a ValueError's text is the requirement, to be followed by "got …". Pydantic's models and
the file checker share these, so they cannot disagree. Nothing here is evaluated as code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from explorer.units import parse_bytes, parse_count

Reader: TypeAlias = Callable[[Any], Any]

# The largest count a float64 holds exactly; sizes beyond it would no longer be whole numbers.
LARGEST_WHOLE = 2**53
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%")
_RATE = re.compile(r"(.+?)\s*(?:/\s*s|ps)")
_BIT_UNITS = {"Mbit": 1e6 / 8, "Gbit": 1e9 / 8, "Tbit": 1e12 / 8}
_BITS = re.compile(r"([0-9]+(?:\.[0-9]*)?)\s*([MGT]bit)")


def count(value: Any) -> float:
    """A positive count: 7B, 300e9, 1e22, 20k."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError("a count such as 7B, 300e9 or 20k")
    number = parse_count(value) if not isinstance(value, int) else _finite(value)
    if not number > 0:
        raise ValueError("a count above zero")
    return number


def whole(value: Any) -> int:
    """A whole number of at least 1, as a number or a count such as 4k."""
    number = _whole(value)
    if number < 1:
        raise ValueError("a whole number of at least 1")
    return number


def index(value: Any) -> int:
    """A whole number of at least 0."""
    number = _whole(value)
    if number < 0:
        raise ValueError("a whole number of at least 0")
    return number


def kv_heads(value: Any) -> int | Literal["all"]:
    """A number of key-value heads, or `all` for multi-head attention."""
    if value == "all":
        return "all"
    try:
        return whole(value)
    except ValueError as error:
        raise ValueError("a whole number of at least 1, or 'all' (multi-head)") from error


def size(value: Any) -> float:
    """Bytes with a unit: 80GiB (2^30) or 80GB (10^9)."""
    number = parse_bytes(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError("bytes above zero, with a unit, such as 80GiB")
    return number


def rate(value: Any) -> float:
    """Bytes per second with a unit: 50GB/s, or 400Gbit/s as networks are sold."""
    wanted = "bytes per second with a unit, such as 50GB/s or 400Gbit/s"
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(wanted)
    bits = _BITS.fullmatch(match[1])
    try:
        number = float(bits[1]) * _BIT_UNITS[bits[2]] if bits else parse_bytes(match[1])
    except ValueError as error:
        raise ValueError(wanted) from error
    if not (math.isfinite(number) and number > 0):
        raise ValueError(wanted)
    return number


def amount(value: Any) -> float:
    """A plain number above zero."""
    number = _number(value, "a number above zero")
    if not number > 0:
        raise ValueError("a number above zero")
    return number


def number(value: Any) -> float:
    """A plain number of at least zero."""
    read = _number(value, "a number of at least 0")
    if not read >= 0:
        raise ValueError("a number of at least 0")
    return read


def share(value: Any) -> float:
    """A share above 0 and up to 1: 0.05 or 5%."""
    wanted = "a share above 0 and up to 1, such as 0.05 or 5%"
    if isinstance(value, str):
        match = _SHARE.fullmatch(value.strip())
        if match is None:
            raise ValueError(wanted)
        value = float(match[1]) / 100
    read = _number(value, wanted)
    if not 0 < read <= 1:
        raise ValueError(wanted)
    return read


def gain(value: Any) -> float:
    """A gain of at least 0: 0.05 or 5%."""
    wanted = "a share of at least 0, such as 0.05 or 5%"
    if isinstance(value, str):
        match = _SHARE.fullmatch(value.strip())
        if match is None:
            raise ValueError(wanted)
        value = float(match[1]) / 100
    read = _number(value, wanted)
    if not read >= 0:
        raise ValueError(wanted)
    return read


def name(value: Any) -> str:
    """A non-empty text on one line."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("a name")
    return value.strip()


def folder_name(value: Any) -> str:
    """The study's name, which names its output folder: letters, digits, `.`, `_` and `-`."""
    wanted = "a name of letters, digits, '.', '_' and '-' (it names the output folder)"
    if not isinstance(value, str) or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value) is None:
        raise ValueError(wanted)
    return value


def truth(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


READERS: dict[str, Reader] = {
    reader.__name__: reader
    for reader in (
        count, whole, index, kv_heads, size, rate, amount, number, share, gain, name, folder_name, truth,
    )
}  # fmt: skip
"""Every reader by the name that the schema's `x-reader` carries."""


def _whole(value: Any) -> int:
    wanted = "a whole number"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(wanted)
    read = parse_count(value) if not isinstance(value, int) else _finite(value)
    if read != math.floor(read):
        raise ValueError(wanted)
    if abs(read) > LARGEST_WHOLE:
        raise ValueError("a whole number up to 2^53")
    return int(read)


def _number(value: Any, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(wanted)
    read = _finite(value)
    if not math.isfinite(read):
        raise ValueError(wanted)
    return read


def _finite(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError("a finite number") from None
