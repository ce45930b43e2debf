"""`auto`: an Optuna sampler that runs the vectorised model inside itself and proposes what it found best.

An archive search looks at no more than a hundredth of the lattice: designs on the budget's boundary and
interior ones first, then neighbours and recombinations of whatever is not dominated. What it found is
handed out in order of hypervolume gained. Proposal k depends on the problem, the seed and k alone, so
one process or many give the same sequence, in any storage, without repeats.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

from explorer.search.front import Ruler, greedy, nondominated
from explorer.search.outcome import SearchProblem
from explorer.search.space import AXES, IntArray
from explorer.search.variables import Variables
from explorer.units import FloatArray

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

LOOKED_AT_SHARE = 0.01
"""Of the lattice, at most this much is evaluated inside the sampler."""
LEAST_LOOKED_AT = 64
"""On a lattice so small that its hundredth is fewer, this many."""
MOST_LOOKED_AT = 20_000
GENERATION = 48


class AutoSampler(BaseSampler):
    """Proposes the designs an archive search inside the model found, most valuable first."""

    def __init__(self, problem: SearchProblem, *, seed: int) -> None:
        self.problem = problem
        self.seed = seed
        self.variables = Variables(problem.lattice)

    @cached_property
    def search(self) -> ArchiveSearch:
        """The search, run at the first proposal."""
        return ArchiveSearch(self.problem, self.seed)

    @property
    def model_evaluations(self) -> int:
        """Designs looked at inside the sampler."""
        return len(self.search.seen)

    @property
    def looked_at(self) -> IntArray:
        """Lattice indices (n, 9) of the designs looked at, in order."""
        return self.search.points

    def point(self, k: int) -> IntArray:
        """Lattice indices (9,) of proposal `k`."""
        return self.search.proposal(k)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every variable of the lattice."""
        return self.variables.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Proposal number `trial.number`."""
        return self.variables.params(self.point(trial.number)[None])[0]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """No variable is left to sample alone; a foreign one is refused."""
        raise ValueError(
            f"'auto' proposes whole designs of its lattice, which has no variable '{param_name}'"
        )


class ArchiveSearch:
    """Looks at designs generation by generation and keeps everything it saw."""

    def __init__(self, problem: SearchProblem, seed: int) -> None:
        self.problem = problem
        self.lattice = problem.lattice
        self.rng = np.random.default_rng([seed, 0x6175746F])
        self.sizes = np.array(self.lattice.sizes)
        share = int(self.lattice.size * LOOKED_AT_SHARE)
        self.allowance = min(max(share, LEAST_LOOKED_AT), MOST_LOOKED_AT, self.lattice.size)
        self.seen: dict[int, int] = {}
        self.points: IntArray = np.empty((0, len(AXES)), dtype=np.int64)
        self.coordinates: FloatArray = np.empty((0, len(problem.objectives)))
        self.violation: FloatArray = np.empty(0)
        self._run()
        self._exhausted = False
        self._order = self._ranked()
        self._taken = set(self.lattice.keys(self._order).tolist())

    def proposal(self, k: int) -> IntArray:
        """Lattice indices of proposal `k`; beyond what was found, designs near the front, then any."""
        while k >= len(self._order):
            more = self._unseen_near_front(self._taken) if not self._exhausted else None
            if more is None or not len(more):
                self._exhausted = True
                more = self._any_unseen(self._taken)
            if not len(more):
                # Every design of the lattice has been proposed once: begin again.
                again: IntArray = self._order[k % len(self._order)]
                return again
            self._order = np.vstack([self._order, more])
            self._taken |= set(self.lattice.keys(more).tolist())
        proposal: IntArray = self._order[k]
        return proposal

    # --- looking -------------------------------------------------------------------------------

    def _run(self) -> None:
        self._look(self._seeds(self.allowance // 4))
        while len(self.seen) < self.allowance:
            fresh = self._children(min(GENERATION, self.allowance - len(self.seen)))
            if not len(fresh):
                break
            self._look(fresh)

    def _look(self, points: IntArray) -> None:
        points = points[: self.allowance - len(self.seen)]
        if not len(points):
            return
        out = self.problem.outcome(points)
        for key in self.lattice.keys(points).tolist():
            self.seen[key] = len(self.seen)
        self.points = np.vstack([self.points, points])
        self.coordinates = np.vstack([self.coordinates, out.coordinates])
        self.violation = np.append(
            self.violation, np.where(out.feasible, out.violation, np.abs(out.violation))
        )

    def _unseen(self, points: IntArray, taken: set[int] | dict[int, int]) -> IntArray:
        """Valid, closed-form feasible and new, without repeats, in the order given."""
        points = points[self.lattice.valid(points)]
        if not len(points):
            return points
        keys, first = np.unique(self.lattice.keys(points), return_index=True)
        new = np.array([k not in taken for k in keys.tolist()])
        points = points[np.sort(first[new])]
        return points[self.problem.screen(points) <= 0] if len(points) else points

    def _seeds(self, n: int) -> IntArray:
        """Designs spread over the lattice, moved down to the budget's boundary where they exceed it."""
        drawn = (self.rng.random((8 * n, len(AXES))) * self.sizes).astype(np.int64)
        drawn = drawn[self.lattice.valid(drawn)]
        points = np.vstack([drawn[: n // 2], self._to_boundary(drawn[: 2 * n])])
        return self._unseen(points, self.seen)[:n]

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

    def _front(self) -> IntArray:
        good = np.flatnonzero(self.violation <= 0)
        front: IntArray = good[nondominated(self.coordinates[good])]
        return front

    def _children(self, n: int) -> IntArray:
        front = self._front()
        if not len(front):
            front = np.argsort(self.violation, kind="stable")[:8]
        parents = self.points[front]
        for spread in (1, 2, 4, 8):
            moves = np.vstack([self._neighbours(parents, spread), self._crossed(parents, 2 * n)])
            fresh = self._unseen(moves, self.seen)
            if len(fresh):
                return fresh[self.rng.permutation(len(fresh))[:n]]
        return self._any_unseen(self.seen)[:n]

    def _neighbours(self, parents: IntArray, spread: int) -> IntArray:
        """One axis one way, or width against depth, each by up to `spread` steps."""
        steps = []
        axes = [a for a, size in enumerate(self.sizes) if size > 1]
        for a in axes:
            for sign in (-1, 1):
                step = np.zeros(len(AXES), dtype=np.int64)
                step[a] = sign * int(self.rng.integers(1, spread + 1))
                steps.append(step)
        for a, b in ((6, 7), (6, 8), (7, 8)):
            for sign in (-1, 1):
                step = np.zeros(len(AXES), dtype=np.int64)
                step[a], step[b] = sign, -sign * int(self.rng.integers(1, 2 * spread + 1))
                steps.append(step)
        moved: IntArray = parents[:, None] + np.array(steps)[None]
        return moved.reshape(-1, len(AXES))

    def _crossed(self, parents: IntArray, n: int) -> IntArray:
        a, b = self.rng.integers(0, len(parents), (2, n))
        take = self.rng.random((n, len(AXES))) < 0.5
        crossed: IntArray = np.where(take, parents[a], parents[b])
        return crossed

    # --- handing out ---------------------------------------------------------------------------

    def _ranked(self) -> IntArray:
        """What was found, by hypervolume gained; then the rest of it, nearest to the front first."""
        front = self._front()
        order: list[int] = []
        if len(front):
            coordinates = self.coordinates[front]
            order = front[greedy(coordinates, Ruler.of(coordinates).reference)].tolist()
            order += [i for i in front.tolist() if i not in set(order)]
        return self.points[np.array(order, dtype=np.int64)]

    def _unseen_near_front(self, taken: set[int]) -> IntArray:
        parents = self.points[self._front()]
        if not len(parents):
            return parents
        return self._unseen(self._neighbours(parents, 2), taken)

    def _any_unseen(self, taken: set[int] | dict[int, int]) -> IntArray:
        """Designs drawn from the whole lattice, those never looked at."""
        for _ in range(32):
            drawn = (self.rng.random((512, len(AXES))) * self.sizes).astype(np.int64)
            fresh = self._unseen(drawn, taken)
            if len(fresh):
                return fresh
        return np.empty((0, len(AXES)), dtype=np.int64)
