"""The lattice as an Optuna search space: natural units and names, every proposal snapped onto the lattice.

Only axes that list more than one value are variables. A proposal between lattice points (a sampler
that draws context lengths from a log-uniform range) is moved to the nearest buildable design before
Optuna stores it, so that what a study shows is what was evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from explorer.search.space import AXES, IntArray, Lattice
from explorer.units import FloatArray


class Variables:
    """Optuna's view of a lattice."""

    def __init__(self, lattice: Lattice) -> None:
        self.lattice = lattice
        self._labels = {name: _labels(getattr(lattice, name)) for name in AXES}
        # A width that no combination of heads allows is no value of the variable.
        buildable = lattice.valid_heads.any(axis=(0, 1))
        self._offered = {
            name: np.flatnonzero(buildable) if name == "d_model" else np.arange(size)
            for name, size in zip(AXES, lattice.sizes, strict=True)
        }

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """One distribution per axis with a choice, by the axis' name."""
        return {
            name: _distribution([self._labels[name][i] for i in offered])
            for name, offered in self._offered.items()
            if len(offered) > 1
        }

    def params(self, points: IntArray) -> list[dict[str, Any]]:
        """Optuna parameters of lattice indices (n, 9)."""
        return [{name: self._labels[name][point[AXES.index(name)]] for name in self.distributions}
                for point in points]  # fmt: skip

    def points(self, params: Sequence[Mapping[str, Any]]) -> IntArray:
        """Lattice indices (n, 9) nearest to Optuna parameters, each a design on the lattice."""
        points = np.empty((len(params), len(AXES)), dtype=np.int64)
        for column, name in enumerate(AXES):
            offered = self._offered[name]
            if name not in self.distributions:
                points[:, column] = offered[0]
                continue
            labels = [self._labels[name][i] for i in offered]
            if isinstance(self.distributions[name], CategoricalDistribution):
                at = {label: i for i, label in enumerate(labels)}
                points[:, column] = offered[[at[p[name]] for p in params]]
            else:
                wanted = np.array([p[name] for p in params], dtype=np.float64)
                points[:, column] = offered[_nearest(np.array(labels, dtype=np.float64), wanted)]
        return self.mended(points)

    def mended(self, points: IntArray) -> IntArray:
        """Every point moved to the nearest buildable design."""
        lattice = self.lattice
        attention, schedule, d_head, kv, context, d_model = (AXES.index(n) for n in (
            "attention", "schedule", "d_head", "n_kv_heads", "context_length", "d_model"))  # fmt: skip
        for row in np.flatnonzero(~lattice.valid(points)):
            p = points[row]
            widths = np.flatnonzero(lattice.valid_heads[p[d_head], p[kv]])
            if len(widths):
                p[d_model] = widths[_nearest(lattice.d_model[widths], lattice.d_model[p[[d_model]]])[0]]
            else:
                pairs = np.argwhere(lattice.valid_heads[:, :, p[d_model]])
                p[d_head], p[kv] = pairs[np.abs(pairs - p[[d_head, kv]]).sum(axis=1).argmin()]
            if not lattice.valid_windows[p[attention], p[schedule], p[context]]:
                # A staged schedule that never leaves its short window is the constant one, and a window
                # as wide as the context is full attention: that design, if listed, else a longer context.
                same = np.argwhere(lattice.valid_windows[:, :, p[context]])
                if len(same):
                    p[attention], p[schedule] = same[
                        np.abs(same - p[[attention, schedule]]).sum(axis=1).argmin()
                    ]
                else:
                    longer = np.flatnonzero(lattice.valid_windows[p[attention], p[schedule]])
                    p[context] = longer[np.abs(longer - p[context]).argmin()]
        return points


def _labels(values: FloatArray | tuple[Any, ...]) -> list[Any]:
    """What Optuna stores for each value of an axis: whole numbers, or text for categories."""
    if isinstance(values, tuple):
        return [str(v) for v in values]
    whole = [int(v) for v in values]
    # As many key-value heads as query heads: no number says that.
    return ["all", *whole[1:]] if whole and whole[0] == 0 else whole


def _distribution(labels: list[Any]) -> BaseDistribution:
    if any(isinstance(label, str) for label in labels):
        return CategoricalDistribution(labels)
    steps = set(np.diff(labels).tolist())
    if len(steps) == 1:
        return IntDistribution(labels[0], labels[-1], step=steps.pop())
    return IntDistribution(labels[0], labels[-1], log=True)


def _nearest(values: FloatArray, wanted: FloatArray) -> IntArray:
    """Index of the nearest of ascending positive `values` by ratio, for each of `wanted`."""
    upper = np.clip(np.searchsorted(values, wanted), 1, len(values) - 1) if len(values) > 1 else 0
    if isinstance(upper, int):
        return np.zeros(len(wanted), dtype=np.int64)
    below = wanted / values[upper - 1] <= values[upper] / wanted
    nearest: IntArray = np.where(below, upper - 1, upper).astype(np.int64)
    return nearest
