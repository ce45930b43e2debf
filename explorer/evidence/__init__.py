"""What a report draws beside the trials, computed once from the model: planes, sweeps, anatomies, neighbours.

Everything here is at the law's central values; intervals are the claims room's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from explorer.evidence import apart, corpora, domain, plane
from explorer.evidence.baseline import baseline
from explorer.evidence.chosen import design_of, plan_of, plans_of, short_of
from explorer.evidence.exports import exports, written
from explorer.evidence.importance import importance
from explorer.evidence.others import others
from explorer.evidence.sensitivity import sensitivities
from explorer.result import Evidence

if TYPE_CHECKING:
    from explorer.claims.setting import Setting
    from explorer.search.problem import Problem
    from explorer.search.study import Search

__all__ = ["design_of", "gather", "plan_of", "written"]


def gather(problem: Problem, setting: Setting, search: Search, picks: Mapping[str, int]) -> Evidence:
    """The evidence of a finished search; `picks` are rows of its front by name."""
    import pandas as pd

    front = search.front
    fronts, inside = (
        corpora.fronts(problem, setting, search.exact.n_evaluated),
        domain.inside(problem, setting),
    )
    beside = others(problem, search, fronts, inside)
    rows = pd.concat([front, beside], ignore_index=True) if len(beside) else front
    designs = {k: design_of(problem, row) for k, row in enumerate(rows.to_dict("records"))}
    chosen = designs[picks["best-loss"]]
    starts = [short_of(design) for design in designs.values() if design.staged_from]
    plans_of(problem, [*designs.values(), *starts])
    return Evidence(
        plane=plane.plane(problem, setting),
        sweep=apart.sweep(problem, chosen),
        anatomies=apart.taken_apart(problem, designs),
        models=apart.published(problem),
        importance=importance(search),
        crossover=apart.crossover(problem, chosen),
        model_anatomies=apart.models_apart(problem, float(front["n_params"].iloc[picks["best-loss"]])),
        sensitivities=sensitivities(problem, designs),
        outside=domain.outside(problem, front),
        inside=inside,
        domain={f.name: getattr(problem.law.domain, f.name) for f in fields(problem.law.domain)},
        corpus_fronts=fronts,
        baseline=baseline(problem, setting),
        exports=exports(problem, rows),
        others=beside,
    )
