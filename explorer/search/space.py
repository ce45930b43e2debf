"""Which designs may be picked: the lattice of listed values, less what cannot be built.

A design on the lattice is an index per axis. Designs that cannot be built (heads that do not come
out whole), or that are another listed design under a second name (a staged schedule whose context
does not exceed its short window, a window as wide as the context), are not on it; `dropped` says
how many combinations that took away.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from explorer.design import Design, Ffn
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.budget import Budget

Choice = TypeVar("Choice", bound=Hashable)
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

AXES = (
    "ffn", "attention", "schedule", "vocab_size", "d_head", "n_kv_heads", "context_length",
    "d_model", "n_layers",
)  # fmt: skip
"""The lattice's axes in index order: categories first, the three sizes that are always searched last."""

FFN_MULTIPLE = 128
"""d_ff is the ratio times d_model, rounded to a multiple of this, as tiles of matrix units want it."""


class FfnChoice(NamedTuple):
    """One listed feed-forward part."""

    kind: Ffn
    ratio: float

    def __str__(self) -> str:
        return f"{self.kind} {self.ratio:g}"


class AttentionChoice(NamedTuple):
    """One listed attention pattern; all zeros is full attention."""

    window: float = 0
    global_every: float = 0
    global_tokens: float = 0
    random_tokens: float = 0

    def __str__(self) -> str:
        if not self.window:
            return "full"
        parts = [f"window {self.window:g}"]
        names = ("global_every", "global_tokens", "random_tokens")
        parts += [f"{n} {v:g}" for n, v in zip(names, self[1:], strict=True) if v]
        return " ".join(parts)


class ScheduleChoice(NamedTuple):
    """One listed schedule; all zeros is constant."""

    staged_from: float = 0
    staged_share: float = 0

    @property
    def kind(self) -> str:
        """`constant` or `staged`."""
        return "staged" if self.staged_from else "constant"

    def __str__(self) -> str:
        return f"staged {self.staged_from:g} {self.staged_share:g}" if self.staged_from else "constant"


