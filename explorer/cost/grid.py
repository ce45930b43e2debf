"""A grid of designs in blocks: cells (everything but depth) on one axis, depths on another.

On an open grid, where depth has an axis of its own, a cell is a context, a width and whatever else
varies, and all depths belong to every cell. In a table every row is a cell of one depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from explorer.design import Design, arrays
from explorer.units import FloatArray, Num


@dataclass(frozen=True, slots=True)
class Part:
    """A block of cells, with all their depths."""

    design: Design
    """Fields keep their open shapes; without depth (n_layers is 1)."""
    depths: FloatArray
    """Shape (1, depths) on an open grid, (cells, 1) in a table."""
    shape: tuple[int, ...]
    """Of the cells."""
    index: tuple[slice, ...]
    """Where the block lies in the grid."""
    axis: int | None
    """Of depth in the grid."""

    def flat(self, values: Num, n: int) -> np.ndarray[Any, Any]:
        """Values of cells × plans as (cells, n)."""
        whole = np.broadcast_to(np.asarray(values), (*self.shape, n))
        return whole.reshape(-1, n)

    def write(self, whole: np.ndarray[Any, Any], block: np.ndarray[Any, Any]) -> None:
        """Put (cells, depths) into its place in the grid."""
        if self.axis is None:
            whole[self.index] = block.reshape(self.shape)
            return
        shaped = block.reshape(*self.shape, block.shape[-1])
        # The cells' shape has a 1 where depth belongs.
        whole[self.index] = np.moveaxis(shaped, -1, self.axis).reshape(whole[self.index].shape)


@dataclass(frozen=True, slots=True)
class Grid:
    """Designs of shape `shape`; `axis` is depth's own, if it has one."""

    design: Design
    shape: tuple[int, ...]
    axis: int | None

    @classmethod
    def of(cls, design: Design) -> Grid:
        """The grid a design's fields span; a single design is a grid of one."""
        varying = arrays(design)
        shape = np.broadcast_shapes(*(v.shape for v in varying.values())) or (1,)
        depth = varying.get("n_layers")
        if depth is None:
            return cls(design, shape, None)
        wide = [i - depth.ndim for i, n in enumerate(depth.shape) if n > 1]
        others = [v for name, v in varying.items() if name != "n_layers"]
        alone = len(wide) == 1 and all(v.ndim < -wide[0] or v.shape[wide[0]] == 1 for v in others)
        return cls(design, shape, len(shape) + wide[0] if alone else None)

    def parts(self, cells: int) -> Iterator[Part]:
        """Blocks of at most about `cells` cells, the last axes kept whole as long as they fit."""
        sizes = [1 if i == self.axis else n for i, n in enumerate(self.shape)]
        steps = []
        room = max(1, cells)
        for size in reversed(sizes):
            step = min(size, room)
            steps.append(step)
            room = max(1, room // step)
        ranges = [
            [slice(i, min(i + step, size)) for i in range(0, size, step)]
            for size, step in zip(sizes, reversed(steps), strict=True)
        ]
        for index in product(*ranges):
            yield self._part(index)

    def _part(self, index: tuple[slice, ...]) -> Part:
        shape = tuple(s.stop - s.start for s in index)
        columns = {name: _cut(values, index) for name, values in arrays(self.design).items()}
        if self.axis is None:
            depths = np.broadcast_to(np.asarray(columns.get("n_layers", self.design.n_layers)), shape)
            depths = depths.astype(np.float64).reshape(-1, 1)
        else:
            depths = np.asarray(self.design.n_layers, dtype=np.float64).reshape(1, -1)
            index = tuple(slice(None) if i == self.axis else s for i, s in enumerate(index))
        columns.pop("n_layers", None)
        return Part(self.design.with_(**columns, n_layers=1.0), depths, shape, index, self.axis)


def _cut(values: np.ndarray[Any, Any], index: tuple[slice, ...]) -> np.ndarray[Any, Any]:
    """A block of an array that broadcasts to the grid."""
    own = index[len(index) - values.ndim :]
    return values[tuple(s if n > 1 else slice(None) for s, n in zip(own, values.shape, strict=True))]
