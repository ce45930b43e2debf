"""Samplers by name: our own `auto`, and Optuna's, each kept on the lattice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from explorer.errors import ExplorerError, UnknownName
from explorer.search.shared import proposal_number
from explorer.search.space import IntArray
from explorer.search.variables import Variables

if TYPE_CHECKING:
    from optuna import Study

    from explorer.search.outcome import SearchProblem

POPULATION = 50
"""Population of the genetic samplers, Optuna's own default."""
UNHEARD = 512
"""Trials asked together where the sampler does not listen to what comes of them: a table of one evaluation."""


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


class ByProposal(OnLattice):
    """A sampler for a study that outlives its process or is shared by several.

    Its randomness derives from (seed, proposal): two workers do not draw the same designs, and a study
    that is taken up goes on as if it had never stopped.
    """

    def __init__(self, build: Callable[[int], BaseSampler], variables: Variables, seed: int) -> None:
        super().__init__(build(seed), variables)
        self._build, self._seed = build, seed

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """A sampler of this proposal's own."""
        state = np.random.SeedSequence([self._seed, proposal_number(study, trial)]).generate_state(1)
        with _by_choice():
            self.inner = self._build(int(state[0]))
        super().before_trial(study, trial)


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
        """The proposal's design, beginning again after the last."""
        k = proposal_number(study, trial)
        return self.variables.params(self.points[k % len(self.points)][None])[0]

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
    "qmc": (lambda seed: optuna.samplers.QMCSampler(seed=seed, scramble=True), UNHEARD),
    "random": (lambda seed: optuna.samplers.RandomSampler(seed=seed), UNHEARD),
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

        return AutoSampler(problem, seed=seed), UNHEARD
    build, batch = _known(name)
    with _by_choice():
        return OnLattice(build(seed), variables), batch


def make_shared(name: str, problem: SearchProblem, seed: int, measured: bool) -> BaseSampler:
    """The sampler called `name` for a study whose trials are kept one by one, maybe by many workers.

    Where the trials are `measured`, `auto` learns from them. Raises as `make` does.
    """
    variables = Variables(problem.lattice)
    if name == "auto":
        from explorer.search.auto import AutoSampler
        from explorer.search.measured import MeasuredSampler

        return (MeasuredSampler if measured else AutoSampler)(problem, seed=seed)
    build, _ = _known(name)
    with _by_choice():
        if name == "qmc":
            # Its sequence is counted in the study itself, and scrambled by the seed once for all.
            return OnLattice(build(seed), variables)
        return ByProposal(build, variables, seed)


def _known(name: str) -> tuple[Callable[[int], BaseSampler], int]:
    if name not in _OPTUNA:
        raise UnknownName("sampler", name, NAMES)
    return _OPTUNA[name]


@contextmanager
def _by_choice() -> Iterator[None]:
    """Naming multivariate TPE and the like warns that they are experimental; that is a choice made here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
