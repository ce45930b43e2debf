"""11: interpolating positions after short training does the job instead."""

from __future__ import annotations

import numpy as np

from explorer import catalog, quality
from explorer.catalog.interpolation import interpolations
from explorer.claims import words
from explorer.claims.judged import terms
from explorer.claims.ledger.common import (
    corpora,
    nats,
)
from explorer.claims.records import Claim, Estimate, Variant
from explorer.claims.statistics import estimate
from explorer.cost.flops import flops

LONG_WINDOW = 32768.0
LATE_SHARE = 0.2
"""Share of the tokens at the long window: Xiong 2023 Table 11's shortest extension, a fifth."""
LATE, WHOLE = "32,768 for the last fifth", "32,768 throughout"


def interpolated_positions(law: quality.Law, n_draws: int, seed: int) -> Claim:
    """11: interpolating positions after short training does the job instead."""
    bare = interpolations()
    worst, best = min(bare, key=lambda r: r.gain), max(bare, key=lambda r: r.gain)
    staged = {c: _staged("llama-2-7b", c, law, n_draws, seed) for c in corpora()}
    books = staged["books"]
    variants = [
        Variant(
            axis="without further training",
            setting=f"{r.model}, {r.method}, {r.context_trained:,} to {r.context:,}",
            figure=1e3 * r.gain,
            unit="thousandths of a nat gained",
            verdict="holds" if r.gain > 0 else "fails",
        )
        for r in bare
    ]
    for corpus, row in staged.items():
        variants += [
            Variant(
                axis="with further training",
                setting=f"llama-2-7b, {name}, {corpus}",
                figure=1e3 * value.central,
                unit="thousandths of a nat gained",
                verdict="holds" if (value.p05 if value.p05 is not None else value.central) > 0
                else "fails" if (value.p95 if value.p95 is not None else value.central) <= 0 else "depends",
                note=words.nats(value),
            )
            for name, value in row.items()
        ]  # fmt: skip
    late, constant = books[LATE], books[WHOLE]
    return Claim(
        number=11,
        key="interpolation",
        statement="Interpolating positions (linear or NTK RoPE scaling) after short training does the "
        "job instead.",
        naive="Positions are rescaled for nothing, and the model reads any length.",
        full=f"Without further training the loss rises in every published pair, by {nats(-best.gain)} "
        f"({best.model}, {best.method}, {best.context:,} tokens) to {nats(-worst.gain)} ({worst.method}, "
        f"{worst.context:,}). With it, as a staged schedule at Llama-2-7B's own FLOPs (4,096, then 32,768 "
        f"for the last {LATE_SHARE:.0%} of the tokens), books gain {words.nats(late)}; 32,768 throughout "
        f"gains {words.nats(constant)}.",
        verdict="depends",
        figure=1e3 * late.central,
        unit="thousandths of a nat gained",
        figure_name="staged extension of Llama-2-7B to 32,768 on books, at its own FLOPs",
        reason="Interpolation by itself only limits the damage; training at the longer window afterwards "
        "is what brings the gain, and how much of it depends on the recovery r.",
        variants=tuple(variants),
        gaps=(
            "interpolation without further training on models and corpora other than these two: no "
            "published pairs whose protocol is known",
        ),
        sources=(*dict.fromkeys(r.source for r in bare), "Xiong et al. 2023 (arXiv:2309.16039) Table 11"),
    )


def _staged(model: str, corpus: str, law: quality.Law, n_draws: int, seed: int) -> dict[str, Estimate]:
    """Gain over the model's own schedule at its own training FLOPs."""
    row = catalog.model(model)
    design, own = row.design, float(row.context_length_pretrain)
    short = float(flops(design).train_per_token())
    long = float(flops(design.with_(context_length=LONG_WINDOW)).train_per_token())
    budget = float(row.n_tokens or 0.0) * short
    base = terms(design, np.array([own, LONG_WINDOW, LONG_WINDOW]), budget, law)
    share = np.array([0.0, 0.0, LATE_SHARE])
    tokens = budget / np.array([short, long, (1 - LATE_SHARE) * short + LATE_SHARE * long])
    given = base | {"n_tokens": tokens, "staged_from": np.array([0.0, 0.0, own]), "staged_share": share}
    central = np.asarray(quality.loss(quality.central(law, corpus), **given))
    draws = None
    if n_draws:
        draws = np.asarray(quality.loss(quality.posterior(law, corpus, n_draws, seed).coefficients, **given))
    return {
        name: estimate(
            float(central[0] - central[i]), draws[:, 0] - draws[:, i] if draws is not None else None
        )
        for name, i in ((WHOLE, 1), (LATE, 2))
    }
