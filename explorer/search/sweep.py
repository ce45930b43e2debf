"""A budget's whole lattice, factorised: parts whose best is not good enough are never opened.

A part is a range of values per axis under one feed-forward part and attention pattern. It is bounded whole: a
row per schedule, head size, context and tile of neighbouring depths, at the least and the most of its widths,
key-value heads and vocabularies. What the rows rule out is cut off its axes, and the rest is halved until it is
small. Then it is opened: a term is computed once per the axes it depends on, and depth, along which time and
parameters are straight lines, enters last; tile by tile, then design by design where a tile may hold something.
What no bound rules out is handed on to be evaluated (see `bounds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.search import bounds
from explorer.search.blocks import Block, Candidates, corners, dominated
from explorer.search.space import AXES, BoolArray, Box, IntArray, feed_forward_width
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.search.problem import Problem

MOST_CELLS = 1 << 19
"""Designs of a part that is opened; larger ones are cut."""
DEPTHS_PER_TILE = 8
OPENED = 1 << 15
"""Tiles opened at once."""
MOST_CORNERS = 64
"""Rows that bound a block."""
_COLLAPSED = {"d_model": 2.0, "n_kv_heads": 0.25, "vocab_size": 0.25}
"""Axes whose ends alone a bound sees, by how much their range widens it."""
_OPEN = ("context_length", "schedule", "d_head", "n_layers")


@dataclass(frozen=True)
class Part:
    """Indices of a lattice per axis."""

    ffn: int
    attention: int
    axes: dict[str, IntArray]
    """AXES[2:] → ascending indices."""

    def with_(self, **axes: IntArray) -> Part:
        """The same with other indices on some axes."""
        return Part(self.ffn, self.attention, {**self.axes, **axes})

    @property
    def n_cells(self) -> float:
        """Combinations, buildable or not."""
        return float(np.prod([float(len(i)) for i in self.axes.values()]))


class Sweep:
    """The lattice of a budget as parts to be bounded, cut, opened and evaluated."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.lattice = problem, problem.lattice

    def whole(self) -> list[Part]:
        """Each feed-forward part and attention pattern with everything else open."""
        lattice = self.lattice
        axes = {name: np.arange(len(getattr(lattice, name))) for name in AXES[2:]}
        listed = [(f, a) for f in range(len(lattice.ffn)) for a in range(len(lattice.attention))]
        return [Part(ffn, attention, axes) for ffn, attention in listed]

    def bounded(self, within: Part, front: FloatArray) -> Block:
        """What is left of a part, cut to the values that something undominated may have."""
        m = len(self.problem.objectives)
        none = Block(within, 0, np.empty((0, m)))
        part = self._buildable(within)
        if part is None:
            return none
        low, high, shape, tiles = self._ends(part)
        windows = self._windows(part)[:, None, None, None, :, None, None]
        alive = np.broadcast_to(windows & (np.asarray(bounds.excess(self.problem, low)) <= 0), shape)
        flat = np.flatnonzero(alive)
        if not len(flat):
            return none
        several = any(len(part.axes[name]) > 1 for name in _COLLAPSED)
        best = bounds.coordinates(self.problem, bounds.Ends.of(self.problem, low, high, aligned=several))
        rows = _cells(best, shape, flat)
        kept = ~dominated(rows, front)
        flat, rows = flat[kept], rows[kept]
        if not len(flat):
            return none
        held = np.zeros(shape, dtype=bool)
        held.reshape(-1)[flat] = True
        some = {axis: _along(held, axis) for axis in (0, 2, 4, 6)}
        axes = part.axes
        part = part.with_(
            schedule=axes["schedule"][some[0]],
            d_head=axes["d_head"][some[2]],
            context_length=axes["context_length"][some[4]],
            n_layers=np.concatenate([tiles[k] for k in some[6]]),
        )
        return Block(part, self._count(part), corners(rows, MOST_CORNERS))

    def cut(self, block: Block) -> list[Part]:
        """Two halves along the axis that loosens the bound most; none where the block is small enough."""
        part: Part = block.within
        if part.n_cells <= MOST_CELLS:
            return []
        spread = {name: weight * self._spread(part, name) for name, weight in _COLLAPSED.items()}
        axis = max(spread, key=spread.__getitem__)
        if not spread[axis]:
            axis = max(_OPEN, key=lambda name: len(part.axes[name]))
        return [part.with_(**{axis: half}) for half in np.array_split(part.axes[axis], 2)]

    def _spread(self, part: Part, axis: str) -> float:
        """Logarithm of the ratio between the ends of an axis."""
        values = getattr(self.lattice, axis)[part.axes[axis]]
        if axis == "n_kv_heads":
            heads = (
                self.lattice.d_model[part.axes["d_model"][-1]] / self.lattice.d_head[part.axes["d_head"][0]]
            )
            values = np.where(values > 0, values, heads)
        return float(np.log(values.max() / values.min())) if len(values) > 1 else 0.0

    def _buildable(self, part: Part) -> Part | None:
        """Less the widths, head sizes, key-value heads, schedules and contexts that nothing is built of."""
        axes = part.axes
        heads = self.lattice.valid_heads[np.ix_(axes["d_head"], axes["n_kv_heads"], axes["d_model"])]
        windows = self._windows(part)
        if not heads.any() or not windows.any():
            return None
        return part.with_(
            d_head=axes["d_head"][heads.any(axis=(1, 2))],
            n_kv_heads=axes["n_kv_heads"][heads.any(axis=(0, 2))],
            d_model=axes["d_model"][heads.any(axis=(0, 1))],
            schedule=axes["schedule"][windows.any(axis=1)],
            context_length=axes["context_length"][windows.any(axis=0)],
        )

    def _windows(self, part: Part) -> BoolArray:
        """(schedule, context) of the part that are on the lattice."""
        axes = part.axes
        found: BoolArray = self.lattice.valid_windows[part.attention][
            np.ix_(axes["schedule"], axes["context_length"])
        ]
        return found

    def _ends(self, part: Part) -> tuple[Any, Any, tuple[int, ...], list[IntArray]]:
        """The least and the most of a part as open grids of designs, their shape, and the tiles of depths."""
        lattice, axes = self.lattice, part.axes
        narrow, wide = lattice.d_model[axes["d_model"][[0, -1]]]
        d_head = lattice.d_head[axes["d_head"]]
        listed = lattice.n_kv_heads[axes["n_kv_heads"]]
        # As many as query heads where the list says so (0).
        fewest = np.min([np.where(kv > 0, kv, narrow / d_head) for kv in listed], axis=0)
        most = np.max([np.where(kv > 0, kv, wide / d_head) for kv in listed], axis=0)
        tiles = [axes["n_layers"][i : i + DEPTHS_PER_TILE]
                 for i in range(0, len(axes["n_layers"]), DEPTHS_PER_TILE)]  # fmt: skip
        first = {name: axes[name][:1] for name in _COLLAPSED}
        box = lattice.box(part.ffn, part.attention, {**axes, **first})
        column = (1, 1, -1, 1, 1, 1, 1)
        ratio = np.asarray(lattice.ffn[part.ffn].ratio)

        def end(width: float, kv: FloatArray, at: int) -> Any:
            return box.design.with_(
                d_model=width,
                n_heads=(width / d_head).reshape(column),
                n_kv_heads=kv.reshape(column),
                d_ff=float(feed_forward_width(np.asarray(width), ratio)),
                vocab_size=float(lattice.vocab_size[axes["vocab_size"][at]]),
                n_layers=lattice.n_layers[[tile[at] for tile in tiles]].reshape(*(1,) * 6, -1),
            )

        return end(narrow, fewest, 0), end(wide, most, -1), (*box.shape[:-1], len(tiles)), tiles

    def candidates(self, block: Block, front: FloatArray) -> Candidates:
        """The designs of a block that may meet every limit and that nothing on `front` beats (coordinates)."""
        lattice, problem = self.lattice, self.problem
        none = Candidates(np.empty(0, np.int64), np.empty((0, len(problem.objectives))))
        # The front is better than when the block was bounded.
        block = self.bounded(block.within, front)
        if not block.n_designs:
            return none
        part: Part = block.within
        box = lattice.box(part.ffn, part.attention, part.axes)
        starts = np.arange(0, box.shape[-1], DEPTHS_PER_TILE)
        ends = np.minimum(starts + DEPTHS_PER_TILE, box.shape[-1])
        depths = lattice.n_layers[box.indices[-1]]
        low = box.design.with_(n_layers=depths[starts].reshape(*(1,) * 6, -1))
        high = low.with_(n_layers=depths[ends - 1].reshape(*(1,) * 6, -1))
        shape = (*box.shape[:-1], len(starts))
        alive = lattice.box_valid(box) & (np.asarray(bounds.excess(problem, low)) <= 0)
        tiles = np.flatnonzero(np.broadcast_to(alive, shape))
        if not len(tiles):
            return none
        sides = bounds.Ends.of(problem, low, high)
        tiles = tiles[~dominated(_cells(bounds.coordinates(problem, sides), shape, tiles), front)]
        if not len(tiles):
            return none
        parts = [
            self._opened(box, sides, starts, tiles[i : i + OPENED], front)
            for i in range(0, len(tiles), OPENED)
        ]
        return Candidates(np.concatenate([k for k, _ in parts]), np.vstack([low for _, low in parts]))

    def _opened(
        self, box: Box, sides: bounds.Ends, starts: IntArray, tiles: IntArray, front: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """Keys of the designs in some tiles of a box that may be feasible and are not beaten, and the
        coordinates that bound them."""
        shape = (*box.shape[:-1], len(starts))
        where = [axis[:, None] for axis in np.unravel_index(tiles, shape)]
        at = starts[where[-1]] + np.arange(DEPTHS_PER_TILE)
        inside = at < box.shape[-1]
        cells = tuple(np.broadcast_to(axis, at.shape)[inside] for axis in (*where[:-1], at))
        keys = self.lattice.keys(box.points(np.ravel_multi_index(cells, box.shape)))
        design = bounds.table(box.design, box.shape, cells)
        fits = np.broadcast_to(np.asarray(bounds.excess(self.problem, design)) <= 0, keys.shape)
        tile = tuple(np.broadcast_to(axis, at.shape)[inside] for axis in where)
        short = sides.short
        alone = bounds.Ends(
            low=design,
            high=design,
            line=sides.line.taken(shape, tile),
            short=short.taken(shape, tile) if short is not None else None,
        )
        lower = _cells(bounds.coordinates(self.problem, alone), fits.shape, np.flatnonzero(fits))
        kept = ~dominated(lower, front)
        return keys[fits][kept], lower[kept]

    def evaluated(self, keys: IntArray) -> tuple[FloatArray, BoolArray]:
        """Objectives (n, m) of designs, by their keys, under their best plans, and whether they are feasible."""
        problem = self.problem
        figures = np.empty((len(keys), len(problem.objectives)))
        feasible = np.zeros(len(keys), dtype=bool)
        for rows, design in self.lattice.tables(self.lattice.points(keys)):
            found = problem.evaluate(design)
            for k, objective in enumerate(problem.objectives):
                figures[rows, k] = found.metric(objective.name)
            feasible[rows] = found.feasible
        return figures, feasible

    def _count(self, part: Part) -> int:
        """Designs of the lattice in a part."""
        axes = part.axes
        heads = self.lattice.valid_heads[np.ix_(axes["d_head"], axes["n_kv_heads"], axes["d_model"])]
        rest = len(axes["vocab_size"]) * len(axes["n_layers"])
        return int(heads.sum()) * int(self._windows(part).sum()) * rest


def _along(held: BoolArray, axis: int) -> IntArray:
    """Indices on one axis at which anything holds."""
    return np.flatnonzero(np.any(held, axis=tuple(a for a in range(held.ndim) if a != axis)))


def _cells(values: Sequence[FloatArray], shape: tuple[int, ...], flat: IntArray) -> FloatArray:
    """Cells of open-grid columns that broadcast to `shape`, as rows (n, columns)."""
    where = np.unravel_index(flat, shape)
    return np.stack([np.broadcast_to(bounds.taken(v, shape, where), flat.shape) for v in values], axis=1)
