"""Claims about what context is worth: published models, short windows, width, benchmarks, extension."""

from __future__ import annotations

from typing import Any

import numpy as np

from explorer import catalog, quality
from explorer.catalog.interpolation import interpolations
from explorer.claims import words
from explorer.claims.arms import losses_at, solve
from explorer.claims.blocks import published
from explorer.claims.crossings import attention_seconds, quadratic_share, saved_bytes
from explorer.claims.judged import Judged, judge, terms
from explorer.claims.records import Claim, Estimate, Finding, Variant
from explorer.claims.statistics import estimate
from explorer.claims.unlimited import REFERENCE, TOKENS_PER_PARAM, landscape
from explorer.cost.flops import flops
from explorer.cost.hardware import Hardware
from explorer.design import Plan
from explorer.units import format_count

JUDGED = ("gpt3-175b", "llama-65b", "llama-2-70b", "falcon-180b")
BUDGETS = (1e9, 7e9, 70e9)
NO_BENEFIT = "short documents: the law models no benefit of context there, so it has no context to pick"
MIN_GAIN = 0.05
"""What pays, as extra training compute (the budget file's default)."""


def published_contexts(law: quality.Law, n_draws: int, seed: int) -> Claim:
    """4: LLaMA and Falcon should have used c ≥ d."""
    found = {(m, c): judge(m, c, law, n_draws, seed) for m in JUDGED for c in _corpora() if _gains(c)}
    main = found["llama-2-70b", "books"]
    multiple = main.best_context.central / main.d_model
    calls = {c: {_reached(found[m, c]) for m in JUDGED[1:]} for c in _corpora() if _gains(c)}
    always = [c for c, said in calls.items() if said == {"holds"}]
    never = [c for c, said in calls.items() if said == {"fails"}]
    unsure = [c for c in calls if c not in (*always, *never)]
    llama, falcon = (quadratic_share(published(m)) for m in ("llama-2-70b", "falcon-180b"))
    return Claim(
        number=4,
        key="published-contexts",
        statement="LLaMA (d = 8192, c = 4096) and Falcon (d = 14848, c = 2048) should have used c ≥ d.",
        naive="c = d was free: attention would only then have cost as much as the feed-forward part.",
        full="At its own size and training FLOPs the law would pick, on books, "
        f"c = {_context(main.best_context)} for Llama-2-70B (d = {main.d_model:,.0f}), worth "
        f"{words.nats(main.gain)}, and c = {_context(found['falcon-180b', 'books'].best_context)} for "
        "Falcon-180B. "
        f"Their quadratic parts took {llama:.1%} and {falcon:.1%} of the model FLOPs (causal).",
        verdict="depends",
        figure=multiple,
        unit="× d",
        figure_name="the law's pick for Llama-2-70B on books",
        reason="It depends on what the model is for: the pick is at least d on "
        f"{words.listed(always) or 'no corpus'} (P ≥ 90%), below d on {words.listed(never) or 'none'}, and "
        "open on "
        f"{words.listed(unsure) or 'none'}; for short documents no context is better than another. c = d "
        "itself "
        "marks nothing.",
        variants=tuple(
            Variant(
                axis="corpus",
                setting=f"{m}, {c}",
                figure=j.best_context.central / j.d_model,
                unit="× d",
                verdict=_reached(j),
                note=f"c = {_context(j.best_context)} worth {words.nats(j.gain)} over {j.context_own:,.0f}",
            )
            for (m, c), j in found.items()
        )
        + tuple(_no_pick(m, c) for m in JUDGED for c in _corpora() if not _gains(c)),
        table=(
            *(_judged_row(j) for j in found.values()),
            *(_no_pick_row(m, c) for m in JUDGED for c in _corpora() if not _gains(c)),
        ),
        gaps=(NO_BENEFIT, *_judged_gaps(found["llama-2-70b", "books"], law)),
        sources=("training tokens and shapes: catalogue of models", law.source),
    )


