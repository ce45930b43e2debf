"""The law at its central values."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from explorer.catalog.corpora import Corpus
from explorer.catalog.corpora import corpus as find_corpus
from explorer.catalog.laws import Law
from explorer.quality.coefficients import DEFAULT_ASPECT, Coefficients, aspect_terms, centre_of, prior
from explorer.quality.monotone import highest_falling_nu


def central(
    law: Law,
    corpus: str | Corpus = "web",
    *,
    aspect: str = DEFAULT_ASPECT,
    nu: float | None = None,
    delta: float | None = None,
) -> Coefficients:
    """The law at its central values: published constants, midpoints of uniform priors, means of normal ones.

    `nu` and `delta` replace their central values (the verdict is always shown with nu = 0 beside it).
    A corpus that gains so much from context that the loss would rise with N gets the highest nu at which
    it does not, as in the draws that are kept. Raises UnknownName for a corpus or aspect choice that does
    not exist.
    """
    return _central(law, find_corpus(corpus), aspect, nu, delta)


@lru_cache(maxsize=256)
def _central(law: Law, corpus: Corpus, aspect: str, nu: float | None, delta: float | None) -> Coefficients:
    """`central`, kept: every claim and every chart asks for the same few."""
    own_b = corpus.exponent[0] if corpus.exponent is not None else centre_of(prior(law, "context", "b"))
    k = Coefficients(
        log_A=float(np.log(law.A)),
        log_B=float(np.log(law.B)),
        E=law.E,
        alpha=law.alpha,
        beta=law.beta,
        power=law.power,
        reference_context=law.reference_context,
        s=corpus.amplitude,
        K7=centre_of(prior(law, "context", "amplitude_7b")),
        nu=centre_of(prior(law, "context", "nu")) if nu is None else nu,
        b=own_b,
        delta=centre_of(prior(law, "context", "delta")) if delta is None else delta,
        recovery_tokens=centre_of(prior(law, "recovery", "half_tokens")),
        **aspect_terms(law, aspect),
    )
    return k if nu is not None else k.with_(nu=highest_falling_nu(k, law))
