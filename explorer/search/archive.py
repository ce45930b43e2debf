"""The archive search behind `auto`: many candidates ranked cheaply, few looked at, the best handed out.

A candidate's cheap coordinates are the problem's own closed-form estimate (if it has one) plus what a
surrogate learned from the designs looked at. Limits in closed form rule candidates out beforehand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from explorer.search.front import DECIMALS, Ruler, greedy, nondominated
from explorer.search.outcome import SearchProblem
from explorer.search.space import AXES, IntArray
from explorer.search.surrogate import Features, Nearest, Surrogate
from explorer.units import FloatArray

LOOKED_AT_SHARE = 0.01
"""Of the lattice, at most this much is evaluated with the full model."""
LEAST_LOOKED_AT, MOST_LOOKED_AT = 64, 450
"""On lattices whose hundredth is smaller, or larger than this per objective."""
MOST_PLANNED = 1_500_000
"""Designs × plans looked at: where every design has thousands of plans, fewer designs."""
GENERATIONS = 6
SEED_SHARE = 0.3
"""Of the allowance, spent on designs spread over the lattice and its boundary before any ranking."""
POOL = 24_000
"""Candidates ranked at most."""
PARENTS = 160
LAYERS = 6
"""Layers of the predicted front that have offspring, where the front itself has few designs."""


class ArchiveSearch:
    """Looks at designs generation by generation, then knows proposal k for every k."""

    def __init__(self, problem: SearchProblem, seed: int) -> None:
        self.problem, self.lattice = problem, problem.lattice
        self.rng = np.random.default_rng([seed, 0x6175746F])
        self.sizes = np.array(self.lattice.sizes)
        self.features = Features(problem)
        share = int(self.lattice.size * LOOKED_AT_SHARE)
        m = len(problem.objectives)
        most = min(MOST_LOOKED_AT * m, MOST_PLANNED // getattr(problem, "n_plans", 1))
        self.allowance = min(max(min(share, most), LEAST_LOOKED_AT), self.lattice.size)
        self.points: IntArray = np.empty((0, len(AXES)), dtype=np.int64)
        self.coordinates: FloatArray = np.empty((0, m))
        self.violation: FloatArray = np.empty(0)
        self.pool = _Pool(problem, self.features)
        self._run()
        self._order = self._ranked()
        self._taken = set(self.lattice.keys(self._order).tolist())
        self._near_front = True

    def proposal(self, k: int) -> IntArray:
        """Lattice indices of proposal `k`: the ranked front, then designs near it, then any others."""
        while k >= len(self._order):
            more = self._fresh_near_front() if self._near_front else self._any_fresh()
            if not len(more) and self._near_front:
                self._near_front = False
                continue
            if not len(more):
                # Every design of the lattice has been proposed: begin again.
                again: IntArray = self._order[k % len(self._order)]
                return again
            self._order = np.vstack([self._order, more])
            self._taken |= set(self.lattice.keys(more).tolist())
        proposal: IntArray = self._order[k]
        return proposal

    # --- looking ----------------------------------------------------------------------------------

    def _run(self) -> None:
        smallest = self._smallest()[: self.allowance // 5]
        self.pool.add(np.vstack([smallest, self._spread(4 * self.allowance)]))
        self._look(self.pool.points[: int(self.allowance * SEED_SHARE)])
        step = max(1, -(-(self.allowance - len(self.points)) // GENERATIONS))
        turn = 0
        while len(self.points) < self.allowance:
            before = len(self.points)
            n = min(step, self.allowance - before)
            # Every other turn looks around the best designs known, whatever is predicted elsewhere.
            if turn % 2:
                self._look(self._around_known(n))
            else:
                self._grow()
                self._look(self._promising(n))
            turn += 1
            if len(self.points) == before and turn > 1:
                break
        self._grow()

    def _look(self, points: IntArray) -> None:
        points = points[: self.allowance - len(self.points)]
        if not len(points):
            return
        out = self.problem.outcome(points)
        excess = np.where(out.feasible, out.violation, np.maximum(out.violation, np.finfo(float).tiny))
        self.points = np.vstack([self.points, points])
        self.coordinates = np.vstack([self.coordinates, out.coordinates])
        self.violation = np.append(self.violation, excess)
        self.pool.looked_at(points, out.coordinates, excess)
        self._learn()

    def _learn(self) -> None:
        """Teach the pool what the designs looked at differ by from their closed-form estimates."""
        known = np.isfinite(self.coordinates).all(axis=1)
        if known.sum() < 2:
            return
        estimate = self.pool.estimate(self.points[known])
        lessons = np.column_stack(
            [self.coordinates[known] - estimate, np.clip(self.violation[known], -0.5, 0.5)]
        )
        place = self.features.place(self.points[known])
        self.pool.predict_with(Surrogate(self.features, place, lessons), place)

    def _grow(self) -> None:
        """Add neighbours and recombinations of the pool's predicted front until they add nothing."""
        for spread in (1, 2, 1, 4, 1):
            parents = self.pool.points[self._predicted_front(PARENTS)]
            if not len(parents) or len(self.pool.points) >= POOL:
                return
            moved = np.vstack([self._neighbours(parents, spread), self._crossed(parents, 4 * len(parents))])
            self.pool.add(moved[: POOL - len(self.pool.points)])

    def _predicted_front(self, most: int) -> IntArray:
        """At most `most` rows of the pool that are predicted feasible: the front, then what lies just behind
        it, layer by layer."""
        good = np.flatnonzero(self.pool.violation <= 0)
        if not len(good):
            return np.argsort(self.pool.violation, kind="stable")[:most].astype(np.int64)
        chosen = np.empty(0, dtype=np.int64)
        for _ in range(LAYERS):
            layer = good[nondominated(self.pool.coordinates[good])]
            if not len(layer) or len(chosen) == most:
                break
            chosen = np.append(chosen, self.rng.permutation(layer)[: most - len(chosen)])
            good = np.setdiff1d(good, layer, assume_unique=True)
        return np.sort(chosen)

    def _promising(self, n: int) -> IntArray:
        """The `n` designs not yet looked at that promise most: on the predicted front, then just behind it."""
        left = np.flatnonzero(~self.pool.known & (self.pool.violation <= 0))
        chosen: list[int] = []
        layer_of = self.pool.coordinates
        known = np.flatnonzero(self.pool.known & (self.pool.violation <= 0))
        for _ in range(4):
            if len(chosen) >= n or not len(left):
                break
            both = np.append(known, left)
            front = both[nondominated(layer_of[both])]
            new = front[~self.pool.known[front]]
            new = new[~np.isin(new, chosen)]
            new = self.rng.permutation(new)[: n - len(chosen)]
            chosen += new.tolist()
            left = left[~np.isin(left, chosen)]
            known = known[~np.isin(known, front)]
        if len(chosen) < n:
            rest = np.flatnonzero(~self.pool.known)
            rest = rest[~np.isin(rest, chosen)]
            chosen += rest[np.argsort(np.abs(self.pool.violation[rest]), kind="stable")][
                : n - len(chosen)
            ].tolist()
        return self.pool.points[np.array(chosen, dtype=np.int64)]

    def _around_known(self, n: int) -> IntArray:
        """Up to `n` neighbours of the front of what was looked at, those that lag least behind it first."""
        good = np.flatnonzero(self.violation <= 0)
        if not len(good):
            return self._promising(n)
        rows = good[nondominated(self.coordinates[good])]
        parents = self.points[np.sort(self.rng.permutation(rows)[:PARENTS])]
        moved = np.vstack([self._neighbours(parents, spread) for spread in (1, 2)])
        self.pool.add(moved)
        near = self.pool.rows(moved)
        near = near[~self.pool.known[near]]
        ruler = Ruler.of(self.coordinates[rows])
        lag = np.full(len(near), np.inf)
        for point in ruler.front:
            np.minimum(lag, ((self.pool.coordinates[near] - point) / ruler.scale).max(axis=1), out=lag)
        lag += np.maximum(self.pool.violation[near], 0)
        return self.pool.points[near[np.argsort(lag, kind="stable")][:n]]

    def _smallest(self) -> IntArray:
        """The smallest design at every context and schedule, long contexts first: where feasibility ends."""
        valid = np.argwhere(self.lattice.valid_heads)
        d_head, kv, d_model = valid[np.argmin(valid[:, 2])]
        pairs = np.argwhere(self.lattice.valid_windows)[:, [2, 0, 1]]
        points = np.zeros((len(pairs), len(AXES)), dtype=np.int64)
        points[:, [6, 1, 2]] = pairs
        points[:, [4, 5, 7]] = d_head, kv, d_model
        return points[np.argsort(-points[:, 6], kind="stable")]

    def _spread(self, n: int) -> IntArray:
        """Designs spread over the lattice, half of them moved to the budget's boundary."""
        drawn = (self.rng.random((6 * n, len(AXES))) * self.sizes).astype(np.int64)
        drawn = drawn[self.lattice.valid(drawn)][:n]
        moved = self._to_boundary(drawn[: n // 2])
        mixed = np.empty((len(drawn) + len(moved), len(AXES)), dtype=np.int64)
        mixed[: 2 * len(moved) : 2], mixed[1 : 2 * len(moved) : 2] = moved, drawn[: len(moved)]
        mixed[2 * len(moved) :] = drawn[len(moved) :]
        return mixed

    def _to_boundary(self, points: IntArray) -> IntArray:
        """The most layers that the closed-form limits allow, by bisection over the layers' axis."""
        low = np.zeros(len(points), dtype=np.int64)
        high = np.full(len(points), self.sizes[-1] - 1)
        moved = points.copy()
        while (low < high).any():
            middle = (low + high + 1) // 2
            moved[:, -1] = middle
            fits = self.problem.screen(moved) <= 0
            low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
        moved[:, -1] = low
        return moved

    def _neighbours(self, parents: IntArray, spread: int) -> IntArray:
        """One axis either way, and context, width and depth against each other, by up to `spread` steps."""
        steps = []
        for axis in np.flatnonzero(self.sizes > 1):
            for sign in (-1, 1):
                step = np.zeros(len(AXES), dtype=np.int64)
                step[axis] = sign * spread
                steps.append(step)
        for a, b in ((6, 7), (6, 8), (7, 8)):
            for sign in (-1, 1):
                for factor in (1, 3):
                    step = np.zeros(len(AXES), dtype=np.int64)
                    step[a], step[b] = sign * spread, -sign * factor * spread
                    steps.append(step)
        moved: IntArray = parents[:, None] + np.array(steps)[None]
        return moved.reshape(-1, len(AXES))

    def _crossed(self, parents: IntArray, n: int) -> IntArray:
        a, b = self.rng.integers(0, len(parents), (2, n))
        take = self.rng.random((n, len(AXES))) < 0.5
        crossed: IntArray = np.where(take, parents[a], parents[b])
        return crossed

    # --- handing out ------------------------------------------------------------------------------

    def _ranked(self) -> IntArray:
        """The pool's predicted front by hypervolume gained; designs looked at stand with what they are."""
        good = np.flatnonzero(self.pool.violation <= 0)
        front = good[nondominated(self.pool.coordinates[good])] if len(good) else good
        if not len(front):
            return self.points[:0]
        coordinates = self.pool.coordinates[front]
        first = greedy(coordinates, Ruler.of(coordinates).reference)
        rest = np.setdiff1d(np.arange(len(front)), first)
        return self.pool.points[front[np.append(first, rest).astype(np.int64)]]

    def _fresh_near_front(self) -> IntArray:
        parents = self.pool.points[self._predicted_front(PARENTS)]
        return self._fresh(self._neighbours(parents, 1)) if len(parents) else parents

    def _any_fresh(self) -> IntArray:
        """Designs of the whole lattice that were not proposed yet: drawn, or counted out on a small one."""
        if self.lattice.listed <= 1 << 16:
            return self._fresh(self.lattice.points(np.arange(self.lattice.listed)), screened=False)
        for _ in range(32):
            drawn = (self.rng.random((512, len(AXES))) * self.sizes).astype(np.int64)
            fresh = self._fresh(drawn, screened=False)
            if len(fresh):
                return fresh
        return np.empty((0, len(AXES)), dtype=np.int64)

    def _fresh(self, points: IntArray, screened: bool = True) -> IntArray:
        points = points[self.lattice.valid(points)]
        keys, first = np.unique(self.lattice.keys(points), return_index=True)
        points = points[np.sort(first[[k not in self._taken for k in keys.tolist()]])]
        return points[self.problem.screen(points) <= 0] if screened and len(points) else points


class _Pool:
    """Candidates with what is known or predicted of them."""

    def __init__(self, problem: SearchProblem, features: Features) -> None:
        self.problem, self.lattice, self.features = problem, problem.lattice, features
        self.estimate = getattr(problem, "estimate", self._nothing)
        m = len(problem.objectives)
        self.points: IntArray = np.empty((0, len(AXES)), dtype=np.int64)
        self.base: FloatArray = np.empty((0, m))
        self.place: FloatArray = np.empty((0, 1))
        self.coordinates: FloatArray = np.empty((0, m))
        self.violation: FloatArray = np.empty(0)
        self.known: NDArray[np.bool_] = np.empty(0, dtype=bool)
        self._row: dict[int, int] = {}
        self._surrogate: Surrogate | None = None
        self._nearest = Nearest()
        self._known_place: FloatArray = np.empty((0, 1))

    def _nothing(self, points: IntArray) -> FloatArray:
        return np.zeros((len(points), len(self.problem.objectives)))

    def add(self, points: IntArray) -> None:
        """Take in what is valid, new, and within the closed-form limits."""
        points = points[self.lattice.valid(points)]
        keys, first = np.unique(self.lattice.keys(points), return_index=True)
        points = points[np.sort(first[[k not in self._row for k in keys.tolist()]])]
        points = points[self.problem.screen(points) <= 0] if len(points) else points
        if not len(points):
            return
        for key in self.lattice.keys(points).tolist():
            self._row[key] = len(self._row)
        base, place = self.estimate(points), self.features.place(points)
        fresh = np.arange(len(self.points), len(self.points) + len(points))
        self.place = np.vstack([self.place, place]) if len(self.place) else place
        self.points = np.vstack([self.points, points])
        self.base = np.vstack([self.base, base])
        self.coordinates = np.vstack([self.coordinates, base])
        self.violation = np.append(self.violation, np.full(len(points), -1.0))
        self.known = np.append(self.known, np.zeros(len(points), dtype=bool))
        self._predict(fresh)

    def rows(self, points: IntArray) -> IntArray:
        """Rows of those of `points` that are in the pool, without repeats, ascending."""
        points = points[self.lattice.valid(points)]
        found = {self._row[k] for k in self.lattice.keys(points).tolist() if k in self._row}
        return np.array(sorted(found), dtype=np.int64)

    def looked_at(self, points: IntArray, coordinates: FloatArray, violation: FloatArray) -> None:
        """Put the truth about designs of the pool in place of predictions."""
        rows = np.array([self._row[k] for k in self.lattice.keys(points).tolist()])
        self.coordinates[rows], self.violation[rows], self.known[rows] = coordinates, violation, True

    def predict_with(self, surrogate: Surrogate, place: FloatArray) -> None:
        """Predict what was not looked at anew, by what was learned at `place`."""
        self._surrogate, self._known_place = surrogate, place
        self._predict(np.flatnonzero(~self.known))

    def _predict(self, rows: IntArray) -> None:
        if self._surrogate is None or not len(rows):
            return
        self._nearest.grow(self.place, self._known_place)
        nearest, squared = self._nearest.index[rows], self._nearest.squared[rows]
        learned = self._surrogate.predict(self.place[rows], nearest, squared)
        self.coordinates[rows] = np.round(self.base[rows] + learned[:, :-1], DECIMALS)
        self.violation[rows] = learned[:, -1]
