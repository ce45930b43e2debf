"""Parts of a lattice that are bounded, cut, opened or put aside, and what is left of one after its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from explorer.search.front import nondominated
from explorer.search.space import BoolArray, IntArray
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.search.outcome import SearchProblem

CHUNK = 1 << 16
MOST_STEPS = 1 << 22
"""Cells of the table by which rows of three coordinates are compared with a front."""
GROUP = 1024
"""Points of a front that rows are held against at once."""


@dataclass(frozen=True)
class Block:
    """A part of a lattice, less what bounds ruled out of it."""

    within: Any
    """Which part."""
    n_designs: int
    """Designs of the lattice in it; none where bounds ruled out all."""
    best: FloatArray
    """(k, m) coordinates: each design in it is no better than one of these. -inf where no bound is known."""


@dataclass(frozen=True)
class Candidates:
    """Designs of one block that no bound ruled out."""

    keys: IntArray
    """(n,) on the lattice."""
    lower: FloatArray
    """(n, m) coordinates that they cannot beat; -inf where no bound is known."""


class Blocks(Protocol):
    """A lattice as blocks."""

    def whole(self) -> list[Any]:
        """The lattice as parts, each to be bounded."""

    def bounded(self, within: Any, front: FloatArray) -> Block:
        """What is left of a part by its bounds when nothing that `front` (coordinates) beats is wanted."""

    def cut(self, block: Block) -> list[Any]:
        """A block in smaller parts; none where it is better opened."""

    def candidates(self, block: Block, front: FloatArray) -> Candidates:
        """The designs of a block that may be feasible and that nothing on `front` beats."""

    def evaluated(self, keys: IntArray) -> tuple[FloatArray, BoolArray]:
        """Objectives (n, m) of designs by their keys, and which of them are feasible."""


class Chunks:
    """The lattice of a problem that declares no bounds: runs of consecutive keys, evaluated whole but for
    what a closed form rules out."""

    def __init__(self, problem: SearchProblem) -> None:
        self.problem, self.lattice = problem, problem.lattice

    def whole(self) -> list[Any]:
        """Starts of the chunks."""
        return list(range(0, self.lattice.listed, CHUNK))

    def bounded(self, within: Any, front: FloatArray) -> Block:
        """Nothing is known of it but its size."""
        return Block(within, len(self._keys(within)), np.full((1, len(self.problem.objectives)), -np.inf))

    def cut(self, block: Block) -> list[Any]:
        """Chunks are small enough."""
        return []

    def candidates(self, block: Block, front: FloatArray) -> Candidates:
        """What the problem's screen leaves."""
        keys = self._keys(block.within)
        if len(keys):
            keys = keys[self.problem.screen(self.lattice.points(keys)) <= 0]
        return Candidates(keys, np.full((len(keys), len(self.problem.objectives)), -np.inf))

    def _keys(self, start: int) -> IntArray:
        keys = np.arange(start, min(start + CHUNK, self.lattice.listed), dtype=np.int64)
        return keys[self.lattice.valid(self.lattice.points(keys))]

    def evaluated(self, keys: IntArray) -> tuple[FloatArray, BoolArray]:
        """By the problem itself."""
        outcome = self.problem.outcome(self.lattice.points(keys))
        return outcome.figures, outcome.feasible


def corners(rows: FloatArray, most: int) -> FloatArray:
    """At most `most` coordinates such that each of `rows` is no better than one of them."""
    if not np.isfinite(rows).all():
        least: FloatArray = rows.min(axis=0, keepdims=True)
        return least
    best = rows[nondominated(rows)]
    if len(best) <= most:
        return best
    order = np.lexsort(best.T[::-1])
    starts = np.linspace(0, len(best), most, endpoint=False).astype(np.int64)
    merged: FloatArray = np.minimum.reduceat(best[order], starts, axis=0)
    return merged


