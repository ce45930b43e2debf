"""What a Result says of the run behind it: the search in figures, assumptions, notes, where it was made."""

from __future__ import annotations

import math
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.budget import Budget
    from explorer.result import SearchSummary
    from explorer.search.problem import Problem
    from explorer.search.study import Search


def summary(search: Search) -> SearchSummary:
    """The search in figures."""
    from explorer.result import SearchSummary
    from explorer.search.agreement import agreement

    return SearchSummary(
        sampler=search.sampler,
        seed=search.seed,
        n_trials=len(search.trials),
        n_feasible=int(search.trials["feasible"].sum()),
        n_lattice=search.n_lattice,
        n_proved=search.exact.n_proved,
        n_evaluated=search.exact.n_evaluated,
        n_undecided=search.exact.n_undecided,
        gap=search.exact.gap if math.isfinite(search.exact.gap) else None,
        model_evaluations=search.model_evaluations,
        model_weighed=search.model_weighed,
        hypervolume=search.hypervolume,
        hypervolume_exact=search.hypervolume_exact,
        hypervolume_share=search.hypervolume_share,
        igd_plus=search.igd_plus,
        epsilon=search.epsilon,
        seconds=search.seconds,
        curve=search.curve,
        evaluator=search.evaluator,
        agreement=agreement(search.trials),
        failures=search.failures,
    )


def measured_notes(search: Search) -> list[str]:
    """What a reader must know where designs were measured."""
    if not search.evaluator:
        return []
    notes = [
        f"figures of the trials are those that {search.evaluator} measured, where it did; the exact front, "
        "the share of its hypervolume, the trade and the verdict are the model's, uncorrected"
    ]
    if search.failures:
        notes.append(f"{len(search.failures)} trials failed in the evaluator and are on no front")
    return notes


def assumptions(problem: Problem, weighed: Any) -> tuple[str, ...]:
    """What the figures rest on: cost model, law, trade."""
    from explorer.cost import flops, memory
    from explorer.cost.time import assumptions as of_time
    from explorer.design import Design

    example = Design.of(2048, 1024, 8, **(problem.lattice.fixed or {}))
    plan = problem.setting.plan
    lines = [
        *flops(example).assumptions,
        *memory(example, plan, problem.hardware.accelerator).assumptions,
        *of_time(plan, problem.hardware),
        f"law: {problem.law.name} - {problem.law.source}",
        f"corpus: {problem.corpus.name}, amplitude {problem.corpus.amplitude_low:g} to "
        f"{problem.corpus.amplitude_high:g} - {problem.corpus.source}",
        *(weighed.assumptions if weighed is not None else ()),
    ]
    return tuple(dict.fromkeys(lines))


def provenance(budget: Budget) -> dict[str, str]:
    """Versions, law, seed and the budget's fingerprint: what it takes to make the result again."""
    from explorer import __version__
    from explorer.budget import fingerprint

    names = ("numpy", "scipy", "optuna", "pandas", "altair", "moocore")
    return {
        "explorer": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        "law": budget.quality.law,
        "seed": str(budget.search.seed),
        "budget": fingerprint(budget),
    }
