"""A budget's whole lattice, factorised: blocks whose best is not good enough are never opened.

A block is a few widths of one feed-forward part and attention pattern, with every other axis open: a term is
computed once per the axes it depends on, and depth, along which time and parameters are straight lines, enters
last. It is looked at in tiles of neighbouring depths, then design by design where a tile may hold something;
what no bound rules out is handed on to be evaluated (see `bounds`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.search import bounds
from explorer.search.blocks import Block, Candidates, dominated
from explorer.search.front import nondominated
from explorer.search.space import AXES, BoolArray, Box, IntArray, feed_forward_width
from explorer.units import FloatArray

if TYPE_CHECKING:
    from explorer.search.problem import Problem

MOST_CELLS = 1 << 20
"""Designs of a block looked at once; larger blocks are cut along their other axes."""
DEPTHS_PER_TILE = 8
OPENED = 1 << 15
"""Tiles opened at once."""
MOST_REST = 512
"""Groups of blocks that are bounded together when they are not to be opened."""
_SPLIT = ("vocab_size", "d_head", "n_kv_heads", "context_length", "schedule")


class Sweep:
    """The lattice of a budget as blocks to be bounded, opened and evaluated."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.lattice = problem, problem.lattice

    @cached_property
    def widths(self) -> list[IntArray]:
        """Buildable widths in groups of neighbours, the middle of the range first."""
        lattice = self.lattice
        buildable = np.flatnonzero(lattice.valid_heads.any(axis=(0, 1)))
        others = lattice.listed / len(lattice.d_model) / len(lattice.ffn) / len(lattice.attention)
        n = min(max(1, int(np.ceil(len(buildable) * others / MOST_CELLS))), max(1, len(buildable)))
        groups = np.array_split(buildable, n)
        return [groups[k] for k in _spread(n) if len(groups[k])]

    def blocks(self) -> Iterator[Block]:
        """Every block of the lattice, in an order that meets good designs early."""
        for number, widths in enumerate(self.widths):
            for ffn in range(len(self.lattice.ffn)):
                for attention in range(len(self.lattice.attention)):
                    for within in self._cut(ffn, attention, {"d_model": widths}):
                        yield Block((number, ffn, attention), within)

    def _cut(self, ffn: int, attention: int, within: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A block cut along its other axes until it is small enough."""
        sizes = {name: len(within.get(name, getattr(self.lattice, name))) for name in AXES[2:]}
        longest = max(_SPLIT, key=lambda name: sizes[name])
        if np.prod([float(n) for n in sizes.values()]) <= MOST_CELLS or sizes[longest] == 1:
            yield within
            return
        for half in np.array_split(within.get(longest, np.arange(sizes[longest])), 2):
            yield from self._cut(ffn, attention, {**within, longest: half})

    def candidates(self, block: Block, front: FloatArray) -> Candidates:
        """The designs of a block that may meet every limit and that nothing on `front` beats (coordinates)."""
        lattice, problem = self.lattice, self.problem
        box = lattice.box(*block.place[1:], block.within)
        n = self._count(box)
        none = Candidates(np.empty(0, np.int64), None, n)
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
        best = bounds.coordinates(problem, sides)
        if best is not None:
            tiles = tiles[~dominated(_cells(best, shape, tiles), front)]
        if not len(tiles):
            return none

        parts = [
            self._opened(box, sides if best is not None else None, starts, tiles[i : i + OPENED], front)
            for i in range(0, len(tiles), OPENED)
        ]
        keys = np.concatenate([k for k, _ in parts])
        lower = [low for _, low in parts if low is not None]
        return Candidates(keys, np.vstack(lower) if lower else None, n)

    def _opened(
        self, box: Box, sides: bounds.Ends | None, starts: IntArray, tiles: IntArray, front: FloatArray
    ) -> tuple[IntArray, FloatArray | None]:
        """Keys of the designs in some tiles of a box that may be feasible and, where `sides` bound the tiles,
        are not beaten; and the coordinates that bound them."""
        shape = (*box.shape[:-1], len(starts))
        where = [axis[:, None] for axis in np.unravel_index(tiles, shape)]
        at = starts[where[-1]] + np.arange(DEPTHS_PER_TILE)
        inside = at < box.shape[-1]
        cells = tuple(np.broadcast_to(axis, at.shape)[inside] for axis in (*where[:-1], at))
        keys = self.lattice.keys(box.points(np.ravel_multi_index(cells, box.shape)))
        design = bounds.table(box.design, box.shape, cells)
        fits = np.asarray(bounds.excess(self.problem, design)) <= 0
        if sides is None:
            return keys[fits], None
        tile = tuple(np.broadcast_to(axis, at.shape)[inside] for axis in where)
        short = sides.short
        alone = bounds.Ends(
            low=design,
            high=design,
            line=sides.line.taken(shape, tile),
            short=short.taken(shape, tile) if short is not None else None,
        )
        best = bounds.coordinates(self.problem, alone)
        assert best is not None
        lower = _cells(best, fits.shape, np.flatnonzero(fits))
        kept = ~dominated(lower, front)
        return keys[fits][kept], lower[kept]

    def evaluated(self, keys: IntArray) -> tuple[FloatArray, BoolArray]:
        """Objectives (n, m) of designs, by their keys, under their best plans, and whether they are feasible."""
        problem = self.problem
        figures = np.empty((len(keys), len(problem.objectives)))
        feasible = np.zeros(len(keys), dtype=bool)
        for rows, design in self.lattice.tables(self.lattice.points(keys)):
            if not np.any(design.staged_from):
                design = design.with_(staged_from=0, staged_share=0)
            found = problem.evaluate(design)
            for k, objective in enumerate(problem.objectives):
                figures[rows, k] = found.metric(objective.name)
            feasible[rows] = found.feasible
        return figures, feasible

    def rest(self, done: set[tuple[int, int, int]]) -> FloatArray | None:
        """What may hide in the blocks that are not `done` (by place): coordinates (n, m) such that each design
        in them is no better than one of these; None where an objective has no bound."""
        lattice, problem = self.lattice, self.problem
        corners = []
        step = max(1, len(self.widths) * len(lattice.ffn) * len(lattice.attention) // MOST_REST)
        ascending = sorted(range(len(self.widths)), key=lambda k: int(self.widths[k][0]))
        for ffn in range(len(lattice.ffn)):
            for attention in range(len(lattice.attention)):
                left = [k for k in ascending if (k, ffn, attention) not in done]
                for some in (left[i : i + step] for i in range(0, len(left), step)):
                    widths = np.concatenate([self.widths[k] for k in some])
                    found = _corners(problem, ffn, attention, widths)
                    if found is None:
                        return None
                    corners.append(found)
        best = np.vstack(corners) if corners else np.empty((0, len(problem.objectives)))
        return best[nondominated(best)]

    def _count(self, box: Box) -> int:
        """Designs of the lattice in a box."""
        schedule, vocab, d_head, kv, context, d_model, layers = box.indices
        heads = self.lattice.valid_heads[np.ix_(d_head, kv, d_model)]
        windows = self.lattice.valid_windows[box.attention][np.ix_(schedule, context)]
        return int(heads.sum()) * int(windows.sum()) * len(vocab) * len(layers)


def _cells(values: Sequence[FloatArray], shape: tuple[int, ...], flat: IntArray) -> FloatArray:
    """Cells of open-grid columns that broadcast to `shape`, as rows (n, columns)."""
    where = np.unravel_index(flat, shape)
    return np.stack([np.broadcast_to(bounds.taken(v, shape, where), flat.shape) for v in values], axis=1)


def _corners(problem: Problem, ffn: int, attention: int, widths: IntArray) -> FloatArray | None:
    """The best that any design of these widths could reach, (n, m): one row per schedule, head size, context
    and tile of depths, at the least and the most of every other lever."""
    lattice = problem.lattice
    d_head = lattice.d_head
    buildable: BoolArray = np.asarray(lattice.valid_heads[:, :, widths].any(axis=2))
    heads = np.flatnonzero(buildable.any(axis=1))
    narrow, wide = lattice.d_model[widths].min(), lattice.d_model[widths].max()
    listed = np.where(buildable[heads], lattice.n_kv_heads, np.nan)
    fewest = np.nanmin(np.where(listed > 0, listed, narrow / d_head[heads][:, None] + 0 * listed), axis=1)
    most = np.nanmax(np.where(listed > 0, listed, wide / d_head[heads][:, None] + 0 * listed), axis=1)
    starts = np.arange(0, len(lattice.n_layers), DEPTHS_PER_TILE)
    last = np.minimum(starts + DEPTHS_PER_TILE, len(lattice.n_layers)) - 1
    within: dict[str, Any] = {"vocab_size": [0], "d_head": heads, "n_kv_heads": [0], "d_model": widths[:1]}
    box = lattice.box(ffn, attention, within)
    column = (1, 1, -1, 1, 1, 1, 1)
    ratio = lattice.ffn[ffn].ratio

    def end(width: float, kv: FloatArray, vocab: int, layers: IntArray) -> Any:
        return box.design.with_(
            d_model=width,
            n_heads=(width / d_head[heads]).reshape(column),
            n_kv_heads=kv.reshape(column),
            d_ff=float(feed_forward_width(np.asarray(width), np.asarray(ratio))),
            vocab_size=float(lattice.vocab_size[vocab]),
            n_layers=lattice.n_layers[layers].reshape(*(1,) * 6, -1),
        )

    low, high = end(narrow, fewest, 0, starts), end(wide, most, -1, last)
    best = bounds.coordinates(problem, bounds.Ends.of(problem, low, high, aligned=True))
    if best is None:
        return None
    windows = lattice.valid_windows[attention][:, None, None, None, :, None, None]
    shape = (*box.shape[:-1], len(starts))
    alive = np.broadcast_to(windows & (np.asarray(bounds.excess(problem, low)) <= 0), shape)
    found = _cells(best, shape, np.flatnonzero(alive))
    return found[nondominated(found)]


def _spread(n: int) -> IntArray:
    """0 … n − 1 with the middle first, then the middles of what is left."""
    order: list[int] = []
    spans = [(0, n)]
    while spans:
        low, high = spans.pop(0)
        if low < high:
            middle = (low + high) // 2
            order.append(middle)
            spans += [(low, middle), (middle + 1, high)]
    return np.array(order, dtype=np.int64)
