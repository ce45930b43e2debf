"""What was asked: budget.yaml as immutable models, every mistake in it found at once.

Names load on first use: telling a mistake in a file must not wait for the models.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.budget.json_schema import schema
    from explorer.budget.loading import load, parse
    from explorer.budget.models import Budget
    from explorer.budget.text import difference, dump, fingerprint, starter

__all__ = ["Budget", "difference", "dump", "fingerprint", "load", "parse", "schema", "starter"]

_HOME = {
    "Budget": "models",
    "difference": "text",
    "dump": "text",
    "fingerprint": "text",
    "load": "loading",
    "parse": "loading",
    "schema": "json_schema",
    "starter": "text",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
