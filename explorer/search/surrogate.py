"""What a few evaluated designs say of the others: a ridge on quadratic features, and nearest neighbours.

The ridge carries the trend, the neighbours what jumps (another plan becomes the best). Both are cheap
enough to ask about tens of thousands of designs.
"""

from __future__ import annotations

import numpy as np

from explorer.search.space import AXES, IntArray, Lattice
from explorer.units import FloatArray

RIDGE = 1e-6
NEIGHBOURS = 4
SAME = 1e-9
_CHUNK = 4096


class Features:
    """Lattice indices as numbers: logs of sizes scaled to [−1, 1], a switch per category."""

    def __init__(self, lattice: Lattice) -> None:
        self._columns: list[tuple[int, FloatArray]] = []
        self._n_sizes = 0
        for axis, name in enumerate(AXES):
            values = getattr(lattice, name)
            if len(values) < 2:
                continue
            if isinstance(values, tuple) or values[0] == 0:
                self._columns += [(axis, np.eye(len(values))[k]) for k in range(1, len(values))]
                continue
            logs = np.log(values)
            self._columns.insert(self._n_sizes, (axis, 2 * (logs - logs[0]) / (logs[-1] - logs[0]) - 1))
            self._n_sizes += 1

    def place(self, points: IntArray) -> FloatArray:
        """(n, p) coordinates in which neighbours are near."""
        if not self._columns:
            return np.zeros((len(points), 1))
        return np.stack([values[points[:, axis]] for axis, values in self._columns], axis=1)

    def expand(self, place: FloatArray) -> FloatArray:
        """(n, q) what the ridge sees: constant, linear, products of sizes with everything."""
        p = place.shape[1]
        pairs = [place[:, i] * place[:, j] for i in range(min(self._n_sizes, p)) for j in range(i, p)]
        return np.stack([np.ones(len(place)), *place.T, *pairs], axis=1)


class Surrogate:
    """Predicts columns (n, q) of evaluated designs for others."""

    def __init__(self, features: Features, points: IntArray, values: FloatArray) -> None:
        self._features = features
        self._place = features.place(points)
        x = features.expand(self._place)
        gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
        self._weights: FloatArray = np.linalg.solve(gram, x.T @ values)
        self._rest = values - x @ self._weights
        # What never varies (hours, where their limit binds) must not be predicted to vary by rounding.
        self._same = np.ptp(values, axis=0) < SAME
        self._level: FloatArray = values.mean(axis=0)

    def predict(self, points: IntArray) -> FloatArray:
        """(n, q)"""
        out = np.empty((len(points), self._rest.shape[1]))
        k = min(NEIGHBOURS, len(self._place))
        squared = (self._place**2).sum(axis=1)
        for start in range(0, len(points), _CHUNK):
            place = self._features.place(points[start : start + _CHUNK])
            trend = self._features.expand(place) @ self._weights
            distance = np.maximum(squared - 2 * place @ self._place.T + (place**2).sum(axis=1)[:, None], 0)
            near = np.argpartition(distance, k - 1, axis=1)[:, :k]
            weight = 1 / (np.take_along_axis(distance, near, axis=1) + 1e-4)
            weight /= weight.sum(axis=1, keepdims=True)
            found = trend + np.einsum("nk,nkq->nq", weight, self._rest[near])
            out[start : start + _CHUNK] = np.where(self._same, self._level, found)
        return out