@dataclass(frozen=True)
class Box:
    """An open grid of designs that share their categories: `design` broadcasts, `shape` is its shape.

    The shape's axes are AXES[2:] (schedule … n_layers); `indices` holds the lattice index along each.
    """

    design: Design
    ffn: int
    attention: int
    indices: tuple[IntArray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(i) for i in self.indices)

    def points(self, flat: IntArray) -> IntArray:
        """Lattice indices (n, 9) of the grid cells with these flat positions."""
        cells = np.unravel_index(flat, self.shape)
        columns = [np.full(len(flat), self.ffn), np.full(len(flat), self.attention)]
        columns += [axis[cell] for axis, cell in zip(self.indices, cells, strict=True)]
        return np.stack(columns, axis=1)


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """Every design the budget's space lists. Numeric axes are ascending arrays, categories tuples."""

    context_length: FloatArray
    d_model: FloatArray
    n_layers: FloatArray
    d_head: FloatArray
    n_kv_heads: FloatArray
    """0 stands for as many as query heads (multi-head attention)."""
    vocab_size: FloatArray
    ffn: tuple[FfnChoice, ...]
    attention: tuple[AttentionChoice, ...] = (AttentionChoice(),)
    schedule: tuple[ScheduleChoice, ...] = (ScheduleChoice(),)
    fixed: Mapping[str, Any] | None = None
    """Design fields that are the same for every design (norm, position, tied_embeddings, …)."""

    @classmethod
    def from_budget(cls, budget: Budget) -> Lattice:
        """The lattice of a loaded budget's `space` section."""
        space = budget.space

        def numbers(values: Iterable[int]) -> FloatArray:
            return np.array(sorted(set(values)), dtype=np.float64)

        kv = [0 if k == "all" else k for k in space.n_kv_heads]
        return cls(
            context_length=numbers(space.context_length.points),
            d_model=numbers(space.d_model.points),
            n_layers=numbers(space.n_layers.points),
            d_head=numbers(space.d_head),
            n_kv_heads=numbers(kv),
            vocab_size=numbers(space.vocab_size),
            ffn=_once(FfnChoice(f.kind, f.ratio) for f in space.ffn),
            attention=_once(
                AttentionChoice(a.window, a.global_every, a.global_tokens, a.random_tokens)
                for a in space.attention
            ),
            schedule=_once(ScheduleChoice(s.staged_from, s.staged_share) for s in space.schedule),
            fixed={
                "tied_embeddings": space.tied_embeddings,
                "norm": space.norm,
                "position": space.position,
                "qk_norm": space.qk_norm,
                **dict.fromkeys(("qkv_bias", "output_bias", "ffn_bias"), space.bias),
            },
        )

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Values listed per axis, in the order of AXES."""
        return tuple(len(getattr(self, name)) for name in AXES)

    @cached_property
    def listed(self) -> int:
        """Combinations listed, buildable or not."""
        return int(np.prod([int(s) for s in self.sizes], dtype=object))

    @cached_property
    def valid_heads(self) -> BoolArray:
        """(d_head, n_kv_heads, d_model): query heads whole and a multiple of the key-value heads."""
        n_heads = self.d_model / self.d_head[:, None, None]
        groups = np.where(self.n_kv_heads > 0, self.n_kv_heads, 1)[None, :, None]
        valid: BoolArray = (n_heads == np.rint(n_heads)) & (np.rint(n_heads) % groups == 0)
        return valid

    @cached_property
    def valid_windows(self) -> BoolArray:
        """(attention, schedule, context_length): not another listed design under a second name."""
        c = self.context_length
        window = np.array([a.window for a in self.attention])[:, None, None]
        staged_from = np.array([s.staged_from for s in self.schedule])[None, :, None]
        full_listed = any(not a.window for a in self.attention)
        attends = (window == 0) | (window < c) | (not full_listed)
        valid: BoolArray = attends & ((staged_from == 0) | (staged_from < c))
        return valid

    @cached_property
    def size(self) -> int:
        """Designs on the lattice, as an exact integer."""
        combinations = len(self.ffn) * len(self.vocab_size) * len(self.n_layers)
        return int(self.valid_heads.sum()) * int(self.valid_windows.sum()) * combinations

    @property
    def dropped(self) -> int:
        """Listed combinations that are not on the lattice."""
        return self.listed - self.size

    def valid(self, points: IntArray) -> BoolArray:
        """Which rows of lattice indices (n, 9) are designs on the lattice; out of range is not."""
        inside: BoolArray = np.all((points >= 0) & (points < np.array(self.sizes)), axis=1)
        p = np.where(inside[:, None], points, 0).T
        valid: BoolArray = inside & self.valid_heads[p[4], p[5], p[7]] & self.valid_windows[p[1], p[2], p[6]]
        return valid

    def keys(self, points: IntArray) -> IntArray:
        """One integer per row of lattice indices, unique on the lattice and ordered as the rows are."""
        keys: IntArray = np.ravel_multi_index(tuple(points.T), self.sizes).astype(np.int64)
        return keys

    def points(self, keys: IntArray) -> IntArray:
        """The lattice indices (n, 9) behind `keys`."""
        return np.stack(np.unravel_index(keys, self.sizes), axis=1).astype(np.int64)

    def tables(self, points: IntArray) -> Iterator[tuple[IntArray, Design]]:
        """Designs of the rows of `points`, as one table per (ffn kind, attention): (row numbers, design)."""
        kinds = np.array([[f.kind for f in self.ffn].index(f.kind) for f in self.ffn])
        group = kinds[points[:, 0]] * len(self.attention) + points[:, 1]
        for g in np.unique(group):
            rows = np.flatnonzero(group == g)
            p = points[rows].T
            yield rows, self._design(self.attention[p[1, 0]], self.ffn[p[0, 0]].kind, *p[[0, *range(2, 9)]])

    def box(
        self, ffn: int = 0, attention: int = 0, within: Mapping[str, Sequence[int] | IntArray] | None = None
    ) -> Box:
        """The open grid of one (ffn, attention), whole or restricted to some indices per axis.

        Cells that are not on the lattice are in the grid too; mask them with `box_valid`.
        """
        chosen = within or {}
        indices = tuple(
            np.asarray(chosen.get(name, range(len(getattr(self, name)))), dtype=np.int64) for name in AXES[2:]
        )
        shaped = [
            i.reshape([-1 if a == b else 1 for b in range(len(indices))]) for a, i in enumerate(indices)
        ]
        design = self._design(self.attention[attention], self.ffn[ffn].kind, np.array(ffn), *shaped)
        return Box(design, ffn, attention, indices)

    def box_valid(self, box: Box) -> BoolArray:
        """Which cells of a box are on the lattice, in open-grid shape (vocabulary and layers left out)."""
        schedule, _, d_head, kv, context, d_model, _ = box.indices
        heads = self.valid_heads[np.ix_(d_head, kv, d_model)]
        windows = self.valid_windows[box.attention][np.ix_(schedule, context)]
        valid: BoolArray = (
            windows[:, None, None, None, :, None, None] & heads[None, None, :, :, None, :, None]
        )
        return valid

    def _design(
        self,
        attention: AttentionChoice,
        kind: Ffn,
        ffn: IntArray,
        schedule: IntArray,
        vocab: IntArray,
        d_head: IntArray,
        kv: IntArray,
        context: IntArray,
        d_model: IntArray,
        layers: IntArray,
    ) -> Design:
        d = self.d_model[d_model]
        head = self.d_head[d_head]
        n_heads = d / head
        listed_kv = self.n_kv_heads[kv]
        n_kv = np.where(listed_kv > 0, listed_kv, n_heads) if (self.n_kv_heads == 0).any() else listed_kv
        ratio = np.array([f.ratio for f in self.ffn])[ffn]
        staged_from, staged_share = (
            np.array([s[i] for s in self.schedule], dtype=np.float64)[schedule] for i in (0, 1)
        )
        return Design(
            context_length=self.context_length[context],
            d_model=d,
            n_layers=self.n_layers[layers],
            n_heads=n_heads,
            n_kv_heads=n_kv,
            d_head=head,
            d_ff=feed_forward_width(d, ratio),
            vocab_size=self.vocab_size[vocab],
            ffn=kind,
            staged_from=staged_from,
            staged_share=staged_share,
            **{k: v for k, v in attention._asdict().items() if v},
            **(self.fixed or {}),
        )


def feed_forward_width(d_model: FloatArray, ratio: FloatArray) -> FloatArray:
    """ratio · d_model rounded to the nearest multiple of FFN_MULTIPLE, at least one multiple."""
    width: FloatArray = np.maximum(np.rint(d_model * ratio / FFN_MULTIPLE), 1) * FFN_MULTIPLE
    return width


def _once(choices: Iterable[Choice]) -> tuple[Choice, ...]:
    """Without repeats, in the order listed."""
    return tuple(dict.fromkeys(choices))
