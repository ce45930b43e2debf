"""Fronts and how good they are: non-dominated designs, hypervolume share, IGD+ and epsilon.

Objectives are compared in *coordinates*: minimised, and as doublings (log2) where the metric table
says that ratios matter. The reference point of the hypervolume is the worst corner of the exact
front plus a tenth of its range, per coordinate: it depends on the problem alone, so shares of two
searches can be compared. Distances (IGD+, epsilon) are in units of the exact front's range.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.catalog.metrics import METRICS, Direction
from explorer.units import FloatArray, Num

DECIMALS = 11
"""Of a coordinate: designs whose figures differ by rounding alone (all hours of a limit) are equal."""
REFERENCE_MARGIN = 0.1
"""Beyond the worst corner, in units of the front's range (Ishibuchi et al. 2018 advise 1/(points − 1))."""


@dataclass(frozen=True)
class Objective:
    """One goal: a metric and the direction asked for."""

    name: str
    direction: Direction
    scale: str = ""
    """`linear` or `log2`; empty takes the metric table's."""

    def coordinates(self, values: Num) -> FloatArray:
        """Values as coordinates: smaller is better, doublings where ratios matter."""
        scale = self.scale or (METRICS[self.name].scale if self.name in METRICS else "linear")
        raw = np.asarray(values, dtype=np.float64)
        if scale == "log2":
            with np.errstate(divide="ignore", invalid="ignore"):
                raw = np.log2(raw)
        return np.round(-raw if self.direction == "maximize" else raw, DECIMALS)


def coordinates(objectives: Sequence[Objective], values: Mapping[str, Num]) -> FloatArray:
    """(n, m) coordinates of a table of metrics; a row that holds a NaN is no candidate for any front."""
    return np.stack([np.ravel(o.coordinates(values[o.name])) for o in objectives], axis=1)


def nondominated(points: FloatArray, keep_equal: bool = False) -> NDArray[np.int64]:
    """Row numbers of the non-dominated rows of `points` (n, m), ascending.

    Rows that are not finite are left out (an indicator library counts NaN as non-dominated). Of
    equal rows the first stays, or all with `keep_equal`.
    """
    import moocore

    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    if not len(rows):
        return rows
    if points.shape[1] == 1:
        ties = np.flatnonzero(points[rows, 0] == points[rows, 0].min())
        chosen = ties if keep_equal else ties[:1]
    else:
        chosen = np.flatnonzero(moocore.is_nondominated(points[rows], keep_weakly=keep_equal))
    kept: NDArray[np.int64] = rows[chosen]
    return kept


@dataclass(frozen=True)
class Ruler:
    """What a search is measured with: the exact front, its reference point and its hypervolume."""

    front: FloatArray
    """Coordinates (n, m) of the exact front."""
    reference: FloatArray
    scale: FloatArray
    """Range of the front per coordinate (1 where it has none)."""
    hypervolume: float

    @classmethod
    def of(cls, front: FloatArray) -> Ruler:
        """The ruler of a non-empty front."""
        low, high = front.min(axis=0), front.max(axis=0)
        scale = np.where(high > low, high - low, 1.0)
        reference = high + REFERENCE_MARGIN * scale
        return cls(front, reference, scale, hypervolume(front, reference))

    def share(self, points: FloatArray) -> float:
        """Hypervolume of `points` over the exact front's."""
        return hypervolume(points, self.reference) / self.hypervolume

    def igd_plus(self, points: FloatArray) -> float:
        """Mean distance from the exact front to what dominates or misses it; infinite without points."""
        import moocore

        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return float("inf")
        return float(moocore.igd_plus(points / self.scale, ref=self.front / self.scale))

    def epsilon(self, points: FloatArray) -> float:
        """The least shift that lets `points` weakly dominate the exact front; infinite without points."""
        import moocore

        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return float("inf")
        shift = moocore.epsilon_additive(points / self.scale, ref=self.front / self.scale)
        # The library's float can come out as a negative rounding error where both sets are equal.
        return max(float(shift), 0.0)

    def curve(self, points: FloatArray, feasible: NDArray[np.bool_]) -> FloatArray:
        """(n,) share of the exact hypervolume after each of the rows of `points`, told in order."""
        archive = Archive(self.reference)
        share = np.empty(len(points))
        for k, (point, good) in enumerate(zip(points, feasible, strict=True)):
            if good:
                archive.add(point)
            share[k] = archive.hypervolume / self.hypervolume
        return share


class Archive:
    """A front that grows point by point and knows its hypervolume."""

    def __init__(self, reference: FloatArray) -> None:
        self.reference = reference
        self.front: FloatArray = np.empty((0, len(reference)))
        self.hypervolume = 0.0

    def add(self, point: FloatArray) -> bool:
        """Take `point` in; False when it gains nothing (dominated, equal, or beyond the reference)."""
        if not (point < self.reference).all() or (self.front <= point).all(axis=1).any():
            return False
        kept = self.front[~(point <= self.front).all(axis=1)]
        self.front = np.vstack([kept, point])
        self.hypervolume = hypervolume(self.front, self.reference)
        return True


