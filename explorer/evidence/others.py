"""Designs beside the run's front that a page shows on some other front, so that they can be taken along as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

from explorer.catalog.metrics import AXES, METRICS
from explorer.result import design_columns
from explorer.search.front import Objective, coordinates, nondominated
from explorer.units import QUANTILES, FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from explorer.search.problem import Problem
    from explorer.search.study import Search


def others(
    problem: Problem,
    search: Search,
    fronts: Mapping[str, pd.DataFrame],
    inside: Mapping[str, dict[str, Any]],
) -> pd.DataFrame:
    """Rows as the trials', none of them the front's: the exact front on every other corpus, the best designs within
    the law's domain, and of all that were looked at what is best along any two axes, on any corpus."""
    import pandas as pd

    keys = design_columns(search.trials)
    # Of a measured study a page shows the trials alone: what was not measured is no match for them.
    known = [] if search.evaluator else [search.exact_front, search.cloud]
    kept = [] if search.evaluator else [*fronts.values(), pd.DataFrame(list(inside.values()))]
    tables = [
        (search.front, False),
        (search.trials, False),
        *((t, True) for t in kept),
        *((t, False) for t in known),
    ]
    every = pd.concat([t.assign(kept=k) for t, k in tables if len(t)], ignore_index=True)
    every = every[every["feasible"].astype(bool)]
    every["kept"] = every.groupby(keys)["kept"].transform("any")
    every = every.drop_duplicates(keys, ignore_index=True)
    keep = every["kept"].to_numpy(dtype=bool, copy=True)
    for points in _planes(problem, every):
        keep[nondominated(points)] = True
    keep[: len(search.front)] = False
    return every.loc[keep, list(search.trials.columns)].reset_index(drop=True)


def _planes(problem: Problem, every: pd.DataFrame) -> Iterator[FloatArray]:
    """The designs over any two of AXES and the objectives, as coordinates; a loss on every corpus in turn."""
    asked = {o.name: o for o in problem.objectives}
    axes = [
        o
        for name in dict.fromkeys([*asked, *AXES])
        if name in every
        for o in [asked.get(name) or Objective(name, METRICS[name].direction)]
    ]
    losses = [
        "loss",
        *(c for c in map(str, every.columns) if c.startswith("loss_") and not c.endswith(QUANTILES)),
    ]
    for pair in combinations_with_replacement(axes, 2):
        for loss in losses if any(o.name == "loss" for o in pair) else losses[:1]:
            yield coordinates(
                pair,
                {o.name: every[loss if o.name == "loss" else o.name].to_numpy(dtype=float) for o in pair},
            )
