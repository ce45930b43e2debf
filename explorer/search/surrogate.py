"""What a few evaluated designs say of the others: a ridge on quadratic features, and nearest neighbours.

The ridge carries the trend, the neighbours what jumps (another plan becomes the best). Both are cheap
enough to ask about tens of thousands of designs.
"""

from __future__ import annotations

import numpy as np

from explorer.search.outcome import SearchProblem
from explorer.search.prior import prior_of
from explorer.search.space import AXES, IntArray
from explorer.units import FloatArray

RIDGE = 1e-6
"""Of figures that are computed: they have no noise."""
RIDGES = (1e-6, 1e-4, 1e-2, 1.0)
"""Among these the one that predicts measured figures best is chosen: they are noisy and few."""
NEIGHBOURS = 4
NEAR = 1e-4
"""Squared distance within which all neighbours count alike."""
SAME = 1e-9
HINT_WEIGHT = 0.5
_CHUNK = 4096


class Features:
    """Lattice indices as numbers: logs of sizes scaled to [−1, 1], a switch per category, alignment of
    widths, and the hints of closed forms."""

    def __init__(self, problem: SearchProblem) -> None:
        self._prior = prior_of(problem)
        self._sizes: list[tuple[int, FloatArray]] = []
        self._others: list[tuple[int, FloatArray]] = []
        for axis, name in enumerate(AXES):
            values = getattr(problem.lattice, name)
            if len(values) < 2:
                continue
            if isinstance(values, tuple) or values[0] == 0:
                self._others += [(axis, np.eye(len(values))[k]) for k in range(1, len(values))]
                continue
            logs = np.log(values)
            self._sizes.append((axis, 2 * (logs - logs[0]) / (logs[-1] - logs[0]) - 1))
            if name == "d_model":
                # Matrix units run widths off powers of two slower: a jump that no smooth trend follows.
                self._others.append((axis, alignment(values)))

    def place(self, points: IntArray, hints: FloatArray | None = None) -> FloatArray:
        """(n, p) coordinates in which neighbours are near; `hints` (n, h) where they are known already."""
        if hints is None:
            hints = self._prior.hints(self._prior.forms(points))
        columns = [values[points[:, axis]] for axis, values in (*self._sizes, *self._others)]
        columns += list(HINT_WEIGHT * hints.T)
        return np.stack(columns, axis=1) if columns else np.zeros((len(points), 1))

    def expand(self, place: FloatArray) -> FloatArray:
        """(n, q) what the ridge sees: constant, linear, products of sizes with everything."""
        p, n_sizes = place.shape[1], len(self._sizes)
        pairs = [place[:, i] * place[:, j] for i in range(n_sizes) for j in range(i, p)]
        return np.stack([np.ones(len(place)), *place.T, *pairs], axis=1)


def alignment(widths: FloatArray) -> FloatArray:
    """Log of the largest power of two, up to 256, that divides each width, scaled to [0, 1]."""
    whole = np.rint(widths).astype(np.int64)
    return np.asarray(np.log2(np.minimum(whole & -whole, 256)) / 8)


class Nearest:
    """For the rows of a growing table, the nearest of a growing set of known places."""

    def __init__(self) -> None:
        self.index: IntArray = np.empty((0, NEIGHBOURS), dtype=np.int64)
        self.squared: FloatArray = np.empty((0, NEIGHBOURS))
        self._n_known = 0

    def grow(self, place: FloatArray, known: FloatArray) -> None:
        """Take in the rows that `place` (n, p) and `known` (q, p) have gained."""
        n = len(self.index)
        fresh = known[self._n_known :]
        self.index = np.vstack([self.index, np.zeros((len(place) - n, NEIGHBOURS), dtype=np.int64)])
        self.squared = np.vstack([self.squared, np.full((len(place) - n, NEIGHBOURS), np.inf)])
        self._compare(place, slice(0, n), fresh, self._n_known)
        self._compare(place, slice(n, len(place)), known, 0)
        self._n_known = len(known)

    def _compare(self, place: FloatArray, rows: slice, known: FloatArray, first: int) -> None:
        if not len(known):
            return
        lengths = (known**2).sum(axis=1)
        for start in range(rows.start, rows.stop, _CHUNK):
            some = slice(start, min(start + _CHUNK, rows.stop))
            here = place[some]
            squared = lengths - 2 * here @ known.T + (here**2).sum(axis=1)[:, None]
            both = np.hstack([self.squared[some], np.maximum(squared, 0)])
            # One nearest after another: several times faster than a partial sort of such short rows.
            row, before = np.arange(len(both)), self.index[some].copy()
            for k in range(NEIGHBOURS):
                near = both.argmin(axis=1)
                old = before[row, np.minimum(near, NEIGHBOURS - 1)]
                self.index[some, k] = np.where(near < NEIGHBOURS, old, near - NEIGHBOURS + first)
                self.squared[some, k] = both[row, near]
                both[row, near] = np.inf


