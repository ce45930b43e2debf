"""What the trade is asked under: a problem, a law, corpora and the landscapes they make; and what counts.

In one draw the idea *holds* when arm C's context is at least its width, its width lies below arm A's,
and trading width pays. A value *pays* when it is worth `min_gain` of training compute. Contexts are *too
short* when arm B's choice pays and is a longer one: a shorter context that pays says the contrary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer import formats, quality
from explorer.claims.arms import Outcome, groups, solve
from explorer.claims.landscape import Landscape
from explorer.claims.survey import landscapes, of_design
from explorer.design import Design

if TYPE_CHECKING:
    from explorer.search.problem import Problem


@dataclass(frozen=True, eq=False)
class Setting:
    """What the trade is asked under: the problem, the law, and the landscapes they make."""

    problem: Problem
    law: quality.Law
    reference_context: float
    min_gain: float
    corpora: Mapping[str, quality.Corpus]
    asked: str
    aspect: str
    """`mixed` or one of the aspect choices."""
    nu: float | None
    grids: tuple[Landscape, ...]
    baseline: Landscape | None
    baseline_name: str
    baseline_shape: Design | None
    held: Mapping[str, int] = field(default_factory=dict)
    """Levers of which the landscapes hold one value alone, by its place on the lattice."""

    @classmethod
    def of(cls, problem: Problem, levers: Mapping[str, int] | None = None) -> Setting:
        """The setting of a problem; asks the cost model for every design, or for those with `levers` held."""
        budget = problem.budget
        law = quality.law(budget.quality.law)
        asked = problem.corpus
        from explorer.catalog.corpora import corpora

        reference = float(budget.trade.reference_context)
        baseline = budget.baseline
        shape = formats.named(baseline) if baseline is not None else None
        return cls(
            problem=problem,
            law=law,
            reference_context=reference,
            min_gain=float(budget.trade.min_gain),
            corpora={**corpora(), asked.name: asked},
            asked=asked.name,
            aspect=budget.quality.aspect,
            nu=budget.quality.nu,
            grids=tuple(landscapes(problem, reference, law.n_counts, levers)),
            baseline=of_design(problem, shape, reference, law.n_counts) if shape is not None else None,
            baseline_name=baseline or "",
            baseline_shape=shape,
            held=levers or {},
        )

    @cached_property
    def usable_baseline(self) -> Landscape | None:
        """The baseline's landscape where its shape fits the budget at any context."""
        own = self.baseline
        return own if own is not None and own.feasible.any() else None

    def central(
        self, corpus: str, nu: float | None = None, aspect: str | None = None
    ) -> quality.Coefficients:
        """Central coefficients on a corpus; a mixture stands at the law's default aspect choice."""
        chosen = aspect or (quality.DEFAULT_ASPECT if self.aspect == "mixed" else self.aspect)
        fixed = self.nu if nu is None else nu
        return quality.central(self.law, self.corpora[corpus], aspect=chosen, nu=fixed)

    def solve_central(
        self,
        nu: float | None = None,
        aspect: str | None = None,
        corpora: tuple[str, ...] | None = None,
        **given: Any,
    ) -> dict[str, Outcome]:
        """The arms at the law's central values; `given` is handed on to `solve`."""
        k = {name: self.central(name, nu, aspect) for name in corpora or tuple(self.corpora)}
        return solve(self.grids, self.reference_context, k, baseline=self.usable_baseline, **given)

    def solve_draws(self, draws: Mapping[str, quality.Posterior]) -> dict[str, Outcome]:
        """The arms in every draw."""
        found: dict[str, Outcome] = {}
        for group in groups(draws):
            found |= solve(self.grids, self.reference_context, group, baseline=self.usable_baseline)
        return {name: found[name] for name in draws}

    def posteriors(
        self, n_draws: int, seed: int, nu: float | None = None, aspect: str | None = None
    ) -> dict[str, quality.Posterior]:
        """Posterior draws on every corpus, the same proposals on each."""
        fixed = self.nu if nu is None else nu
        return {
            name: quality.posterior(self.law, corpus, n_draws, seed, aspect=aspect or self.aspect, nu=fixed)
            for name, corpus in self.corpora.items()
        }


def holds(setting: Setting, outcome: Outcome) -> NDArray[np.bool_]:
    """Per draw: arm C's context reaches its width, its width is below arm A's, and trading width pays."""
    g = setting.grids[0]
    a, c = outcome.arms["A"], outcome.arms["C"]
    narrower = g.d_model[c.shape] < g.d_model[a.shape]
    long = g.contexts[c.context] >= g.d_model[c.shape]
    found: NDArray[np.bool_] = long & narrower & (outcome.compute["width"] >= setting.min_gain)
    return found


def pays(setting: Setting, outcome: Outcome, value: str) -> NDArray[np.bool_]:
    """Per draw, whether a value is worth at least `min_gain` of training compute."""
    found: NDArray[np.bool_] = outcome.compute[value] >= setting.min_gain
    return found


def too_short(setting: Setting, outcome: Outcome) -> NDArray[np.bool_]:
    """Per draw: at arm A's shape a context longer than the reference pays."""
    g = setting.grids[0]
    found: NDArray[np.bool_] = g.contexts[outcome.arms["B"].context] > setting.reference_context
    return found & pays(setting, outcome, "context")


def staged_leads(outcome: Outcome) -> NDArray[np.bool_]:
    """Per draw, whether the best staged design has a lower loss than arm C."""
    found: NDArray[np.bool_] = outcome.arms["D"].loss < outcome.arms["C"].loss
    return found
