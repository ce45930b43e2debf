"""Every design under a budget as two axes, context × shape: what the arms of the trade choose from.

A shape is everything but the context and its schedule: width, depth and whatever other lever is
listed. One landscape holds one schedule. It carries what the loss needs (parameters, tokens) and
which limits each design breaks; `survey` asks the cost model for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.design import Design, arrays
from explorer.search.space import AXES, IntArray
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.search.space import Lattice

BoolArray = NDArray[np.bool_]
Index = NDArray[np.int64]


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

    def longer(self, before: int) -> Landscape:
        """The landscape without its first contexts."""

        def cut(a: FloatArray) -> FloatArray:
            return a[before:] if len(a) == len(self.contexts) else a

        return replace(
            self,
            contexts=self.contexts[before:],
            n_params=cut(self.n_params),
            n_law=cut(self.n_law),
            n_tokens=cut(self.n_tokens),
            tokens_by_compute=cut(self.tokens_by_compute),
            excess={k: cut(v) for k, v in self.excess.items()},
            exists=self.exists[before:],
        )

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


def nearest_points(lattice: Lattice, grids: Iterable[Landscape], n: int) -> IntArray:
    """Lattice indices (≤ n, 9) of the designs whose largest excess over any limit is least, least first."""
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
