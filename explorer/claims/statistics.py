"""Figures from posterior draws: quantiles, probabilities with their own error, and the tornado's shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from explorer.claims.records import Estimate
from explorer.units import FloatArray

BoolArray = NDArray[np.bool_]

BINS = 5
"""Classes a prior's draws are cut into; a fifth at either end stands for "low" and "high"."""


def estimate(central: float, draws: FloatArray | None = None) -> Estimate:
    """`central` with the draws' 5, 50 and 95%; infinite draws are ordered like any other."""
    if draws is None or len(draws) == 0:
        return Estimate(central=float(central))
    low, mid, high = np.quantile(draws, [0.05, 0.5, 0.95], method="inverted_cdf")
    return Estimate(central=float(central), p05=float(low), p50=float(mid), p95=float(high))


def probability(central: bool, draws: BoolArray | None = None) -> Estimate:
    """Share of draws in which something is true, with its Monte Carlo interval.

    The interval is Jeffreys': Beta(k + ½, n − k + ½) quantiles (Brown, Cai and DasGupta 2001), closed
    at 0 and 1. Without draws it is 0 or 1 from the central values, without an interval.
    """
    if draws is None or len(draws) == 0:
        return Estimate(central=float(central))
    # The quantile of Beta(a, b); scipy.stats has it too, and takes ten times as long to import.
    from scipy.special import betaincinv

    k, n = int(np.count_nonzero(draws)), len(draws)
    low = 0.0 if k == 0 else float(betaincinv(k + 0.5, n - k + 0.5, 0.05))
    high = 1.0 if k == n else float(betaincinv(k + 0.5, n - k + 0.5, 0.95))
    return Estimate(central=k / n, p05=low, p50=k / n, p95=high)


def classes(values: FloatArray) -> NDArray[np.int64]:
    """Each draw's class: its fifth of the sorted draws, or its own value where few values occur."""
    distinct, inverse = np.unique(values, return_inverse=True)
    if len(distinct) <= BINS:
        return inverse.astype(np.int64)
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    ranks: NDArray[np.int64] = (order * BINS // len(values)).astype(np.int64)
    return ranks


def variance_share(values: FloatArray, answer: FloatArray) -> float:
    """Share of the variance of `answer` that the classes of `values` explain by themselves.

    The first-order index by binning (correlation ratio), corrected for the number of classes
    (Kelley's ε²), so that a prior without influence scores about 0 whatever the number of draws.
    """
    total = float(np.var(answer))
    if total == 0 or not np.isfinite(total):
        return 0.0
    group = classes(values)
    n, k = len(answer), int(group.max()) + 1
    if n <= k:
        return 0.0
    sizes = np.bincount(group, minlength=k)
    means = np.bincount(group, weights=answer, minlength=k) / np.maximum(sizes, 1)
    between = float(np.sum(sizes * (means - answer.mean()) ** 2)) / n
    return float(max(0.0, 1 - (1 - between / total) * (n - 1) / (n - k)))
