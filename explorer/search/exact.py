"""The exact front: every design of the lattice proved to be on it, beaten, or infeasible.

Branch and bound: the part of the lattice with the greatest possible gain is looked at first; it is halved until
it is small, then opened. Bounds leave few candidates in it; these wait in a pool, and the most promising of it
are evaluated first, since each good design rules out others. Both cores bound, open and evaluate. What is looked
at, and in which order, depends on the problem alone. Where the search is stopped early, the bounds of what is
left tell how much better than what was found anything can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from explorer.search.blocks import Block, Blocks, Candidates, Chunks, corners, dominated
from explorer.search.crew import Crew
from explorer.search.front import Ruler, nondominated
from explorer.search.outcome import SearchProblem
from explorer.search.pace import Pace, Progress
from explorer.search.space import AXES, IntArray
from explorer.search.waiting import Pool, Queue
from explorer.units import FloatArray

WAVE = 8
"""Parts looked at against the same front."""
LARGE = 100_000_000
"""Designs of a lattice from which on a good front is looked for first; for fewer it is not worth its time."""
SEEDS = 1000
"""Designs evaluated for it."""
POOL = 1 << 15
"""Candidates that wait, about; more are evaluated before the next part is looked at."""
FIRST, MOST = 256, 4096
"""Candidates evaluated together: few while the front is poor, then more."""
OFTEN = 1024
"""The same where it may be enough at any time."""
PART = 512
"""Of these, so many are one core's task."""
MOST_LEFT = 4096
"""Rows that bound everything that was not reached."""


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
    """(k, m) coordinates such that each undecided design is no better than one of these, or than the front;
    None where no bound is known."""
    notes: tuple[str, ...] = ()
    """Where bounds could not help, a sentence each."""

    @property
    def complete(self) -> bool:
        """Whether every design of the lattice is decided."""
        return not self.n_undecided

    @cached_property
    def ruler(self) -> Ruler | None:
        """What searches are measured with: the best front that is still possible, which is this one once it is
        complete. Where nothing bounds what is left it is this one as well. None without a front."""
        if not len(self.points):
            return None
        if self.undecided is None or not len(self.undecided):
            return Ruler.of(self.coordinates)
        possible = np.vstack([self.coordinates, self.undecided])
        # What was found is measured too where bounds beat all of it.
        best = Ruler.of(np.vstack([self.coordinates, possible[nondominated(possible)]]))
        # Distances are to designs that exist.
        return Ruler(self.coordinates, best.reference, best.scale, best.hypervolume)

    @cached_property
    def gap(self) -> float:
        """The most that the front can lack of the best possible hypervolume, as a share of it: 0 where it is
        complete, infinite where no bound is known."""
        if self.complete:
            return 0.0
        if self.undecided is None:
            return float("inf")
        return max(0.0, 1 - self.ruler.share(self.coordinates)) if self.ruler is not None else 1.0


