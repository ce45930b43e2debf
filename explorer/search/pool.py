"""Candidates of the archive search, with what is known or expected of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from explorer.search.front import Ruler, nondominated
from explorer.search.outcome import Outcome, SearchProblem
from explorer.search.prior import prior_of
from explorer.search.space import AXES, IntArray
from explorer.search.surrogate import Features, Nearest, Surrogate
from explorer.units import FloatArray

MOST_COMPARED = 100
"""Designs of a front that candidates are held against; of a longer one, as many spread over it."""


class Pool:
    """Candidates within the closed-form limits; those looked at stand with what they are."""

    def __init__(self, problem: SearchProblem) -> None:
        self.problem, self.lattice = problem, problem.lattice
        self.prior = prior_of(problem)
        self.features = Features(problem)
        m = len(problem.objectives)
        self.points: IntArray = np.empty((0, len(AXES)), dtype=np.int64)
        self.keys: IntArray = np.empty(0, dtype=np.int64)
        self.forms: FloatArray = np.empty((0, 0))
        self.place: FloatArray = np.empty((0, 0))
        self.coordinates: FloatArray = np.empty((0, m))
        self.violation: FloatArray = np.empty(0)
        self.known: NDArray[np.bool_] = np.empty(0, dtype=bool)
        self._lessons: FloatArray = np.empty((0, 0))
        self._looked: IntArray = np.empty(0, dtype=np.int64)
        self._surrogate: Surrogate | None = None
        self._nearest = Nearest()

    def add(self, points: IntArray, most: int | None = None) -> None:
        """Take in what is valid, new, and within the closed-form limits; at most so many, drawn by their order."""
        points = points[self.lattice.valid(points)]
        keys, first = np.unique(self.lattice.keys(points), return_index=True)
        first = np.sort(first[~np.isin(keys, self.keys)])
        points = points[first if most is None else first[:most]]
        points = points[self.problem.screen(points) <= 0] if len(points) else points
        if not len(points):
            return
        forms = self.prior.forms(points)
        place = self.features.place(points, self.prior.hints(forms))
        coordinates, violation = self.prior.expected(forms, None)
        n = len(self.points)
        self.forms = np.vstack([self.forms, forms]) if n else forms
        self.place = np.vstack([self.place, place]) if n else place
        self.points = np.vstack([self.points, points])
        self.keys = np.append(self.keys, self.lattice.keys(points))
        self.coordinates = np.vstack([self.coordinates, coordinates])
        self.violation = np.append(self.violation, violation)
        self.known = np.append(self.known, np.zeros(len(points), dtype=bool))
        self._expect(np.arange(n, n + len(points)))

    def rows(self, points: IntArray) -> IntArray:
        """Rows of those of `points` that are in the pool, without repeats, ascending."""
        wanted = self.lattice.keys(points[self.lattice.valid(points)])
        return np.flatnonzero(np.isin(self.keys, wanted)).astype(np.int64)

    def look(self, rows: IntArray, outcome: Outcome) -> None:
        """Put the truth about some rows in place of what was expected, and expect the others anew by it."""
        excess = np.where(
            outcome.feasible, outcome.violation, np.maximum(outcome.violation, np.finfo(float).tiny)
        )
        self.coordinates[rows], self.violation[rows], self.known[rows] = outcome.coordinates, excess, True
        lessons = self.prior.lessons(self.points[rows], outcome, self.forms[rows])
        self._lessons = np.vstack([self._lessons, lessons]) if len(self._lessons) else lessons
        self._looked = np.append(self._looked, rows)
        if not np.isfinite(self._lessons).any(axis=0).all():
            return
        place = self.place[self._looked]
        self._surrogate = Surrogate(self.features, place, self._lessons, *self._near(self._looked))
        self._expect(np.flatnonzero(~self.known))

    def feasible(self) -> IntArray:
        """Rows that are feasible, as known or expected."""
        return np.flatnonzero(self.violation <= 0).astype(np.int64)

    def lag(self, rows: IntArray) -> FloatArray:
        """(n,) how far rows lie behind the front of what is feasible, in units of its range; below zero ahead.

        What is expected beyond a limit lags by as much more.
        """
        good = self.feasible()
        good = good if len(good) else np.arange(len(self.points))
        front = self.coordinates[good[nondominated(self.coordinates[good])]]
        if not len(front):
            return np.zeros(len(rows))
        scale = Ruler.of(front).scale
        if len(front) > MOST_COMPARED:
            order = np.lexsort(front.T)
            front = front[order[np.linspace(0, len(front) - 1, MOST_COMPARED).astype(np.int64)]]
        columns, lag = (self.coordinates[rows] / scale).T.copy(), np.full(len(rows), np.inf)
        for point in front / scale:
            behind = columns[0] - point[0]
            for column, value in zip(columns[1:], point[1:], strict=True):
                np.maximum(behind, column - value, out=behind)
            np.minimum(lag, behind, out=lag)
        return np.asarray(lag + np.maximum(self.violation[rows], 0))

    def hopes(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates and violation of some rows, each at the best that its neighbours allow."""
        if self._surrogate is None:
            return self.coordinates[rows], self.violation[rows]
        learned = self._surrogate.predict(self.place[rows], *self._near(rows), hopeful=True)
        return self.prior.expected(self.forms[rows], learned)

    def _expect(self, rows: IntArray) -> None:
        """What is expected of some rows, by all that was learned so far."""
        if self._surrogate is None or not len(rows):
            return
        learned = self._surrogate.predict(self.place[rows], *self._near(rows))
        self.coordinates[rows], self.violation[rows] = self.prior.expected(self.forms[rows], learned)

    def _near(self, rows: IntArray) -> tuple[IntArray, FloatArray]:
        """Which of the designs looked at are nearest to some rows, (n, k), and how far off, squared."""
        self._nearest.grow(self.place, self.place[self._looked])
        return self._nearest.index[rows], self._nearest.squared[rows]
