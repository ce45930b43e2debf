"""Every design under a budget as two axes, context × shape: what the arms of the trade choose from.

A shape is everything but the context and its schedule: width, depth and whatever other lever is
listed. One landscape holds one schedule. It carries what the loss needs (parameters, tokens) and
which limits each design breaks; the cost model is asked once, however many draws follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.design import Design
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.search.problem import Problem

BoolArray = NDArray[np.bool_]

HEADROOM = 1.1
"""Shapes are kept up to this multiple of the parameter limit, to see whether it is what stops an arm."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Landscape:
    """Designs of one schedule; arrays are (contexts, shapes) or broadcast to it."""

    contexts: FloatArray
    """(C,) ascending."""
    d_model: FloatArray
    """(S,)"""
    n_layers: FloatArray
    """(S,)"""
    levers: Mapping[str, NDArray[Any]]
    """Other listed levers → (S,) values; only those with more than one value."""
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
            levers={k: v[shapes] for k, v in self.levers.items()},
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
        levers={k: np.concatenate([p.levers[k] for p in parts]) for k in first.levers},
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


def landscapes(problem: Problem, reference_context: float, n_counts: str) -> list[Landscape]:
    """One landscape per listed schedule, the constant one first (it is added where it is not listed).

    `n_counts` is what the law's N counts: `total` or `non_embedding`.
    """
    lattice = problem.lattice
    schedules = [(s.staged_from, s.staged_share) for s in lattice.schedule]
    staged = sorted({s for s in schedules if s[0]})
    return [
        join([_landscape(problem, block, reference_context, n_counts) for block in _blocks(problem, s)])
        for s in [(0.0, 0.0), *staged]
    ]


@dataclass(frozen=True)
class _Block:
    """An open grid of shapes, axes (vocab, d_head, kv, d, L), with what the lattice says of it."""

    design: Design
    valid: BoolArray
    labels: Mapping[str, str]
    window: float


def _blocks(problem: Problem, schedule: tuple[float, float]) -> Iterator[_Block]:
    """The lattice in blocks of a few widths, each only as deep as the parameter limit lets it be."""
    from explorer.cost import parameters

    lattice, cap = problem.lattice, float(problem.budget.limits.parameters) * HEADROOM
    widths, depths = np.arange(len(lattice.d_model)), np.arange(len(lattice.n_layers))
    for f, ffn in enumerate(lattice.ffn):
        for a, attention in enumerate(lattice.attention):
            for some in np.array_split(widths, max(1, len(widths) // 8)):
                narrow = lattice.box(f, a, {"d_model": some[:1], "schedule": [0]})
                count = np.asarray(parameters(narrow.design).total)
                least = np.broadcast_to(count, np.broadcast_shapes(count.shape, narrow.shape))
                least = least.min(axis=tuple(range(least.ndim - 1)))
                deep = depths[least <= cap]
                if not len(deep):
                    continue
                box = lattice.box(f, a, {"d_model": some, "n_layers": deep, "schedule": [0]})
                design = box.design.with_(staged_from=schedule[0], staged_share=schedule[1])
                _, _, d_head, kv, _, d_model, _ = box.indices
                valid = lattice.valid_heads[np.ix_(d_head, kv, d_model)]
                labels = {"ffn": str(ffn), "attention": str(attention)}
                yield _Block(design, valid, labels, attention.window)


def _landscape(problem: Problem, block: _Block, reference_context: float, n_counts: str) -> Landscape:
    lattice = problem.lattice
    contexts = np.union1d(lattice.context_length, [reference_context])
    design = block.design.with_(context_length=contexts.reshape(-1, 1, 1))
    found = problem.evaluate(design)
    sizes = (
        len(lattice.vocab_size),
        len(lattice.d_head),
        len(lattice.n_kv_heads),
        len(contexts),
        np.size(design.d_model),
        np.size(design.n_layers),
    )
    n_shapes = int(np.prod(sizes)) // len(contexts)

    def flat(value: Any) -> FloatArray:
        """(1, vocab, d_head, kv, c, d, L) → (C, S)."""
        whole = np.broadcast_to(np.asarray(value, dtype=np.float64), (1, *sizes))[0]
        return np.ascontiguousarray(np.moveaxis(whole, 3, 0)).reshape(len(contexts), n_shapes)

    def shape_only(value: Any) -> FloatArray:
        """The same for what does not depend on the context: (S,)."""
        array = np.asarray(value, dtype=np.float64)
        whole = np.broadcast_to(array, (1, *sizes[:3], 1, *sizes[4:]))
        return np.ascontiguousarray(whole).reshape(n_shapes)

    heads = np.broadcast_to(block.valid[None, :, :, :, None], (*sizes[:3], *sizes[4:])).reshape(n_shapes)
    full_listed = any(not a.window for a in lattice.attention)
    attends = (block.window == 0) | (block.window < contexts) | (not full_listed)
    staged_from = float(np.max(design.staged_from))
    exists = heads[None, :] & (attends & ((staged_from == 0) | (staged_from < contexts)))[:, None]

    by_limit = found.n_tokens_by_limit
    compute = [flat(v) for k, v in by_limit.items() if k != "tokens"]
    tokens = flat(found.n_tokens)
    data = by_limit.get("tokens")
    keep = heads & np.any(exists, axis=0)
    return Landscape(
        contexts=contexts,
        d_model=shape_only(design.d_model),
        n_layers=shape_only(design.n_layers),
        levers=_levers(problem, design, block, shape_only, n_shapes),
        n_params=flat(found.n_params),
        n_law=flat(found.n_params if n_counts == "total" else found.n_params_non_embedding),
        n_tokens=tokens,
        tokens_by_compute=np.minimum.reduce(compute) if compute else tokens,
        tokens_of_data=float(np.min(data)) if data is not None and compute else np.inf,
        excess={k: flat(v) for k, v in found.constraints.items()},
        exists=exists,
        staged_from=staged_from,
        staged_share=float(np.max(design.staged_share)),
    ).take(keep)


def _levers(
    problem: Problem, design: Design, block: _Block, shape_only: Any, n_shapes: int
) -> dict[str, NDArray[Any]]:
    lattice = problem.lattice
    levers: dict[str, NDArray[Any]] = {}
    for name in ("vocab_size", "d_head", "n_kv_heads"):
        if len(getattr(lattice, name)) > 1:
            levers[name] = shape_only(getattr(design, name))
    for name in ("ffn", "attention"):
        if len(getattr(lattice, name)) > 1:
            levers[name] = np.full(n_shapes, block.labels[name])
    return levers
