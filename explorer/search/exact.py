"""The exact front: every design of the lattice proved to be on it, beaten, or infeasible.

The lattice is walked block by block, so memory stays constant. Bounds leave few candidates in a block; these
wait in a pool, and the most promising of it are evaluated first, since each good design rules out others. Both
cores bound blocks and evaluate. What is looked at, and in which order, depends on the problem alone. Where the
walk is stopped early, the blocks that are left are bounded whole, which tells how much better than what was
found anything can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from explorer.search.blocks import Blocks, Candidates, Chunks, dominated
from explorer.search.crew import Crew
from explorer.search.front import Ruler, hypervolume, nondominated
from explorer.search.outcome import SearchProblem
from explorer.search.space import AXES, IntArray
from explorer.units import FloatArray

WAVE = 8
"""Blocks bounded against the same front."""
POOL = 1 << 15
"""Candidates that wait, about; more are evaluated before the next block is opened."""
FIRST, MOST = 256, 4096
"""Candidates evaluated together: few while the front is poor, then more."""
PART = 512
"""Of these, so many are one core's task."""


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
    """Designs of the lattice that are decided; each is on the front, beaten by it, or infeasible."""
    n_evaluated: int
    """Designs evaluated in full; the rest a bound ruled out."""
    n_undecided: int = 0
    """Designs that were not reached; with any, the front is that of those decided."""
    undecided: FloatArray | None = None
    """(k, m) coordinates such that each undecided design is no better than one of these; None where no bound
    is known."""
    notes: tuple[str, ...] = ()
    """Where bounds could not help, a sentence each."""

    @property
    def complete(self) -> bool:
        """Whether every design of the lattice is decided."""
        return not self.n_undecided

    def ruler(self) -> Ruler | None:
        """What searches are measured with: the most hypervolume there can be. None without a front."""
        if not len(self.points):
            return None
        ruler = Ruler.of(self.coordinates)
        if self.complete:
            return ruler
        most = float("inf")
        if self.undecided is not None:
            most = hypervolume(np.vstack([self.coordinates, self.undecided]), ruler.reference)
        return Ruler(ruler.front, ruler.reference, ruler.scale, most)


def exact_front(
    problem: SearchProblem,
    on_progress: Callable[[float], Any] | None = None,
    *,
    most: float = np.inf,
    workers: int | None = None,
) -> Exact:
    """The exact front of `problem`. `on_progress` hears the share of the lattice that is decided.

    A problem with `blocks` of its own is enumerated by their bounds; any other chunk by chunk. Once `most`
    designs of the lattice are decided, the blocks that are left are bounded whole instead. `workers` are as many
    as there are cores unless said otherwise; they change nothing but the time it takes.
    """
    size = max(problem.lattice.size, 1)
    own = getattr(problem, "blocks", None)
    blocks: Blocks = Chunks(problem) if own is None else own()
    front, pool = _Front(problem), _Pool(len(problem.objectives))
    places: dict[tuple[int, int, int], bool] = {}
    n_seen = n_evaluated = 0
    batch = FIRST

    def work(task: tuple[Any, Any]) -> Any:
        block, rows = task
        return blocks.evaluated(rows) if block is None else blocks.candidates(block, rows)

    waiting = blocks.blocks()
    with Crew(work, workers) as crew:
        wave = list(islice(waiting, 1))
        while wave or len(pool):
            if wave:
                for block, found in zip(
                    wave, crew.map([(block, front.coordinates) for block in wave]), strict=True
                ):
                    pool.add(found)
                    n_seen += found.n_designs
                    places[block.place] = True
            stopped = n_seen >= most
            wave = [] if stopped else list(islice(waiting, WAVE))
            pool.drop(front.coordinates)
            while len(pool) and (len(pool) > POOL or not wave):
                keys = pool.take(batch)
                batch = min(2 * batch, MOST)
                parts = [keys[i : i + PART] for i in range(0, len(keys), PART)]
                for part, (figures, feasible) in zip(
                    parts, crew.map([(None, part) for part in parts]), strict=True
                ):
                    front.add(problem.lattice.points(part[feasible]), figures[feasible])
                n_evaluated += len(keys)
                pool.drop(front.coordinates)
                if on_progress is not None:
                    on_progress((n_seen - len(pool)) / size)
            if on_progress is not None:
                on_progress((n_seen - len(pool)) / size)
    unfinished = next(waiting, None)
    undecided = None
    if unfinished is not None:
        # A place whose last blocks were not reached counts as not reached.
        places.pop(unfinished.place, None)
        undecided = blocks.rest(set(places))
        if undecided is not None:
            undecided = undecided[~dominated(undecided, front.coordinates)]
    return front.result(
        n_proved=n_seen,
        n_evaluated=n_evaluated,
        n_undecided=0 if unfinished is None else problem.lattice.size - n_seen,
        undecided=undecided,
        notes=_notes(own is not None, tuple(getattr(problem, "unbounded", ()))),
    )


def _notes(own: bool, unbounded: tuple[str, ...]) -> tuple[str, ...]:
    if not own:
        return ("the problem declares no bounds: its designs were evaluated one by one for the exact front",)
    if unbounded:
        return (
            f"no bound is known for {', '.join(unbounded)}: every design within the closed-form limits was "
            "evaluated for the exact front",
        )
    return ()


class _Pool:
    """Candidates that wait to be evaluated."""

    def __init__(self, m: int) -> None:
        self._keys: IntArray = np.empty(0, dtype=np.int64)
        self._lower: FloatArray = np.empty((0, m))

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, found: Candidates) -> None:
        """Take candidates in; those without a bound might be anything."""
        lower = found.lower
        if lower is None:
            lower = np.full((len(found.keys), self._lower.shape[1]), -np.inf)
        self._keys = np.concatenate([self._keys, found.keys])
        self._lower = np.vstack([self._lower, lower])

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


class _Front:
    """The front of what was found so far."""

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        m = len(problem.objectives)
        self.points: IntArray = np.empty((0, len(AXES)), dtype=np.int64)
        self.figures: FloatArray = np.empty((0, m))
        self.coordinates: FloatArray = np.empty((0, m))

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

    def result(self, **given: Any) -> Exact:
        """The front, by its first objective."""
        order = np.lexsort([self.problem.lattice.keys(self.points), *self.coordinates.T[::-1]])
        points, figures, coordinates = self.points[order], self.figures[order], self.coordinates[order]
        names = [o.name for o in self.problem.objectives]
        return Exact(
            points=points,
            figures=figures,
            coordinates=coordinates,
            optima={n: int(coordinates[:, k].argmin()) for k, n in enumerate(names)} if len(points) else {},
            **given,
        )