def short_for_cheapness() -> Claim:
    """5: short windows were chosen for cheaper training."""
    rows: list[dict[str, Any]] = []
    for name in JUDGED:
        design = published(name)
        wide = design.with_(context_length=float(design.d_model))
        dearer = float(flops(wide).train_per_token() / flops(design).train_per_token()) - 1
        bytes_ratio = {
            kernel: saved_bytes(wide, _plan(kernel)) / saved_bytes(design, _plan(kernel))
            for kernel in ("naive", "flash")
        }
        rows.append(
            {
                "model": name,
                "context_length": float(design.context_length),
                "d_model": float(design.d_model),
                "extra_flops_at_c_equal_d": dearer,
                "extra_seconds_flash": _dearer_seconds(name, "flash"),
                "extra_seconds_naive": _dearer_seconds(name, "naive"),
                "saved_bytes_ratio_naive": bytes_ratio["naive"],
                "saved_bytes_ratio_flash": bytes_ratio["flash"],
            }
        )
    main = next(r for r in rows if r["model"] == "llama-2-70b")
    gpt3 = next(r for r in rows if r["model"] == "gpt3-175b")
    return Claim(
        number=5,
        key="cheaper-training",
        statement="Short windows were chosen for cheaper training.",
        naive="c² makes a window of d twice as dear as a short one.",
        full=f"c = d would have cost Llama-2-70B {main['extra_flops_at_c_equal_d']:.1%} more training "
        "FLOPs and "
        f"{main['extra_seconds_flash']:.0%} more time with flash attention. With the naive kernels of "
        "2020, GPT-3 would "
        f"have kept {gpt3['saved_bytes_ratio_naive']:.1f} times the activations and taken "
        f"{gpt3['extra_seconds_naive']:.0%} more time.",
        verdict="depends",
        figure=100 * float(main["extra_flops_at_c_equal_d"]),
        unit="% more training FLOPs",
        figure_name="what c = d instead of 4,096 would have cost Llama-2-70B",
        reason="True of kernels that write the scores to memory; with flash attention the saving is a few "
        "percent.",
        variants=tuple(
            Variant(axis=axis, setting=f"{r['model']}, {kernel}", figure=figure, unit=unit, verdict=verdict)
            for r in rows
            for axis, kernel, figure, unit, verdict in _cheapness(r)
        ),
        table=tuple(rows),
        gaps=(
            "why their authors chose these windows: what is computed is what a longer one would have cost",
        ),
        sources=("FLOPs, ledger and roofline of the cost model on a100-sxm-80gb",),
    )


def smaller_width(law: quality.Law, n_draws: int, seed: int) -> Claim:
    """6: a smaller width with a longer context makes more sense."""
    rows: list[dict[str, Any]] = []
    variants: list[Variant] = []
    for n in BUDGETS:
        g = landscape(n, per_octave=12)
        centre = solve([g], REFERENCE, {c: _centre(law, c) for c in _corpora()})
        zero = solve([g], REFERENCE, {c: _centre(law, c, 0.0) for c in _corpora()})
        for corpus in _corpora():
            draws = quality.posterior(law, corpus, n_draws, seed, aspect="none") if n_draws else None
            found = solve([g], REFERENCE, {corpus: draws.coefficients})[corpus] if draws is not None else None
            own, shown = centre[corpus], found or centre[corpus]
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
                    if _gains(corpus)
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
        full=f"On the training FLOPs of a 7B model with nothing else to limit it, the best on books is "
        f"c = {main['context_best']:,.0f} at {format_count(main['n_params_best'])} parameters: the longer "
        "context is "
        f"worth {_nats(main['value_of_context_nats'])}, the smaller width "
        f"{_nats(main['value_of_width_nats'])} more "
        f"({_nats(main['value_of_width_nu_zero'])} if the benefit of context does not depend on size). On "
        "code the "
        f"smaller width is worth {_nats(code['value_of_width_nats'])}.",
        verdict=verdict,
        figure=1e3 * float(main["value_of_width_nats"]),
        unit="thousandths of a nat",
        figure_name="value of trading width at the compute of 7B, on books",
        reason="A longer context pays by itself wherever the corpus gains from context; shrinking the "
        "width for it "
        f"adds little and rests on ν. Most likely for {format_count(most['budget_params'])} on "
        f"{most['corpus']} "
        f"({words.percent(most['p_holds'])}). Your own budget's answer is the trade of `explore run`.",
        variants=tuple(variants),
        table=tuple(rows),
        gaps=("memory and parameter limits: they belong to a budget",),
        sources=(law.source, "Xiong et al. 2023 (arXiv:2309.16039) for the context term"),
    )


