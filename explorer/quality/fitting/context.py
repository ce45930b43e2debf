"""Estimate a corpus from measurements of loss against context length.

Per series nll(c) = g + s·K(N)·(c/2048)^-b · p, with p = 1 for the mean over a window and 1 - b for a
loss at the last position: the mean over positions 1..c of a·l^-b is a·c^-b / (1 - b). A sliding
window gives almost every token a context of c, so it counts as a position. Levels g differ between
series and say nothing; only differences over c do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.catalog.corpora import Corpus, corpus_row
from explorer.catalog.laws import priors
from explorer.files import write_text
from explorer.quality.coefficients import centre_of, quantile_of
from explorer.quality.fitting.losses import AMPLITUDE_PARAMS, PROTOCOLS, Losses, read_losses
from explorer.units import FloatArray

__all__ = ["PROTOCOLS", "ContextReport", "SeriesFit", "fit_context"]

_STEPS = 181
_WINDOW = 2048.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesFit:
    """One series' amplitude and how well the curve meets it."""

    name: str
    n: int
    n_params: float
    amplitude: float
    """s of this series alone, at the common exponent."""
    amplitude_interval: tuple[float, float]
    """5 and 95%."""
    rmse: float
    """Of the curve on the series' own rows, nats."""
    left_out_longest: float | None
    """Predicted less measured loss at the series' longest c, by the curve of its other rows; nats."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ContextReport:
    """A corpus estimated from losses, with what it rests on."""

    corpus: Corpus
    amplitude: float
    amplitude_interval: tuple[float, float]
    """5 and 95% over series and bootstrap: the corpus's range."""
    exponent: float
    exponent_interval: tuple[float, float]
    exponent_fitted: bool
    """False where no series has three windows: the exponent is the prior's then."""
    series: tuple[SeriesFit, ...]
    table: dict[str, list[Any]]
    """Rows used, by column: series, c, nll, protocol, predicted, residual."""
    notes: tuple[str, ...]

    def text(self) -> str:
        """The corpus file, in the form that `quality.corpus(path)` reads."""
        return json.dumps(corpus_row(self.corpus), indent=1) + "\n"

    def write(self, path: str | Path) -> None:
        """Save the corpus file."""
        write_text(Path(path), self.text())

    def summary(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return {
            "corpus": corpus_row(self.corpus),
            "amplitude": self.amplitude,
            "amplitude_interval": list(self.amplitude_interval),
            "exponent": self.exponent,
            "exponent_interval": list(self.exponent_interval),
            "exponent_fitted": self.exponent_fitted,
            "series": [{k: getattr(s, k) for k in s.__slots__} for s in self.series],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The report as text."""
        (s_low, s_high), (b_low, b_high) = self.amplitude_interval, self.exponent_interval
        held = "" if self.exponent_fitted else " (the prior's: no series has three windows)"
        out = [
            f"corpus {self.corpus.name}: amplitude s = {self.amplitude:.3g} [{s_low:.3g}, {s_high:.3g}]",
            f"exponent b = {self.exponent:.3g} [{b_low:.3g}, {b_high:.3g}]{held}",
        ]
        for s in self.series:
            low, high = s.amplitude_interval
            text = f"  {s.name}: {s.n} rows, s = {s.amplitude:.3g} [{low:.3g}, {high:.3g}], "
            text += f"rmse {s.rmse:.4f} nats"
            if s.left_out_longest is not None:
                text += f", longest c left out {s.left_out_longest:+.4f}"
            out.append(text)
        return out + [f"note: {n}" for n in self.notes]


def fit_context(
    rows: str | Path | Mapping[str, Any],
    *,
    name: str = "fitted",
    mapping: Mapping[str, str] | None = None,
    bootstraps: int = 1000,
    seed: int = 0,
) -> ContextReport:
    """A corpus's amplitude s and exponent b from rows of series, c, nll, protocol and optionally N.

    `rows` is a CSV path or a mapping of columns; `protocol` is one of `PROTOCOLS` and is converted to the
    mean over a window. Series share one exponent, within the range the law allows it, and have an
    amplitude each; the corpus's range is 5 to 95% over series and a bootstrap of residuals. Rows below
    the context term's domain are left out, and said so. Raises ExplorerError on unknown protocols, or
    where no series has two windows.
    """
    notes: list[str] = []
    losses = read_losses(rows, mapping or {}, notes)
    fitted_b = any(len(np.unique(losses.c[losses.series == i])) >= 3 for i in range(len(losses.names)))
    prior_b = priors()["context"]["b"]
    low, high = (float(v) for v in prior_b["within"])
    exponents, held, held_draws = np.linspace(low, high, _STEPS), None, None
    if not fitted_b:
        # Equally probable exponents of the prior, the middle one for the estimate.
        exponents = quantile_of(prior_b, (np.arange(_STEPS) + 0.5) / _STEPS)
        held = np.array([len(exponents) // 2])
        held_draws = np.arange(max(bootstraps, 1)) % len(exponents)
        notes.append(
            "no series has three windows: b is the prior's, and with no scatter to be seen the interval of s "
            "is what b leaves open"
        )
    designs = _designs(losses, exponents)
    best, amplitudes, fitted = _solve(losses, designs, losses.nll[None, :], held)
    residual = losses.nll - fitted[0]
    resampled = fitted[0] + _resampled(losses, residual, bootstraps, seed)
    b_draws, s_draws, _ = _solve(losses, designs, resampled, held_draws)
    b = float(exponents[best[0]])
    b_interval = _percentiles(exponents[b_draws])
    b_sd = float(exponents[b_draws].std())
    if b in (exponents[0], exponents[-1]) or b_interval[1] - b_interval[0] > 0.5:
        notes.append("these rows hardly determine b: amplitude and exponent trade against each other")
    notes += _rising(losses)
    falling = np.maximum(s_draws, 0.0)
    if np.any(amplitudes[0] < 0):
        notes.append("a series' loss rises with c: its amplitude counts as 0")
    interval = _percentiles(falling)
    corpus = Corpus(
        name=name,
        amplitude_low=interval[0],
        amplitude_high=interval[1],
        exponent=(b, max(b_sd, 0.01)),
        source=f"explore fit --context: {len(losses.c)} rows of {len(losses.names)} series",
        description="Amplitude relative to K(N) of the context term; 5 to 95% over series and bootstrap.",
    )
    return ContextReport(
        corpus=corpus,
        amplitude=float(np.mean(np.maximum(amplitudes[0], 0.0))),
        amplitude_interval=interval,
        exponent=b,
        exponent_interval=b_interval,
        exponent_fitted=fitted_b,
        series=_series_fits(losses, amplitudes[0], s_draws, residual, exponents),
        table={
            "series": [losses.names[i] for i in losses.series],
            "c": losses.c.tolist(),
            "nll": losses.nll.tolist(),
            "protocol": list(losses.protocol),
            "predicted": fitted[0].tolist(),
            "residual": (-residual).tolist(),
        },
        notes=tuple(notes),
    )


def _designs(losses: Losses, exponents: FloatArray) -> FloatArray:
    """K(N)·(c/2048)^-b·p, centred within each series: (n_exponents, n_rows)."""
    nu = centre_of(priors()["context"]["nu"])
    scale = centre_of(priors()["context"]["amplitude_7b"]) * (losses.n_params / AMPLITUDE_PARAMS) ** -nu
    b = exponents[:, None]
    last = np.array([p != "window" for p in losses.protocol])
    x = scale * (losses.c / _WINDOW) ** -b * np.where(last, 1 - b, 1.0)
    return x - _means(x, losses)


def _solve(
    losses: Losses, designs: FloatArray, nll: FloatArray, held: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
    """Least squares per row of `nll` (n, n_rows): exponent's index (n,), amplitudes (n, n_series), curve.

    Given the exponent every series' amplitude is a ratio of sums, so the exponent is found by
    looking at all of its grid; `held` (n,) are indices of exponents not to be searched.
    """
    y = nll - _means(nll, losses)
    member = (losses.series[:, None] == np.arange(len(losses.names))).astype(float)
    squares = designs**2 @ member  # (n_exponents, n_series)
    products = np.einsum("er,nr,rs->nes", designs, y, member, optimize=True)
    explained = (products**2 / squares).sum(axis=2)
    best = np.argmax(explained, axis=1) if held is None else held
    amplitudes = products[np.arange(len(y)), best] / squares[best]
    curve = amplitudes[:, losses.series] * designs[best] + _means(nll, losses)
    return best, amplitudes, curve


def _resampled(losses: Losses, residual: FloatArray, n: int, seed: int) -> FloatArray:
    """Residuals drawn anew within each series (n, n_rows), widened for the parameters fitted."""
    rng = np.random.default_rng(seed)
    out = np.zeros((max(n, 1), len(residual)))
    pooled = max(float(np.sqrt(np.mean(residual**2))), 1e-12)
    for i in range(len(losses.names)):
        mine = np.flatnonzero(losses.series == i)
        spare = len(mine) - 2
        if spare > 0:
            own = residual[mine] * np.sqrt(len(mine) / spare)
            out[:, mine] = rng.choice(own, size=(len(out), len(mine)))
        else:  # two rows fit any curve: the other series' scatter is what is known
            out[:, mine] = pooled * rng.standard_normal((len(out), len(mine)))
    return out


def _rising(losses: Losses) -> list[str]:
    """A note per series whose loss at some window is above that at a shorter one."""
    notes = []
    for i, name in enumerate(losses.names):
        mine = np.flatnonzero(losses.series == i)
        order = mine[np.argsort(losses.c[mine], kind="stable")]
        up = np.flatnonzero(np.diff(losses.nll[order]) > 0)
        if len(up):
            at = ", ".join(f"{losses.c[order[k + 1]]:g}" for k in up)
            notes.append(
                f"{name}: loss rises with the window at c = {at}; a model that cannot use c fits no term"
            )
    return notes


def _series_fits(
    losses: Losses, amplitudes: FloatArray, draws: FloatArray, residual: FloatArray, exponents: FloatArray
) -> tuple[SeriesFit, ...]:
    fits = []
    for i, name in enumerate(losses.names):
        mine = losses.series == i
        fits.append(
            SeriesFit(
                name=name,
                n=int(mine.sum()),
                n_params=float(losses.n_params[mine][0]),
                amplitude=float(amplitudes[i]),
                amplitude_interval=_percentiles(draws[:, i]),
                rmse=float(np.sqrt(np.mean(residual[mine] ** 2))),
                left_out_longest=_longest_left_out(losses, i, exponents),
            )
        )
    return tuple(fits)


def _longest_left_out(losses: Losses, i: int, exponents: FloatArray) -> float | None:
    """Error at series i's longest c of the curve fitted to everything but that row."""
    mine = np.flatnonzero(losses.series == i)
    longest = mine[np.argmax(losses.c[mine])]
    kept = np.arange(len(losses.c)) != longest
    if len(np.unique(losses.c[mine])) < 4:
        return None
    rest = losses.rows(kept)
    best, amplitudes, _ = _solve(rest, _designs(rest, exponents), rest.nll[None, :])
    # Centred within the series: shift by the difference of the two centres at the same exponent.
    whole = _designs(losses, exponents)[best[0]]
    others = mine[mine != longest]
    level = losses.nll[others].mean() - amplitudes[0, i] * whole[others].mean()
    return float(level + amplitudes[0, i] * whole[longest] - losses.nll[longest])


def _means(values: FloatArray, losses: Losses) -> FloatArray:
    """Mean over each row's series, along the last axis."""
    member = (losses.series[:, None] == np.arange(len(losses.names))).astype(float)
    return np.asarray((values @ member / member.sum(axis=0))[..., losses.series])


def _percentiles(values: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(values, (0.05, 0.95))
    return float(low), float(high)
