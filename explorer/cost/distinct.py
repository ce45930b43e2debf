"""Terms that depend on few of a plan's numbers, computed once per distinct combination of them.

A block of hundreds of plans has a handful of tensor-parallel sizes and some dozens of micro-batches
per rank. What depends on those alone is computed on so many columns, then spread over all plans.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from explorer.design import Design, Plan, arrays
from explorer.units import Num

Index: TypeAlias = "np.ndarray[Any, Any] | None"

# Below this many plans, or when most combinations differ, the detour costs more than it saves.
_FEWEST, _MOST_DISTINCT = 16, 0.6


def distinct(design: Design, plan: Plan, names: tuple[str, ...]) -> tuple[Plan, Index]:
    """A plan of the distinct combinations of the fields `names`, and for every plan which is its own.

    The index is None, and the plan the one given, unless plans have an axis of their own: their fields
    of shape (n_plans,), the design's with a trailing axis of length one.
    """
    columns = [np.asarray(getattr(plan, name)) for name in names]
    varying = [column for column in columns if column.ndim]
    size = max((column.size for column in varying), default=0)
    if size < _FEWEST or any(column.shape != (size,) for column in varying):
        return plan, None
    if any(values.shape[-1] != 1 for values in arrays(design).values()):
        return plan, None
    code: Any = 0.0
    for column in varying:
        code = code * (column.max() + 1) + column
    _, first, index = np.unique(code, return_index=True, return_inverse=True)
    if first.size > _MOST_DISTINCT * size:
        return plan, None
    fewer = {name: column[first] for name, column in zip(names, columns, strict=True) if column.ndim}
    return plan.with_(**fewer), index


def spread(values: Num, index: Index) -> Num:
    """Columns of distinct combinations as columns of plans."""
    if index is None or not isinstance(values, np.ndarray) or values.ndim == 0 or values.shape[-1] == 1:
        return values
    spread_out: Num = np.take(values, index, axis=-1)
    return spread_out
