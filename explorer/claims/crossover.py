"""Where one cost overtakes another as the context grows: solved from the cost functions themselves."""

from __future__ import annotations

import math
from collections.abc import Callable

SHORTEST, LONGEST = 1.0, 2.0**40
"""Contexts the root is sought between; beyond, a crossover is as good as none."""


def crossover(
    growing: Callable[[float], float],
    rest: Callable[[float], float],
    *,
    low: float = SHORTEST,
    high: float = LONGEST,
) -> float:
    """The context length at which `growing` equals `rest`; inf where it never does, `low` where always.

    Both are cost functions of the context length; growing / rest has to rise with it. The root is
    found by Brent's method in log c, to a relative 1e-12.
    """
    from scipy.optimize import brentq

    def lead(log_c: float) -> float:
        c = math.exp(log_c)
        return growing(c) - rest(c)

    start, end = math.log(low), math.log(high)
    if lead(start) >= 0:
        return low
    if lead(end) < 0:
        return math.inf
    return math.exp(float(brentq(lead, start, end, xtol=1e-12, rtol=1e-14)))
