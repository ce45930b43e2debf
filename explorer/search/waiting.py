"""What waits in branch and bound: parts of the lattice to be looked at, and candidates to be evaluated."""

from __future__ import annotations

import heapq

import numpy as np

from explorer.search.blocks import Block, Candidates, dominated
from explorer.search.front import Ruler, nondominated
from explorer.search.space import IntArray
from explorer.units import FloatArray

RIVALS = 64
"""Designs of the front that a possible gain is weighed against."""


class Queue:
    """Parts of the lattice that wait, the one with the greatest possible gain first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Block]] = []
        self._latest: list[tuple[float, int, Block]] = []
        """What was added since something was taken."""
        self._gone: set[int] = set()
        """Numbers of blocks that were taken out of turn and are still on the heap."""
        self._n_added = 0
        self._reference: FloatArray | None = None
        self.n_designs = 0
        """Of the lattice, in all that waits."""

    def __len__(self) -> int:
        return len(self._heap) - len(self._gone)

    def add(self, block: Block, front: FloatArray) -> None:
        """Take in what bounds left of a part."""
        if not block.n_designs:
            return
        self.n_designs += block.n_designs
        self._n_added += 1
        entry = (-self._gain(block, front), self._n_added, block)
        heapq.heappush(self._heap, entry)
        self._latest.append(entry)

    def take(self, n: int, front: FloatArray, ahead: int = 0) -> list[Block]:
        """The first `n` blocks that hold anything which `front` does not beat; before them, the first `ahead` of
        those that were added last, so that some part is soon cut to its end."""
        found: list[Block] = []

        def took(block: Block) -> None:
            self.n_designs -= block.n_designs
            if not dominated(block.best, front).all():
                found.append(block)

        for _, number, block in heapq.nsmallest(ahead, self._latest):
            self._gone.add(number)
            took(block)
        self._latest = []
        while self._heap and len(found) < n:
            _, number, block = heapq.heappop(self._heap)
            if number in self._gone:
                self._gone.remove(number)
            else:
                took(block)
        return found

    def renew(self, front: FloatArray) -> None:
        """Forget what `front` beats by now, and weigh the rest against it."""
        kept = [(n, b) for n, b in self._waiting() if not dominated(b.best, front).all()]
        self.n_designs = sum(block.n_designs for _, block in kept)
        every = np.vstack([front, *(block.best for _, block in kept)])
        every = np.vstack([front, every[nondominated(every)]])
        self._reference = Ruler.of(every).reference if len(every) else None
        latest = {number for _, number, _ in self._latest}
        self._heap = [(-self._gain(block, front), number, block) for number, block in kept]
        self._latest = [entry for entry in self._heap if entry[1] in latest]
        self._gone.clear()
        heapq.heapify(self._heap)

    def left(self, more: FloatArray) -> FloatArray:
        """What bounds everything that waits, and `more`."""
        return np.vstack([more, *(block.best for _, block in self._waiting())])

    def _waiting(self) -> list[tuple[int, Block]]:
        return [(number, block) for _, number, block in self._heap if number not in self._gone]

    def _gain(self, block: Block, front: FloatArray) -> float:
        """About the hypervolume that a block could add: of its best row, less what one design has of it."""
        reference = self._reference
        if reference is None or not np.isfinite(block.best).all():
            return float("inf")
        alone = np.prod(np.maximum(reference - block.best, 0.0), axis=1)
        rivals = front[:: max(1, len(front) // RIVALS)]
        if len(rivals):
            both = np.maximum(block.best[:, None], rivals[None])
            alone = alone - np.prod(np.maximum(reference - both, 0.0), axis=2).max(axis=1)
        return float(alone.max())


class Pool:
    """Candidates that wait to be evaluated."""

    def __init__(self, m: int) -> None:
        self._keys: IntArray = np.empty(0, dtype=np.int64)
        self._lower: FloatArray = np.empty((0, m))

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def lower(self) -> FloatArray:
        """(n, m) coordinates that they cannot beat."""
        return self._lower

    def add(self, found: Candidates) -> None:
        """Take candidates in."""
        self._keys = np.concatenate([self._keys, found.keys])
        self._lower = np.vstack([self._lower, found.lower])

    def drop(self, front: FloatArray) -> None:
        """Forget what the front beats by now."""
        kept = ~dominated(self._lower, front)
        self._keys, self._lower = self._keys[kept], self._lower[kept]

    def take(self, n: int) -> IntArray:
        """Keys of `n` candidates, ascending, the most promising ones: those that no other's bound beats."""
        chosen = np.zeros(len(self._keys), dtype=bool)
        if np.isfinite(self._lower).all():
            best = nondominated(self._lower)
            chosen[best[:: max(1, -(-len(best) // n))]] = True
        # The rest by their closeness to the best in every coordinate.
        wanted = min(n, len(chosen)) - int(chosen.sum())
        if wanted > 0:
            left = np.flatnonzero(~chosen)
            chosen[left[self._closest(left, wanted)]] = True
        keys = np.sort(self._keys[chosen])
        self._keys, self._lower = self._keys[~chosen], self._lower[~chosen]
        return keys

    def _closest(self, rows: IntArray, n: int) -> IntArray:
        lower = self._lower[rows]
        if not np.isfinite(lower).all() or n >= len(rows):
            return np.arange(n)
        low, high = lower.min(axis=0), lower.max(axis=0)
        away = ((lower - low) / np.where(high > low, high - low, 1.0)).sum(axis=1)
        closest: IntArray = np.argsort(away, kind="stable")[:n]
        return closest
