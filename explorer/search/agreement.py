"""What measuring showed: predicted against measured, metric by metric, and what could not be measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.units import FloatArray

if TYPE_CHECKING:
    import pandas as pd

MODELLED = "modelled_"
"""Of the column that holds what the model said of a measured figure."""
CORRECTED = "corrected_"
"""Of the column that holds the same, corrected by the trials before (see `corrected`)."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One metric, over every measured trial. Errors are relative: predicted / measured − 1."""

    metric: str
    n: int
    median_error: float
    """Median of the error's size."""
    bias: float
    """Median error: above zero the model says too much."""
    spread: float
    """Median error's size once the bias is taken away: what no single factor can mend."""
    rank_correlation: float
    """Spearman's: 1 where the model orders designs as measurements do; NaN with fewer than three."""
    n_corrected: int = 0
    """Trials before which enough was measured to correct the model."""
    uncorrected_error: float = float("nan")
    """Median of the error's size over those trials."""
    corrected_error: float = float("nan")
    """The same, each corrected by the trials before it."""

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Agreement:
        """From what `summary.json` holds, where NaN is null."""
        values: dict[str, Any] = {k: float("nan") if v is None else v for k, v in found.items()}
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A trial that failed for good."""

    number: int
    error: str
    params: dict[str, Any]
    """The design as Optuna keeps it: what it says of the axes that are searched."""


def agreement(trials: pd.DataFrame) -> tuple[Agreement, ...]:
    """What a trials table says of every metric that was measured; empty where none was."""
    found = []
    for column in [c for c in trials.columns if str(c).startswith(MODELLED)]:
        metric = str(column).removeprefix(MODELLED)
        predicted = trials[column].to_numpy(dtype=float)
        measured = trials[metric].to_numpy(dtype=float)
        known = np.isfinite(predicted) & np.isfinite(measured) & (measured != 0)
        if not known.any():
            continue
        ratio = predicted[known] / measured[known]
        middle = float(np.median(ratio))
        after = np.full(len(trials), np.nan)
        if CORRECTED + metric in trials.columns:
            after = trials[CORRECTED + metric].to_numpy(dtype=float)
        later = known & np.isfinite(after)
        before_after = [
            float(np.median(np.abs(one[later] / measured[later] - 1))) if later.any() else float("nan")
            for one in (predicted, after)
        ]
        found.append(
            Agreement(
                metric=metric,
                n=int(known.sum()),
                median_error=float(np.median(np.abs(ratio - 1))),
                bias=middle - 1,
                spread=float(np.median(np.abs(ratio / middle - 1))),
                rank_correlation=_spearman(predicted[known], measured[known]),
                n_corrected=int(later.sum()),
                uncorrected_error=before_after[0],
                corrected_error=before_after[1],
            )
        )
    return tuple(found)


def _spearman(x: FloatArray, y: FloatArray) -> float:
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    from scipy.stats import rankdata

    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
