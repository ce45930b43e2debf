"""Published measurements, each with its source, and the error budgets that the model is held to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """Largest relative error of a group: median and 90th percentile, and why so much."""

    median: float
    p90: float
    reason: str


def measurements() -> list[dict[str, Any]]:
    """Single published figures, a few dozen, in the shape `validation.read` takes."""
    rows: list[dict[str, Any]] = json.loads(_text("measurements.json"))
    return rows


def error_budget(group: str, what: str) -> ErrorBudget:
    """The budget of a group for one kind of measurement, or that of the kind for unknown groups."""
    data = _budgets()
    general = data["budgets"].get(what, data["budgets"]["default"])
    own = data["groups"].get(group, {})
    figures = own.get(what, general)
    reason = own["reason"] if what in own else general["reason"]
    return ErrorBudget(float(figures["median"]), float(figures["p90"]), str(reason))


@cache
def _budgets() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_text("error_budgets.json"))
    return loaded


def _text(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")
