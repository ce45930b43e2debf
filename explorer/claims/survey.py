"""The cost model asked about every design of a lattice, once, however many draws of the loss follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.claims.landscape import BoolArray, Landscape, join
from explorer.search.space import AXES, IntArray
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.design import Design
    from explorer.search.evaluation import Evaluation
    from explorer.search.problem import Problem
    from explorer.search.space import Lattice

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
