"""Every design under a budget as two axes, context × shape: what the arms of the trade choose from.

A shape is everything but the context and its schedule: width, depth and whatever other lever is
listed. One landscape holds one schedule. It carries what the loss needs (parameters, tokens) and
which limits each design breaks; the cost model is asked once, however many draws follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.design import Design, arrays
from explorer.search.space import AXES, IntArray
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.search.evaluation import Evaluation
    from explorer.search.problem import Problem
    from explorer.search.space import Lattice

BoolArray = NDArray[np.bool_]
Index = NDArray[np.int64]

LEVERS = ("ffn", "attention", "vocab_size", "d_head", "n_kv_heads")
"""The lattice's axes beside context, width, depth and schedule."""
HEADROOM = 2.0
"""Shapes are kept up to this multiple of the parameter limit, to see whether it is what stops an arm: a
coarse lattice needs that much to hold the next size."""
LEAST_WIDTHS = 2
"""Widths asked of the cost model at once on a large lattice: few, so that little is planned that is dropped as
too large."""
DESIGNS_PER_BLOCK = 1 << 15
"""Designs asked at once on a small one, where each asking costs more than what is dropped."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Landscape:
    """Designs of one schedule; arrays are (contexts, shapes) or broadcast to it."""

    contexts: FloatArray
    """(C,) ascending."""
    d_model: FloatArray
    """(S,)"""
    n_layers: FloatArray
    """(S,)"""
    choices: Mapping[str, Index]
    """Lattice index (S,) of each other lever: ffn, attention, vocab_size, d_head, n_kv_heads."""
    n_params: FloatArray
    """Total, (1 or C, S)."""
    n_law: FloatArray
    """The count the law declares as its N, (1 or C, S)."""
    n_tokens: FloatArray
    """Training tokens that the budget buys, (C, S)."""
    tokens_by_compute: FloatArray
    """The same if data were no limit; equal to n_tokens where compute is none."""
    tokens_of_data: float
    """Training tokens there are; inf where the budget sets no such limit beside a compute limit."""
    excess: Mapping[str, FloatArray]
    """Limit → relative excess, feasible at or below zero."""
    exists: BoolArray
    """(C, S): the design is on the lattice (or at the reference context)."""
    staged_from: float = 0.0
    staged_share: float = 0.0

    @cached_property
    def feasible(self) -> BoolArray:
        """(C, S): every limit holds."""
        return self.feasible_without(())

    def feasible_without(self, lifted: tuple[str, ...]) -> BoolArray:
        """(C, S): every limit but those `lifted` holds."""
        ok = self.exists.copy()
        for name, value in self.excess.items():
            if name not in lifted:
                ok &= value <= 0
        return ok

    @property
    def schedule(self) -> str:
        """`constant` or `staged`."""
        return "staged" if self.staged_from else "constant"

    @property
    def shape(self) -> tuple[int, int]:
        """(contexts, shapes)."""
        return len(self.contexts), len(self.d_model)

    def row(self, context_length: float) -> int:
        """The row of a context length."""
        (found,) = np.flatnonzero(self.contexts == context_length)
        return int(found)

    def take(self, shapes: NDArray[np.bool_] | NDArray[np.int64]) -> Landscape:
        """The landscape of some shapes only."""

        def cut(a: FloatArray) -> FloatArray:
            return a[..., shapes]

        return Landscape(
            contexts=self.contexts,
            d_model=self.d_model[shapes],
            n_layers=self.n_layers[shapes],
            choices={k: v[shapes] for k, v in self.choices.items()},
            n_params=cut(self.n_params),
            n_law=cut(self.n_law),
            n_tokens=cut(self.n_tokens),
            tokens_by_compute=cut(self.tokens_by_compute),
            tokens_of_data=self.tokens_of_data,
            excess={k: cut(v) for k, v in self.excess.items()},
            exists=self.exists[:, shapes],
            staged_from=self.staged_from,
            staged_share=self.staged_share,
        )


def join(parts: list[Landscape]) -> Landscape:
    """Landscapes of the same schedule and contexts, side by side along the shapes."""
    first = parts[0]
    if len(parts) == 1:
        return first

    def side(name: str) -> FloatArray:
        arrays = [getattr(p, name) for p in parts]
        tall = max(a.shape[0] for a in arrays)
        return np.concatenate([np.broadcast_to(a, (tall, a.shape[1])) for a in arrays], axis=1)

    names = first.excess
    return Landscape(
        contexts=first.contexts,
        d_model=np.concatenate([p.d_model for p in parts]),
        n_layers=np.concatenate([p.n_layers for p in parts]),
        choices={k: np.concatenate([p.choices[k] for p in parts]) for k in first.choices},
        n_params=side("n_params"),
        n_law=side("n_law"),
        n_tokens=side("n_tokens"),
        tokens_by_compute=side("tokens_by_compute"),
        tokens_of_data=first.tokens_of_data,
        excess={
            k: np.concatenate([np.broadcast_to(p.excess[k], p.shape) for p in parts], axis=1) for k in names
        },
        exists=np.concatenate([p.exists for p in parts], axis=1),
        staged_from=first.staged_from,
        staged_share=first.staged_share,
    )


def landscapes(
    problem: Problem, reference_context: float, n_counts: str, levers: Mapping[str, int] | None = None
) -> list[Landscape]:
    """One landscape per listed schedule, the constant one first (it is added where it is not listed).

    All have the same shapes in the same order. A staged schedule whose short window no context
    exceeds is left out. `n_counts` is what the law's N counts: `total` or `non_embedding`. `levers` holds
    LEVERS at one lattice index each, where all their combinations would be too many.
    """
    parts = list(landscape_parts(problem, reference_context, n_counts, levers))
    return [join(list(one)) for one in zip(*parts, strict=True)]


def landscape_parts(
    problem: Problem, reference_context: float, n_counts: str, levers: Mapping[str, int] | None = None
) -> Iterator[list[Landscape]]:
    """`landscapes` in parts of a few widths each, so that no more than a part is held at once."""
    lattice = problem.lattice
    schedules = [(s.staged_from, s.staged_share) for s in lattice.schedule]
    longest = contexts_of(problem, reference_context)[-1]
    staged = sorted({s for s in schedules if 0 < s[0] < longest})
    listed = [(0.0, 0.0), *staged]
    for block in _blocks(problem, levers or {}):
        yield _landscapes(problem, block, listed, reference_context, n_counts)


def lattice_points(lattice: Lattice, g: Landscape, contexts: Index, shapes: Index) -> IntArray:
    """Lattice indices (n, 9) of designs in rows and columns of a landscape; (0, 9) where its schedule is not listed."""
    listed = {(one.staged_from, one.staged_share): k for k, one in enumerate(lattice.schedule)}
    at = listed.get((g.staged_from, g.staged_share))
    if at is None:
        return np.empty((0, len(AXES)), dtype=np.int64)
    columns = {
        **{name: index[shapes] for name, index in g.choices.items()},
        "schedule": np.full(len(shapes), at),
        "context_length": np.searchsorted(lattice.context_length, g.contexts[contexts]),
        "d_model": np.searchsorted(lattice.d_model, g.d_model[shapes]),
        "n_layers": np.searchsorted(lattice.n_layers, g.n_layers[shapes]),
    }
    return np.stack([columns[name] for name in AXES], axis=1).astype(np.int64)


def nearest_points(problem: Problem, grids: Iterable[Landscape], n: int) -> IntArray:
    """Lattice indices (≤ n, 9) of the designs whose largest excess over any limit is least, least first."""
    lattice = problem.lattice
    found: list[IntArray] = []
    excesses: list[FloatArray] = []
    for g in grids:
        worst = np.where(g.exists, -np.inf, np.inf)
        for value in g.excess.values():
            worst = np.maximum(worst, value)
        # The reference context may stand beside the lattice.
        worst[~np.isin(g.contexts, lattice.context_length)] = np.inf
        flat = np.argsort(worst, axis=None, kind="stable")[:n]
        flat = flat[np.isfinite(worst.ravel()[flat])]
        points = lattice_points(lattice, g, *np.unravel_index(flat, g.shape))
        found.append(points)
        excesses.append(worst.ravel()[flat[: len(points)]])
    order = np.argsort(np.concatenate(excesses), kind="stable")[:n]
    return np.concatenate(found)[order]


def contexts_of(problem: Problem, reference_context: float) -> FloatArray:
    """The listed context lengths and the reference, ascending."""
    contexts: FloatArray = np.union1d(problem.lattice.context_length, [reference_context])
    return contexts


def of_design(problem: Problem, design: Design, reference_context: float, n_counts: str) -> Landscape:
    """One given shape at every context: what a baseline's own arm chooses from."""
    contexts = contexts_of(problem, reference_context)
    found = problem.evaluate(
        design.with_(context_length=contexts[:, None], staged_from=0.0, staged_share=0.0)
    )
    n = len(contexts)

    def tall(value: Any) -> FloatArray:
        return np.ascontiguousarray(np.broadcast_to(np.asarray(value, dtype=np.float64), (n, 1)))

    return Landscape(
        contexts=contexts,
        d_model=np.array([float(design.d_model)]),
        n_layers=np.array([float(design.n_layers)]),
        choices={},
        n_params=tall(found.n_params),
        n_law=tall(found.n_params if n_counts == "total" else found.n_params_non_embedding),
        **_tokens(found, tall),
        excess={k: tall(v) for k, v in found.constraints.items()},
        exists=np.ones((n, 1), dtype=bool),
    )


