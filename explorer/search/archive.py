"""The archive search behind `auto`: many candidates weighed cheaply, few looked at, the best handed out.

A candidate is weighed by closed forms and by what a surrogate learned from the designs looked at (see `prior`
and `pool`). Limits in closed form rule candidates out beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from explorer.search.front import Ruler, greedily, nondominated
from explorer.search.outcome import SearchProblem
from explorer.search.pool import Pool
from explorer.search.space import AXES, IntArray
from explorer.units import FloatArray

LOOKED_AT_SHARE = 0.01
"""Of the lattice, at most this much is evaluated with the full model."""
LEAST_LOOKED_AT, MOST_LOOKED_AT = 64, 450
"""On lattices whose hundredth is smaller, or larger than this per objective."""
MOST_PLANNED = 1_500_000
"""Designs × plans looked at: where every design has thousands of plans, fewer designs."""
GENERATIONS = 6
SEED_SHARE = 0.3
"""Of the allowance, spent on designs spread over the lattice and its boundary before any weighing."""
MOST_WEIGHED = 12_000
"""Candidates at which the search stops adding recombinations of the best."""
PARENTS = 160
SLACK = 0.1
"""Proposals come in order of hypervolume gained, but for this share of the gain."""
LAYERS = 6
"""Layers of the expected front that have offspring, where the front itself has few designs."""
CONTEXT, WIDTH, DEPTH = (AXES.index(name) for name in ("context_length", "d_model", "n_layers"))


class ArchiveSearch:
    """Looks at designs generation by generation, then knows proposal k for every k."""

    def __init__(self, problem: SearchProblem, seed: int) -> None:
        self.problem, self.lattice = problem, problem.lattice
        self.rng = np.random.default_rng([seed, 0x6175746F])
        self.sizes = np.array(self.lattice.sizes)
        share = int(self.lattice.size * LOOKED_AT_SHARE)
        m = len(problem.objectives)
        most = min(MOST_LOOKED_AT * m, MOST_PLANNED // getattr(problem, "n_plans", 1))
        self.allowance = min(max(min(share, most), LEAST_LOOKED_AT), self.lattice.size)
        self.points: IntArray = np.empty((0, len(AXES)), dtype=np.int64)
        self.pool = Pool(problem)
        self._tried: IntArray = np.empty(0, dtype=np.int64)
        self._run()
        self._order: list[IntArray] = []
        self._taken: set[int] = set()
        self._rest = self._proposals()

    @property
    def n_weighed(self) -> int:
        """Designs that closed forms weighed and nobody looked at."""
        return len(np.union1d(self._tried, self.pool.keys)) - len(self.points)

    def proposal(self, k: int) -> IntArray:
        """Lattice indices of proposal `k`: the expected front, then designs near it, then any others."""
        while k >= len(self._order):
            more = next(self._rest, None)
            if more is None:
                # Every design of the lattice has been proposed: begin again.
                return self._order[k % len(self._order)]
            self._order.append(more)
            self._taken.add(int(self.lattice.keys(more[None])[0]))
        return self._order[k]

    # --- looking ----------------------------------------------------------------------------------

    def _run(self) -> None:
        n_seeds = int(self.allowance * SEED_SHARE)
        self.pool.add(np.vstack([self._smallest()[: self.allowance // 5], self._spread(2 * n_seeds)]))
        self._look(np.arange(min(n_seeds, len(self.pool.points))))
        step = max(1, -(-(self.allowance - len(self.points)) // GENERATIONS))
        turn = 0
        while len(self.points) < self.allowance:
            before = len(self.points)
            n = min(step, self.allowance - before)
            # Every other turn looks where the best is not expected but may be, then around the best known.
            if turn % 2:
                self._look(self._hopeful(n))
                self._look(self._around_known(n - (len(self.points) - before)))
            else:
                self._grow()
                self._look(self._promising(n))
            turn += 1
            if len(self.points) == before and turn > 1:
                break
        self._grow()

    def _look(self, rows: IntArray) -> None:
        """Look at some candidates, as far as the allowance goes."""
        rows = rows[: self.allowance - len(self.points)]
        if not len(rows):
            return
        points = self.pool.points[rows]
        self.points = np.vstack([self.points, points])
        self.pool.look(rows, self.problem.outcome(points))

    def _grow(self) -> None:
        """Add neighbours, reshapings and recombinations of the expected front until they add nothing."""
        pool = self.pool
        for spread in (1, 2, 1, 4, 1):
            parents = pool.points[self._expected_front(PARENTS)]
            room = MOST_WEIGHED - len(pool.points)
            if not len(parents) or room <= 0:
                return
            moved = (
                self._neighbours(parents, spread),
                self._reshaped(parents, len(parents)),
                self._crossed(parents, 4 * len(parents)),
            )
            pool.add(np.vstack(moved), room)

    def _expected_front(self, most: int) -> IntArray:
        """At most `most` rows of the pool that are expected feasible: the front, then what lies just behind
        it, layer by layer."""
        pool = self.pool
        good = pool.feasible()
        if not len(good):
            return np.argsort(pool.violation, kind="stable")[:most].astype(np.int64)
        chosen = np.empty(0, dtype=np.int64)
        for _ in range(LAYERS):
            layer = good[nondominated(pool.coordinates[good])]
            if not len(layer) or len(chosen) == most:
                break
            chosen = np.append(chosen, self.rng.permutation(layer)[: most - len(chosen)])
            good = np.setdiff1d(good, layer, assume_unique=True)
        return np.sort(chosen)

    def _promising(self, n: int) -> IntArray:
        """The `n` candidates not yet looked at that promise most: on the expected front, then just behind it."""
        pool = self.pool
        left = np.flatnonzero(~pool.known)
        good = pool.feasible()
        front = good[nondominated(pool.coordinates[good])]
        first = self.rng.permutation(front[~pool.known[front]])[:n]
        rest = np.setdiff1d(left, first, assume_unique=True)
        if len(first) == n or not len(rest):
            return first.astype(np.int64)
        behind = rest[np.argsort(pool.lag(rest), kind="stable")[: n - len(first)]]
        return np.append(first, behind).astype(np.int64)

    def _hopeful(self, n: int) -> IntArray:
        """Up to `n` candidates that no design looked at beats if each is as good as its neighbours allow.

        What jumps (another plan becomes the best) puts the best designs where none is expected.
        """
        pool = self.pool
        left = np.flatnonzero(~pool.known)
        hoped, violation = pool.hopes(left)
        left, hoped = left[violation <= 0], hoped[violation <= 0]
        known = pool.coordinates[pool.known & (pool.violation <= 0)]
        front = nondominated(np.vstack([known, hoped]))
        chosen = left[front[front >= len(known)] - len(known)]
        return self.rng.permutation(chosen)[:n].astype(np.int64)

    def _around_known(self, n: int) -> IntArray:
        """Up to `n` neighbours of the front of what was looked at, those that lag least behind it first."""
        pool = self.pool
        good = np.flatnonzero(pool.known & (pool.violation <= 0))
        if not len(good):
            return self._promising(n)
        rows = good[nondominated(pool.coordinates[good])]
        parents = pool.points[np.sort(self.rng.permutation(rows)[:PARENTS])]
        moved = np.vstack([self._neighbours(parents, spread) for spread in (1, 2)])
        pool.add(moved)
        near = pool.rows(moved)
        near = near[~pool.known[near]]
        return near[np.argsort(pool.lag(near), kind="stable")[:n]]

    # --- moving -----------------------------------------------------------------------------------

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
        high = np.full(len(points), self.sizes[DEPTH] - 1)
        moved = points.copy()
        while (low < high).any():
            middle = (low + high + 1) // 2
            moved[:, DEPTH] = middle
            fits = self._excess(moved) <= 0
            low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
        moved[:, DEPTH] = low
        return moved

    def _excess(self, points: IntArray) -> FloatArray:
        """(n,) beyond limits by closed forms: never feasible, or by no plain plan."""
        prior = self.pool.prior
        self._tried = np.union1d(self._tried, self.lattice.keys(points))
        _, violation = prior.expected(prior.forms(points), None)
        return np.maximum(self.problem.screen(points), violation)

    def _neighbours(self, parents: IntArray, spread: int) -> IntArray:
        """One axis either way, and context, width and depth against each other, by up to `spread` steps."""
        steps = []
        for axis in np.flatnonzero(self.sizes > 1):
            for sign in (-1, 1):
                step = np.zeros(len(AXES), dtype=np.int64)
                step[axis] = sign * spread
                steps.append(step)
        for a, b in ((CONTEXT, WIDTH), (CONTEXT, DEPTH), (WIDTH, DEPTH)):
            for sign in (-1, 1):
                for factor in (1, 3):
                    step = np.zeros(len(AXES), dtype=np.int64)
                    step[a], step[b] = sign * spread, -sign * factor * spread
                    steps.append(step)
        moved: IntArray = parents[:, None] + np.array(steps)[None]
        return moved.reshape(-1, len(AXES))

    def _reshaped(self, parents: IntArray, n: int) -> IntArray:
        """Any other width, as deep as leaves the layers' parameters about as many (they grow as d² · L)."""
        moved = parents[self.rng.integers(0, len(parents), n)]
        wide = self.rng.integers(0, self.sizes[WIDTH], n)
        depths = self.lattice.n_layers
        ratio = self.lattice.d_model[moved[:, WIDTH]] / self.lattice.d_model[wide]
        wanted = depths[moved[:, DEPTH]] * ratio**2
        near = np.searchsorted(depths, wanted) + self.rng.integers(-1, 2, n)
        moved[:, WIDTH], moved[:, DEPTH] = wide, np.clip(near, 0, len(depths) - 1)
        return moved

    def _crossed(self, parents: IntArray, n: int) -> IntArray:
        """Each axis from one of two parents."""
        a, b = self.rng.integers(0, len(parents), (2, n))
        take = self.rng.random((n, len(AXES))) < 0.5
        crossed: IntArray = np.where(take, parents[a], parents[b])
        return crossed

    # --- handing out ------------------------------------------------------------------------------

    def _proposals(self) -> Iterator[IntArray]:
        """The pool's expected front by hypervolume gained (designs looked at stand with what they are), then
        what else is on it, then neighbours of the best, then any designs."""
        pool = self.pool
        good = pool.feasible()
        front = good[nondominated(pool.coordinates[good])]
        points, left = pool.points[front], np.ones(len(front), dtype=bool)
        if len(front):
            coordinates = pool.coordinates[front]
            for row in greedily(coordinates, Ruler.of(coordinates).reference, slack=SLACK):
                left[row] = False
                yield points[row]
        yield from points[left]
        parents = pool.points[self._expected_front(PARENTS)]
        while len(near := self._fresh(self._neighbours(parents, 1)) if len(parents) else parents):
            yield from near
            parents = near[:PARENTS]
        while len(more := self._any_fresh()):
            yield from more

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
