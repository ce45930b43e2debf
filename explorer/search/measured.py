"""`auto` for designs that are measured: the model screens, measurements correct it, each trial counts.

Candidates are the designs an archive search finds in the model. What measured figures differ by from
modelled ones is learned (`surrogate.Residual`); the next proposal is the candidate that then promises the
largest gain of hypervolume, designs that are still being measured taken at what is promised of them. It
depends on the problem, the seed and the trials before it: which are told by then, and which are running. So one
worker with a deterministic evaluator repeats itself, while among several the order in which their trials end
shapes what is asked next. To wait for all that run before asking would make them one worker.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.trial import TrialState

from explorer.search.auto import AutoSampler
from explorer.search.front import Ruler, hypervolume, nondominated
from explorer.search.heartbeat import is_lost
from explorer.search.outcome import SearchProblem
from explorer.search.space import AXES, IntArray
from explorer.search.surrogate import Features, Residual
from explorer.units import FloatArray

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

LEAST_TOLD = 4
"""Measurements before the model is corrected by them; until then proposals come as modelled."""
CANDIDATES = 400
"""The model's best designs."""
SPREAD = 400
"""Designs drawn from all over the lattice: where the model is far off, the best ones are not among its own."""
PATIENCE_SECONDS, POLL_SECONDS = 10, 0.02
"""How long a worker waits for others to have chosen: the first choice takes a search inside the model."""
BLOCK = 100
"""Candidates are taken by so many, so that the model need not be asked before every proposal."""


class MeasuredSampler(AutoSampler):
    """Proposes from the model's best designs, as measurements so far correct them."""

    @cached_property
    def _modelled(self) -> Modelled:
        return Modelled(self.problem, self.search.pool.features)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The candidate, not asked before, that promises most."""
        before = self._before(study, trial)
        n = len(self.variables.distributions)
        drawn = [t for t in before if len(t.params) == n]
        asked = [t for t in drawn if not is_lost(t)]
        told = [t for t in asked if t.state == TrialState.COMPLETE]
        running = [t for t in asked if not t.state.is_finished()]
        # Workers that died over choosing, or are slow: they take the best candidates, this one the next best.
        turn = sum(t.state == TrialState.RUNNING and len(t.params) < n for t in before)
        candidates = self._candidates(drawn)
        if len(told) < LEAST_TOLD:
            best = min(turn, len(candidates) - 1)
        else:
            spread = self._fresh(self._spread, self._points(drawn))
            candidates = np.vstack([candidates, self._fresh(spread, candidates)])
            best = int(self._ranking(candidates, told, running)[min(turn, len(candidates) - 1)])
        return self.variables.params(candidates[best : best + 1])[0]

    def _before(self, study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
        """The trials asked for before this one, each with its design: two that choose at once would choose the
        same, so a worker waits for those that are choosing."""
        n, patience = len(self.variables.distributions), time.monotonic() + PATIENCE_SECONDS
        while True:
            before = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number]
            choosing = any(t.state == TrialState.RUNNING and len(t.params) < n for t in before)
            if not choosing or time.monotonic() > patience:
                return before
            time.sleep(POLL_SECONDS)

    def _candidates(self, asked: list[FrozenTrial]) -> IntArray:
        """The model's next best designs in its own order, those asked for left out."""
        taken = self._points(asked)
        blocks = -(-(CANDIDATES + len(np.unique(taken, axis=0))) // BLOCK)
        n = min(BLOCK * blocks, self.problem.lattice.size)
        offered = np.array([self.point(k) for k in range(n)])
        fresh = self._fresh(offered, taken)
        # Every design of a small lattice may have been asked for: begin again.
        return fresh if len(fresh) else self.point(len(asked))[None]

    def _fresh(self, points: IntArray, taken: IntArray) -> IntArray:
        """Those of `points` that are not among `taken`."""
        keys = self.problem.lattice.keys
        return points[~np.isin(keys(points), keys(taken))]

    @cached_property
    def _spread(self) -> IntArray:
        """Buildable designs within the closed-form limits, evenly drawn."""
        lattice = self.problem.lattice
        shares = np.random.default_rng([self.seed, 0x737072]).random((4 * SPREAD, len(AXES)))
        drawn = (shares * lattice.sizes).astype(np.int64)
        drawn = drawn[lattice.valid(drawn)]
        drawn = drawn[self.problem.screen(drawn) <= 0]
        _, first = np.unique(lattice.keys(drawn), return_index=True)
        return drawn[np.sort(first)][:SPREAD]

    def _points(self, trials: list[FrozenTrial]) -> IntArray:
        return self.variables.points([t.params for t in trials])

    def _ranking(self, candidates: IntArray, told: list[FrozenTrial], running: list[FrozenTrial]) -> IntArray:
        """Row numbers of `candidates`, the largest gain of hypervolume first."""
        objectives = self.problem.objectives
        modelled = self._modelled(self._points(told))
        figures = np.array([list(t.values) for t in told])
        measured = np.stack([o.coordinates(figures[:, k]) for k, o in enumerate(objectives)], axis=1)
        excess = np.array([max(t.constraints.values(), default=-1.0) for t in told])
        lessons = np.column_stack([measured - modelled.coordinates, excess - modelled.violation])
        known = np.isfinite(lessons).all(axis=1)
        if not known.any():
            return np.arange(len(candidates))
        residual = Residual(self.search.pool.features, modelled.place[known], lessons[known])

        def expected(points: IntArray) -> tuple[FloatArray, Any]:
            model = self._modelled(points)
            learned = residual.predict(model.place)
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
        reached = reached[nondominated(reached)]
        base = hypervolume(reached, ruler.reference)
        gains = np.full(len(candidates), -np.inf)
        for row in np.flatnonzero(feasible):
            gains[row] = hypervolume(np.vstack([reached, predicted[row]]), ruler.reference) - base
        return np.argsort(-gains, kind="stable")


@dataclass(frozen=True)
class Rows:
    """What the model says of some designs."""

    coordinates: FloatArray
    violation: FloatArray
    place: FloatArray


class Modelled:
    """The model's word on designs, remembered: nearly the same candidates stand before every proposal."""

    def __init__(self, problem: SearchProblem, features: Features) -> None:
        self._problem, self._features = problem, features
        self._row: dict[int, int] = {}
        self._known: Rows | None = None

    def __call__(self, points: IntArray) -> Rows:
        """One row per lattice index of `points` (n, 9)."""
        keys = self._problem.lattice.keys(points).tolist()
        fresh = {key: k for k, key in enumerate(keys) if key not in self._row}
        if fresh:
            self._learn(points[list(fresh.values())])
            self._row |= {key: len(self._row) + k for k, key in enumerate(fresh)}
        assert self._known is not None
        rows = [self._row[key] for key in keys]
        known = self._known
        return Rows(known.coordinates[rows], known.violation[rows], known.place[rows])

    def _learn(self, points: IntArray) -> None:
        found, old = self._problem.outcome(points), self._known
        new = Rows(found.coordinates, found.violation, self._features.place(points))
        if old is not None:
            new = Rows(
                np.vstack([old.coordinates, new.coordinates]),
                np.concatenate([old.violation, new.violation]),
                np.vstack([old.place, new.place]),
            )
        self._known = new