def describe_levers(lattice: Lattice, levers: Mapping[str, int]) -> str:
    """The values of levers that a lattice leaves open, in words."""
    shown = []
    for name, at in levers.items():
        values = getattr(lattice, name)
        if len(values) > 1:
            value = values[at] if isinstance(values, tuple) else f"{values[at]:g}"
            shown.append(f"{name} {'all' if name == 'n_kv_heads' and value == '0' else value}")
    return ", ".join(shown)


def design_at(lattice: Lattice, g: Landscape, context: int, shape: int) -> Design:
    """The design in a row and column of a landscape, with single numbers in its fields."""
    at = {k: int(v[shape]) for k, v in g.choices.items()}
    within: dict[str, Any] = {k: [at[k]] for k in ("vocab_size", "d_head", "n_kv_heads")}
    within |= {
        "d_model": np.flatnonzero(lattice.d_model == g.d_model[shape])[:1],
        "n_layers": np.flatnonzero(lattice.n_layers == g.n_layers[shape])[:1],
        "context_length": [0],
        "schedule": [0],
    }
    design = lattice.box(at["ffn"], at["attention"], within).design
    single = {k: float(v.reshape(-1)[0]) for k, v in arrays(design).items()}
    schedule = {"staged_from": g.staged_from, "staged_share": g.staged_share}
    return design.with_(**single | {"context_length": float(g.contexts[context])} | schedule)