def dominated(rows: FloatArray, front: FloatArray) -> BoolArray:
    """Rows of coordinates that a row of `front` beats: as good in all, better in one.

    What merely equals a row of the front is kept, so that of equal designs the first on the lattice can stay
    whatever was looked at first.
    """
    if not len(front) or not len(rows):
        return np.zeros(len(rows), dtype=bool)
    if front.shape[1] == 2:
        return _dominated_in_two(rows, front)
    if front.shape[1] == 3 and (found := _dominated_in_three(rows, front)) is not None:
        return found
    return _dominated_in_many(rows, front)


def _dominated_in_two(rows: FloatArray, front: FloatArray) -> BoolArray:
    """`dominated` for two coordinates, by bisection."""
    order = np.lexsort((front[:, 1], front[:, 0]))
    first = front[order, 0]
    least = np.append(np.inf, np.minimum.accumulate(front[order, 1]))
    within = least[np.searchsorted(first, rows[:, 0], side="right")]
    before = least[np.searchsorted(first, rows[:, 0], side="left")]
    beaten: BoolArray = (within < rows[:, 1]) | (before <= rows[:, 1])
    return beaten


def _dominated_in_three(rows: FloatArray, front: FloatArray) -> BoolArray | None:
    """`dominated` for three coordinates, by a table of the least third one up to each step of the others; None
    where it would be too large."""
    front = front[nondominated(front)]
    order = np.argsort([len(np.unique(column)) for column in front.T], kind="stable")
    rows, front = rows[:, order], front[:, order]
    first, second = np.unique(front[:, 0]), np.unique(front[:, 1])
    if len(first) * len(second) > MOST_STEPS:
        return None
    # A step more on either side, below which there is nothing.
    least = np.full((len(first) + 1, len(second) + 1), np.inf)
    at = np.searchsorted(first, front[:, 0]) + 1, np.searchsorted(second, front[:, 1]) + 1
    np.minimum.at(least, at, front[:, 2])
    np.minimum.accumulate(least, axis=0, out=least)
    np.minimum.accumulate(least, axis=1, out=least)
    i = np.searchsorted(first, rows[:, 0], side="right")
    j = np.searchsorted(second, rows[:, 1], side="right")
    beaten: BoolArray = least[i, j] <= rows[:, 2]
    return _but_equal(beaten, np.flatnonzero(beaten & (least[i, j] == rows[:, 2])), rows, front)


def _dominated_in_many(rows: FloatArray, front: FloatArray) -> BoolArray:
    """`dominated` for any number of coordinates, by sets of bits: a row's rank among the front's values of one
    coordinate tells which points are as good in that one; those in the sets of all coordinates beat it."""
    front = front[nondominated(front)]
    # The points that beat most come first, so that few rows are left for the others.
    low, high = front.min(axis=0), front.max(axis=0)
    middle = ((front - low) / np.where(high > low, high - low, 1.0)).max(axis=1)
    front = front[np.argsort(middle, kind="stable")]
    left = np.arange(len(rows))
    for start in range(0, len(front), GROUP):
        some, here = front[start : start + GROUP], rows[left]
        both: NDArray[np.uint64] | None = None
        for values, column in zip(some.T, here.T, strict=True):
            place = np.argsort(values, kind="stable")
            rank = np.empty(len(some), dtype=np.int64)
            rank[place] = np.arange(len(some))
            n_as_good, which = np.unique(
                np.searchsorted(values[place], column, side="right"), return_inverse=True
            )
            bits = np.packbits(rank < n_as_good[:, None], axis=1)
            sets = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)
            both = sets[which] if both is None else both & sets[which]
        assert both is not None
        left = left[~both.any(axis=1)]
        if not len(left):
            break
    beaten = np.ones(len(rows), dtype=bool)
    beaten[left] = False
    return _but_equal(beaten, np.flatnonzero(beaten), rows, front)


def _but_equal(beaten: BoolArray, close: IntArray, rows: FloatArray, front: FloatArray) -> BoolArray:
    """`beaten`, less those of the rows `close` that equal a row of the front: nothing on it beats them."""
    # Zero has two signs and is one number.
    known = {point.tobytes() for point in np.ascontiguousarray(front + 0.0)}
    beaten[close] = [row.tobytes() not in known for row in np.ascontiguousarray(rows[close] + 0.0)]
    return beaten
