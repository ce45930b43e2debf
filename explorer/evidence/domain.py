"""How far the answer leaves what the law was fitted on, and the best designs that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from explorer import quality
from explorer.claims.landscape import lattice_points
from explorer.files import plain

if TYPE_CHECKING:
    import pandas as pd

    from explorer.claims.landscape import Landscape
    from explorer.claims.setting import Setting
    from explorer.search.problem import Problem
    from explorer.search.space import IntArray

CHOSEN = ("context_length", "staged_share")


def outside(problem: Problem, rows: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """For every row, the quantities of the law that lie outside what it was fitted on."""
    counted = "n_params" if problem.law.n_counts == "total" else "n_params_non_embedding"
    flags = quality.domain_flags(
        problem.law,
        n_params=rows[counted].to_numpy(dtype=float),
        n_tokens=rows["n_tokens"].to_numpy(dtype=float),
        context_length=rows["context_length"].to_numpy(dtype=float),
        aspect=(rows["d_model"] / rows["n_layers"]).to_numpy(dtype=float),
        staged_share=rows["staged_share"].to_numpy(dtype=float),
    )
    return tuple(
        tuple(name for name, flag in flags.items() if bool(np.broadcast_to(flag, (len(rows),))[k]))
        for k in range(len(rows))
    )


def inside(problem: Problem, setting: Setting) -> dict[str, dict[str, Any]]:
    """The design of lowest loss that stays within the domain: `wholly`, and in what is the reader's to choose,
    context and schedule (`context`); a large budget alone puts parameters and tokens outside.

    Rows as the front's, with `outside`; a key is missing where no feasible design is that near.
    """
    import pandas as pd

    best: dict[str, tuple[float, IntArray]] = {}
    for g in setting.grids:
        flags, loss = _judged(setting, g)
        listed = np.isin(g.contexts, problem.lattice.context_length)[:, None]
        chosen = {"wholly": flags, "context": {k: v for k, v in flags.items() if k in CHOSEN}}
        for name, some in chosen.items():
            among = np.where(g.feasible & listed & ~np.asarray(quality.outside(some)), loss, np.inf)
            c, s = np.unravel_index(int(np.argmin(among)), g.shape)
            found = lattice_points(problem.lattice, g, np.array([c]), np.array([s]))
            value = float(among[c, s])
            if len(found) and np.isfinite(value) and (name not in best or value < best[name][0]):
                best[name] = value, found
    if not best:
        return {}
    table = pd.DataFrame(problem.columns(np.concatenate([point for _, point in best.values()])))
    beyond = outside(problem, table)
    return {
        name: plain(table.iloc[k].to_dict()) | {"outside": list(beyond[k])} for k, name in enumerate(best)
    }


def _judged(setting: Setting, g: Landscape) -> tuple[dict[str, Any], Any]:
    """What is outside the domain and the loss on the asked corpus, (C, S) or broadcast to it."""
    arguments: dict[str, Any] = {
        "n_params": g.n_law,
        "n_tokens": g.n_tokens,
        "context_length": g.contexts[:, None],
        "aspect": (g.d_model / g.n_layers)[None, :],
    }
    flags = quality.domain_flags(setting.law, **arguments, staged_share=np.full((1, 1), g.staged_share))
    loss = quality.loss(
        setting.central(setting.asked), **arguments, staged_from=g.staged_from, staged_share=g.staged_share
    )
    return dict(flags), np.broadcast_to(loss, g.shape)
