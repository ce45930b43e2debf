"""A form's best parameters from a grid of starts, their bootstrap, and fits with groups left out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.quality.fitting.form import Form
from explorer.quality.fitting.lbfgs import minimise
from explorer.units import FloatArray

Mask = NDArray[np.bool_]

# Where a term's own parameters start; the grid varies what the objective is known to be rugged in.
_TERM_STARTS = {"log_power": -0.3, "log_critical_batch": 0.0, "S": 0.1, "b": 0.48}
_TERM_STARTS |= {"kappa": 0.004, "log_aspect": 3.0, "drift": 0.0}
_SCALES = {"kappa": 0.01, "S": 0.1}
_FINALISTS = 12
_CELLS = 2_000_000  # rows x runs evaluated at once: a few tens of MB per intermediate


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Solution:
    """The best parameters of a form."""

    row: FloatArray
    objective: float
    """Sum of Huber's loss over the runs, on the scale Besiroglu et al. 2024 print (times delta)."""
    n_starts: int
    n_finalists: int
    n_agreeing: int
    """How many of the finalists, carried to the end, came to the same minimum."""


def solve(form: Form, *, coarse: bool = False) -> Solution:
    """The lowest minimum from a grid of starts (Hoffmann et al. 2022, section 3.3).

    `coarse` takes every fifth start: enough to compare forms with each other.
    """
    starts = _starts(form)[:: 5 if coarse else 1]
    rough, values = _minimise(form, starts, max_iterations=60)
    finalists = rough[np.argsort(values)[: 4 if coarse else _FINALISTS]]
    rows, values = _minimise(form, finalists, max_iterations=300 if coarse else 1500)
    best = int(np.argmin(values))
    return Solution(
        row=rows[best],
        objective=float(values[best] * form.huber),
        n_starts=len(starts),
        n_finalists=len(finalists),
        n_agreeing=int(np.sum(values <= values[best] * (1 + 1e-4))),
    )


def bootstrap(form: Form, solution: Solution, n: int, seed: int) -> FloatArray:
    """Parameter rows (n, p) of refits to runs drawn with replacement."""
    n_runs = len(form.log_loss)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_runs, np.full(n_runs, 1 / n_runs), size=n).astype(float)
    return refit(form, solution, weights)


def refit(form: Form, solution: Solution, weights: FloatArray) -> FloatArray:
    """The minima under each row of run weights (n, n_runs), starting from the whole table's solution."""
    step = max(1, _CELLS // weights.shape[1])
    found = []
    for start in range(0, len(weights), step):
        some = weights[start : start + step]
        begin = np.tile(solution.row, (len(some), 1))
        found.append(_minimise(form, begin, some, max_iterations=300, tolerance=1e-7)[0])
    return np.concatenate(found)


def left_out_errors(form: Form, solution: Solution, groups: dict[str, Mask]) -> dict[str, FloatArray]:
    """Prediction less measurement, nats, on each group by the fit to all other runs."""
    rows = refit(form, solution, np.array([~mask for mask in groups.values()], dtype=float))
    predicted, _ = form.predict(rows)
    loss = np.exp(form.log_loss)
    return {
        name: np.exp(p[mask]) - loss[mask] for (name, mask), p in zip(groups.items(), predicted, strict=True)
    }


def condition(form: Form, row: FloatArray) -> float:
    """Condition number of the parameters at the solution: of the predictions' slopes, each of unit length.

    In the law's own parameters (log A at N = 1), where collinearity is what it is, not as centred.
    """
    _, slopes = form.predict(row[None, :])
    columns = np.stack([np.broadcast_to(s, (1, len(form.log_loss)))[0] for s in slopes])
    # As written, alpha multiplies the whole ln N: its slope is that at a fixed log A at N = 1.
    columns[2] -= form.centre_n * columns[0]
    columns[3] -= form.centre_d * columns[1]
    lengths = np.linalg.norm(columns, axis=1, keepdims=True)
    return float(np.linalg.cond((columns / np.maximum(lengths, 1e-300)).T))


def _minimise(
    form: Form, starts: FloatArray, weights: FloatArray | None = None, **settings: Any
) -> tuple[FloatArray, FloatArray]:
    """Minima from `starts`, searched in units in which every parameter is of order one."""
    scale = np.array([_SCALES.get(name, 1.0) for name in form.names])

    def objective(rows: FloatArray, which: Any) -> tuple[FloatArray, FloatArray]:
        value, gradient = form.objective(rows * scale, None if weights is None else weights[which])
        return value, gradient * scale

    rows, values = minimise(objective, starts / scale, **settings)
    return rows * scale, values


def _starts(form: Form) -> FloatArray:
    level = float(np.median(np.exp(form.log_loss)))
    floor = float(np.exp(form.log_loss.min()))
    grid = product((0.3, 0.5, 0.65, 0.8, 0.92), (0.2, 0.5, 0.8), (0.15, 0.3, 0.5, 0.8), (0.15, 0.3, 0.5, 0.8))
    rows = []
    for irreducible, of_capacity, alpha, beta in grid:
        reducible = level - irreducible * floor
        row = [np.log(reducible * of_capacity), np.log(reducible * (1 - of_capacity)), alpha, beta]
        row += [np.log(irreducible * floor)] * form.n_series
        rows.append(row + [_TERM_STARTS[name] for name in form.names[4 + form.n_series :]])
    return np.array(rows)