def not_in_benchmarks(law: quality.Law, n_draws: int, seed: int) -> Claim:
    """7: it would not show in short benchmarks."""
    rows: list[dict[str, Any]] = []
    for n in BUDGETS:
        g = landscape(n, per_octave=12)
        books = _centre(law, "books")
        c = solve([g], REFERENCE, {"x": books})["x"].arms
        pair = [(0, int(c[arm].context[0]), int(c[arm].shape[0])) for arm in ("A", "C")]
        central = losses_at([g], pair, _centre(law, "short"))[0]
        draws = (
            losses_at([g], pair, quality.posterior(law, "short", n_draws, seed, aspect="none").coefficients)
            if n_draws
            else None
        )
        lost = estimate(central[1] - central[0], draws[:, 1] - draws[:, 0] if draws is not None else None)
        gain = losses_at([g], pair, books)[0]
        fewer = losses_at([g], pair, _centre(law, "short").with_(delta=0.0))[0]
        rows.append(
            {
                "budget_params": n,
                "context_length": float(g.contexts[pair[1][1]]),
                "loss_on_short_nats": lost.central,
                "loss_on_short_p05": lost.p05,
                "loss_on_short_p95": lost.p95,
                "of_which_fewer_tokens_nats": float(fewer[1] - fewer[0]),
                "gain_on_books_nats": float(gain[0] - gain[1]),
            }
        )
    main = rows[1]
    return Claim(
        number=7,
        key="short-benchmarks",
        statement="It would not show in short benchmarks.",
        naive="A benchmark shorter than the window never uses it.",
        full=f"At the compute of 7B the design that gains {_nats(main['gain_on_books_nats'])} on books (c = "
        f"{main['context_length']:,.0f}) loses {_nats(main['loss_on_short_nats'])} on short documents: "
        f"{_nats(main['of_which_fewer_tokens_nats'])} by the fewer tokens and weights its FLOPs buy, the "
        "rest by what "
        "training at long windows costs (δ, weakly founded).",
        verdict="holds",
        figure=1e3 * float(main["loss_on_short_nats"]),
        unit="thousandths of a nat",
        figure_name="loss on short documents of the design that is best on books",
        reason="Short documents do not only hide the gain, they show a loss about as large; what helps books "
        "looks like a mistake on them.",
        variants=tuple(
            Variant(
                axis="budget",
                setting=format_count(float(r["budget_params"])),
                figure=1e3 * float(r["loss_on_short_nats"]),
                unit="thousandths of a nat",
                verdict="holds" if float(r["loss_on_short_nats"]) >= 0 else "fails",
                note=f"gain on books {_nats(r['gain_on_books_nats'])}",
            )
            for r in rows
        ),
        table=tuple(rows),
        gaps=("that short documents gain nothing from a window beyond 2,048 is the corpus' definition here",),
        sources=(law.source, catalog.corpus("short").source),
    )


