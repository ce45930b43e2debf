"""The arms of the trade, optimised exactly over a landscape in every posterior draw.

Per chunk of draws the loss of every design is laid out as (draws, contexts, shapes). All corpora
share everything but the context term, so that part is added last. Arms are minima over slices:

    A  the reference context, constant schedule, shape free
    B  context free, shape as in A
    C  context and shape free
    D  staged schedule, all free; D' staged with the shape of A
    depth    context and depth free, everything else as in A
    reshape  context and shape free within RESHAPE of A's number of parameters
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from explorer import quality
from explorer.claims.landscape import Landscape
from explorer.errors import NothingFits
from explorer.units import FloatArray

RESHAPE = 0.03
"""Designs within this share of arm A's parameters count as the same size."""
CHUNK_BYTES = 8e6
"""What one chunk's loss array may take: a share of the last-level cache."""
Index = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Picked:
    """One arm's optimum per draw: arrays of shape (n_draws,)."""

    loss: FloatArray
    schedule: Index
    """Which landscape."""
    context: Index
    """Row of the landscape."""
    shape: Index
    """Column of the landscape."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """All arms on one corpus, per draw."""

    arms: Mapping[str, Picked]
    compute: Mapping[str, FloatArray]
    """Value name → extra compute (fraction) arm A would need to gain as much, per draw."""
    recovery_needed: FloatArray | None
    """Recovery at which the staged lead over arm C vanishes; inf above 1."""

    def value(self, name: str) -> FloatArray:
        """A value in nats, per draw: context, width, waiting, depth or reshape."""
        better, worse = VALUES[name]
        return self.arms[better].loss - self.arms[worse].loss


VALUES: dict[str, tuple[str, str]] = {
    "context": ("A", "B"),
    "width": ("B", "C"),
    "waiting": ("C", "D"),
    "depth": ("B", "depth"),
    "reshape": ("B", "reshape"),
}
"""Value → the arms whose losses differ by it: loss(first) − loss(second)."""


def solve(
    grids: Sequence[Landscape],
    reference_context: float,
    coefficients: Mapping[str, quality.Coefficients],
    *,
    baseline: Landscape | None = None,
    lifted: tuple[str, ...] = (),
    shapes_of_a: Mapping[str, int] | None = None,
) -> dict[str, Outcome]:
    """The arms on every corpus: corpus → `Outcome`, over as many draws as the coefficients hold.

    `grids` come from `landscapes` (the constant schedule first). All corpora's coefficients have to
    hold the same draws of everything but the context term (see `groups`). `lifted` names
    limits that are ignored; `shapes_of_a` fixes arm A's shape on each corpus. Raises NothingFits where no design fits
    at the reference context.
    """
    masks = [g.feasible_without(lifted) for g in grids]
    row = grids[0].row(reference_context)
    if not masks[0][row].any():
        raise NothingFits(
            f"no design fits the budget at the reference context of {reference_context:,.0f} tokens"
        )
    # Shapes that fit at no context are chosen by no arm.
    columns = np.flatnonzero(np.any([m.any(axis=0) for m in masks], axis=0))
    grids, masks = [g.take(columns) for g in grids], [m[:, columns] for m in masks]
    fixed = {name: int(np.searchsorted(columns, shape)) for name, shape in (shapes_of_a or {}).items()}
    n = next(iter(coefficients.values())).n_draws or 1
    size = sum(g.shape[0] * g.shape[1] for g in grids) * 8
    step = int(max(1, min(n, CHUNK_BYTES // size)))
    parts: dict[str, list[Outcome]] = {name: [] for name in coefficients}
    for start in range(0, n, step):
        rows = np.arange(start, min(n, start + step))
        some = {name: _draws(k, rows) for name, k in coefficients.items()}
        for name, found in _chunk(grids, masks, row, some, baseline, fixed).items():
            parts[name].append(found)
    return {name: _stack(found, columns) for name, found in parts.items()}


def losses_at(
    grids: Sequence[Landscape], picked: Sequence[tuple[int, int, int]], k: quality.Coefficients
) -> FloatArray:
    """Loss of single designs (schedule, context row, shape column) in every draw: (n_draws, n_designs)."""
    k = _draws(k, np.arange(k.n_draws or 1))
    columns = [_single(grids[s], c, x) for s, c, x in picked]
    given = {name: np.array([col[name] for col in columns]) for name in columns[0]}
    return np.asarray(quality.loss(k, **given))


def groups(draws: Mapping[str, quality.Posterior]) -> list[dict[str, quality.Coefficients]]:
    """Corpora that kept the same proposals, together: only their context terms differ."""
    found: dict[bytes, dict[str, quality.Coefficients]] = {}
    for name, p in draws.items():
        found.setdefault(p.rows.tobytes(), {})[name] = p.coefficients
    return list(found.values())


def _draws(k: quality.Coefficients, rows: Index) -> quality.Coefficients:
    """Some draws, as arrays also where there is a single one (the central values)."""
    if k.n_draws is not None:
        return k.take(rows)
    names = [f.name for f in fields(k) if f.name not in ("power", "reference_context")]
    return k.with_(**{name: np.array([float(getattr(k, name))]) for name in names})


def _single(g: Landscape, c: int, x: int) -> dict[str, float]:
    n_law = g.n_law[min(c, g.n_law.shape[0] - 1), x]
    return {
        "n_params": float(n_law),
        "n_tokens": float(g.n_tokens[c, x]),
        "context_length": float(g.contexts[c]),
        "aspect": float(g.d_model[x] / g.n_layers[x]),
        "staged_from": g.staged_from,
        "staged_share": g.staged_share,
    }


@dataclass(frozen=True, eq=False)
class _Terms:
    """The loss of a landscape in a chunk of draws, before and after a corpus is chosen.

    loss = rest + weight · (short + r · (shape − short)), weight = s · K(N) · aspect factor. A staged schedule
    has rows of the contexts beyond its short window alone.
    """

    grid: Landscape
    possible: BoolArray
    """(C, S): what may be chosen."""
    capacity: FloatArray
    """(K, 1 or C, S)"""
    rest: FloatArray
    """(K, C, S): everything but the context term; inf where infeasible."""
    factor: FloatArray
    """(K, 1 or C, S)"""
    recovered: FloatArray
    """(K, C, S): r of a staged schedule; 1 of a constant one."""
    before: int
    """Contexts that the grid leaves out."""

    def weight(self, k: quality.Coefficients) -> FloatArray:
        """(K, 1 or C, S): s·K(N) times the aspect factor."""
        return np.asarray(quality.context_scale(k, self.grid.n_law)) * self.factor

    def loss(self, k: quality.Coefficients) -> FloatArray:
        """(K, C, S) of a constant schedule."""
        if not np.any(k.s):
            return self.rest
        loss = self.weight(k) * np.asarray(quality.context_shape(k, self.grid.contexts[:, None]))
        return _sum(loss, self.rest)

    def staged(self, k: quality.Coefficients) -> tuple[FloatArray, FloatArray]:
        """(K, C, S) each: the loss with nothing recovered, and what recovering all would take off it (≥ 0)."""
        full = np.asarray(quality.context_shape(k, self.grid.contexts[:, None]))
        short = np.asarray(quality.context_shape(k, np.full((1, 1), self.grid.staged_from)))
        weight = self.weight(k)
        return weight * short + self.rest, weight * np.maximum(short - full, 0.0)


def _sum(own: FloatArray, other: FloatArray) -> FloatArray:
    """Of an array made here and another, in place where that has the sum's shape."""
    return np.add(own, other, out=own) if own.shape == other.shape else own + other


