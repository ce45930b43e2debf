"""Reading a row's configuration under the names that publications give its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def first_of(config: Mapping[str, Any], *names: str) -> Any:
    """The first of these fields that a row states, else None."""
    for name in names:
        if config.get(name) is not None:
            return config[name]
    return None


def number(config: Mapping[str, Any], *names: str, default: Any) -> Any:
    """The same, where it is a number; else `default`."""
    value = first_of(config, *names)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default
