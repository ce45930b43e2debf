"""Joint draws of everything the loss rests on, seeded, less those that contradict the law's sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np

from explorer.catalog.corpora import Corpus
from explorer.catalog.corpora import corpus as find_corpus
from explorer.catalog.laws import Domain, Law
from explorer.errors import ExplorerError, UnknownName
from explorer.quality.centre import central
from explorer.quality.coefficients import ASPECTS, Coefficients, centre_of, prior, quantile_of
from explorer.quality.law import law as find_law
from explorer.quality.monotone import rises
from explorer.quality.terms import loss
from explorer.units import FloatArray, Num

# One column of the seeded table per uncertain quantity: fixing one leaves all others as they were.
_COLUMNS = ("row", "s", "nu", "b", "delta", "recovery", "aspect", "kappa", "log_aspect", "drift")
_LEVELS = (0.05, 0.5, 0.95)
# Draws made at once: those who ask for fewer share them.
_MADE = 300
# Proposals per kept draw before giving up: a law that loses this many contradicts its own form.
_PATIENCE = 64


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Posterior:
    """Draws of a law's coefficients on one corpus."""

    law: Law
    corpus: Corpus
    coefficients: Coefficients
    """Arrays of shape (n_draws,)."""
    rows: np.ndarray[Any, np.dtype[np.int64]]
    """Which proposals of the seeded sequence were kept. The sequence is the same for every corpus,
    aspect choice and fixed nu, so draws with equal rows may be compared in pairs."""
    rejected_share: float
    """Share of proposals in which loss rises with N or D somewhere in the domain."""
    seed: int
    assumptions: tuple[str, ...]

    @property
    def n_draws(self) -> int:
        """How many draws were kept."""
        return len(self.rows)

    def first(self, n_draws: int) -> Posterior:
        """The first draws alone, as if no more had been asked for."""
        rows = self.rows[:n_draws]
        return replace(
            self,
            coefficients=self.coefficients.take(slice(n_draws)),
            rows=rows,
            rejected_share=_rejected(rows),
        )


def posterior(
    law: Law | str,
    corpus: Corpus | str,
    n_draws: int = 300,
    seed: int = 0,
    *,
    aspect: str = "mixed",
    nu: float | None = None,
    delta: float | None = None,
    region: Domain | None = None,
) -> Posterior:
    """Joint draws of all terms, exactly `n_draws` of them.

    The law's own constants come as whole bootstrap rows; amplitude, nu, b, delta, recovery and aspect
    from the priors of the catalogue (or the law's and corpus's own). `aspect` is `mixed` or one of
    `ASPECTS`; `nu` and `delta` hold a term fixed. A draw in which loss rises with N or D anywhere in
    the law's domain - or in `region`, where that is given too - is rejected. Same arguments, same draws.
    """
    if n_draws < 1:
        raise ExplorerError(f"n_draws must be at least 1, got {n_draws}")
    made = _posterior(
        find_law(law), find_corpus(corpus), max(n_draws, _MADE), seed, aspect, nu, delta, region
    )
    return made if n_draws == made.n_draws else made.first(n_draws)


@lru_cache(maxsize=64)
def _posterior(
    law: Law,
    corpus: Corpus,
    n_draws: int,
    seed: int,
    aspect: str,
    nu: float | None,
    delta: float | None,
    region: Domain | None,
) -> Posterior:
    """`posterior`, kept: several claims are judged in the same draws."""
    n_proposed = n_draws
    while True:
        proposed = _propose(law, corpus, n_proposed, seed, aspect, nu, delta)
        kept = ~rises(proposed, law, law.domain)
        if region is not None:
            kept &= ~rises(proposed, law, region)
        rows = np.flatnonzero(kept)
        if len(rows) >= n_draws:
            break
        if n_proposed >= _PATIENCE * n_draws:
            raise ExplorerError(
                f"law '{law.name}' on corpus '{corpus.name}': loss must fall with N and D in its domain, "
                f"but rises in {n_proposed - len(rows)} of {n_proposed} draws; narrow the corpus's "
                "amplitude or the law's domain"
            )
        n_proposed *= 2
    rows = rows[:n_draws]
    return Posterior(
        law=law,
        corpus=corpus,
        coefficients=proposed.take(rows),
        rows=rows,
        rejected_share=_rejected(rows),
        seed=seed,
        assumptions=_assumptions(law, corpus, aspect, nu, delta),
    )


