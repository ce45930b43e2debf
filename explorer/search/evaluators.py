"""Measuring designs for real: a callable that takes a design and answers with figures.

An evaluator is called with one mapping: the columns of a trials table for one design (context_length,
d_model, …, the plan, and what the model predicts), and returns a mapping of metric names to measured
values. What it does not measure stays as modelled.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from explorer.catalog.metrics import METRICS
from explorer.errors import ExplorerError, UnknownName
from explorer.search.outcome import Outcome, SearchProblem
from explorer.search.space import IntArray
from explorer.search.storage import plain

Evaluator: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, float]]


def resolve(evaluator: Evaluator | str) -> Evaluator:
    """A callable, given as such or as `module:function`. Raises ExplorerError when there is none."""
    if callable(evaluator):
        return evaluator
    module, _, name = evaluator.partition(":")
    if not module or not name:
        raise ExplorerError(f"--evaluator takes module:function, got '{evaluator}'")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ExplorerError(f"--evaluator {evaluator} must be importable, got: {error}") from error
    if not callable(found):
        raise ExplorerError(f"--evaluator {evaluator} must be callable, got {type(found).__name__}")
    checked: Evaluator = found
    return checked


@dataclass(frozen=True)
class Measured:
    """One design, measured."""

    figures: list[float]
    """Objectives, measured where they were, else modelled."""
    constraints: dict[str, float]
    columns: dict[str, Any]
    """The design's row: `<metric>` as it counts, `modelled_<metric>` beside what was measured."""


def measure(problem: SearchProblem, evaluator: Evaluator | None, point: IntArray) -> Measured:
    """What comes of one design (lattice indices (9,)). What the evaluator raises passes through."""
    outcome: Outcome = problem.outcome(point[None])
    columns = {name: plain(values[0]) for name, values in problem.columns(point[None]).items()}
    figures = [float(v) for v in outcome.figures[0]]
    constraints = {name: float(v[0]) for name, v in outcome.constraints.items()}
    if evaluator is None:
        return Measured(figures, constraints, columns)
    answer = dict(evaluator(columns))
    for name, value in answer.items():
        if name not in METRICS:
            raise UnknownName("metric from the evaluator", name, METRICS)
        if not math.isfinite(value):
            raise ExplorerError(f"the evaluator must measure a finite {name}, got {value}")
        columns[f"modelled_{name}"] = columns.get(name)
        columns[name] = float(value)
    for k, objective in enumerate(problem.objectives):
        if objective.name in answer:
            figures[k] = float(answer[objective.name])
    limit = getattr(problem, "memory_limit_bytes", None)
    if "peak_device_bytes" in answer and limit is not None:
        constraints["gpu_memory"] = columns["excess_gpu_memory"] = answer["peak_device_bytes"] / limit - 1
    columns["feasible"] = bool(max(constraints.values()) <= 0 and np.isfinite(figures).all())
    return Measured(figures, constraints, columns)
