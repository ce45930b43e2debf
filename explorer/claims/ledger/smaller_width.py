"""6: a smaller width with a longer context makes more sense."""

from __future__ import annotations

from typing import Any

import numpy as np

from explorer import quality
from explorer.claims import words
from explorer.claims.arms import Outcome, groups, solve
from explorer.claims.ledger.common import (
    BUDGETS,
    centre,
    corpora,
    gains,
    nats,
)
from explorer.claims.records import Claim, Finding, Variant
from explorer.claims.statistics import estimate
from explorer.claims.unlimited import REFERENCE, TOKENS_PER_PARAM, landscape
from explorer.units import format_count

MIN_GAIN = 0.05
"""What pays, as extra training compute (the budget file's default)."""


def smaller_width(law: quality.Law, n_draws: int, seed: int) -> Claim:
    """6: a smaller width with a longer context makes more sense."""
    rows: list[dict[str, Any]] = []
    variants: list[Variant] = []
    draws = {c: quality.posterior(law, c, n_draws, seed, aspect="none") for c in corpora()} if n_draws else {}
    kept_together = groups(draws)
    for n in BUDGETS:
        g = landscape(n, per_octave=12)
        middle = solve([g], REFERENCE, {c: centre(law, c) for c in corpora()})
        zero = solve([g], REFERENCE, {c: centre(law, c, 0.0) for c in corpora()})
        drawn: dict[str, Outcome] = {}
        for group in kept_together:
            drawn |= solve([g], REFERENCE, group)
        for corpus in corpora():
            own, found = middle[corpus], drawn.get(corpus)
            shown = found or own
            a, c = own.arms["A"], own.arms["C"]
            narrower = g.d_model[shown.arms["C"].shape] < g.d_model[shown.arms["A"].shape]
            long = g.contexts[shown.arms["C"].context] >= g.d_model[shown.arms["C"].shape]
            p = float(np.mean(narrower & long & (shown.compute["width"] >= MIN_GAIN)))
            width = estimate(own.value("width")[0], found.value("width") if found is not None else None)
            context = estimate(own.value("context")[0], found.value("context") if found is not None else None)
            rows.append(
                {
                    "budget_params": n,
                    "corpus": corpus,
                    "context_best": float(g.contexts[c.context[0]]),
                    "n_params_best": float(g.n_law[0, c.shape[0]]),
                    "d_model_best": float(g.d_model[c.shape[0]]),
                    "d_model_short": float(g.d_model[a.shape[0]]),
                    "value_of_context_nats": context.central,
                    "value_of_width_nats": width.central,
                    "value_of_width_p95": width.p95,
                    "value_of_width_nu_zero": float(zero[corpus].value("width")[0]),
                    "p_holds": p,
                }
            )
            variants.append(
                Variant(
                    axis="budget and corpus",
                    setting=f"{format_count(n)} × {TOKENS_PER_PARAM:g} tokens, {corpus}",
                    figure=1e3 * width.central,
                    unit="thousandths of a nat",
                    verdict="holds" if p >= 0.9 else "fails" if p <= 0.1 else "depends",
                    note=f"{words.percent(p)}; a longer context alone is worth {words.nats(context)}"
                    if gains(corpus)
                    else "the law models no benefit of context",
                )
            )
    main = next(r for r in rows if r["budget_params"] == 7e9 and r["corpus"] == "books")
    code = next(r for r in rows if r["budget_params"] == 7e9 and r["corpus"] == "code")
    chances = [float(r["p_holds"]) for r in rows]
    verdict: Finding = "holds" if min(chances) >= 0.9 else "fails" if max(chances) <= 0.1 else "depends"
    most = max(rows, key=lambda r: float(r["p_holds"]))
    return Claim(
        number=6,
        key="smaller-width",
        statement="A smaller width with a longer context makes more sense.",
        naive="Width costs d², context c²: trade one for the other until c = d.",
        full="On the training FLOPs of a 7B model with nothing else to limit it, the best on books is c "
        f"= {main['context_best']:,.0f} at {format_count(main['n_params_best'])} parameters: the longer "
        f"context is worth {nats(main['value_of_context_nats'])}, the smaller width "
        f"{nats(main['value_of_width_nats'])} more ({nats(main['value_of_width_nu_zero'])} if the benefit "
        "of context does not depend on size). On code the smaller width is worth "
        f"{nats(code['value_of_width_nats'])}.",
        verdict=verdict,
        figure=1e3 * float(main["value_of_width_nats"]),
        unit="thousandths of a nat",
        figure_name="value of trading width at the compute of 7B, on books",
        reason="A longer context pays by itself wherever the corpus gains from context; shrinking the "
        f"width for it adds little and rests on ν. Most likely for {format_count(most['budget_params'])} "
        f"on {most['corpus']} ({words.percent(most['p_holds'])}). Your own budget's answer is the trade "
        "of `explore run`.",
        variants=tuple(variants),
        table=tuple(rows),
        gaps=("memory and parameter limits: they belong to a budget",),
        sources=(law.source, "Xiong et al. 2023 (arXiv:2309.16039) for the context term"),
    )
