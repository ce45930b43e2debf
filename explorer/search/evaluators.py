"""Measuring designs for real: a callable that takes a design and answers with figures.

What an evaluator receives: one mapping, the row of a trials table for one design (context_length, d_model,
n_layers, d_ff, …, its plan, and everything the model predicts of it; units are in the names).
What it returns: a mapping of names to measured values, any of `MEASURABLE`. What it does not measure stays
as modelled, and what follows from a measurement follows from the measured value (see `replaced`).
What it raises is recorded as that trial's failure; the study goes on.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from explorer.catalog.metrics import METRICS
from explorer.errors import ExplorerError, UnknownName
from explorer.search.outcome import SearchProblem
from explorer.search.space import IntArray
from explorer.search.storage import plain

Evaluator: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, float]]

LEAST, MOST = 1e-60, 1e60
"""Sizes of a measurement: no unit in use passes them, and squares and quotients of such stay finite."""
MOST_WORDS = 2000
"""Characters of an error that a study keeps: some hold a whole tensor."""
MEASURABLE = (
    *(name for name in METRICS if name != "context_length"), "peak_allocated_bytes", "peak_reserved_bytes"
)  # fmt: skip
"""What an evaluator may return: every metric but the context, which is asked for, and the parts of the memory
peak that a framework tells."""


def resolve(evaluator: Evaluator | str) -> Evaluator:
    """A callable, given as such, as `module:function` or as `path/to/file.py:function`.

    Modules are looked for beside the installed ones in the working directory. Raises ExplorerError when
    there is no such callable.
    """
    if callable(evaluator):
        return evaluator
    module, _, name = evaluator.rpartition(":")
    if not module or not name:
        raise ExplorerError(f"an evaluator is module:function or file.py:function, got '{evaluator}'")
    try:
        found = getattr(_loaded(module), name)
    except (ImportError, AttributeError, OSError, SyntaxError) as error:
        raise ExplorerError(f"evaluator {evaluator} must be importable, got: {error}") from error
    if not callable(found):
        raise ExplorerError(f"evaluator {evaluator} must be callable, got {type(found).__name__}")
    checked: Evaluator = found
    return checked


def _loaded(module: str) -> Any:
    if not module.endswith(".py"):
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)
        return importlib.import_module(module)
    path = Path(module)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    loaded = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look a class's module up by name.
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def name_of(evaluator: Evaluator) -> str:
    """What a study remembers an evaluator by: `module:function`."""
    named = evaluator if hasattr(evaluator, "__qualname__") else type(evaluator)
    return f"{named.__module__}:{named.__qualname__}"


@dataclass(frozen=True)
class Measured:
    """One design, measured."""

    figures: list[float]
    """Objectives, measured where they were, else modelled."""
    constraints: dict[str, float]
    columns: dict[str, Any]
    """The design's row: `<metric>` as it counts, `modelled_<metric>` beside what was measured."""


def measure(problem: SearchProblem, evaluator: Evaluator | None, point: IntArray) -> Measured:
    """What comes of one design (lattice indices (9,)). What the evaluator raises passes through.

    A design that the model knows to be impossible (over a limit that a closed form tells, or without any
    plan) is not measured: its `measured` is False.
    """
    outcome = problem.outcome(point[None])
    columns = {name: values[0] for name, values in problem.columns(point[None]).items()}
    answer: dict[str, float] = {}
    if evaluator is not None:
        impossible = max(problem.screen(point[None])[0], outcome.constraints.get("plan", [-1.0])[0]) > 0
        if not impossible:
            answer = _checked(_asked(evaluator, {name: plain(value) for name, value in columns.items()}))
            outcome, replaced = problem.measured(point, answer)
            before = {f"modelled_{name}": columns.get(name, math.nan) for name in answer}
            columns |= {name: values[0] for name, values in replaced.items()} | before
        columns["measured"] = not impossible
    figures = [float(v) for v in outcome.figures[0]]
    constraints = {name: float(v[0]) for name, v in outcome.constraints.items()}
    columns["feasible"] = bool(max(constraints.values()) <= 0 and np.isfinite(figures).all())
    return Measured(figures, constraints, {name: plain(value) for name, value in columns.items()})


def _asked(evaluator: Evaluator, design: dict[str, Any]) -> Mapping[str, float]:
    """What the evaluator answers. What is no Exception (it left by `sys.exit`, its task was cancelled) is a
    failure too and does not take us along; an interrupt is a person's."""
    try:
        return evaluator(design)
    except (Exception, KeyboardInterrupt):
        raise
    except SystemExit as left:
        raise ExplorerError(f"the evaluator left by sys.exit({left.code!r})") from left
    except BaseException as error:
        raise ExplorerError(told(error)) from error


def told(error: BaseException) -> str:
    """An evaluator's error as a study keeps it: its type and its words, whatever bytes are in them."""
    kind = "" if isinstance(error, ExplorerError) else f"{type(error).__name__}: "
    try:
        text = str(error)
    except Exception:
        text = "an error that cannot be put into words"
    words = f"{kind}{text}".encode("utf-8", "backslashreplace").decode("utf-8")
    return words if len(words) <= MOST_WORDS else f"{words[:MOST_WORDS]} …"


def _checked(answer: Mapping[str, Any]) -> dict[str, float]:
    """What an evaluator returned, as plain numbers; ExplorerError for what is no measurement."""
    if not isinstance(answer, Mapping) or not answer:
        raise ExplorerError(f"an evaluator must return metric names and values, got {_shown(answer)}")
    found = {}
    for name, value in answer.items():
        if name not in MEASURABLE:
            raise UnknownName("metric from the evaluator", str(name), MEASURABLE)
        number = _number(value)
        # Only a loss may be zero or below.
        signed = name == "loss"
        if not ((number == 0 and signed) or LEAST <= (abs(number) if signed else number) <= MOST):
            wanted = f"finite {name}" if signed else f"positive, finite {name}"
            raise ExplorerError(
                f"the evaluator must measure a {wanted} of {LEAST:g} to {MOST:g}, got {_shown(value)}"
            )
        found[str(name)] = number
    return found


def _number(value: Any) -> float:
    """A real number of any kind, or an array or tensor without dimensions, as a float; NaN for what is none."""
    if getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"a value of type {type(value).__name__} that cannot be shown"
