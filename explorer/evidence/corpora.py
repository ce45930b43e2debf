"""The exact front on every other corpus, so that a reader who judges on another one sees a proven answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from explorer import quality
from explorer.claims.landscape import lattice_points
from explorer.search.exact import exact_front
from explorer.search.front import nondominated

if TYPE_CHECKING:
    import pandas as pd

    from explorer.claims.landscape import Landscape
    from explorer.claims.setting import Setting
    from explorer.search.problem import Problem
    from explorer.search.space import IntArray

MOST_ROWS = 400
"""Designs of one front that a report carries, evenly taken: with three objectives a front has thousands."""
MOST_ENUMERATED = 10**8
"""Designs of a lattice that is enumerated once more per corpus; beyond that it would take minutes."""
MOST_EVALUATED = 50_000
"""Designs that the enumeration on the asked corpus evaluated, beyond which the other corpora, each as hard, are not
enumerated as well: with four objectives that takes minutes each."""
IN_LANDSCAPE = ("loss", "context_length", "n_params", "n_tokens")
"""Objectives that the landscapes of the trade hold already."""


def fronts(problem: Problem, setting: Setting, n_evaluated: int = 0) -> dict[str, pd.DataFrame]:
    """Corpus → its exact front over the whole lattice, rows as the trials'; the asked corpus, whose enumeration took
    `n_evaluated` designs, is left out, and so is every one whose front is not proved exact."""
    import pandas as pd

    names = {o.name for o in problem.objectives}
    if "loss" not in names:
        return {}
    if names <= set(IN_LANDSCAPE) and not setting.held:
        find = _from_landscapes
    elif problem.lattice.size <= MOST_ENUMERATED and n_evaluated <= MOST_EVALUATED:
        find = _from_search
    else:
        return {}
    others = [name for name in setting.corpora if name != setting.asked]
    found = {name: points for name in others if (points := find(problem, setting, name)) is not None}
    if not found:
        return {}
    thinned = [points[:: max(1, -(-len(points) // MOST_ROWS))] for points in found.values()]
    # Designs on several fronts are evaluated once.
    every, place = np.unique(np.concatenate(thinned), axis=0, return_inverse=True)
    table, ends = pd.DataFrame(problem.columns(every)), np.cumsum([len(points) for points in thinned])
    rows = np.split(place.reshape(-1), ends[:-1])
    return {name: table.iloc[own].reset_index(drop=True) for name, own in zip(found, rows, strict=True)}


def _from_landscapes(problem: Problem, setting: Setting, corpus: str) -> IntArray | None:
    """Costs do not depend on the corpus, so only the loss is asked anew."""
    points, coordinates = [], []
    for g in setting.grids:
        c, s = np.nonzero(g.feasible & np.isin(g.contexts, problem.lattice.context_length)[:, None])
        found = lattice_points(problem.lattice, g, c, s)
        if not len(found):
            continue
        figures = _figures(setting, g, corpus)
        rows = [o.coordinates(np.broadcast_to(figures[o.name], g.shape)[c, s]) for o in problem.objectives]
        points.append(found)
        coordinates.append(np.stack(rows, axis=1))
    every, costs = np.concatenate(points), np.concatenate(coordinates)
    keep = nondominated(costs)
    order = np.lexsort(costs[keep].T[::-1])
    front: IntArray = every[keep][order]
    return front


def _figures(setting: Setting, g: Landscape, corpus: str) -> dict[str, Any]:
    loss = quality.loss(
        setting.central(corpus),
        n_params=g.n_law,
        n_tokens=g.n_tokens,
        context_length=g.contexts[:, None],
        aspect=(g.d_model / g.n_layers)[None, :],
        staged_from=g.staged_from,
        staged_share=g.staged_share,
    )
    return {
        "loss": loss,
        "context_length": g.contexts[:, None],
        "n_params": g.n_params,
        "n_tokens": g.n_tokens,
    }


def _from_search(problem: Problem, setting: Setting, corpus: str) -> IntArray | None:
    """The enumeration again, where an objective needs a plan's figures or the landscapes hold some levers; None
    where it may not go on until the front is exact."""
    from explorer.search.problem import Problem

    budget = problem.budget
    asked = budget.model_copy(update={"quality": budget.quality.model_copy(update={"corpus": corpus})})
    exact = exact_front(Problem(asked), within=budget.search.within or 0.0, most=budget.search.most_evaluated)
    return exact.points if exact.complete else None