class Surrogate:
    """Predicts columns (n, q) of evaluated designs for others, by their places (see `Features`).

    A column that is unknown of some designs (NaN: no plan runs them) is taken at its median there. A column
    that jumps between levels follows no trend: neighbours alone tell it, where that errs less for the designs
    that are known. `nearest` (n, k) are the nearest known rows of each, itself first, `squared` how far off.
    """

    def __init__(
        self,
        features: Features,
        place: FloatArray,
        values: FloatArray,
        nearest: IntArray,
        squared: FloatArray,
    ) -> None:
        self._features = features
        unknown = np.isnan(values)
        if unknown.any():
            values = np.where(unknown, np.nanmedian(values, axis=0), values)
        x = features.expand(place)
        gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
        self._weights: FloatArray = np.asarray(np.linalg.solve(gram, x.T @ values), dtype=np.float64)
        self._rest: FloatArray = values - x @ self._weights
        by_trend, alone = (np.abs(v - _mean(v, nearest[:, 1:], squared[:, 1:])) for v in (self._rest, values))
        jumps = alone.mean(axis=0) < by_trend.mean(axis=0)
        self._weights[:, jumps], self._rest[:, jumps] = 0.0, values[:, jumps]
        # What never varies (hours, where their limit binds) must not be predicted to vary by rounding.
        self._same = np.ptp(values, axis=0) < SAME
        self._level: FloatArray = values.mean(axis=0)

    def predict(
        self, place: FloatArray, nearest: IntArray, squared: FloatArray, hopeful: bool = False
    ) -> FloatArray:
        """(n, q) at `place`, whose nearest known rows (n, k) are so far off, squared; `hopeful` takes the
        neighbour that says least instead of their mean."""
        out = np.empty((len(place), self._rest.shape[1]))
        for start in range(0, len(place), _CHUNK):
            some = slice(start, start + _CHUNK)
            trend = self._features.expand(place[some]) @ self._weights
            if hopeful:
                found = trend + self._rest[nearest[some]].min(axis=1)
            else:
                found = trend + _mean(self._rest, nearest[some], squared[some])
            out[some] = np.where(self._same, self._level, found)
        return out


def _mean(values: FloatArray, nearest: IntArray, squared: FloatArray) -> FloatArray:
    """(n, q) mean of the rows `nearest` (n, k), by how near they are."""
    weight = 1 / (squared + NEAR)
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return np.asarray(np.einsum("nk,nkq->nq", weight, values[nearest]))


class Residual:
    """How measured figures differ from modelled ones (n, q): their mean, and a trend as far as it is real.

    One ridge per column, chosen by leaving out one measurement at a time; among the choices is no trend
    at all, so that a handful of noisy measurements teaches no more than a bias.
    """

    def __init__(self, features: Features, place: FloatArray, residuals: FloatArray) -> None:
        self._features = features
        self._mean: FloatArray = residuals.mean(axis=0)
        n = len(place)
        rest = residuals - self._mean
        # Without a trend, what one measurement is told by the mean of the others.
        alone = rest * n / max(n - 1, 1)
        best: FloatArray = (alone**2).mean(axis=0)
        x = features.expand(place)
        weights = np.zeros((x.shape[1], rest.shape[1]))
        for ridge in RIDGES if n > 2 else ():
            solve = np.linalg.solve(x.T @ x + ridge * n * np.eye(x.shape[1]), x.T)
            # A linear smoother's error at a point left out: its residual over one less its own leverage
            # (Golub, Heath & Wahba 1979, Technometrics 21, equation 1.6), the mean's leverage included.
            leverage = np.einsum("nk,kn->n", x, solve) + 1 / n
            error = (rest - x @ (solve @ rest)) / np.maximum(1 - leverage, 1e-3)[:, None]
            found = (error**2).mean(axis=0)
            better = found < best
            weights[:, better] = (solve @ rest)[:, better]
            best = np.where(better, found, best)
        self._weights: FloatArray = weights

    def predict(self, place: FloatArray) -> FloatArray:
        """(n, q)"""
        return np.asarray(self._mean + self._features.expand(place) @ self._weights)
