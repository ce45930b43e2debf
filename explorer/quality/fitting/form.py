"""The law as a function of its free parameters, with analytic gradients, for many problems at once.

    log L = log(E_series + (A/N^alpha + B/D'^beta)^power + S·K(N)·shape(c; b)) + kappa·(ln aspect - best(N))²

N and D are centred in log before fitting: log A and alpha (log B and beta) are correlated at .999
otherwise, which no line search likes. Loss on log L is Huber's, as in Hoffmann et al. 2022, eq. 11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.quality.fitting.table import Runs
from explorer.units import FloatArray

TERMS = ("power", "batch", "context", "aspect", "drift")
"""What may be fitted besides capacity, data and irreducible loss; `drift` needs `aspect`."""

_AMPLITUDE_PARAMS, _WINDOW, _ASPECT_PARAMS = 7e9, 2048.0, 1e9
_EXP_MAX = 60.0
_LEAST = 1e-9  # a total that a trial step made negative is held here, without a slope


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Form:
    """A table of runs with the terms to fit, ready to be evaluated at many parameter rows."""

    names: tuple[str, ...]
    """Free parameters, in the order of a row; log_A and log_B are those at the centres of N and D."""
    terms: tuple[str, ...]
    series_names: tuple[str, ...]
    series: NDArray[np.int64]
    log_n: FloatArray
    log_d: FloatArray
    """ln N and ln D, each less its mean."""
    centre_n: float
    centre_d: float
    log_loss: FloatArray
    log_batch: FloatArray | None
    """ln of tokens per step over `batch_reference`, where the batch term is fitted."""
    batch_reference: float
    log_c: FloatArray | None
    """ln(c / 2048), where the context term is fitted."""
    log_reference: float
    log_k: FloatArray
    """ln(K(N)/K7), nu held at the prior's centre."""
    b: float | None
    """The context exponent where it is held (fewer than three windows), None where it is free."""
    log_aspect: FloatArray | None
    huber: float

    @classmethod
    def of(
        cls,
        runs: Runs,
        terms: tuple[str, ...],
        *,
        huber: float,
        nu: float = 0.0,
        b: float = 0.5,
        reference: float = _WINDOW,
    ) -> Form:
        """The form with the listed `TERMS` on `runs`; `reference` is the window at which shape(c) is zero."""
        log_n, log_d = np.log(runs.n_params), np.log(runs.n_tokens)
        series_names, series = np.unique(np.asarray(runs.series), return_inverse=True)
        names = ["log_A", "log_B", "alpha", "beta"]
        names += ["log_E"] if len(series_names) == 1 else [f"log_E[{s}]" for s in series_names]
        c, aspect, batch = (
            values if term in terms else None
            for term, values in (
                ("context", runs.context_length),
                ("aspect", runs.aspect),
                ("batch", runs.batch_tokens),
            )
        )
        free_b = c is not None and len(np.unique(c)) >= 3
        reference_batch = 1.0 if batch is None else float(np.median(batch))
        names += ["log_power"] * ("power" in terms) + ["log_critical_batch"] * (batch is not None)
        names += ["S"] * (c is not None) + ["b"] * free_b
        names += ["kappa", "log_aspect"] * (aspect is not None) + ["drift"] * ("drift" in terms)
        return cls(
            names=tuple(names),
            terms=terms,
            series_names=tuple(str(s) for s in series_names),
            series=series,
            log_n=log_n - log_n.mean(),
            log_d=log_d - log_d.mean(),
            centre_n=float(log_n.mean()),
            centre_d=float(log_d.mean()),
            log_loss=np.log(runs.loss),
            log_batch=None if batch is None else np.log(batch / reference_batch),
            batch_reference=reference_batch,
            log_c=None if c is None else np.log(c / _WINDOW),
            log_reference=float(np.log(reference / _WINDOW)),
            log_k=-nu * (log_n - np.log(_AMPLITUDE_PARAMS)),
            b=None if free_b else b,
            log_aspect=None if aspect is None else np.log(aspect),
            huber=huber,
        )

    @property
    def n_series(self) -> int:
        """Evaluation sets, each with its own irreducible loss."""
        return len(self.series_names)

    def predict(self, rows: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        """Log loss (n_rows, n_runs) at each parameter row, and its derivatives in the order of `names`."""
        p = {name: rows[:, i : i + 1] for i, name in enumerate(self.names)}
        log_d, by_batch = self._effective_data(p)
        capacity = _exp(p["log_A"] - p["alpha"] * self.log_n)
        data = _exp(p["log_B"] - p["beta"] * log_d)
        irreducible = _exp(rows[:, 4 : 4 + self.n_series])[:, self.series]
        base, outer = capacity + data, np.ones((1, 1))
        parts: list[Any] = [capacity, data, -capacity * self.log_n, -data * log_d]
        if "power" in self.terms:
            power = np.exp(np.clip(p["log_power"], -5, 5))
            log_base = np.log(base)
            base = _exp(power * log_base)
            # d base / d(part) by the chain rule, common to every part under the power
            outer = power * base / (capacity + data)
            by_power = power * base * log_base
        parts = [outer * part for part in parts]
        own = self.series[None, :] == np.arange(self.n_series)[:, None]
        parts += [np.where(mask, irreducible, 0.0) for mask in own]
        if "power" in self.terms:
            parts.append(by_power)
        if by_batch is not None:
            parts.append(outer * data * p["beta"] * by_batch)
        total = base + irreducible
        if self.log_c is not None:
            b = p["b"] if self.b is None else np.full((len(rows), 1), self.b)
            at_c, at_reference, scale = (
                _exp(-b * self.log_c),
                _exp(-b * self.log_reference),
                np.exp(self.log_k),
            )
            total = total + p["S"] * scale * (at_c - at_reference)
            parts.append(scale * (at_c - at_reference))
            if self.b is None:
                parts.append(p["S"] * scale * (self.log_reference * at_reference - self.log_c * at_c))
        positive = total > _LEAST
        total = np.where(positive, total, _LEAST)
        slopes = [np.where(positive, part / total, 0.0) for part in parts]
        log_factor, of_factor = self._aspect(p)
        return np.log(total) + log_factor, slopes + of_factor

    def objective(self, rows: FloatArray, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Sum over runs of Huber's loss on the log residual, in units of `huber`, with its gradient.

        `weights` (n_rows, n_runs) counts each run: a bootstrap sample's multiplicities, or 0 to leave out.
        """
        predicted, slopes = self.predict(rows)
        residual = predicted - self.log_loss
        size = np.abs(residual)
        value = np.where(size <= self.huber, 0.5 * residual**2 / self.huber, size - 0.5 * self.huber)
        pull = np.clip(residual / self.huber, -1.0, 1.0)
        if weights is not None:
            value, pull = weights * value, weights * pull
        columns = [np.einsum("ij,ij->i", pull, np.broadcast_to(s, pull.shape)) for s in slopes]
        return value.sum(axis=1), np.stack(columns, axis=1)

    def as_written(self, rows: FloatArray) -> FloatArray:
        """Rows with log A and log B as the law writes them, at N = 1 and D = 1."""
        out = rows.copy()
        out[..., 0] += rows[..., 2] * self.centre_n
        out[..., 1] += rows[..., 3] * self.centre_d
        return out

    def _effective_data(self, p: dict[str, FloatArray]) -> tuple[FloatArray, FloatArray | None]:
        """ln D' = ln D - ln((1 + batch/critical) / (1 + reference/critical)), and its slope.

        McCandlish et al. 2018 (arXiv:1812.06162): steps much larger than the critical batch waste
        tokens; at the reference batch D' is D.
        """
        if self.log_batch is None:
            return self.log_d, None
        critical = p["log_critical_batch"]
        waste = np.logaddexp(0, self.log_batch - critical) - np.logaddexp(0, -critical)
        return self.log_d - waste, _sigmoid(-critical) - _sigmoid(self.log_batch - critical)

    def _aspect(self, p: dict[str, FloatArray]) -> tuple[Any, list[FloatArray]]:
        if self.log_aspect is None:
            return 0.0, []
        folds = self.log_n + self.centre_n - np.log(_ASPECT_PARAMS)
        off = self.log_aspect - p["log_aspect"]
        if "drift" in self.terms:
            off = off - p["drift"] * folds
        by_best = -2 * p["kappa"] * off
        slopes = [off**2, by_best] + ([by_best * folds] if "drift" in self.terms else [])
        return p["kappa"] * off**2, slopes


def _exp(x: FloatArray) -> FloatArray:
    return np.asarray(np.exp(np.minimum(x, _EXP_MAX)))


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))
