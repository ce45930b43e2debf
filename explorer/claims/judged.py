"""A published model judged by the law at its own size, shape and training FLOPs: which context would it pick?

Parameters, width and depth stay; training FLOPs (model FLOPs, causal) stay, so a longer context
means fewer tokens. Contexts are a geometric grid fine enough that its steps do not show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer import catalog, quality
from explorer.claims.records import Estimate
from explorer.claims.statistics import estimate
from explorer.cost.flops import flops
from explorer.cost.parameters import parameters
from explorer.design import Design
from explorer.errors import Unsupported
from explorer.units import FloatArray

PER_OCTAVE = 32
SHORTEST, LONGEST = 512, 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One model on one corpus."""

    model: str
    corpus: str
    context_own: float
    d_model: float
    best_context: Estimate
    gain: Estimate
    """Loss at the model's own context less the loss at the law's pick, nats."""
    reaches_width: float
    """Probability that the law's pick is at least d_model; 0 or 1 without draws."""
    extrapolated: tuple[str, ...]


def judge(
    model: str, corpus: str, law: quality.Law, n_draws: int, seed: int = 0, *, nu: float | None = None
) -> Judged:
    """The context the law would pick for a catalogue model. Raises Unsupported without training tokens."""
    row = catalog.model(model)
    if row.n_tokens is None:
        raise Unsupported(f"{model}: its training tokens are not published")
    design, own = row.design, float(row.context_length_pretrain)
    budget = float(row.n_tokens) * float(flops(design).train_per_token())
    contexts = np.union1d(grid(), [own])
    given = terms(design, contexts, budget, law)
    at_own = int(np.flatnonzero(contexts == own)[0])

    centre = np.asarray(quality.loss(quality.central(law, corpus, nu=nu), **given))
    best = int(centre.argmin())
    draws, gains, reaches = None, None, float(contexts[best] >= design.d_model)
    if n_draws:
        k = quality.posterior(law, corpus, n_draws, seed, nu=nu).coefficients
        loss = np.asarray(quality.loss(k, **given))
        draws = contexts[loss.argmin(axis=1)]
        gains = loss[:, at_own] - loss.min(axis=1)
        reaches = float(np.mean(draws >= design.d_model))
    flags = quality.domain_flags(
        law,
        n_params=given["n_params"],
        n_tokens=given["n_tokens"][best],
        context_length=float(contexts[best]),
        aspect=given["aspect"],
    )
    return Judged(
        model=model,
        corpus=corpus,
        context_own=own,
        d_model=float(design.d_model),
        best_context=estimate(float(contexts[best]), draws),
        gain=estimate(float(centre[at_own] - centre[best]), gains),
        reaches_width=reaches,
        extrapolated=tuple(k for k, v in flags.items() if bool(np.any(v))),
    )


def grid() -> FloatArray:
    """Context lengths to choose from, whole tokens."""
    octaves = int(np.log2(LONGEST / SHORTEST))
    return np.rint(SHORTEST * 2.0 ** (np.arange(octaves * PER_OCTAVE + 1) / PER_OCTAVE))


def terms(design: Design, contexts: FloatArray, budget: float, law: quality.Law) -> dict[str, Any]:
    """What the loss takes of one shape over contexts, trained for `budget` FLOPs."""
    moved = design.with_(context_length=contexts)
    # A learned position table would grow with the context; the model's own size is kept.
    counts = parameters(design)
    n = counts.total if law.n_counts == "total" else counts.non_embedding
    return {
        "n_params": float(n),
        "n_tokens": budget / np.asarray(flops(moved).train_per_token()),
        "context_length": contexts,
        "aspect": float(design.d_model) / float(design.n_layers),
    }