def _terms(g: Landscape, mask: BoolArray, k: quality.Coefficients) -> _Terms:
    before = int(np.searchsorted(g.contexts, g.staged_from, side="right")) if g.staged_from else 0
    g, mask = g.longer(before), mask[before:]
    aspect = (g.d_model / g.n_layers)[None, :]
    factor = np.broadcast_to(quality.aspect_factor(k, aspect, g.n_law), (k.n_draws or 1, *g.n_law.shape))
    capacity, data = np.asarray(quality.capacity_term(k, g.n_law)), quality.data_term(k, g.n_tokens)
    staging = {"staged_from": g.staged_from, "staged_share": g.staged_share}
    window = quality.window_term(k, g.contexts[:, None], **staging)
    rest = np.asarray(quality.combine(k, capacity, data, 0.0, window, factor))
    np.copyto(rest, np.inf, where=~mask)
    extension = g.staged_share * g.n_tokens
    recovered = np.asarray(quality.recovery(k, extension) if g.staged_from else 1.0)
    return _Terms(g, mask, capacity, rest, factor, recovered, before)


def _chunk(
    grids: Sequence[Landscape],
    masks: Sequence[BoolArray],
    row: int,
    coefficients: Mapping[str, quality.Coefficients],
    baseline: Landscape | None,
    shapes_of_a: Mapping[str, int],
) -> dict[str, Outcome]:
    first = next(iter(coefficients.values()))
    # A staged schedule without any feasible design keeps its place, so that indices stay true.
    terms = [_terms(g, m, first) if m.any() else None for g, m in zip(grids, masks, strict=True)]
    own = _terms(baseline, baseline.feasible, first) if baseline is not None else None
    return {name: _outcome(terms, own, row, k, shapes_of_a.get(name)) for name, k in coefficients.items()}


