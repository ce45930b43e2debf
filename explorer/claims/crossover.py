"""Where one cost overtakes another as the context grows: solved from the cost functions themselves."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from explorer.units import FloatArray, Num

SHORTEST, LONGEST = 1.0, 2.0**40
"""Contexts the root is sought between; beyond, a crossover is as good as none."""
SECTIONS = 256
"""Parts that a step of the search cuts its interval into: cost functions take an array in one call."""
WIDTH = 1e-13
"""Of the last interval, in log c: a few units in the last place."""


def crossover(
    growing: Callable[[FloatArray], Num],
    rest: Callable[[FloatArray], Num],
    *,
    low: float = SHORTEST,
    high: float = LONGEST,
) -> float:
    """The context length at which `growing` equals `rest`; inf where it never does, `low` where always.

    Both are cost functions of arrays of context lengths; growing / rest has to rise with them. The root is
    found by cutting an interval of log c into SECTIONS, again and again, to a relative WIDTH.
    """
    start, end = math.log(low), math.log(high)
    while end - start > WIDTH:
        edges = np.linspace(start, end, SECTIONS + 1)
        c = np.exp(edges)
        ahead = np.broadcast_to(np.greater_equal(growing(c), rest(c)), c.shape)
        if not ahead.any():
            return math.inf
        if ahead[0]:
            return low
        first = int(ahead.argmax())
        start, end = float(edges[first - 1]), float(edges[first])
    return math.exp(0.5 * (start + end))
