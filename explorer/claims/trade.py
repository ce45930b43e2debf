"""The trade experiment: the arms A to D under the same budget, on every corpus, in every draw.

*Value of context* = loss(A) − loss(B), *value of trading width* = loss(B) − loss(C), *value of
waiting* = loss(C) − loss(D), each re-optimised in every draw of the posterior.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer import quality
from explorer.claims import describe
from explorer.claims.arms import Outcome
from explorer.claims.records import AspectTrade, CorpusTrade, Estimate, Trade
from explorer.claims.setting import Setting, holds, staged_leads, too_short
from explorer.claims.statistics import estimate, probability
from explorer.claims.survey import is_data
from explorer.claims.tornado import aspect_of, deciders, factors

if TYPE_CHECKING:
    from explorer.search.problem import Problem

NU_ZERO_SHARE = 3
"""The comparison at ν = 0 takes this fraction of the draws (1/3): it answers one question only."""


def trade(
    problem: Problem,
    *,
    n_draws: int = 300,
    seed: int = 0,
    setting: Setting | None = None,
    on_progress: Callable[[float], Any] | None = None,
) -> Trade:
    """The trade experiment for a problem's budget.

    `n_draws` = 0 answers at the law's central values, without interval. A `setting` made before saves
    asking the cost model again. Raises NothingFits where no design fits at the reference context.
    """
    tell = on_progress or (lambda share: None)
    setting = setting or Setting.of(problem)
    tell(0.3)
    centre = setting.solve_central()
    draws = setting.posteriors(n_draws, seed) if n_draws else {}
    found = setting.solve_draws(draws) if n_draws else {}
    tell(0.7)
    corpora = _corpora(setting, centre, draws, found, None)

    n_zero = -(-n_draws // NU_ZERO_SHARE)
    centre_zero = setting.solve_central(nu=0.0)
    draws_zero = setting.posteriors(n_zero, seed, nu=0.0) if n_draws else {}
    zero = _corpora(
        setting, centre_zero, draws_zero, setting.solve_draws(draws_zero) if n_draws else {}, 0.0, brief=True
    )
    tell(0.95)
    asked = setting.asked
    made = Trade(
        reference_context=setting.reference_context,
        min_gain=setting.min_gain,
        corpus=asked,
        law=setting.law.name,
        n_draws=n_draws,
        seed=seed,
        corpora=corpora,
        nu_zero=zero,
        by_aspect=_by_aspect(setting, draws.get(asked), found.get(asked), n_zero, seed),
        factors=factors(setting, draws[asked], found[asked], centre[asked]) if n_draws else (),
        limits=limits_of(problem),
        blind_to=describe.blind_to(problem.lattice),
        n_designs=int(sum(np.count_nonzero(g.exists) for g in setting.grids)),
        assumptions=_assumptions(setting, draws),
        deciders=deciders(setting, draws[asked], found[asked], centre[asked]) if n_draws else {},
    )
    tell(1.0)
    return made


def _corpora(
    setting: Setting,
    centre: Mapping[str, Outcome],
    draws: Mapping[str, quality.Posterior],
    found: Mapping[str, Outcome],
    nu: float | None,
    brief: bool = False,
) -> dict[str, CorpusTrade]:
    lifts = {} if brief else _lifts(setting, centre)
    views = [
        describe.View(
            setting=setting,
            corpus=name,
            central=setting.central(name, nu),
            centre=centre[name],
            draws=draws.get(name),
            found=found.get(name),
            lifted={limit: both[name] for limit, both in lifts.items()},
        )
        for name in setting.corpora
    ]
    costs = None
    if not brief:
        # Arms of several corpora often choose one design.
        chosen = {view.at(arm): view.design(arm) for view in views for arm in view.arms}
        costs = describe.costs(setting.problem, chosen)
    return {view.corpus: describe.corpus_trade(view, costs) for view in views}


def _lifts(setting: Setting, centre: Mapping[str, Outcome]) -> dict[str, dict[str, describe.Lift]]:
    """Every limit on designs lifted in turn: the arms with all free, and with arm A's shape kept."""
    lifts: dict[str, dict[str, describe.Lift]] = {}
    shapes = {name: int(own.arms["A"].shape[0]) for name, own in centre.items()}
    for limit in setting.grids[0].excess:
        free = setting.solve_central(lifted=(limit,))
        kept = setting.solve_central(lifted=(limit,), shapes_of_a=shapes)
        lifts[limit] = {name: describe.Lift(free=free[name], kept=kept[name]) for name in centre}
    return lifts


def _by_aspect(
    setting: Setting, draws: quality.Posterior | None, found: Outcome | None, n: int, seed: int
) -> dict[str, AspectTrade]:
    """Every statement and value under each aspect choice, on the asked corpus."""
    asked = setting.asked
    table = {}
    for aspect in quality.ASPECTS:
        centre = setting.solve_central(aspect=aspect, corpora=(asked,))[asked]
        outcome, chosen = None, np.ones(1, dtype=bool)
        if draws is None or found is None:
            pass
        elif setting.aspect == "mixed":
            outcome, chosen = found, aspect_of(draws.coefficients) == aspect
        else:
            p = quality.posterior(setting.law, setting.corpora[asked], n, seed, aspect=aspect, nu=setting.nu)
            outcome = setting.solve_draws({asked: p})[asked]
            chosen = np.ones(n, dtype=bool)
        if not chosen.any():
            continue
        table[aspect] = _under(setting, centre, outcome, chosen)
    return table


def _under(
    setting: Setting, centre: Outcome, outcome: Outcome | None, chosen: NDArray[np.bool_]
) -> AspectTrade:
    """Statements and values at the centre, with the spread over the chosen draws of an outcome."""

    def chance(statement: Callable[[Outcome], NDArray[np.bool_]]) -> Estimate:
        spread = statement(outcome)[chosen] if outcome is not None else None
        return probability(bool(statement(centre)[0]), spread)

    def worth(name: str) -> Estimate:
        return estimate(
            float(centre.value(name)[0]), outcome.value(name)[chosen] if outcome is not None else None
        )

    return AspectTrade(
        holds=chance(lambda o: holds(setting, o)),
        contexts_too_short=chance(lambda o: too_short(setting, o)),
        staged_better=chance(staged_leads) if "D" in centre.arms else None,
        context=worth("context"),
        width=worth("width"),
    )


def _assumptions(setting: Setting, draws: Mapping[str, quality.Posterior]) -> tuple[str, ...]:
    notes = list(draws[setting.asked].assumptions) if draws else ["every prior at its central value"]
    notes.append(
        "equivalent compute: tokens of the short arm scale with compute, its shape is chosen anew, and "
        "parameter and memory limits stay"
    )
    if all(is_data(name) for name in setting.problem.training_limits):
        notes.append(
            "the budget limits tokens only: nothing charges for FLOPs, so a longer context costs no tokens"
        )
    if len(setting.grids) == 1:
        notes.append("the space lists no staged schedule, so waiting is not valued")
    if setting.baseline is not None and setting.usable_baseline is None:
        notes.append(f"the baseline {setting.baseline_name} does not fit the budget at any listed context")
    return tuple(notes)


def limits_of(problem: Problem) -> dict[str, float]:
    """The budget's limits by the names that arms use; memory as the device offers it at most."""
    limits = problem.budget.limits
    given = {"parameters": float(limits.parameters), "gpu_memory": float(problem.memory_limit_bytes)}
    if limits.serving is not None:
        given["serving"] = float(limits.serving.gpu_memory)
    return given | {name: float(value) for name, value in problem.training_limits.items()}