def _outcome(
    terms: Sequence[_Terms | None],
    own: _Terms | None,
    row: int,
    k: quality.Coefficients,
    shape_of_a: int | None,
) -> Outcome:
    first = terms[0]
    assert first is not None
    constant, g = first.loss(k), first.grid
    n = len(constant)

    a = np.full(n, shape_of_a) if shape_of_a is not None else constant[:, row, :].argmin(axis=1)
    best = constant.min(axis=1)
    arms = {"A": _picked(constant, np.full(n, row), a)}
    arms["B"] = _at_best_context(constant, a)
    arms["C"] = _at_best_context(constant, best.argmin(axis=1))
    arms["depth"], arms["reshape"] = (_at_best_context(constant, x) for x in _kept(best, g, a))
    if own is not None:
        alone = own.loss(k)
        arms["baseline"] = replace(
            _at_best_context(alone, np.zeros(n, dtype=np.int64)), schedule=np.full(n, -1, dtype=np.int64)
        )
    needed: FloatArray | None = None
    staged = [(i, t, *t.staged(k)) for i, t in enumerate(terms) if i and t is not None]
    if staged:
        free: list[Picked] = []
        kept: list[Picked] = []
        for i, t, nothing, all_of_it in staged:
            loss = nothing - t.recovered * all_of_it
            for found, shapes in ((free, loss.min(axis=1).argmin(axis=1)), (kept, a)):
                one = _at_best_context(loss, shapes)
                found.append(replace(one, context=one.context + t.before, schedule=np.full(n, i)))
        arms["D"], arms["D'"] = _first(free), _first(kept)
        each = [_recovery_needed(nothing, gain, arms["C"].loss) for *_, nothing, gain in staged]
        needed = cast(FloatArray, np.minimum.reduce(each))
    outcome = Outcome(arms=arms, compute={}, recovery_needed=needed)
    values = {name: outcome.value(name) for name, (_, arm) in VALUES.items() if arm in arms}
    return replace(outcome, compute=_equivalent(first, row, k, arms["A"].loss, values))


def _picked(loss: FloatArray, context: Index, shape: Index) -> Picked:
    n = len(loss)
    found = loss[np.arange(n), context, shape]
    return Picked(loss=found, schedule=np.zeros(n, dtype=np.int64), context=context, shape=shape)


def _at_best_context(loss: FloatArray, shape: Index) -> Picked:
    """A shape per draw at the context where its loss is least."""
    return _picked(loss, loss[np.arange(len(loss)), :, shape].argmin(axis=1), shape)


