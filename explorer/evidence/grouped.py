"""Designs with the plans they run under, put together into tables that the cost model takes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TypeVar

import numpy as np

from explorer.design import Design, Plan

Record = TypeVar("Record", Design, Plan)


def grouped(pairs: Sequence[tuple[Design, Plan]]) -> Iterator[tuple[list[int], Design, Plan]]:
    """(places, designs, plans): one table per combination of categorical fields, a row per place."""
    groups: dict[tuple[str | bool, ...], list[int]] = {}
    for place, pair in enumerate(pairs):
        key = tuple(
            v for one in pair for f in fields(one) if isinstance(v := getattr(one, f.name), str | bool)
        )
        groups.setdefault(key, []).append(place)
    for places in groups.values():
        yield places, stacked([pairs[k][0] for k in places]), stacked([pairs[k][1] for k in places])


def stacked(records: Sequence[Record]) -> Record:
    """Records that agree in their categorical fields, their numbers as columns."""
    first = records[0]
    numeric = [f.name for f in fields(first) if not isinstance(getattr(first, f.name), str | bool)]
    columns = {n: np.array([float(getattr(r, n)) for r in records]) for n in numeric}
    return first.with_(**columns)
