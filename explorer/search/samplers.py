"""Samplers by name: our own `auto`, and Optuna's, each kept on the lattice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from explorer.errors import ExplorerError, UnknownName
from explorer.search.space import IntArray
from explorer.search.variables import Variables

if TYPE_CHECKING:
    from optuna import Study

    from explorer.search.outcome import SearchProblem

POPULATION = 50
"""Population of the genetic samplers, Optuna's own default."""


class OnLattice(BaseSampler):
    """Any Optuna sampler, with every proposal moved to the nearest buildable design before it is stored."""

    def __init__(self, inner: BaseSampler, variables: Variables) -> None:
        self.inner = inner
        self.variables = variables

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every variable: snapping needs them together."""
        return self.variables.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The inner sampler's proposal, completed variable by variable where it leaves gaps, and snapped."""
        known = self.inner.infer_relative_search_space(study, trial)
        values = dict(self.inner.sample_relative(study, trial, known))
        for name, distribution in search_space.items():
            if name not in values:
                values[name] = self.inner.sample_independent(study, trial, name, distribution)
        return self.variables.params(self.variables.points([values]))[0]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """For variables the lattice does not know, as the inner sampler has it."""
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """As the inner sampler has it."""
        self.inner.before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """As the inner sampler has it."""
        self.inner.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """As the inner sampler has it."""
        self.inner.reseed_rng()


class InOrder(BaseSampler):
    """Proposes given designs one after another; what enumeration found goes through a study this way."""

    def __init__(self, points: IntArray, variables: Variables) -> None:
        self.points = points
        self.variables = variables

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every variable."""
        return self.variables.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Design number `trial.number`, beginning again after the last."""
        return self.variables.params(self.points[trial.number % len(self.points)][None])[0]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """No variable is left to sample alone."""
        raise ValueError(f"the lattice has no variable '{param_name}'")


def _tpe(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed, multivariate=True)


def _gp(seed: int) -> BaseSampler:
    if find_spec("torch") is None:
        raise ExplorerError("sampler 'gp' needs PyTorch, which is not installed; install torch or use 'tpe'")
    return optuna.samplers.GPSampler(seed=seed, deterministic_objective=True)


_OPTUNA: dict[str, tuple[Callable[[int], BaseSampler], int]] = {
    "tpe": (_tpe, 1),
    "tpe-independent": (lambda seed: optuna.samplers.TPESampler(seed=seed), 1),
    "nsga2": (lambda seed: optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed), POPULATION),
    "nsga3": (lambda seed: optuna.samplers.NSGAIIISampler(population_size=POPULATION, seed=seed), POPULATION),
    "gp": (_gp, 1),
    "qmc": (lambda seed: optuna.samplers.QMCSampler(seed=seed, scramble=True), POPULATION),
    "random": (lambda seed: optuna.samplers.RandomSampler(seed=seed), POPULATION),
}
"""Optuna's samplers: how one is made, and how many trials may be asked before the first is told (a
generation of a genetic sampler is sampled from the one before it, so a whole one loses nothing)."""

NAMES = ("auto", *_OPTUNA)


def make(name: str, problem: SearchProblem, seed: int) -> tuple[BaseSampler, int]:
    """The sampler called `name`, and the batch in which its trials may be asked.

    Raises UnknownName, or ExplorerError where the sampler needs a library that is missing.
    """
    variables = Variables(problem.lattice)
    if name == "auto":
        from explorer.search.auto import AutoSampler

        return AutoSampler(problem, seed=seed), POPULATION
    if name not in _OPTUNA:
        raise UnknownName("sampler", name, NAMES)
    build, batch = _OPTUNA[name]
    with warnings.catch_warnings():
        # Naming multivariate TPE and the like warns that they are experimental; that is a choice made here.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return OnLattice(build(seed), variables), batch
