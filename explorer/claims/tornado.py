"""Which prior moves the answer: variance shares and the answer at either end of every prior."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from explorer import quality
from explorer.claims.arms import VALUES, Outcome
from explorer.claims.records import Factor
from explorer.claims.setting import Setting, holds
from explorer.claims.statistics import classes, variance_share
from explorer.units import FloatArray

_LABELS: dict[str, tuple[str, str]] = {
    "nu": (
        "ν: how fast the benefit of context falls with model size",
        "loss against context at two model sizes on the same documents",
    ),
    "s": (
        "s: how much this corpus gains from context",
        "loss against context on documents of the corpus (explore fit --context)",
    ),
    "b": (
        "b: how fast the benefit of context levels off",
        "loss against context beyond 8,192 tokens on the corpus (explore fit --context)",
    ),
    "delta": (
        "δ: what training at a long window costs",
        "two runs of equal tokens from scratch, at a short and at a long window, judged on short text",
    ),
    "recovery_tokens": (
        "T½: tokens after which a late extension has recovered half of the gain",
        "one run extended late, its long-window loss read off at several token counts",
    ),
    "aspect": (
        "which aspect-ratio law holds",
        "runs of equal size at two ratios of width to depth, at the budget's own size",
    ),
    "size": (
        "what model size is worth (A, α)",
        "runs at two model sizes and equal tokens (explore fit)",
    ),
    "tokens": (
        "what training tokens are worth (B, β)",
        "runs of one model at two token counts (explore fit)",
    ),
}
"""Prior → its name in words, and the measurement that would settle it."""


def aspect_of(k: quality.Coefficients) -> NDArray[np.str_]:
    """The aspect choice of every draw: none, gemstones or levine."""
    n = k.n_draws or 1
    kappa, levine = np.broadcast_to(k.kappa, n), np.broadcast_to(k.levine, n)
    return np.where(kappa == 0, "none", np.where(levine > 0, "levine", "gemstones"))


def factors(
    setting: Setting, draws: quality.Posterior, found: Outcome, centre: Outcome
) -> tuple[Factor, ...]:
    """The tornado of the value of trading width on one corpus, the most telling prior first.

    Empty where no draw gives trading width any value: there is nothing to decompose.
    """
    width = found.value("width")
    answer = holds(setting, found)
    if float(np.ptp(width)) < 1e-12:
        return ()
    made = [_factor(name, values, width, answer) for name, values in _priors(setting, draws, centre).items()]
    return tuple(sorted(made, key=lambda f: -f.variance_share))


def deciders(setting: Setting, draws: quality.Posterior, found: Outcome, centre: Outcome) -> dict[str, str]:
    """Statement → the prior that explains most of its value's variance, and what would settle it.

    Statements whose value varies with no prior by itself are left out.
    """
    made = {}
    priors = _priors(setting, draws, centre)
    for statement, value in (
        ("holds", "width"),
        ("contexts_too_short", "context"),
        ("staged_better", "waiting"),
    ):
        if VALUES[value][1] not in found.arms:
            continue
        answer = found.value(value)
        if not np.isfinite(answer).all():
            continue
        shares = {name: variance_share(values, answer) for name, values in priors.items()}
        best = max(shares, key=lambda name: shares[name])
        if shares[best] > 0:
            label, decided_by = _LABELS[best]
            made[statement] = (
                f"{label} ({shares[best]:.0%} of the variance); what would settle it: {decided_by}"
            )
    return made


def _priors(setting: Setting, draws: quality.Posterior, centre: Outcome) -> dict[str, FloatArray]:
    """Prior → its value in every draw; those that do not vary are left out."""
    k, n = draws.coefficients, draws.n_draws
    a = centre.arms["A"]
    g = setting.grids[0]
    row, column = int(a.context[0]), int(a.shape[0])
    n_law = float(g.n_law[min(row, len(g.n_law) - 1), column])
    tokens = float(g.n_tokens[row, column])
    values: dict[str, Any] = {name: getattr(k, name) for name in ("nu", "s", "b", "delta", "recovery_tokens")}
    choices = list(quality.ASPECTS)
    values["aspect"] = np.array([choices.index(str(c)) for c in aspect_of(k)], dtype=float)
    # A and α (B and β) are correlated at .999: what arm A's own term loses per doubling stands for both.
    values["size"] = np.asarray(k.alpha * quality.capacity_term(k, n_law))
    values["tokens"] = np.asarray(k.beta * quality.data_term(k, tokens))
    if len(setting.grids) == 1:
        del values["recovery_tokens"]
    arrays = {name: np.broadcast_to(np.asarray(v, dtype=float), n) for name, v in values.items()}
    return {name: cast(FloatArray, v) for name, v in arrays.items() if np.ptp(v) > 0}


def _factor(name: str, values: FloatArray, width: FloatArray, answer: NDArray[np.bool_]) -> Factor:
    label, decided_by = _LABELS[name]
    categorical = name == "aspect"
    group = classes(values)
    sets = [group == g for g in np.unique(group)]
    means = [float(width[s].mean()) for s in sets]
    # A category has no low end: its least and most favourable choices stand at the ends.
    low, high = (int(np.argmin(means)), int(np.argmax(means))) if categorical else (0, len(sets) - 1)
    if categorical:
        ends = [quality.ASPECTS[int(values[sets[i]][0])] for i in (low, high)]
        label = f"{label} ({ends[0]} to {ends[1]})"
    return Factor(
        name=name,
        label=label,
        low=None if categorical else float(np.quantile(values, 0.1)),
        high=None if categorical else float(np.quantile(values, 0.9)),
        value_low=means[low],
        value_high=means[high],
        holds_low=float(answer[sets[low]].mean()),
        holds_high=float(answer[sets[high]].mean()),
        variance_share=variance_share(values, width),
        decided_by=decided_by,
    )
