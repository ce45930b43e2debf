"""4: LLaMA and Falcon should have used c ≥ d."""

from __future__ import annotations

from explorer import quality
from explorer.claims import words
from explorer.claims.blocks import published
from explorer.claims.crossings import quadratic_share
from explorer.claims.judged import Judged, judge
from explorer.claims.ledger.common import (
    JUDGED,
    context_range,
    corpora,
    gains,
)
from explorer.claims.records import Claim, Finding, Variant
from explorer.units import format_count

NO_BENEFIT = "short documents: the law models no benefit of context there, so it has no context to pick"


def published_contexts(law: quality.Law, n_draws: int, seed: int) -> Claim:
    """4: LLaMA and Falcon should have used c ≥ d."""
    found = {(m, c): judge(m, c, law, n_draws, seed) for m in JUDGED for c in corpora() if gains(c)}
    main = found["llama-2-70b", "books"]
    multiple = main.best_context.central / main.d_model
    calls = {c: {_reached(found[m, c]) for m in JUDGED[1:]} for c in corpora() if gains(c)}
    always = [c for c, said in calls.items() if said == {"holds"}]
    never = [c for c, said in calls.items() if said == {"fails"}]
    unsure = [c for c in calls if c not in (*always, *never)]
    llama, falcon = (quadratic_share(published(m)) for m in ("llama-2-70b", "falcon-180b"))
    return Claim(
        number=4,
        key="published-contexts",
        statement="LLaMA (d = 8192, c = 4096) and Falcon (d = 14848, c = 2048) should have used c ≥ d.",
        naive="c = d was free: attention would only then have cost as much as the feed-forward part.",
        full="At its own size and training FLOPs the law would pick, on books, c = "
        f"{context_range(main.best_context)} for Llama-2-70B (d = {main.d_model:,.0f}), worth "
        f"{words.nats(main.gain)}, and c = {context_range(found['falcon-180b', 'books'].best_context)} "
        f"for Falcon-180B. Their quadratic parts took {llama:.1%} and {falcon:.1%} of the model FLOPs "
        "(causal).",
        verdict="depends",
        figure=multiple,
        unit="× d",
        figure_name="the law's pick for Llama-2-70B on books",
        reason="It depends on what the model is for: the pick is at least d on "
        f"{words.listed(always) or 'no corpus'} (P ≥ 90%), below d on {words.listed(never) or 'none'}, "
        f"and open on {words.listed(unsure) or 'none'}; for short documents no context is better than "
        "another. c = d itself marks nothing.",
        variants=tuple(
            Variant(
                axis="corpus",
                setting=f"{m}, {c}",
                figure=j.best_context.central / j.d_model,
                unit="× d",
                verdict=_reached(j),
                note=f"c = {context_range(j.best_context)} worth {words.nats(j.gain)} over {j.context_own:,.0f}",
            )
            for (m, c), j in found.items()
        )
        + tuple(_no_pick(m, c) for m in JUDGED for c in corpora() if not gains(c)),
        table=(
            *(_judged_row(j) for j in found.values()),
            *(_no_pick_row(m, c) for m in JUDGED for c in corpora() if not gains(c)),
        ),
        gaps=(NO_BENEFIT, *_judged_gaps(found["llama-2-70b", "books"], law)),
        sources=("training tokens and shapes: catalogue of models", law.source),
    )


def _reached(j: Judged) -> Finding:
    return "holds" if j.reaches_width >= 0.9 else "fails" if j.reaches_width <= 0.1 else "depends"


def _judged_row(j: Judged) -> dict[str, float | str | None]:
    return {
        "model": j.model,
        "corpus": j.corpus,
        "context_own": j.context_own,
        "d_model": j.d_model,
        "context_best": j.best_context.central,
        "context_best_p05": j.best_context.p05,
        "context_best_p95": j.best_context.p95,
        "gain_nats": j.gain.central,
        "gain_p05": j.gain.p05,
        "gain_p95": j.gain.p95,
        "p_reaches_d": j.reaches_width,
        "outside_domain": ", ".join(j.extrapolated),
    }


def _no_pick(model: str, corpus: str) -> Variant:
    design = published(model)
    return Variant(
        axis="corpus",
        setting=f"{model}, {corpus}",
        figure=float(design.context_length) / float(design.d_model),
        unit="× d",
        verdict="fails",
        note="the law models no benefit of context here: the model's own stands",
    )


def _no_pick_row(model: str, corpus: str) -> dict[str, float | str | None]:
    design = published(model)
    return {
        "model": model,
        "corpus": corpus,
        "context_own": float(design.context_length),
        "d_model": float(design.d_model),
        "context_best": None,
        "context_best_p05": None,
        "context_best_p95": None,
        "gain_nats": 0.0,
        "gain_p05": 0.0,
        "gain_p95": 0.0,
        "p_reaches_d": 0.0,
        "outside_domain": "",
    }


def _judged_gaps(j: Judged, law: quality.Law) -> tuple[str, ...]:
    if not j.extrapolated:
        return ()
    low, high = law.domain.n_params
    return (
        f"{words.listed(list(j.extrapolated))} of these models lie outside what {law.name} was fitted on "
        f"({format_count(low)} to {format_count(high)} parameters): the picks are extrapolated",
    )
