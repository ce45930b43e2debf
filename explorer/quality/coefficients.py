"""The numbers of a loss law with all its terms: central values, or one row per posterior draw."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from explorer.catalog.laws import Law, priors
from explorer.errors import UnknownName
from explorer.units import FloatArray, Num

Aspect: TypeAlias = Literal["none", "gemstones", "levine"]
ASPECTS: tuple[str, ...] = get_args(Aspect)
DEFAULT_ASPECT: Aspect = "gemstones"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Coefficients:
    """Every constant of the loss. A field is one number, or an array of shape (n_draws,).

    The terms of `explorer.quality` broadcast draws as a leading axis in front of the designs' axes.
    """

    log_A: Num
    log_B: Num
    """Logs of the capacity and data constants (natural)."""
    E: Num
    """Irreducible loss, nats per token."""
    alpha: Num
    beta: Num
    power: Num = 1.0
    """Exponent of the sum of capacity and data terms: 1 for Chinchilla's form."""
    reference_context: float = 2048.0
    """Window at which the law's own loss was measured, tokens."""

    s: Num = 0.0
    """Amplitude of the context term on the corpus; 0 models no benefit of context."""
    K7: Num = 0.0
    """Amplitude of the context term at 7e9 parameters and a window of 2,048, nats."""
    nu: Num = 0.0
    """Exponent by which the amplitude falls with N."""
    b: Num = 0.5
    """Exponent of the context term."""
    delta: Num = 0.0
    """Cost of training at a window beyond the reference, nats per e-fold."""
    recovery_tokens: Num = 0.0
    """Tokens at the long window after which a staged schedule has half of the gain; 0: all of it at once."""

    kappa: Num = 0.0
    """Curvature of the aspect factor; 0 is no factor."""
    log_aspect: Num = 0.0
    """Log of the best d_model / n_layers at 1e9 parameters (Gemstones refit)."""
    aspect_drift: Num = 0.0
    """d log(best aspect) / d log N."""
    levine: Num = 0.0
    """1 where the best aspect is Levine's d_opt(L) instead, else 0."""

    @property
    def A(self) -> Num:
        """Capacity constant."""
        return cast(Num, np.exp(self.log_A))

    @property
    def B(self) -> Num:
        """Data constant."""
        return cast(Num, np.exp(self.log_B))

    @property
    def n_draws(self) -> int | None:
        """How many draws, or None for single values."""
        return next((len(v) for v in self._arrays().values()), None)

    def lead(self, ndim: int) -> Coefficients:
        """A copy whose draws stand in front of `ndim` design axes: (n_draws,) becomes (n_draws, 1, …)."""
        arrays = self._arrays()
        if ndim == 0 or not arrays or next(iter(arrays.values())).ndim > 1:
            return self
        shape = (-1,) + (1,) * ndim
        changes: dict[str, Any] = {k: v.reshape(shape) for k, v in arrays.items()}
        return replace(self, **changes)

    def take(self, rows: Any) -> Coefficients:
        """Some of the draws: an index array, a mask, a slice, or one whole number for a single draw."""
        changes: dict[str, Any] = {k: v[rows] for k, v in self._arrays().items()}
        return replace(self, **changes)

    def with_(self, **changes: Any) -> Coefficients:
        """A copy with some constants changed, by their exact names (e.g. `nu=0.0`)."""
        return replace(self, **changes)

    def on(self, s: Num) -> Coefficients:
        """The same law judged on another corpus, by its amplitude."""
        return replace(self, s=s)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {k: v for k in _NAMES if isinstance(v := getattr(self, k), np.ndarray) and v.ndim}


_NAMES = tuple(f.name for f in fields(Coefficients))


def aspect_terms(law: Law, aspect: str) -> dict[str, Num]:
    """Central values of the aspect factor under one choice."""
    if aspect not in ASPECTS:
        raise UnknownName("aspect choice", aspect, ASPECTS)
    return {
        "kappa": 0.0 if aspect == "none" else centre_of(prior(law, "aspect", "curvature")),
        "log_aspect": float(np.log(centre_of(prior(law, "aspect", "optimum")))),
        "aspect_drift": centre_of(prior(law, "aspect", "drift")),
        "levine": 1.0 if aspect == "levine" else 0.0,
    }


def prior(law: Law, group: str, name: str) -> dict[str, Any]:
    """A prior's record: the law's own where its fit replaced it, else the catalogue's."""
    own = {"context": law.context, "aspect": law.aspect}.get(group, {})
    return cast(dict[str, Any], own.get(name) or priors()[group][name])


def centre_of(record: dict[str, Any]) -> float:
    """A prior's central value: as stated, or a uniform's midpoint, a normal's mean, a lognormal's median."""
    for key in ("value", "central"):
        if key in record:
            return float(record[key])
    if "uniform" in record:
        low, high = record["uniform"]
        return 0.5 * (float(low) + float(high))
    return float((record.get("normal") or record["lognormal"])[0])


def quantile_of(record: dict[str, Any], u: FloatArray) -> FloatArray:
    """A prior's values at the probabilities `u`, shape of `u`."""
    from scipy.special import ndtr, ndtri

    if "value" in record:
        return np.full_like(u, float(record["value"]))
    if "uniform" in record:
        low, high = record["uniform"]
        return np.asarray(low + u * (high - low))
    if "normal" in record:
        mean, sd = record["normal"]
        low, high = record.get("within", (-np.inf, np.inf))
        if sd == 0:
            return np.full_like(u, float(mean))
        p_low, p_high = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
        return np.asarray(mean + sd * ndtri(p_low + u * (p_high - p_low)))
    if "loguniform" in record:
        low, high = record["loguniform"]
        return np.asarray(low * (high / low) ** u)
    median, sd = record["lognormal"]
    return np.asarray(median * np.exp(sd * ndtri(u)))
