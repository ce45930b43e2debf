"""The exact front: every design of the lattice proved to be on it, dominated, or infeasible.

The lattice is walked in chunks, so memory stays constant. What a closed form rules out (too many
parameters, too large to serve) is never evaluated further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.search.front import nondominated
from explorer.search.outcome import SearchProblem
from explorer.search.space import AXES, IntArray
from explorer.search.sweep import Block
from explorer.units import FloatArray

CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Exact:
    """The exact front of a problem, and what it is proved over."""

    points: IntArray
    """Lattice indices (n, 9) of the front, ordered by the first objective."""
    figures: FloatArray
    """(n, m) their objectives, in their own units."""
    coordinates: FloatArray
    """(n, m) the same as coordinates."""
    optima: dict[str, int]
    """Row of the front that is best in each objective."""
    n_proved: int
    """Designs of the lattice; each is on the front, dominated by it, or infeasible."""
    n_evaluated: int
    """Designs evaluated in full; the rest a bound ruled out."""
    notes: tuple[str, ...] = ()
    """Where bounds could not help, a sentence each."""


def exact_front(problem: SearchProblem, on_progress: Callable[[float], Any] | None = None) -> Exact:
    """The exact front of `problem`. `on_progress` hears the share of the lattice that is decided.

    A problem with a `sweep` of its own is enumerated by it, factorised; any other chunk by chunk.
    """
    lattice = problem.lattice
    found = _Front(problem)
    blocks = getattr(problem, "sweep", None)
    n_decided = n_evaluated = 0
    for block in _chunks(problem) if blocks is None else blocks(found.dominates):
        found.add(block.points, block.figures)
        n_decided += block.n_decided
        n_evaluated += block.n_evaluated
        if on_progress is not None:
            on_progress(n_decided / lattice.size)
    unbounded = tuple(getattr(problem, "unbounded", ()))
    if blocks is None:
        note = "the problem declares no bounds: its designs were evaluated one by one for the exact front"
    else:
        note = (
            f"no bound is known for {', '.join(unbounded)}: every design within the closed-form limits was "
            "evaluated for the exact front"
        )
    return found.result(n_decided, n_evaluated, (note,) if blocks is None or unbounded else ())


class _Front:
    """The front of what was found so far."""

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        m = len(problem.objectives)
        self.points: IntArray = np.empty((0, len(AXES)), dtype=np.int64)
        self.figures: FloatArray = np.empty((0, m))
        self.coordinates: FloatArray = np.empty((0, m))

    def dominates(self, lower: FloatArray) -> NDArray[np.bool_]:
        """Rows of coordinates that a design found has already beaten, or equalled in everything."""
        beaten = np.zeros(len(lower), dtype=bool)
        for start in range(0, len(lower), CHUNK):
            rows = lower[start : start + CHUNK]
            left = np.arange(len(rows))
            for point in self.coordinates:
                left = left[~(point <= rows[left]).all(axis=1)]
            beaten[start : start + CHUNK] = True
            beaten[start + left] = False
        return beaten

    def add(self, points: IntArray, figures: FloatArray) -> None:
        """Take designs in; what is dominated falls out. Of equal designs the first on the lattice stays."""
        if not len(points):
            return
        new = np.stack([o.coordinates(figures[:, k]) for k, o in enumerate(self.problem.objectives)], axis=1)
        points = np.vstack([self.points, points])
        figures = np.vstack([self.figures, figures])
        coordinates = np.vstack([self.coordinates, new])
        order = np.argsort(self.problem.lattice.keys(points), kind="stable")
        keep = order[nondominated(coordinates[order])]
        self.points, self.figures, self.coordinates = points[keep], figures[keep], coordinates[keep]

    def result(self, n_proved: int, n_evaluated: int, notes: tuple[str, ...]) -> Exact:
        """The front, by its first objective."""
        order = np.lexsort([self.problem.lattice.keys(self.points), *self.coordinates.T[::-1]])
        points, figures, coordinates = self.points[order], self.figures[order], self.coordinates[order]
        names = [o.name for o in self.problem.objectives]
        return Exact(
            points=points,
            figures=figures,
            coordinates=coordinates,
            optima={n: int(coordinates[:, k].argmin()) for k, n in enumerate(names)} if len(points) else {},
            n_proved=n_proved,
            n_evaluated=n_evaluated,
            notes=notes,
        )


def _chunks(problem: SearchProblem) -> Iterator[Block]:
    """The lattice in runs of consecutive keys, each design evaluated unless a closed form rules it out."""
    lattice = problem.lattice
    for start in range(0, lattice.listed, CHUNK):
        chunk = lattice.points(np.arange(start, min(start + CHUNK, lattice.listed), dtype=np.int64))
        chunk = chunk[lattice.valid(chunk)]
        n = len(chunk)
        chunk = chunk[problem.screen(chunk) <= 0] if n else chunk
        if not len(chunk):
            yield Block(chunk, np.empty((0, len(problem.objectives))), n, 0)
            continue
        outcome = problem.outcome(chunk)
        good = np.flatnonzero(outcome.feasible)
        yield Block(chunk[good], outcome.figures[good], n, len(chunk))
