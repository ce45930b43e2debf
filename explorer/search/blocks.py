"""Parts of a lattice that are enumerated one after the other, and what is left of one after its bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from explorer.search.space import BoolArray, IntArray
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.search.outcome import SearchProblem

CHUNK = 1 << 16


@dataclass(frozen=True)
class Block:
    """A part of a lattice."""

    place: tuple[int, int, int]
    """What it is part of; of a block cut into several, each has the same."""
    within: Any


@dataclass(frozen=True)
class Candidates:
    """Designs of one block that no bound ruled out."""

    keys: IntArray
    """(n,) on the lattice."""
    lower: FloatArray | None
    """(n, m) coordinates that they cannot beat; None where no bound is known."""
    n_designs: int
    """Designs of the lattice in the block."""


class Blocks(Protocol):
    """A lattice as blocks."""

    def blocks(self) -> Iterator[Block]:
        """Every block, in order."""

    def candidates(self, block: Block, front: FloatArray) -> Candidates:
        """The designs of a block that may be feasible and that nothing on `front` (coordinates) beats."""

    def evaluated(self, keys: IntArray) -> tuple[FloatArray, BoolArray]:
        """Objectives (n, m) of designs by their keys, and which of them are feasible."""

    def rest(self, done: set[tuple[int, int, int]]) -> FloatArray | None:
        """Of the blocks that are not at the places `done`: coordinates (n, m) such that each design in them is
        no better than one of these; None where no bound is known."""


class Chunks:
    """The lattice of a problem that declares no bounds: runs of consecutive keys, evaluated whole but for
    what a closed form rules out."""

    def __init__(self, problem: SearchProblem) -> None:
        self.problem, self.lattice = problem, problem.lattice

    def blocks(self) -> Iterator[Block]:
        """Chunks of the lattice."""
        for number, start in enumerate(range(0, self.lattice.listed, CHUNK)):
            yield Block((number, 0, 0), start)

    def candidates(self, block: Block, front: FloatArray) -> Candidates:
        """What the problem's screen leaves."""
        keys = np.arange(block.within, min(block.within + CHUNK, self.lattice.listed), dtype=np.int64)
        points = self.lattice.points(keys)
        on = self.lattice.valid(points)
        keys, points = keys[on], points[on]
        kept = self.problem.screen(points) <= 0 if len(points) else np.zeros(0, dtype=bool)
        return Candidates(keys[kept], None, len(points))

    def evaluated(self, keys: IntArray) -> tuple[FloatArray, BoolArray]:
        """By the problem itself."""
        outcome = self.problem.outcome(self.lattice.points(keys))
        return outcome.figures, outcome.feasible

    def rest(self, done: set[tuple[int, int, int]]) -> FloatArray | None:
        """Nothing is known of chunks that were not looked at."""
        return None


def dominated(rows: FloatArray, front: FloatArray) -> BoolArray:
    """Rows of coordinates that a row of `front` beats: as good in all, better in one.

    What merely equals a row of the front is kept, so that of equal designs the first on the lattice can stay
    whatever was looked at first.
    """
    if not len(front) or not len(rows):
        return np.zeros(len(rows), dtype=bool)
    if front.shape[1] == 2:
        return _dominated_in_two(rows, front)
    beaten = np.zeros(len(rows), dtype=bool)
    # The points that beat most come first, so that few rows are left for the others.
    low, high = front.min(axis=0), front.max(axis=0)
    middle = ((front - low) / np.where(high > low, high - low, 1.0)).max(axis=1)
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        left = np.arange(len(some))
        for point in front[np.argsort(middle, kind="stable")]:
            if not len(left):
                break
            here = some[left]
            left = left[~((point <= here).all(axis=1) & (point < here).any(axis=1))]
        beaten[start : start + CHUNK] = True
        beaten[start + left] = False
    return beaten


def _dominated_in_two(rows: FloatArray, front: FloatArray) -> BoolArray:
    """`dominated` for two coordinates, by bisection."""
    order = np.lexsort((front[:, 1], front[:, 0]))
    first = front[order, 0]
    least = np.append(np.inf, np.minimum.accumulate(front[order, 1]))
    within = least[np.searchsorted(first, rows[:, 0], side="right")]
    before = least[np.searchsorted(first, rows[:, 0], side="left")]
    beaten: BoolArray = (within < rows[:, 1]) | (before <= rows[:, 1])
    return beaten