def interpolated_positions(law: quality.Law, n_draws: int, seed: int) -> Claim:
    """11: interpolating positions after short training does the job instead."""
    bare = interpolations()
    worst, best = min(bare, key=lambda r: r.gain), max(bare, key=lambda r: r.gain)
    staged = {c: _staged("llama-2-7b", c, law, n_draws, seed) for c in _corpora()}
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
        statement="Interpolating positions (linear or NTK RoPE scaling) after short training does the job "
        "instead.",
        naive="Positions are rescaled for nothing, and the model reads any length.",
        full=f"Without further training the loss rises in every published pair, by {_nats(-best.gain)} "
        f"({best.model}, "
        f"{best.method}, {best.context:,} tokens) to {_nats(-worst.gain)} ({worst.method}, "
        f"{worst.context:,}). With "
        "it, as a staged schedule at Llama-2-7B's own FLOPs (4,096, then 32,768 for the last "
        f"{LATE_SHARE:.0%} of the "
        f"tokens), books gain {words.nats(late)}; 32,768 throughout gains {words.nats(constant)}.",
        verdict="depends",
        figure=1e3 * late.central,
        unit="thousandths of a nat gained",
        figure_name="staged extension of Llama-2-7B to 32,768 on books, at its own FLOPs",
        reason="Interpolation by itself only limits the damage; training at the longer window afterwards "
        "is what "
        "brings the gain, and how much of it depends on the recovery r.",
        variants=tuple(variants),
        gaps=(
            "interpolation without further training on models and corpora other than these two: no "
            "published pairs "
            "whose protocol is known",
        ),
        sources=(*dict.fromkeys(r.source for r in bare), "Xiong et al. 2023 (arXiv:2309.16039) Table 11"),
    )


LONG_WINDOW = 32768.0
LATE_SHARE = 0.2
"""Share of the tokens at the long window: Xiong 2023 Table 11's shortest extension, a fifth."""
LATE, WHOLE = "32,768 for the last fifth", "32,768 throughout"


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


def _gains(corpus: str) -> bool:
    """Whether the corpus gains from context at all."""
    return catalog.corpus(corpus).has_context_benefit


def _corpora() -> tuple[str, ...]:
    return tuple(catalog.corpora())


def _centre(law: quality.Law, corpus: str, nu: float | None = None) -> quality.Coefficients:
    return quality.central(law, corpus, aspect="none", nu=nu)


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


def _context(value: Estimate) -> str:
    if value.p05 is None or value.p95 is None:
        return f"{value.central:,.0f}"
    return f"{value.central:,.0f} ({value.p05:,.0f} to {value.p95:,.0f})"


def _nats(value: float) -> str:
    return words.nats(Estimate(central=float(value)))


def _plan(kernel: str) -> Plan:
    return Plan(attention_kernel=kernel, precision="bf16")  # type: ignore[arg-type]


def _dearer_seconds(name: str, kernel: str) -> float:
    """Extra time per token at c = d, on the accelerator of these models' day."""
    hardware = Hardware(accelerator=catalog.accelerator("a100-sxm-80gb"))
    design = published(name)
    times = []
    for c in (float(design.context_length), float(design.d_model)):
        attention, rest = attention_seconds(design.with_(context_length=c), hardware, _plan(kernel))
        times.append(attention + rest)
    return times[1] / times[0] - 1


def _cheapness(row: dict[str, Any]) -> list[tuple[str, str, float, str, Finding]]:
    """Variants of one model: FLOPs, seconds and bytes; the claim holds where c = d costs a quarter more."""
    found: list[tuple[str, str, float, str, Finding]] = []
    for axis, kernel, key in (
        ("FLOPs", "any kernel", "extra_flops_at_c_equal_d"),
        ("seconds", "flash", "extra_seconds_flash"),
        ("seconds", "naive", "extra_seconds_naive"),
    ):
        extra = float(row[key])
        found.append((axis, kernel, 100 * extra, "% more at c = d", "holds" if extra > 0.25 else "fails"))
    for kernel in ("naive", "flash"):
        ratio = float(row[f"saved_bytes_ratio_{kernel}"])
        found.append(
            ("saved bytes per token", kernel, ratio, "× at c = d", "holds" if ratio > 1.25 else "fails")
        )
    return found