def _kept(best: FloatArray, g: Landscape, a: Index) -> tuple[Index, Index]:
    """The best shapes at arm A's width, and of arm A's size, by their least loss over contexts (K, S)."""
    n_params = g.n_params[0]
    depth, reshape = np.empty(len(a), dtype=np.int64), np.empty(len(a), dtype=np.int64)
    for shape in np.unique(a):
        same_levers = np.ones(len(g.d_model), dtype=bool)
        for values in g.choices.values():
            same_levers &= values == values[shape]
        draws = np.flatnonzero(a == shape)
        for found, chosen in (
            (depth, (g.d_model == g.d_model[shape]) & same_levers),
            (reshape, np.abs(n_params / n_params[shape] - 1) <= RESHAPE),
        ):
            columns = np.flatnonzero(chosen)
            found[draws] = columns[best[np.ix_(draws, columns)].argmin(axis=1)]
    return depth, reshape


def _first(candidates: list[Picked]) -> Picked:
    """The best of several schedules per draw."""
    losses = np.stack([p.loss for p in candidates])
    which = losses.argmin(axis=0)
    draws = np.arange(losses.shape[1])

    def chosen(name: str) -> Any:
        return np.stack([getattr(p, name) for p in candidates])[which, draws]

    return Picked(**{name: chosen(name) for name in ("loss", "schedule", "context", "shape")})


def _recovery_needed(nothing: FloatArray, gain: FloatArray, target: FloatArray) -> FloatArray:
    """Least recovery with which some staged design reaches `target`, per draw; inf above 1.

    Writes into `nothing`, the losses with nothing recovered; `gain` is what recovering all takes off them.
    """
    nothing -= target[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        nothing /= gain
    least = nothing.reshape(len(nothing), -1).min(axis=1)
    # 0/0: a design that is as good as the target and gains nothing needs nothing.
    least = np.where(np.isnan(least), 0.0, np.maximum(least, 0.0))
    return np.where(least > 1, np.inf, least)


def _equivalent(
    t: _Terms, row: int, k: quality.Coefficients, loss_a: FloatArray, values: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Extra compute arm A would need for each value, re-choosing its shape at the reference context.

    Tokens scale with compute while parameter and memory limits stay. For every shape the tokens that
    reach the target follow from inverting the data term; the least compute over all shapes counts,
    beside what arm A needs for its own loss.
    """
    g = t.grid
    fits = t.possible[row]
    own_row = min(row, len(g.n_law) - 1)
    capacity, factor = t.capacity[:, own_row, fits], t.factor[:, own_row, fits]
    window = np.asarray(quality.window_term(k, g.contexts[row : row + 1]))
    scale = np.asarray(quality.context_scale(k, g.n_law[own_row, fits]))
    shape = np.asarray(quality.context_shape(k, g.contexts[row : row + 1]))
    lead = k.lead(1)
    fixed = lead.E + window + scale * shape
    log_by_compute = np.log(g.tokens_by_compute[row, fits])
    most = np.log(g.tokens_of_data) + 1e-9 - log_by_compute

    def least(target: FloatArray) -> FloatArray:
        reached = np.maximum(target[:, None] / factor - fixed, 0.0) ** (1 / lead.power) - capacity
        with np.errstate(divide="ignore", invalid="ignore"):
            log_share = (lead.log_B - np.log(reached)) / lead.beta - log_by_compute
        possible = (reached > 0) & (log_share <= most)
        return cast(FloatArray, np.exp(np.min(log_share, axis=1, where=possible, initial=np.inf)))

    own = least(loss_a)
    return {name: least(loss_a - value) / own - 1 for name, value in values.items()}


def _stack(parts: list[Outcome], columns: Index) -> Outcome:
    """Chunks of draws one after another; shapes become columns of the whole landscape again."""

    def picked(name: str) -> Picked:
        arm = Picked(
            **{f.name: np.concatenate([getattr(p.arms[name], f.name) for p in parts]) for f in fields(Picked)}
        )
        return arm if name == "baseline" else replace(arm, shape=columns[arm.shape])

    needed = [p.recovery_needed for p in parts if p.recovery_needed is not None]
    return Outcome(
        arms={name: picked(name) for name in parts[0].arms},
        compute={name: np.concatenate([p.compute[name] for p in parts]) for name in parts[0].compute},
        recovery_needed=np.concatenate(needed) if needed else None,
    )
