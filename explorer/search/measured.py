"""`auto` for designs that are measured: the model screens, measurements correct it, each trial counts.

Candidates are the designs an archive search finds in the model. What measured figures differ by from
modelled ones is learned (`surrogate.Residual`); the next proposal is the candidate that then promises the
largest gain of hypervolume, designs that are still being measured taken at what is promised of them. It
depends on the problem, the seed and the trials told, and on nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.trial import TrialState

from explorer.search.auto import AutoSampler
from explorer.search.front import Ruler, hypervolume, nondominated
from explorer.search.heartbeat import is_lost
from explorer.search.space import IntArray
from explorer.search.surrogate import Residual
from explorer.units import FloatArray

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

LEAST_TOLD = 4
"""Measurements before the model is corrected by them; until then proposals come as modelled."""
CANDIDATES = 400


class MeasuredSampler(AutoSampler):
    """Proposes from the model's best designs, as measurements so far correct them."""

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The candidate, not asked before, that promises most."""
        before = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number]
        asked = [t for t in before if t.params and not is_lost(t)]
        told = [t for t in asked if t.state == TrialState.COMPLETE]
        running = [t for t in asked if not t.state.is_finished()]
        # Workers that are choosing at this moment: they take the best candidates, this one the next best.
        turn = sum(t.state == TrialState.RUNNING and not t.params for t in before)
        candidates = self._candidates([t for t in before if t.params])
        if len(told) < LEAST_TOLD:
            best = min(turn, len(candidates) - 1)
        else:
            best = int(self._ranking(candidates, told, running)[min(turn, len(candidates) - 1)])
        return self.variables.params(candidates[best : best + 1])[0]

    def _candidates(self, asked: list[FrozenTrial]) -> IntArray:
        """The model's next best designs in its own order, those asked for left out."""
        taken = set(self.problem.lattice.keys(self._points(asked)).tolist()) if asked else set()
        found: list[IntArray] = []
        for k in range(min(CANDIDATES + len(taken), self.problem.lattice.size)):
            point = self.point(k)
            if int(self.problem.lattice.keys(point[None])[0]) not in taken:
                found.append(point)
        # Every design of a small lattice may have been asked for: begin again.
        return np.array(found[:CANDIDATES] or [self.point(len(asked))])

    def _points(self, trials: list[FrozenTrial]) -> IntArray:
        return self.variables.points([t.params for t in trials])

    def _ranking(self, candidates: IntArray, told: list[FrozenTrial], running: list[FrozenTrial]) -> IntArray:
        """Row numbers of `candidates`, the largest gain of hypervolume first."""
        objectives, features = self.problem.objectives, self.search.features
        seen = self._points(told)
        modelled = self.problem.outcome(seen)
        figures = np.array([list(t.values) for t in told])
        measured = np.stack([o.coordinates(figures[:, k]) for k, o in enumerate(objectives)], axis=1)
        excess = np.array([max(t.constraints.values(), default=-1.0) for t in told])
        lessons = np.column_stack([measured - modelled.coordinates, excess - modelled.violation])
        known = np.isfinite(lessons).all(axis=1)
        if not known.any():
            return np.arange(len(candidates))
        residual = Residual(features, features.place(seen[known]), lessons[known])

        def expected(points: IntArray) -> tuple[FloatArray, Any]:
            model = self.problem.outcome(points)
            learned = residual.predict(features.place(points))
            corrected = model.coordinates + learned[:, :-1]
            good = (model.violation + learned[:, -1] <= 0) & np.isfinite(corrected).all(axis=1)
            return corrected, good

        predicted, feasible = expected(candidates)
        if not feasible.any():
            return np.arange(len(candidates))
        reached = measured[(excess <= 0) & np.isfinite(measured).all(axis=1)]
        if running:
            pending, fits = expected(self._points(running))
            reached = np.vstack([reached, pending[fits]])
        everything = np.vstack([reached, predicted[feasible]])
        ruler = Ruler.of(everything[nondominated(everything)])
        base = hypervolume(reached, ruler.reference)
        gains = np.full(len(candidates), -np.inf)
        for row in np.flatnonzero(feasible):
            gains[row] = hypervolume(np.vstack([reached, predicted[row]]), ruler.reference) - base
        return np.argsort(-gains, kind="stable")
