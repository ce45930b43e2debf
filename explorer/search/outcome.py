"""What a search needs to know of a problem, whoever computes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from explorer.search.front import Objective
from explorer.search.space import IntArray, Lattice
from explorer.units import FloatArray


@dataclass(frozen=True)
class Outcome:
    """What came of n designs, as far as searching is concerned."""

    objectives: tuple[Objective, ...]
    figures: FloatArray
    """(n, m) figures of the objectives, in their own units."""
    constraints: Mapping[str, FloatArray]
    """Each (n,): relative excess over a limit; feasible at or below zero."""

    @cached_property
    def coordinates(self) -> FloatArray:
        """(n, m) objectives as coordinates: smaller is better (see `front`)."""
        columns = [o.coordinates(self.figures[:, k]) for k, o in enumerate(self.objectives)]
        return np.stack(columns, axis=1)

    @cached_property
    def violation(self) -> FloatArray:
        """(n,) the largest excess over any limit."""
        worst: FloatArray = np.full(len(self.figures), -np.inf)
        for excess in self.constraints.values():
            worst = np.maximum(worst, excess)
        return worst

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        """(n,) which designs meet every limit and have finite objectives."""
        good: NDArray[np.bool_] = (self.violation <= 0) & np.isfinite(self.coordinates).all(axis=1)
        return good


class SearchProblem(Protocol):
    """A lattice with objectives on it."""

    @property
    def name(self) -> str:
        """What a study of it is called."""

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """Everything the figures depend on, as plain data: two problems with the same one are the same."""

    @property
    def lattice(self) -> Lattice:
        """Where to search."""

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What for."""

    def outcome(self, points: IntArray) -> Outcome:
        """What comes of lattice indices (n, 9), each a design on the lattice."""

    def screen(self, points: IntArray) -> FloatArray:
        """(n,) largest excess over those limits that a closed form tells (no plan is looked for).

        Never above the true violation, so a positive value rules a design out.
        """

    def columns(self, points: IntArray) -> dict[str, NDArray[Any]]:
        """Everything known of the designs, one array (n,) per column, units in the names."""

    def measured(
        self, point: IntArray, answer: Mapping[str, float]
    ) -> tuple[Outcome, dict[str, NDArray[Any]]]:
        """Outcome and row (arrays of one) of one design, lattice indices (9,), with the figures in `answer`
        measured and everything that follows from them."""
