"""Under which plan each design of a grid or a table runs, at full context and at the short window."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from explorer.cost import Hardware, Planned, Setting, best_plan
from explorer.design import Design, arrays
from explorer.search.space import IntArray

FOLDED = 0.8
"""A table is folded into a grid when it has at most this share of distinct rows besides depth."""


@dataclass(frozen=True)
class Planner:
    """What plans are chosen by."""

    setting: Setting
    hardware: Hardware
    limit_bytes: float
    """Device memory a GPU may use."""

    def stages(self, design: Design) -> tuple[Planned, Planned | None]:
        """The best plans at full context and at the short window, in the designs' shape; None for the second
        where nothing is staged."""
        constant = design.with_(staged_from=0, staged_share=0)
        shape = np.broadcast_shapes(*(v.shape for v in arrays(design).values()))
        if len(shape) > 1:
            return self.one(constant), self.short(design)
        # Of a table the short parts are rows like others: asking once costs half of asking twice.
        n = int(np.prod(shape))
        rows = np.flatnonzero(np.broadcast_to(is_staged(design), (n,)))
        if not len(rows):
            return self.one(constant), None
        own, twice = np.arange(n), np.append(np.arange(n), rows)
        columns = {name: np.broadcast_to(v, (n,))[twice] for name, v in arrays(constant).items()}
        full, window = (np.broadcast_to(v, (n,)) for v in (design.context_length, design.staged_from))
        found = self.one(constant.with_(**columns | {"context_length": np.append(full, window[rows])}))
        start = own.copy()
        start[rows] = n + np.arange(len(rows))
        return _taken(found, own), _taken(found, start)

    def one(self, design: Design) -> Planned:
        """The best plan of every design; rows of a table that differ in depth alone share the work."""
        folded = fold(design)
        if folded is None:
            return best_plan(design, self.setting, self.hardware, self.limit_bytes)
        grid, cell, depth = folded
        found = best_plan(grid, self.setting, self.hardware, self.limit_bytes)
        return _taken(found, (cell, depth))

    def short(self, design: Design) -> Planned | None:
        """The best plans at the short window, in the designs' shape; None where nothing is staged."""
        starts = np.unique(np.asarray(design.staged_from))
        starts = starts[starts > 0]
        if not len(starts):
            return None
        if len(starts) > 1 and np.ndim(design.staged_from) < 2:
            windows = np.where(np.asarray(design.staged_from) > 0, design.staged_from, starts[0])
            return self.one(design.with_(context_length=windows, staged_from=0, staged_share=0))
        # On an open grid each window is planned once for every context.
        found: Planned | None = None
        for start in starts:
            other = self.one(design.with_(context_length=float(start), staged_from=0, staged_share=0))
            if found is None:
                found = other
                continue
            here = np.asarray(design.staged_from) == start
            columns = {f.name: getattr(found, f.name) for f in fields(found)}
            merged: dict[str, Any] = {
                name: np.where(here, getattr(other, name), values)
                for name, values in columns.items()
                if isinstance(values, np.ndarray)
            }
            found = replace(found, **merged)
        return found


def fold(design: Design) -> tuple[Design, IntArray, IntArray] | None:
    """A table as an open grid of its distinct rows without depth × its distinct depths, and where each row
    lies in it; None for what is no table or repeats little."""
    columns = arrays(design)
    depth = columns.pop("n_layers", None)
    if depth is None or depth.ndim != 1 or any(v.shape != depth.shape for v in columns.values()):
        return None
    if not columns or len(depth) < 2:
        return None
    cells, cell = np.unique(np.stack(list(columns.values()), axis=1), axis=0, return_inverse=True)
    if len(cells) > FOLDED * len(depth):
        return None
    depths, at = np.unique(depth, return_inverse=True)
    open_columns: dict[str, Any] = {name: cells[:, k : k + 1] for k, name in enumerate(columns)}
    return design.with_(**open_columns, n_layers=depths[None, :]), cell.reshape(-1), at


def _taken(planned: Planned, at: Any) -> Planned:
    """The plans in some places."""
    columns = {f.name: getattr(planned, f.name) for f in fields(planned)}
    return replace(planned, **{k: v[at] for k, v in columns.items() if isinstance(v, np.ndarray)})


def is_staged(design: Design) -> Any:
    """Which designs have two stages; a short window that is not shorter is the constant schedule."""
    start = np.asarray(design.staged_from)
    return (start > 0) & (start < design.context_length)