def hypervolume(points: FloatArray, reference: FloatArray) -> float:
    """The volume between `points` (minimised) and `reference`; rows that are not finite count for nothing."""
    import moocore

    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return 0.0
    if len(reference) == 1:
        return float(max(0.0, reference[0] - points.min()))
    return float(moocore.hypervolume(points, ref=reference))


def greedy(front: FloatArray, reference: FloatArray, share: float = 1.0) -> list[int]:
    """Rows of `front` in order of hypervolume gained, each the best after those before it.

    Stops once `share` of the whole front's hypervolume is reached: the length is then about the fewest
    points with which any search can reach that share.
    """
    return list(greedily(front, reference, share))


def greedily(
    front: FloatArray, reference: FloatArray, share: float = 1.0, slack: float = 0.0
) -> Iterator[int]:
    """The rows of `greedy` one by one, each found when it is asked for; with `slack`, a row may gain less than
    the best would by that share of it, which takes less computing."""
    enough = share * hypervolume(front, reference) * (1 - 1e-12)
    growing = _Grid.of(front, reference) or _Any(front, reference)
    alone = np.prod(np.maximum(reference - front, 0.0), axis=1)
    # Gains only fall as points are added (hypervolume is submodular), so a stale gain is an upper bound and is
    # renewed only when it leads.
    bounds = [(-gain, k) for k, gain in enumerate(alone.tolist()) if math.isfinite(gain)]
    heapq.heapify(bounds)
    reached = 0.0
    while bounds and reached < enough:
        _, k = heapq.heappop(bounds)
        gain = growing.gain(k)
        if gain <= 0:
            continue
        if bounds and (-gain, k) > bounds[0] and gain < (1 - slack) * -bounds[0][0]:
            heapq.heappush(bounds, (-gain, k))
            continue
        growing.add(k)
        reached += gain
        yield k


class _Any:
    """A growing front of any number of objectives."""

    def __init__(self, front: FloatArray, reference: FloatArray) -> None:
        self._front, self._reference = front, reference
        self._taken: FloatArray = np.empty_like(front)
        self._n, self._reached = 0, 0.0

    def gain(self, k: int) -> float:
        """Hypervolume that row `k` would add."""
        self._taken[self._n] = self._front[k]
        return hypervolume(self._taken[: self._n + 1], self._reference) - self._reached

    def add(self, k: int) -> None:
        """Take row `k` in."""
        self._reached += self.gain(k)
        self._n += 1


class _Grid:
    """A growing front of two or three objectives on the grid of its own coordinates.

    `depth[l, j]` is how far below the reference the third objective was brought for whatever lies at or beyond
    level l of the first and column j of the second. It rises along both axes, so what a point adds lies in one
    block that two bisections find.
    """

    MOST_CELLS = 1 << 22

    def __init__(self, front: FloatArray, reference: FloatArray) -> None:
        self._row, rows = _steps(front[:, 0], reference[0])
        self._column, columns = _steps(front[:, 1], reference[1])
        self._rows, self._columns = rows, columns
        self._height = (reference[2] - front[:, 2]).tolist()
        self._depth: FloatArray = np.zeros((len(rows), len(columns)))

    @classmethod
    def of(cls, front: FloatArray, reference: FloatArray) -> _Grid | None:
        """The grid of a front within its reference; None where it would be too large, or more than a grid."""
        m = front.shape[1]
        if m not in (2, 3) or not len(front) or not (front < reference).all():
            return None
        if m == 2:
            front = np.column_stack([np.zeros(len(front)), front])
            reference = np.append(1.0, reference)
        distinct = [len(np.unique(column)) for column in front.T]
        order = np.argsort(distinct, kind="stable")
        if distinct[order[0]] * distinct[order[1]] > cls.MOST_CELLS:
            return None
        return cls(front[:, order], reference[order])

    def _block(self, k: int) -> tuple[slice, slice]:
        i, j, height = self._row[k], self._column[k], self._height[k]
        depth = self._depth
        last_row = i + depth[i:, j].searchsorted(height)
        last_column = j + depth[i, j:].searchsorted(height)
        return slice(i, last_row), slice(j, last_column)

    def gain(self, k: int) -> float:
        """Hypervolume that row `k` would add."""
        rows, columns = self._block(k)
        added = self._height[k] - self._depth[rows, columns]
        np.maximum(added, 0.0, out=added)
        return float(self._rows[rows].dot(added).dot(self._columns[columns]))

    def add(self, k: int) -> None:
        """Take row `k` in."""
        block = self._depth[self._block(k)]
        np.maximum(block, self._height[k], out=block)


def _steps(values: FloatArray, end: float) -> tuple[list[int], FloatArray]:
    """Where each value stands among the distinct ones, and the width from each of those to the next."""
    distinct, place = np.unique(values, return_inverse=True)
    return place.reshape(-1).tolist(), np.diff(np.append(distinct, end))


def knee(front: FloatArray) -> int:
    """The row of a front farthest below the plane through its extremes, coordinates scaled to their range."""
    low, high = front.min(axis=0), front.max(axis=0)
    unit = (front - low) / np.where(high > low, high - low, 1.0)
    return int(np.argmin(unit.sum(axis=1)))