def _rejected(rows: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """Share of the proposals up to the last that was kept that were not."""
    return float(1 - len(rows) / (rows[-1] + 1))


def interval(values: FloatArray, axis: int = 0) -> FloatArray:
    """5, 50 and 95% quantiles over the draws: shape (3, *S) from (n_draws, *S)."""
    return cast(FloatArray, np.quantile(values, _LEVELS, axis=axis))


def loss_interval(draws: Posterior | Coefficients, *, chunk: int = 8192, **design: Any) -> FloatArray:
    """5, 50 and 95% of the loss per design: (3, *S), in blocks of at most `chunk` designs.

    Takes the keyword arguments of `loss`, which may broadcast; memory stays constant.
    """
    k = draws.coefficients if isinstance(draws, Posterior) else draws
    names = [n for n, v in design.items() if v is not None]
    flat = np.broadcast_arrays(*(np.asarray(design[n], dtype=float) for n in names))
    shape = flat[0].shape
    columns = dict(zip(names, (np.ravel(v) for v in flat), strict=True))
    out = np.empty((len(_LEVELS), int(np.prod(shape))))
    for start in range(0, out.shape[1], chunk):
        block: dict[str, Any] = {n: v[start : start + chunk] for n, v in columns.items()}
        values = loss(k, **{"aspect": None, **block})
        out[:, start : start + chunk] = interval(cast(FloatArray, values)) if k.n_draws else values
    return out.reshape(len(_LEVELS), *shape)


def _propose(
    law: Law, corpus: Corpus, n: int, seed: int, aspect: str, nu: float | None, delta: float | None
) -> Coefficients:
    """The first `n` proposals of the sequence of `seed`; a longer call begins with the same ones."""
    table = np.random.default_rng(seed).random((n, len(_COLUMNS)))
    u = dict(zip(_COLUMNS, table.T, strict=True))
    b = prior(law, "context", "b")
    if corpus.exponent is not None:
        b = {"normal": list(corpus.exponent), "within": b.get("within", [0.05, 2.0])}
    return Coefficients(
        **_law_terms(law, u["row"]),
        reference_context=law.reference_context,
        s=corpus.amplitude_low + u["s"] * (corpus.amplitude_high - corpus.amplitude_low),
        K7=centre_of(prior(law, "context", "amplitude_7b")),
        nu=_fixed_or(nu, prior(law, "context", "nu"), u["nu"]),
        b=quantile_of(b, u["b"]),
        delta=_fixed_or(delta, prior(law, "context", "delta"), u["delta"]),
        recovery_tokens=quantile_of(prior(law, "recovery", "half_tokens"), u["recovery"]),
        **_aspect_terms(law, aspect, u),
    )


def _law_terms(law: Law, u: FloatArray) -> dict[str, Num]:
    """The law's constants per proposal: its central values plus one whole row of deviations each."""
    centre: dict[str, Num] = {
        "log_A": float(np.log(law.A)),
        "log_B": float(np.log(law.B)),
        "power": law.power,
    }
    centre |= {"E": law.E, "alpha": law.alpha, "beta": law.beta}
    if law.deviations is None:
        return {k: v if k == "power" else np.full_like(u, v) for k, v in centre.items()}
    rows = law.deviations[(u * len(law.deviations)).astype(int)]
    drawn = dict(zip(law.deviation_names, rows.T, strict=True))
    terms = {k: centre[k] + drawn[k] for k in ("log_A", "log_B", "alpha", "beta")}
    terms["E"] = law.E * np.exp(drawn["log_E"])
    terms["power"] = law.power * np.exp(drawn["log_power"]) if "log_power" in drawn else law.power
    return terms


def _aspect_terms(law: Law, aspect: str, u: Mapping[str, FloatArray]) -> dict[str, Num]:
    if aspect != "mixed" and aspect not in ASPECTS:
        raise UnknownName("aspect choice", aspect, ("mixed", *ASPECTS))
    weights = prior(law, "aspect", "weights")["value"]
    share = np.array(
        [float(weights[name]) if aspect == "mixed" else float(name == aspect) for name in ASPECTS]
    )
    # Equal to a cumulative share belongs to the next choice, so that a share of 0 is never taken.
    choice = np.searchsorted(np.cumsum(share / share.sum()), u["aspect"], side="right").clip(
        max=len(ASPECTS) - 1
    )
    terms: dict[str, FloatArray] = {
        "kappa": quantile_of(prior(law, "aspect", "curvature"), u["kappa"]),
        "log_aspect": np.log(quantile_of(prior(law, "aspect", "optimum"), u["log_aspect"])),
        "drift": quantile_of(prior(law, "aspect", "drift"), u["drift"]),
    }
    if law.deviations is not None:  # a law fitted with shapes draws them with its other constants
        rows = law.deviations[(u["row"] * len(law.deviations)).astype(int)]
        drawn = dict(zip(law.deviation_names, rows.T, strict=True))
        terms |= {k: v + drawn[k] for k, v in terms.items() if k in drawn}
    return {
        "kappa": np.where(choice == ASPECTS.index("none"), 0.0, terms["kappa"]),
        "log_aspect": terms["log_aspect"],
        "aspect_drift": terms["drift"],
        "levine": np.where(choice == ASPECTS.index("levine"), 1.0, 0.0),
    }


def _fixed_or(fixed: float | None, record: dict[str, Any], u: FloatArray) -> FloatArray:
    return quantile_of(record, u) if fixed is None else np.full_like(u, fixed)


def _assumptions(
    law: Law, corpus: Corpus, aspect: str, nu: float | None, delta: float | None
) -> tuple[str, ...]:
    centre = central(law, corpus).nu
    lowered = f" (central value {centre:.3g}: at a higher one the loss would rise with N)"
    if nu is not None or centre == centre_of(prior(law, "context", "nu")):
        lowered = ""
    nu_prior, delta_prior = (prior(law, "context", k).get("uniform") for k in ("nu", "delta"))
    return (
        f"law {law.name}: {law.deviations_note or 'whole rows of its own bootstrap'}",
        f"corpus {corpus.name}: amplitude uniform in [{corpus.amplitude_low:g}, {corpus.amplitude_high:g}]",
        f"nu {f'uniform in {nu_prior}' if nu is None else f'held at {nu:g}'}{lowered}; "
        f"delta {f'uniform in {delta_prior}' if delta is None else f'held at {delta:g}'}",
        f"aspect factor: {'mixture of ' + ', '.join(ASPECTS) if aspect == 'mixed' else aspect}",
    )
