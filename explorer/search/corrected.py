"""What measurements make of the model as they come: each trial, as the trials before it would have had it.

Of a metric, the log of measured over modelled is learned as the sampler learns what its objectives differ
by (`surrogate.Residual`). A trial is never among those that its own figure is corrected by, so the errors
left are those of predicting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.search.agreement import CORRECTED, MODELLED
from explorer.search.measured import LEAST_TOLD
from explorer.search.outcome import SearchProblem
from explorer.search.space import IntArray
from explorer.search.surrogate import Features, Residual
from explorer.units import FloatArray

REFIT = 1.02
"""Learned anew when there are so many times as many measurements."""


def corrected(
    problem: SearchProblem, points: IntArray, columns: Mapping[str, NDArray[Any]]
) -> dict[str, FloatArray]:
    """`corrected_<metric>` (n,) for each measured metric of `columns`, in order of asking; NaN where too few
    measurements came before (`measured.LEAST_TOLD`). `points`: lattice indices (n, 9)."""
    metrics = [name.removeprefix(MODELLED) for name in columns if name.startswith(MODELLED)]
    if not metrics:
        return {}
    features = Features(problem)
    place = features.place(points)
    found = {}
    for metric in metrics:
        modelled = np.asarray(columns[MODELLED + metric], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            lessons = np.log(np.asarray(columns[metric], dtype=np.float64) / modelled)
        known = np.flatnonzero(np.isfinite(lessons))
        factor = np.full(len(points), np.nan)
        learned, learned_from = None, 0
        for n in range(LEAST_TOLD, len(known)):
            if learned is None or n >= REFIT * learned_from:
                learned = Residual(features, place[known[:n]], lessons[known[:n], None])
                learned_from = n
            factor[known[n]] = learned.predict(place[known[n : n + 1]])[0, 0]
        found[CORRECTED + metric] = modelled * np.exp(factor)
    return found