@dataclass(frozen=True)
class _Block:
    """An open grid of shapes, axes (vocab, d_head, kv, d, L), with what the lattice says of it."""

    design: Design
    valid: BoolArray
    """(d_head, kv, d)"""
    ffn: int
    attention: int
    indices: tuple[IntArray, IntArray, IntArray]
    """Lattice indices of vocab_size, d_head and n_kv_heads."""


def _blocks(problem: Problem, levers: Mapping[str, int]) -> Iterator[_Block]:
    """The lattice in blocks of a few buildable widths, each only as deep as the parameter limit lets it be."""
    from explorer.cost import parameters

    lattice, cap = problem.lattice, _cap(problem)
    held = {name: np.array([at]) for name, at in levers.items()}
    depths, every = np.arange(len(lattice.n_layers)), [np.arange(n) for n in lattice.valid_heads.shape]
    heads = np.ix_(held.get("d_head", every[0]), held.get("n_kv_heads", every[1]), every[2])
    widths = np.flatnonzero(lattice.valid_heads[heads].any(axis=(0, 1)))
    within: dict[str, Sequence[int] | IntArray] = {
        name: held[name] for name in ("vocab_size", "d_head", "n_kv_heads") if name in held
    }
    open_axes = [name for name in AXES[2:] if name not in held and name != "d_model"]
    per_width = prod(len(getattr(lattice, name)) for name in open_axes)
    at_once = max(LEAST_WIDTHS, DESIGNS_PER_BLOCK // per_width)
    for ffn in held.get("ffn", np.arange(len(lattice.ffn))).tolist():
        for attention in held.get("attention", np.arange(len(lattice.attention))).tolist():
            for some in np.array_split(widths, max(1, -(-len(widths) // at_once))):
                narrow = lattice.box(ffn, attention, {**within, "d_model": some[:1], "schedule": [0]})
                count = np.asarray(parameters(narrow.design).total)
                least = np.broadcast_to(count, np.broadcast_shapes(count.shape, narrow.shape))
                deep = depths[least.min(axis=tuple(range(least.ndim - 1))) <= cap]
                if not len(deep):
                    continue
                box = lattice.box(
                    ffn, attention, {**within, "d_model": some, "n_layers": deep, "schedule": [0]}
                )
                _, vocab, d_head, kv, _, d_model, _ = box.indices
                valid = lattice.valid_heads[np.ix_(d_head, kv, d_model)]
                yield _Block(box.design, valid, ffn, attention, (vocab, d_head, kv))


def _cap(problem: Problem) -> float:
    return float(problem.budget.limits.parameters) * HEADROOM


def _landscapes(
    problem: Problem,
    block: _Block,
    schedules: list[tuple[float, float]],
    reference_context: float,
    n_counts: str,
) -> list[Landscape]:
    """One landscape per schedule of a block; the plans at full context are looked for once for all."""
    lattice = problem.lattice
    contexts = contexts_of(problem, reference_context)
    staging = np.array(schedules).T.reshape(2, -1, *(1,) * 6)
    design = block.design.with_(
        context_length=contexts.reshape(-1, 1, 1), staged_from=staging[0], staged_share=staging[1]
    )
    found = problem.evaluate(design)
    sizes = (
        *(len(i) for i in block.indices),
        len(contexts),
        np.size(design.d_model),
        np.size(design.n_layers),
    )
    shapes = sizes[:3] + sizes[4:]
    n_shapes = int(np.prod(shapes))
    heads = np.broadcast_to(block.valid[None, :, :, :, None], shapes).reshape(n_shapes)
    full_listed = any(not a.window for a in lattice.attention)
    window = lattice.attention[block.attention].window
    attends = (window == 0) | (window < contexts) | (not full_listed)
    indices = np.unravel_index(np.arange(n_shapes), shapes)
    names = ("vocab_size", "d_head", "n_kv_heads")
    choices = {name: own[at] for name, own, at in zip(names, block.indices, indices, strict=False)}
    choices |= {"ffn": np.full(n_shapes, block.ffn), "attention": np.full(n_shapes, block.attention)}

    def one(k: int) -> Landscape:
        def flat(value: Any) -> FloatArray:
            """(schedules or 1, vocab, d_head, kv, c, d, L) → (C, S), or (1, S) of what no context changes."""
            array = np.asarray(value, dtype=np.float64)
            if array.ndim == len(sizes) + 1:
                array = array[k if len(array) > 1 else 0]
            n = array.shape[-3] if array.ndim >= 3 else 1
            whole = np.broadcast_to(array, (*sizes[:3], n, *sizes[4:]))
            return np.ascontiguousarray(np.moveaxis(whole, 3, 0)).reshape(n, n_shapes)

        def tall(value: Any) -> FloatArray:
            return np.ascontiguousarray(np.broadcast_to(flat(value), (len(contexts), n_shapes)))

        staged_from, staged_share = schedules[k]
        return Landscape(
            contexts=contexts,
            d_model=flat(design.d_model)[0],
            n_layers=flat(design.n_layers)[0],
            choices={name: v.astype(np.int64) for name, v in choices.items()},
            n_params=flat(found.n_params),
            n_law=flat(found.n_params if n_counts == "total" else found.n_params_non_embedding),
            **_tokens(found, tall),
            excess={name: flat(v) for name, v in found.constraints.items()},
            exists=heads[None, :] & (attends & ((staged_from == 0) | (staged_from < contexts)))[:, None],
            staged_from=staged_from,
            staged_share=staged_share,
        ).take(heads & (flat(found.n_params).min(axis=0) <= _cap(problem)))

    return [one(k) for k in range(len(schedules))]


def _tokens(found: Evaluation, tall: Callable[[Any], FloatArray]) -> dict[str, Any]:
    """Tokens that the budget buys, those that compute alone would, and those there are."""
    limits = found.n_tokens_by_limit
    compute = [tall(v) for k, v in limits.items() if not is_data(k)]
    data = [float(np.min(v)) for k, v in limits.items() if is_data(k)]
    tokens = tall(found.n_tokens)
    return {
        "n_tokens": tokens,
        "tokens_by_compute": np.minimum.reduce(compute) if compute else tokens,
        "tokens_of_data": min(data) if data and compute else np.inf,
    }


def is_data(limit: str) -> bool:
    """Whether a training limit is the amount of data rather than compute."""
    return limit.rsplit(".", 1)[-1] == "tokens"
