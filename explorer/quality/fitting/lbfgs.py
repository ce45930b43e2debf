"""L-BFGS over many small problems at once: starts of a grid, bootstrap samples, left-out groups.

Nocedal & Wright 2006, algorithm 7.4 (two-loop recursion) with a backtracking line search, every
problem with its own step and history; one evaluation of the objective serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from explorer.units import FloatArray

Index: TypeAlias = NDArray[np.signedinteger[Any]]
Objective: TypeAlias = Callable[[FloatArray, Index], tuple[FloatArray, FloatArray]]
"""(parameters (n, p), which problems (n,)) -> (values (n,), gradients (n, p))."""

_HISTORY = 10
_ARMIJO = 1e-4
_MAX_STEP = 2.0


def minimise(
    objective: Objective, start: FloatArray, *, max_iterations: int = 400, tolerance: float = 1e-10
) -> tuple[FloatArray, FloatArray]:
    """The minimum reached from each row of `start` (n, p), and its value (n,).

    A problem stops when an iteration lowers its value by less than `tolerance` of itself, twice.
    """
    n, p = start.shape
    x = start.astype(float).copy()
    every = np.arange(n)
    f, g = objective(x, every)
    steps = np.zeros((_HISTORY, n, p))
    turns = np.zeros((_HISTORY, n, p))
    inverse = np.zeros((_HISTORY, n))  # 1 / (step · turn); 0 where there is no pair yet
    stalled = np.zeros(n, dtype=int)
    active = every[np.isfinite(f)]
    for _ in range(max_iterations):
        if not len(active):
            break
        direction = _direction(g[active], steps[:, active], turns[:, active], inverse[:, active])
        slope = np.sum(direction * g[active], axis=1)
        uphill = slope >= 0
        direction[uphill] = -g[active][uphill]
        slope[uphill] = -np.sum(g[active][uphill] ** 2, axis=1)
        longest = np.abs(direction).max(axis=1)
        # Early steps have no curvature to go by: none may move a parameter by more than _MAX_STEP.
        size = np.minimum(1.0, _MAX_STEP / np.maximum(longest, 1e-300))
        size = np.where(
            inverse[:, active].any(axis=0), size, np.minimum(size, 0.1 / np.maximum(longest, 1e-300))
        )
        new_x, new_f, new_g = _search(
            objective, active, x[active], f[active], g[active], direction, slope, size
        )
        step, turn = new_x - x[active], new_g - g[active]
        curvature = np.sum(step * turn, axis=1)
        good = curvature > 1e-12 * np.sum(turn**2, axis=1)
        steps[:, active] = np.roll(steps[:, active], -1, axis=0)
        turns[:, active] = np.roll(turns[:, active], -1, axis=0)
        inverse[:, active] = np.roll(inverse[:, active], -1, axis=0)
        steps[-1, active], turns[-1, active] = step, turn
        inverse[-1, active] = np.where(good, 1.0 / np.where(good, curvature, 1.0), 0.0)
        gain = f[active] - new_f
        x[active], f[active], g[active] = new_x, new_f, new_g
        little = gain <= tolerance * np.abs(new_f)
        # A stall may be a bad history: forget it once before giving up.
        inverse[:, active[little]] = 0.0
        stalled[active] = np.where(little, stalled[active] + 1, 0)
        active = active[stalled[active] < 2]
    return x, f


def _direction(g: FloatArray, steps: FloatArray, turns: FloatArray, inverse: FloatArray) -> FloatArray:
    q = g.copy()
    weights = np.zeros((len(steps), len(g)))
    for i in range(len(steps) - 1, -1, -1):
        weights[i] = inverse[i] * np.sum(steps[i] * q, axis=1)
        q -= weights[i][:, None] * turns[i]
    length = np.sum(turns[-1] ** 2, axis=1)
    known = (inverse[-1] > 0) & (length > 0)
    scale = np.where(known, 1.0 / np.where(known, inverse[-1] * length, 1.0), 1.0)
    q *= scale[:, None]
    for i in range(len(steps)):
        back = inverse[i] * np.sum(turns[i] * q, axis=1)
        q += (weights[i] - back)[:, None] * steps[i]
    return -q


def _search(
    objective: Objective,
    which: Index,
    x: FloatArray,
    f: FloatArray,
    g: FloatArray,
    direction: FloatArray,
    slope: FloatArray,
    size: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Halve each step until it lowers its value enough; a problem that finds none stays where it is."""
    best_x, best_f, best_g = x.copy(), f.copy(), g.copy()
    open_ = np.arange(len(x))
    for _ in range(30):
        trial = x[open_] + size[open_, None] * direction[open_]
        value, gradient = objective(trial, which[open_])
        enough = value <= f[open_] + _ARMIJO * size[open_] * slope[open_]
        took = open_[enough]
        best_x[took], best_f[took], best_g[took] = trial[enough], value[enough], gradient[enough]
        open_ = open_[~enough]
        if not len(open_):
            break
        size[open_] *= 0.5
    return best_x, best_f, best_g
