"""`auto`: an Optuna sampler that runs the model inside itself and proposes what it found best.

Its archive search looks at no more than a hundredth of the lattice: a look is the full model with every plan
a design may run under. Between looks it weighs thousands of neighbours and recombinations of the best designs
known, without running the model on them: parameters, FLOPs, the loss and the memory of a few plain plans are
closed forms, and what the best plan takes is a surrogate's guess from the looks. Both counts are reported.
Proposals come in order of hypervolume gained.
Proposal k depends on the problem, the seed and k alone, so one process or many give the same sequence, in
any storage, without repeats.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

from explorer.search.archive import ArchiveSearch
from explorer.search.outcome import SearchProblem
from explorer.search.shared import proposal_number
from explorer.search.space import IntArray
from explorer.search.variables import Variables

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


class AutoSampler(BaseSampler):
    """Proposes the designs an archive search inside the model found, most valuable first."""

    def __init__(self, problem: SearchProblem, *, seed: int) -> None:
        self.problem = problem
        self.seed = seed
        self.variables = Variables(problem.lattice)

    @cached_property
    def search(self) -> ArchiveSearch:
        """The search, run at the first proposal."""
        return ArchiveSearch(self.problem, self.seed)

    @property
    def model_evaluations(self) -> int:
        """Designs looked at inside the sampler."""
        return len(self.search.points)

    @property
    def model_weighed(self) -> int:
        """Designs weighed by closed forms and a surrogate, and not looked at."""
        return self.search.n_weighed

    @property
    def looked_at(self) -> IntArray:
        """Lattice indices (n, 9) of the designs looked at, in order."""
        return self.search.points

    def point(self, k: int) -> IntArray:
        """Lattice indices (9,) of proposal `k`."""
        return self.search.proposal(k)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every variable of the lattice."""
        return self.variables.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next proposal; a repeat of a lost trial takes a number but no proposal."""
        k = proposal_number(study, trial)
        return self.variables.params(self.point(k)[None])[0]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """No variable is left to sample alone; a foreign one is refused."""
        raise ValueError(f"'auto' proposes whole designs of its lattice; it has no variable '{param_name}'")
