"""The plane of context length and width: the best design in every cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from explorer import quality
from explorer.units import QUANTILES

if TYPE_CHECKING:
    import pandas as pd

    from explorer.claims.landscape import Landscape
    from explorer.claims.setting import Setting
    from explorer.search.problem import Problem

ALMOST = 0.05
"""A limit within this share of its end is named as the one that binds, before training compute."""
SEEN = ("n_law", "n_tokens", "staged_from", "staged_share")
"""What the loss of a cell depends on besides context and shape."""


def plane(problem: Problem, setting: Setting) -> pd.DataFrame:
    """Best design for each (context_length, d_model): lowest loss if any is feasible, else least excess.

    The losses of what is feasible have their quantiles beside them.
    """
    import pandas as pd

    grids = [_with_losses(problem, setting, g) for g in setting.grids]
    listed = np.isin(grids[0][0].contexts, problem.lattice.context_length)
    rows: list[dict[str, Any]] = []
    for width in np.unique(grids[0][0].d_model):
        for c in np.flatnonzero(listed):
            rows += _cell(setting, grids, float(width), int(c))
    cells = pd.DataFrame(rows)
    return cells.drop(columns=list(SEEN)).assign(**_quantiles(problem, setting, cells))


def _quantiles(problem: Problem, setting: Setting, cells: pd.DataFrame) -> dict[str, Any]:
    """`loss_p05`, … and the same on every corpus; NaN where nothing is feasible."""
    ok = cells["feasible"].eq(True).to_numpy()
    at = {
        name: cells.loc[ok, name].to_numpy(dtype=float)
        for name in ("d_model", "n_layers", "context_length", *SEEN)
    }
    arguments = {
        "n_params": at["n_law"],
        "aspect": at["d_model"] / at["n_layers"],
        **{name: at[name] for name in ("context_length", "n_tokens", "staged_from", "staged_share")},
    }
    found: dict[str, Any] = {}
    for name in setting.corpora:
        asked = name == setting.asked
        draws = problem.posterior if asked else problem.elsewhere[name][1]
        for q, values in zip(QUANTILES, quality.loss_interval(draws, **arguments), strict=True):
            column = np.full(len(cells), np.nan)
            column[ok] = values
            found |= {f"loss_{name}_{q}": column, **({f"loss_{q}": column} if asked else {})}
    return found


def _with_losses(
    problem: Problem, setting: Setting, g: Landscape
) -> tuple[Landscape, dict[str, Any], Any, Any]:
    """A landscape with the loss on every corpus (C, S), the largest excess and what is extrapolated."""
    arguments: dict[str, Any] = {
        "n_params": g.n_law,
        "n_tokens": g.n_tokens,
        "context_length": g.contexts[:, None],
        "aspect": (g.d_model / g.n_layers)[None, :],
        "staged_from": g.staged_from,
        "staged_share": g.staged_share,
    }
    losses = {name: quality.loss(setting.central(name), **arguments) for name in setting.corpora}
    flags = quality.domain_flags(
        problem.law, **{k: v for k, v in arguments.items() if k not in ("staged_from", "staged_share")}
    )
    outside = np.broadcast_to(np.asarray(quality.outside(flags)), g.shape)
    worst = np.full(g.shape, -np.inf)
    for value in g.excess.values():
        worst = np.maximum(worst, value)
    return g, losses, np.where(g.exists, worst, np.inf), outside


def _cell(setting: Setting, grids: list[Any], width: float, c: int) -> list[dict[str, Any]]:
    """The row of one context and width, over every depth, schedule and other lever; none where the lattice has
    no such design, as with a window that is no shorter than the context."""
    best: tuple[bool, float] | None = None
    chosen: dict[str, Any] = {}
    for g, losses, worst, outside in grids:
        shapes = np.flatnonzero(g.d_model == width)
        excess = worst[c, shapes]
        fits = excess <= 0
        score = np.where(fits, losses[setting.asked][c, shapes], excess) if fits.any() else excess
        at = int(np.argmin(np.where(fits, score, np.inf) if fits.any() else score))
        key = (not bool(fits[at]), float(score[at]))
        if not np.isfinite(key[1]) or (best is not None and key >= best):
            continue
        best, s = key, int(shapes[at])
        used = {k: float(np.broadcast_to(v, g.shape)[c, s]) for k, v in g.excess.items()}
        most = max(used, key=used.__getitem__)
        feasible = bool(fits[at])
        chosen = {
            "n_layers": float(g.n_layers[s]),
            "n_params": float(np.broadcast_to(g.n_params, g.shape)[c, s]),
            "loss": float(losses[setting.asked][c, s]),
            "feasible": feasible,
            "binding": most if not feasible or used[most] > -ALMOST else "training",
            "extrapolated": bool(outside[c, s]),
            **{f"loss_{name}": float(v[c, s]) for name, v in losses.items()},
            "n_law": float(np.broadcast_to(g.n_law, g.shape)[c, s]),
            "n_tokens": float(np.broadcast_to(g.n_tokens, g.shape)[c, s]),
            "staged_from": float(g.staged_from),
            "staged_share": float(g.staged_share),
        }
    where = {"context_length": float(grids[0][0].contexts[c]), "d_model": float(width)}
    return [{**where, **chosen}] if chosen else []
