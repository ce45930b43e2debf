"""The exchange between width and context as curves: by width, by context, and along the iso-budget line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer import quality
from explorer.claims.arms import losses_at
from explorer.claims.landscape import Landscape
from explorer.claims.records import ContextPoint, CurvePoint, Estimate
from explorer.claims.statistics import estimate
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.claims.describe import View


def by_width(view: View) -> tuple[CurvePoint, ...]:
    """The best design of each feasible width (context and depth free), widest first."""
    g, loss = _central(view)
    points = []
    for width in np.unique(g.d_model)[::-1]:
        columns = np.flatnonzero(g.d_model == width)
        row, x = np.unravel_index(loss[:, columns].argmin(), (len(g.contexts), len(columns)))
        if not np.isfinite(loss[row, columns[x]]):
            continue
        longest = g.contexts[np.flatnonzero(np.isfinite(loss[:, columns]).any(axis=1))[-1]]
        points.append((int(row), int(columns[x]), float(longest)))
    losses, gains = _estimates(view, g, [(row, x) for row, x, _ in points], loss)
    rows, columns = (np.array([p[k] for p in points], dtype=int) for k in (0, 1))
    outside = _outside(
        view, g.n_law[np.minimum(rows, len(g.n_law) - 1), columns], g.n_tokens[rows, columns],
        g.contexts[rows], g.d_model[columns] / g.n_layers[columns],
    )  # fmt: skip
    return tuple(
        CurvePoint(
            longest_context=longest, loss=losses[i], gain=gains[i], extrapolated=bool(outside[i]),
            **_sizes(g, row, x),
        )
        for i, (row, x, longest) in enumerate(points)
    )  # fmt: skip


def by_context(view: View) -> tuple[ContextPoint, ...]:
    """The best design at each context length that fits, shortest first."""
    g, loss = _central(view)
    rows = [int(r) for r in np.flatnonzero(np.isfinite(loss).any(axis=1))]
    points = [(r, int(loss[r].argmin())) for r in rows]
    losses, gains = _estimates(view, g, points, loss)
    return tuple(
        ContextPoint(loss=losses[i], gain=gains[i], **_sizes(g, row, x)) for i, (row, x) in enumerate(points)
    )


def exchange(view: View) -> tuple[CurvePoint, ...]:
    """The iso-budget line through arm A: same depth, tokens and limits, the widest model at each context.

    Widths lie between lattice points: tokens and parameters are interpolated in their logs. The line
    ends where not even the narrowest listed width trains on as many tokens, or none fits.
    """
    g = view.setting.grids[0]
    _, row_a, a = view.at("A")
    same = g.n_layers == g.n_layers[a]
    for values in g.choices.values():
        same &= values == values[a]
    columns = np.flatnonzero(same)
    columns = columns[np.argsort(g.d_model[columns])]
    tokens = float(g.n_tokens[row_a, a])
    found: list[tuple[float, float, float, float]] = []
    for row, c in enumerate(g.contexts):
        fits = columns[g.feasible[row, columns]]
        if not len(fits):
            continue
        # Tokens fall with width, so the line crosses where they fall to arm A's.
        log_tokens = np.log(g.n_tokens[row, fits])
        if log_tokens[0] < np.log(tokens):
            continue
        enough = int(np.flatnonzero(log_tokens >= np.log(tokens) - 1e-12)[-1])
        log_d, log_n = np.log(g.d_model[fits]), np.log(g.n_law[min(row, len(g.n_law) - 1), fits])
        log_total = np.log(g.n_params[min(row, len(g.n_params) - 1), fits])
        at = log_d[enough]
        if enough + 1 < len(fits) and log_tokens[enough] > log_tokens[enough + 1]:
            drop = (log_tokens[enough] - np.log(tokens)) / (log_tokens[enough] - log_tokens[enough + 1])
            at = log_d[enough] + drop * (log_d[enough + 1] - log_d[enough])
        n_law, n_total = (float(np.exp(np.interp(at, log_d, y))) for y in (log_n, log_total))
        found.append((float(c), float(np.exp(at)), n_law, n_total))
    return _line(view, found, float(g.n_layers[a]), tokens)


def width_per_doubling(line: tuple[CurvePoint, ...], reference_context: float) -> float | None:
    """Factor on the width that a doubling of the context costs, from the reference to the next doubling."""
    contexts = np.array([p.context_length for p in line])
    if len(line) < 2 or contexts[0] > reference_context or contexts[-1] < 2 * reference_context:
        return None
    log_d = np.log([p.d_model for p in line])
    here, there = np.interp(np.log([reference_context, 2 * reference_context]), np.log(contexts), log_d)
    return float(np.exp(there - here))


def _line(
    view: View, found: list[tuple[float, float, float, float]], n_layers: float, tokens: float
) -> tuple[CurvePoint, ...]:
    if not found:
        return ()
    c, d, n_law, n_total = (np.array(column) for column in zip(*found, strict=True))
    given: dict[str, Any] = {
        "n_params": n_law, "n_tokens": np.full_like(c, tokens), "context_length": c, "aspect": d / n_layers,
    }  # fmt: skip
    central = np.asarray(quality.loss(view.central, **given))
    draws = np.asarray(quality.loss(view.draws.coefficients, **given)) if view.draws is not None else None
    here = int(np.argmin(np.abs(c - view.setting.reference_context)))
    losses, gains = _paired(
        central, draws, float(central[here]), draws[:, here] if draws is not None else None
    )
    outside = _outside(view, n_law, given["n_tokens"], c, d / n_layers)
    return tuple(
        CurvePoint(
            d_model=float(d[i]), context_length=float(c[i]), longest_context=float(c[i]), n_layers=n_layers,
            n_params=float(n_total[i]), n_tokens=tokens, loss=losses[i], gain=gains[i],
            extrapolated=bool(outside[i]),
        )
        for i in range(len(c))
    )  # fmt: skip


def _outside(
    view: View, n_law: FloatArray, n_tokens: FloatArray, contexts: FloatArray, aspect: FloatArray
) -> NDArray[np.bool_]:
    """Which designs the law was not fitted for, in any dimension: (n,)."""
    flags = quality.domain_flags(
        view.setting.law, n_params=n_law, n_tokens=n_tokens, context_length=contexts, aspect=aspect
    )
    found: NDArray[np.bool_] = np.any(np.broadcast_arrays(*flags.values()), axis=0)
    return found


def _central(view: View) -> tuple[Landscape, FloatArray]:
    """The constant landscape and its loss at the central values, infeasible designs at infinity."""
    g = view.setting.grids[0]
    loss = quality.loss(
        view.central,
        n_params=g.n_law,
        n_tokens=g.n_tokens,
        context_length=g.contexts[:, None],
        aspect=(g.d_model / g.n_layers)[None, :],
    )
    return g, np.where(g.feasible, loss, np.inf)


def _estimates(
    view: View, g: Landscape, points: list[tuple[int, int]], loss: FloatArray
) -> tuple[list[Estimate], list[Estimate]]:
    """Loss of fixed designs and their gain over arm A, paired draw by draw."""
    central = np.array([loss[p] for p in points])
    _, row_a, a = view.at("A")
    if view.draws is None:
        return _paired(central, None, float(loss[row_a, a]), None)
    all_points = [(0, row, x) for row, x in [*points, (row_a, a)]]
    values = losses_at([g], all_points, view.draws.coefficients)
    return _paired(central, values[:, :-1], float(loss[row_a, a]), values[:, -1])


def _paired(
    central: FloatArray, draws: FloatArray | None, reference: float, reference_draws: FloatArray | None
) -> tuple[list[Estimate], list[Estimate]]:
    n = len(central)
    if draws is None or reference_draws is None:
        plain = [estimate(float(v)) for v in central]
        return plain, [estimate(reference - float(v)) for v in central]
    losses = [estimate(float(central[i]), draws[:, i]) for i in range(n)]
    gains = [estimate(reference - float(central[i]), reference_draws - draws[:, i]) for i in range(n)]
    return losses, gains


def _sizes(g: Landscape, row: int, x: int) -> dict[str, float]:
    return {
        "d_model": float(g.d_model[x]),
        "context_length": float(g.contexts[row]),
        "n_layers": float(g.n_layers[x]),
        "n_params": float(g.n_params[min(row, len(g.n_params) - 1), x]),
        "n_tokens": float(g.n_tokens[row, x]),
    }
