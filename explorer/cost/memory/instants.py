"""Bytes at a moment of the step, affine in the layers of a stage, and their arithmetic.

A plain zero takes no pass over memory here: most terms are zero for most plans.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.units import Num


class Instant(NamedTuple):
    """Bytes at one moment: `per_layer · layers + outside`."""

    per_layer: Num
    outside: Num

    def at(self, layers: Num) -> Num:
        """Bytes with so many layers on the stage."""
        return self.per_layer * layers + self.outside


def plus(*parts: Instant) -> Instant:
    return Instant(add(*(part.per_layer for part in parts)), add(*(part.outside for part in parts)))


def add(*terms: Num) -> Num:
    """The sum, without the passes over memory that adding a plain zero would take."""
    some = [term for term in terms if not is_zero(term)]
    return sum(some[1:], some[0]) if some else 0


def times(value: Num, factor: Num) -> Num:
    """The product, a plain zero if either is one."""
    return 0 if is_zero(value) or is_zero(factor) else value * factor


def is_zero(value: Num) -> bool:
    return isinstance(value, int | float) and value == 0


def fullest(layers: Num, stages: Num) -> Num:
    """Layers of the fullest stage."""
    if isinstance(layers, int) and isinstance(stages, int):
        return -(-layers // stages)
    return np.ceil(layers / stages)


def larger(a: Num, b: Num) -> Num:
    value = np.maximum(a, b)
    return value if isinstance(value, np.ndarray) and value.ndim else value.item()


def largest(values: list[Num]) -> Num:
    """Elementwise maximum with one temporary."""
    result = values[0]
    for value in values[1:]:
        result = np.maximum(result, value)
    return result if isinstance(result, np.ndarray) and result.ndim else float(result)


def largest_at(moments: dict[str, Instant], layers: Num) -> Num:
    """The largest moment, of which only the largest so far is kept."""
    result: Num = 0.0
    for moment in moments.values():
        result = np.maximum(result, moment.at(layers))
    return result if isinstance(result, np.ndarray) and result.ndim else float(result)