def exact_front(
    problem: SearchProblem,
    on_progress: Callable[[Progress], Any] | None = None,
    *,
    within: float = 0.0,
    most: int | None = None,
    workers: int | None = None,
) -> Exact:
    """The exact front of `problem`. `on_progress` hears how far it is.

    A problem with `blocks` of its own is enumerated by their bounds; any other chunk by chunk. It ends early
    once the gap (see `Exact.gap`) is at most `within`, or once `most` designs are evaluated. `workers` are as
    many as there are cores unless said otherwise; they change nothing but the time it takes.
    """
    size = max(problem.lattice.size, 1)
    own = getattr(problem, "blocks", None)
    blocks: Blocks = Chunks(problem) if own is None else own()
    front, pool, queue = _Front(problem), Pool(len(problem.objectives)), Queue()
    n_evaluated, batch, looks, next_look = 0, FIRST, 0, 1
    pace = Pace(size, within)
    limit = np.inf if most is None else most
    # Parts can be bounded and halved for long; where it is evaluations that count, some part is cut to its end.
    ahead = 0 if most is None else WAVE

    def work(task: tuple[str, Any, FloatArray]) -> Any:
        kind, what, rivals = task
        if kind == "bound":
            return blocks.bounded(what, rivals)
        return blocks.candidates(what, rivals) if kind == "open" else blocks.evaluated(what)

    def evaluate(crew: Crew[Any, Any], n: int) -> int:
        keys = pool.take(int(min(n, limit - n_evaluated)))
        parts = [keys[i : i + PART] for i in range(0, len(keys), PART)]
        with pace.evaluating(len(keys)):
            done = crew.map([("evaluate", part, front.coordinates[:0]) for part in parts])
        for part, (figures, feasible) in zip(parts, done, strict=True):
            front.add(problem.lattice.points(part[feasible]), figures[feasible])
        pool.drop(front.coordinates)
        return len(keys)

    def told() -> None:
        if on_progress is not None:
            on_progress(pace.at(queue.n_designs, len(pool)))

    with Crew(work, workers) as crew:
        if own is not None and size > LARGE:
            pool.add(_promising(problem, int(min(limit, SEEDS))))
            n_evaluated += evaluate(crew, len(pool))
        for block in crew.map([("bound", part, front.coordinates) for part in blocks.whole()]):
            queue.add(block, front.coordinates)
        while (len(queue) or len(pool)) and n_evaluated < limit:
            wave = queue.take(WAVE, front.coordinates, ahead) if len(pool) <= POOL else []
            parts = [(block, blocks.cut(block)) for block in wave]
            tasks = [("bound", half, front.coordinates) for _, halves in parts for half in halves]
            tasks += [("open", block, front.coordinates) for block, halves in parts if not halves]
            with pace.bounding():
                results = crew.map(tasks)
            for found in results:
                if isinstance(found, Block):
                    queue.add(found, front.coordinates)
                else:
                    pool.add(found)
            pool.drop(front.coordinates)
            waiting = len(pool) > POOL or not len(queue)
            if len(pool):
                n_evaluated += evaluate(crew, batch if waiting else FIRST)
            if waiting:
                batch = min(2 * batch, OFTEN if within else MOST)
            looks += 1
            if looks >= next_look:
                # What is left is weighed anew now and then, with the front that there is by now.
                next_look = int(1.25 * looks) + 1
                queue.renew(front.coordinates)
                if within:
                    pace.gap = _result(front, queue, pool, n_evaluated).gap
                    if pace.gap <= within:
                        break
            told()
    notes = _notes(own is not None, problem)
    return _result(front, queue, pool, n_evaluated, notes)


def _promising(problem: SearchProblem, most: int) -> Candidates:
    """The designs that `auto` would propose first, as candidates of which no bound is known: a good front from
    the start rules out most parts of a large lattice before they are cut."""
    from explorer.search.archive import ArchiveSearch

    search = ArchiveSearch(problem, seed=0)
    points = np.array([search.proposal(k) for k in range(min(most, problem.lattice.size))])
    keys = np.unique(problem.lattice.keys(points))
    return Candidates(keys, np.full((len(keys), len(problem.objectives)), -np.inf))


def _result(front: _Front, queue: Queue, pool: Pool, n_evaluated: int, notes: tuple[str, ...] = ()) -> Exact:
    n_left = queue.n_designs + len(pool)
    undecided = None
    if n_left:
        left = queue.left(pool.lower)
        if np.isfinite(left).all():
            undecided = corners(left[~dominated(left, front.coordinates)], MOST_LEFT)
    return front.result(
        n_proved=front.problem.lattice.size - n_left,
        n_evaluated=n_evaluated,
        n_undecided=n_left,
        undecided=undecided,
        notes=notes,
    )


def _notes(own: bool, problem: SearchProblem) -> tuple[str, ...]:
    if not own:
        return ("the problem declares no bounds: its designs were evaluated one by one for the exact front",)
    unbounded, loose = (tuple(getattr(problem, name, ())) for name in ("unbounded", "loose"))
    every = "every design within the closed-form limits was evaluated for the exact front"
    if unbounded:
        return (f"no bound is known for {', '.join(unbounded)}: {every}",)
    if loose:
        return (
            f"under a limit of time the bound on {', '.join(loose)} is the same for all designs: {every}",
        )
    return ()


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
