"""The exact front: every design of the lattice proved to be on it, dominated, or infeasible.

The lattice is walked in chunks, so memory stays constant. What a closed form rules out (too many
parameters, too large to serve) is never evaluated further.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.search.front import nondominated
from explorer.search.outcome import SearchProblem
from explorer.search.space import AXES, IntArray
from explorer.units import FloatArray

CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Exact:
    """The exact front of a problem, and what it is proved over."""

    points: IntArray
    """Lattice indices (n, 9) of the front, ordered by the first objective."""
    values: FloatArray
    """(n, m) their objectives, in their own units."""
    coordinates: FloatArray
    """(n, m) the same as coordinates."""
    optima: dict[str, int]
    """Row of the front that is best in each objective."""
    n_proved: int
    """Designs of the lattice; each is on the front, dominated by it, or infeasible."""
    n_evaluated: int
    """Designs evaluated in full; the rest a bound ruled out."""


def exact_front(problem: SearchProblem, on_progress: Callable[[float], Any] | None = None) -> Exact:
    """The exact front of `problem`. `on_progress` hears the share of the lattice that is decided."""
    lattice = problem.lattice
    m = len(problem.objectives)
    points: IntArray = np.empty((0, len(AXES)), dtype=np.int64)
    values: FloatArray = np.empty((0, m))
    coordinates: FloatArray = np.empty((0, m))
    n_evaluated = 0
    for start in range(0, lattice.listed, CHUNK):
        keys = np.arange(start, min(start + CHUNK, lattice.listed), dtype=np.int64)
        chunk = lattice.points(keys)
        chunk = chunk[lattice.valid(chunk)]
        chunk = chunk[problem.screen(chunk) <= 0] if len(chunk) else chunk
        if len(chunk):
            outcome = problem.outcome(chunk)
            n_evaluated += len(chunk)
            good = np.flatnonzero(outcome.feasible)
            points = np.vstack([points, chunk[good]])
            values = np.vstack([values, outcome.figures[good]])
            coordinates = np.vstack([coordinates, outcome.coordinates[good]])
            keep = nondominated(coordinates)
            points, values, coordinates = points[keep], values[keep], coordinates[keep]
        if on_progress is not None:
            on_progress(min(start + CHUNK, lattice.listed) / lattice.listed)
    order = np.lexsort([lattice.keys(points), *coordinates.T[::-1]]) if len(points) else np.empty(0, np.int64)
    points, values, coordinates = points[order], values[order], coordinates[order]
    return Exact(
        points=points,
        values=values,
        coordinates=coordinates,
        optima={o.name: int(coordinates[:, k].argmin()) for k, o in enumerate(problem.objectives)}
        if len(points)
        else {},
        n_proved=lattice.size,
        n_evaluated=n_evaluated,
    )
