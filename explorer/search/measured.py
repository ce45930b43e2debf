"""`auto` for designs that are measured: the model screens, measurements correct it, each trial counts.

Candidates are the designs an archive search finds in the model. A surrogate learns what measured figures
differ by from modelled ones; the next proposal is the candidate that then promises the largest gain of
hypervolume. It depends on the problem, the seed and the trials told, and on nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.trial import TrialState

from explorer.search.auto import AutoSampler
from explorer.search.front import Ruler, hypervolume, nondominated
from explorer.search.space import IntArray
from explorer.search.surrogate import Nearest, Surrogate
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
        others = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number and t.params]
        told = [t for t in others if t.state == TrialState.COMPLETE]
        asked = set(self.problem.lattice.keys(self._points(others)).tolist()) if others else set()
        k = 0
        # Candidates in the model's own order, those asked left out.
        points: list[IntArray] = []
        while len(points) < min(CANDIDATES, max(self.problem.lattice.size - len(asked), 1)):
            point = self.point(k)
            k += 1
            if int(self.problem.lattice.keys(point[None])[0]) not in asked:
                points.append(point)
            if k > CANDIDATES + len(asked):
                break
        candidates = np.array(points or [self.point(len(asked))])
        best = 0 if len(told) < LEAST_TOLD else self._most_promising(candidates, told)
        return self.variables.params(candidates[best : best + 1])[0]

    def _points(self, trials: list[FrozenTrial]) -> IntArray:
        return self.variables.points([t.params for t in trials])

    def _most_promising(self, candidates: IntArray, told: list[FrozenTrial]) -> int:
        """The candidate with the largest gain of hypervolume over what was measured."""
        seen = self._points(told)
        modelled = self.problem.outcome(seen)
        objectives = self.problem.objectives
        figures = np.array([list(t.values) for t in told])
        measured = np.stack([o.coordinates(figures[:, k]) for k, o in enumerate(objectives)], axis=1)
        excess = np.array([max(t.constraints.values(), default=-1.0) for t in told])
        lessons = np.column_stack([measured - modelled.coordinates, excess - modelled.violation])
        features = self.search.features
        known, place = features.place(seen), features.place(candidates)
        nearest = Nearest()
        nearest.grow(place, known)
        learned = Surrogate(features, known, lessons).predict(place, nearest.index, nearest.squared)
        model = self.problem.outcome(candidates)
        predicted: FloatArray = model.coordinates + learned[:, :-1]
        feasible = (model.violation + learned[:, -1]) <= 0
        good = measured[(excess <= 0) & np.isfinite(measured).all(axis=1)]
        everything = np.vstack([good, predicted[feasible]])
        if not feasible.any():
            return 0
        ruler = Ruler.of(everything[nondominated(everything)])
        base = hypervolume(good, ruler.reference)
        gains = np.full(len(candidates), -np.inf)
        for row in np.flatnonzero(feasible):
            gains[row] = hypervolume(np.vstack([good, predicted[row]]), ruler.reference) - base
        return int(np.argmax(gains))
