"""Which runs to leave out, to see how a law does on runs it has not seen."""

from __future__ import annotations

import numpy as np

from explorer.quality.fitting.solve import Mask
from explorer.quality.fitting.table import Runs
from explorer.units import FloatArray

_EXTREME_SHARE = 0.1
_FOLDS = 10
_MOST_FOLDS = 60


def extremes(runs: Runs) -> dict[str, Mask]:
    """The largest N, the largest D, the longest c: the highest values that make up a tenth of the runs."""
    groups = {"largest N": _top(runs.n_params), "largest D": _top(runs.n_tokens)}
    c = runs.context_length
    # Leaving out one of two windows would leave the context term nothing to be fitted to.
    if c is not None and len(np.unique(c)) > 2:
        groups["longest c"] = _top(c)
    return {name: mask for name, mask in groups.items() if 0 < mask.sum() < len(mask)}


def folds(runs: Runs) -> tuple[str, dict[str, Mask]]:
    """A partition for cross-validation: every shape (d x L) in turn, or else tenths of the runs by N."""
    if runs.d_model is not None and runs.n_layers is not None:
        pairs = zip(runs.d_model, runs.n_layers, strict=True)
        labels = np.array([f"{d:g}x{n:g}" for d, n in pairs])
        shapes = np.unique(labels)
        if 3 <= len(shapes) <= _MOST_FOLDS:
            return "shape", {str(s): labels == s for s in shapes}
        if len(shapes) > _MOST_FOLDS:
            fold = np.unique(labels, return_inverse=True)[1] % _FOLDS
            return "tenth of shapes", {str(i): fold == i for i in range(_FOLDS)}
    edges = np.quantile(runs.n_params, np.linspace(0, 1, _FOLDS + 1)[1:-1])
    fold = np.digitize(runs.n_params, edges)
    return "size", {f"N tenth {i + 1}": fold == i for i in range(_FOLDS) if (fold == i).any()}


def _top(values: FloatArray) -> Mask:
    # Down to the value that completes a tenth; ties stay together, so that no value is on both sides.
    ordered = np.sort(values)[::-1]
    threshold = ordered[int(np.ceil(_EXTREME_SHARE * len(values))) - 1]
    return np.asarray(values >= threshold)
