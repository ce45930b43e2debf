"""The words of a page: the answer, the first questions, the doubts. Every number comes from the result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from explorer.claims.records import Arm, CorpusTrade, Estimate
from explorer.claims.verdict import CALLED_FALSE, CALLED_TRUE, SEED_NOISE
from explorer.report import facts as f
from explorer.report import words
from explorer.report.facts import Facts
from explorer.report.figures.anatomy import bars_of, fullest

IDEA = "The idea that a smaller width with a longer context makes more sense"
"""What the verdict is about, in full where a reader meets it first."""
STATUS_MARKS = {"holds": "●", "fails": "✕", "undecided": "◐", "depends": "◐"}


@dataclass(frozen=True, kw_only=True)
class Card:
    """One of the first questions, its figure and what stands behind it."""

    question: str
    figure: str
    lines: tuple[str, ...]
    bars: tuple[tuple[str, str, float], ...] = ()
    """(part, figure with unit, share) of what fills the figure."""
    flag: str = ""
    """What a reader must not miss about the figure."""


def answer(facts: Facts) -> tuple[str, str]:
    """Two sentences: the best design, and what happens when width is traded for context."""
    return best_sentence(facts), trade_sentence(facts)


def best_sentence(facts: Facts) -> str:
    """Shape, size, tokens, cost and loss of the best design."""
    b = facts.best
    loss, _, between = words.loss(b).partition(" (")
    between = f", 90% interval {between.removesuffix(')')}" if between else ""
    trade = facts.result.trade
    opening = "The best design under this budget has"
    if trade is not None and not trade.asked.models_context:
        opening = (
            f"On {facts.corpus} documents the law models no benefit of context: the cheapest context listed wins, which is no finding "
            "about it. The best width and depth are those of"
        )
    return (
        f"{opening} {f.shape(b)}{f.trained(b)}: a model of {words.count(float(b['n_params']))} parameters, "
        f"trained on {words.count(float(b['n_tokens']))} tokens in {words.hours(float(b['gpu_hours']))} "
        f"({words.days(float(b['days']))} on {facts.hardware}), with an expected loss of {loss} on {facts.corpus}{between}."
    )


def chosen(facts: Facts) -> str:
    """The best design in one line, as the page says any chosen one."""
    b = facts.best
    return f"{f.shape(b)}: loss {words.loss(b)}, {words.memory(float(b['peak_device_bytes']))} per GPU"


def extrapolation(facts: Facts) -> str:
    """What of the best design the law was never fitted on, and the best design that stays within; or nothing."""
    outside = facts.outside(facts.best_number)
    if not outside:
        return ""
    b = facts.best
    text = (
        f"This design is extrapolated: {words.listed(_beyond(facts, name, b) for name in outside)} "
        f"{'lies' if len(outside) == 1 else 'lie'} outside what the law {facts.law} was fitted on."
    )
    for key, said in (("context", "With context and schedule within it"), ("wholly", "Wholly within it")):
        row = facts.inside.get(key)
        if row is None or (key == "wholly" and row == facts.inside.get("context")):
            continue
        more = float(row["loss"]) - float(b["loss"])
        left = [words.lever(x) for x in row["outside"]]
        still = f"; still outside: {words.listed(left)}" if left else ""
        text += (
            f" {said}, the best design has {f.shape(row)}{f.trained(row)}, at {words.loss(row)}, "
            f"{words.nats(more)} {'more' if more >= 0 else 'less'}{still}."
        )
    if not facts.inside and not {"context_length", "staged_share"} & set(outside):
        text += " Its context and schedule lie within; the size of the budget puts the rest outside."
    return text


def _beyond(facts: Facts, name: str, row: Any) -> str:
    """A quantity, its value and the range it leaves."""
    evidence = facts.result.evidence
    bounds = evidence.domain.get(name) if evidence is not None else None
    value = float(row["n_tokens"] / row["n_params"]) if name == "tokens_per_param" else row.get(name)
    if bounds is None or value is None:
        return words.lever(name)
    show = words.whole if name in ("context_length", "tokens_per_param") else words.count
    return f"{words.lever(name)} ({show(float(value))}; fitted on {show(bounds[0])} to {show(bounds[1])})"


def baseline_sentence(facts: Facts) -> str:
    """Where the named baseline stands against the front; nothing where none is named."""
    evidence = facts.result.evidence
    own = evidence.baseline if evidence is not None else None
    if own is None:
        return ""
    name, b = str(own["name"]), facts.best
    said = (
        f"{name} itself ({f.shape(own)}, {words.count(float(own['n_params']))} parameters) would reach "
        f"{words.loss(own)} under this budget"
    )
    broken = facts.reason(own)
    if broken:
        said += f", but breaks a limit ({broken})"
    text = f"{said}. Against it, the best design has {_against(b, own)}."
    front = facts.result.exact_front if len(facts.result.exact_front) else facts.result.front
    beats = front[front["loss"] <= float(own["loss"])]
    if len(beats):
        longest = beats.sort_values("context_length").iloc[-1]
        if float(longest["context_length"]) > float(b["context_length"]):
            text += (
                f" At no more loss than {name}, the front reaches c = {words.tokens(float(longest['context_length']))}: "
                f"{_times(float(longest['context_length']) / float(own['context_length']), 'context')}."
            )
    if not own.get("same_vocabulary", True):
        text += f" {name} has another vocabulary, and losses per token of different vocabularies compare only roughly."
    return text


def _against(row: Any, own: Mapping[str, Any]) -> str:
    """Same memory per GPU, 2.1 times the context, 0.0130 nats less loss."""
    memory = float(row["peak_device_bytes"]) / float(own["peak_device_bytes"])
    less = float(own["loss"]) - float(row["loss"])
    longer = float(row["context_length"]) / float(own["context_length"])
    size = float(row["n_params"]) / float(own["n_params"])
    better = (
        f"{words.nats(abs(less))} {'less' if less > 0 else 'more'} loss"
        if abs(less) >= 5e-6
        else "the same loss"
    )
    return f"{_times(memory, 'memory per GPU')}, {_times(longer, 'context')}, {_times(size, 'number of parameters')} and {better}"


def _times(ratio: float, what: str) -> str:
    """How much of something one design has of another's; where the figure would be 1.0, that it is the same."""
    if abs(ratio - 1) < 0.05:
        return f"{'' if abs(ratio - 1) < 0.005 else 'nearly '}the same {what}"
    if ratio < 0.1:
        return f"1/{words.number(1 / ratio, 2)} of the {what}"
    return f"{words.number(ratio, 2)} times the {what}"


def nothing_fits(facts: Facts) -> str:
    """How many designs there are, and how far off the nearest one is."""
    result = facts.result
    search = result.search
    said = f"None of the {words.whole(search.n_lattice)} designs of the space meets every limit"
    if not search.proven:
        said = (
            f"Of the {words.whole(search.n_lattice)} designs of the space {words.whole(search.n_undecided)} are undecided, "
            "and none of the others meets every limit"
        )
    if result.missed:
        asked = result.search.n_trials + len(result.search.failures)
        said = (
            f"None of {words.whole(asked)} trials meets every limit, though "
            f"{words.whole(len(result.exact_front))} designs on the model’s own front do"
        )
    if not len(facts.result.nearest):
        return f"{said}."
    row = facts.result.nearest.iloc[0]
    used = {str(k).removeprefix("excess_"): float(row[k]) for k in row.index if str(k).startswith("excess_")}
    off = [
        f"{facts.limit(k)} {f.over_by(v)}" for k, v in sorted(used.items(), key=lambda kv: -kv[1]) if v > 0
    ]
    return f"{said}; the nearest one, {f.shape(row)}, has its {words.listed(off)}."


def trade_sentence(facts: Facts) -> str:
    """From arm A to arm C: loss, cost, and the verdict."""
    trade, verdict = facts.result.trade, facts.result.verdict
    if trade is None or verdict is None:
        return "No trade could be computed for this budget."
    asked = trade.asked
    a, c = asked.arms.get("A"), asked.arms.get("C")
    if not asked.models_context:
        return (
            "So a smaller width for a longer context has nothing to gain on them, whatever the budget; that says nothing about "
            "longer documents."
        )
    if a is None or c is None:
        return words.sentence(verdict.sentence)
    sure = ""
    if "holds" in verdict.statements and verdict.with_interval:
        sure = f" (probability that it holds: {words.probability(verdict.statements['holds'].probability.central)})"
    elif not verdict.with_interval:
        sure = " at the law's central values, without interval"
    called = {"holds": "holds", "fails": "fails", "undecided": "is undecided"}[verdict.status]
    return (
        f"{IDEA} {called} for this budget on {asked.corpus}{sure}: {moves(asked.width.nats, asked.context.nats, a, c)}."
        f"{_alone(asked, with_interval=verdict.with_interval)}"
    )


def _alone(asked: CorpusTrade, *, with_interval: bool) -> str:
    """Whether a longer context pays by itself, and both freedoms in training compute."""
    chance = asked.contexts_too_short.central
    pays = (
        "pays"
        if chance >= CALLED_TRUE
        else ("does not pay" if chance <= CALLED_FALSE else "may or may not pay")
    )
    sure = f" (probability that it does: {words.probability(chance)})" if with_interval else ""
    context, width = (
        f"as much as {words.compute(v.compute.central)}" if abs(v.compute.central) >= 5e-4 else "nothing"
        for v in (asked.context, asked.width)
    )
    return (
        f" A longer context by itself {pays}{sure}: it is worth {context}; another shape for it adds {width}."
    )


def moves(width: Estimate, context: Estimate, a: Arm, c: Arm) -> str:
    """What the best constant-schedule design does with width and context, and what each is worth."""
    if c.context_length == a.context_length and c.d_model == a.d_model:
        return f"with a constant schedule the reference's c = {words.tokens(a.context_length)} and d = {words.whole(a.d_model)} stay best"
    longer = f"c from {words.whole(a.context_length)} to {words.tokens(c.context_length)}"
    if c.d_model == a.d_model and c.n_layers == a.n_layers:
        return (
            f"with a constant schedule the best design takes {longer}, worth {words.interval(context)}, and keeps "
            f"d = {words.whole(a.d_model)}: trading width adds {words.interval(width)}, {cost(a, c)}"
        )
    shape = f"d from {words.whole(a.d_model)} to {words.whole(c.d_model)}"
    if c.d_model == a.d_model:
        shape = f"L from {words.whole(a.n_layers)} to {words.whole(c.n_layers)} at the same d = {words.whole(a.d_model)}"
    return (
        f"with a constant schedule the best trade takes {longer} and {shape}; the longer context alone is worth "
        f"{words.interval(context)} and the other shape adds {words.interval(width)}, {cost(a, c)}"
    )


def cost(a: Arm, c: Arm) -> str:
    """How parameters, FLOPs and memory move from arm A to arm C."""
    moves = []
    for label, before, after in (
        ("parameters", a.n_params, c.n_params),
        ("training FLOPs", a.train_flops, c.train_flops),
        ("memory per GPU", a.peak_device_bytes, c.peak_device_bytes),
    ):
        if before and after and math.isfinite(before) and math.isfinite(after):
            change = after / before - 1
            if abs(change) < 0.005:
                moves.append(f"the same {'size' if label == 'parameters' else label}")
            else:
                moves.append(
                    f"{words.percent(abs(change))} {'more' if change > 0 else ('fewer' if label != 'memory per GPU' else 'less')} {label}"
                )
    return f"with {words.listed(moves)}" if moves else "under the same budget"


def cards(facts: Facts) -> list[Card]:
    """What a planner asks first."""
    b = facts.best
    heads = (
        f"{words.whole(b['n_heads'])} heads of {words.whole(b['d_head'])}, {words.whole(b['n_kv_heads'])} KV heads"
        if "n_heads" in b
        else ""
    )
    feed = f"{b['ffn']} feed-forward of {words.whole(b['d_ff'])}" if "d_ff" in b and "ffn" in b else ""
    schedule = f"schedule: {f.schedule(b)}"
    used = sorted(facts.limits(b).items(), key=lambda kv: -kv[1])
    full = [facts.limit(k) for k, share in used if share >= f.BINDING]
    spent = tuple((facts.limit(k), words.percent(share), min(1.0, max(0.0, share))) for k, share in used)
    price = (
        (f"price: {words.number(float(b['price']))} in the currency of the budget",)
        if "price" in b and b["price"] == b["price"]
        else ()
    )
    evidence = facts.result.evidence
    bars = bars_of(evidence.anatomies, facts.best_number) if evidence is not None else []
    filled: tuple[tuple[str, str, float], ...] = ()
    when = ""
    if bars:
        at, memory = fullest(bars)
        when = f"at its fullest, {at} tokens" if len(bars) > 1 else ""
        total = sum(memory.values())
        filled = tuple(
            (k, f"{words.number(v)} GiB", v / total)
            for k, v in sorted(memory.items(), key=lambda kv: -kv[1])[:5]
        )
    serving = (
        (f"to serve at full context: {words.memory(float(b['serving_bytes']))}",)
        if "serving_bytes" in b and b["serving_bytes"] == b["serving_bytes"]
        else ()
    )
    over, at = (" over both windows", " at full context") if b.get("staged_from", 0) else ("", "")
    return [
        Card(
            question="Which c, d and L?",
            figure=f"c\u00a0{words.whole(b['context_length'])} · d\u00a0{words.whole(b['d_model'])} · L\u00a0{words.whole(b['n_layers'])}",
            lines=tuple(x for x in (f"{words.count(float(b['n_params']))} parameters", heads, feed, schedule, as_good(facts)) if x),
            flag=f"extrapolated in {words.listed(words.lever(x) for x in facts.outside(facts.best_number))}" if facts.outside(facts.best_number) else "",
        ),
        Card(
            question="What does it cost?",
            figure=f"{words.hours(float(b['gpu_hours']))}",
            lines=(f"{words.days(float(b['days']))} on {facts.hardware}", f"{words.count(float(b['n_tokens']))} training tokens", *price),
            bars=spent,
        ),
        Card(
            question="Does it fit?",
            figure=f"{words.memory(float(b['peak_device_bytes']))} per GPU",
            lines=(*((when,) if when else ()), *serving, *(("filled, by the model, with:",) if filled and facts.measured else ())),
            bars=filled,
        ),
        Card(
            question="How is it run?",
            figure=f.ways(b),
            lines=tuple(
                x for x in (
                    f.plan(b).removeprefix(f.ways(b)).lstrip(", "),
                    f"{words.whole(b['tokens_per_second_per_gpu'])} tokens/s per GPU{over}" if "tokens_per_second_per_gpu" in b else "",
                    f"{words.percent(float(b['mfu']))} of peak FLOP/s (model FLOPs, causal)" if "mfu" in b else "",
                    f"{words.number(float(b['step_seconds']))} s per global batch{at}" if "step_seconds" in b else "",
                    f"limits used up: {words.listed(full)}" if full else "no limit is used up",
                ) if x
            ),
        ),
    ]  # fmt: skip


def _outside(said: str) -> str:
    """`n_tokens in arms A and B` → training tokens D (arms A and B)."""
    name, _, arms = said.partition(" in ")
    return f"{words.lever(name)} ({arms})" if arms else words.plainly(said)


def as_good(facts: Facts) -> str:
    """How far context and width may be off before the loss tells: what lies within seed noise of the best."""
    evidence = facts.result.evidence
    if evidence is None or not len(evidence.plane) or facts.measured:
        return ""
    ok = evidence.plane[evidence.plane["feasible"].astype(bool)]
    near = ok[ok["loss"] <= ok["loss"].min() + SEED_NOISE[0]]
    spans = [(near[k].min(), near[k].max()) for k in ("context_length", "d_model")]
    if all(low == high for low, high in spans):
        return ""
    c, d = (
        words.whole(low) if low == high else f"{words.whole(low)} to {words.whole(high)}"
        for low, high in spans
    )
    return f"as good within seed noise ({SEED_NOISE[0]:g} nats): c\u00a0{c}, d\u00a0{d}"


def first_doubts(facts: Facts) -> list[str]:
    """The two gravest doubts that the answer itself does not say."""
    found = doubts(facts)
    return found[1:3] if facts.extrapolated_share and extrapolation(facts) else found[:2]


def doubts(facts: Facts) -> list[str]:
    """What a sceptical reader should know before believing the answer; the gravest first."""
    result, verdict, trade = facts.result, facts.result.verdict, facts.result.trade
    found: list[str] = []
    share = facts.extrapolated_share
    if share:
        found.append(
            f"{'All' if share == 1 else words.percent(share)} of the front lies outside the domain that the law {facts.law} was fitted in; its losses there are extrapolated."
        )
    if verdict is not None:
        if not verdict.with_interval:
            found.append("The verdict is without interval: it stands at the law's central values only.")
        if verdict.undecided_because:
            found.append(words.sentence(verdict.undecided_because))
        if verdict.extrapolated:
            found.append(
                f"The arms of the verdict lie outside the law's domain: {words.listed(_outside(x) for x in verdict.extrapolated)}."
            )
        said = " ".join(verdict.caveats)
        holds = verdict.nu_zero.get("holds", verdict.nu_zero.get("p_holds"))
        if "ν = 0" not in said and isinstance(holds, int | float):
            found.append(
                f"With ν = 0, when the benefit of context does not depend on the model's size, the probability that the idea "
                f"holds is {words.probability(float(holds))}."
            )
        found += [words.sentence(words.plainly(c)) for c in verdict.caveats]
        if verdict.blind_to:
            found.append(
                f"The loss is blind to {words.listed(words.lever(x) for x in verdict.blind_to)}: what it picks there is cheapest, not best."
            )
        if verdict.limited_by:
            found.append(words.sentence(words.plainly(verdict.limited_by)))
    if trade is not None and trade.asked.rejected_share > 0:
        found.append(
            f"{words.percent(trade.asked.rejected_share)} of the posterior draws were rejected, because the loss rose with size or data in them."
        )
    if (
        trade is not None
        and trade.asked.recovery_needed is not None
        and not any("recover" in x for x in found)
    ):
        r = trade.asked.recovery_needed.central
        said = (
            f"it vanishes when the extension recovers less than {words.percent(r)} of the longer context's gain"
            if math.isfinite(r) and r > 0
            else ("it always leads" if r <= 0 else "it never leads")
        )
        found.append(f"The lead of a staged schedule is conditional: {said}.")
    found += [words.sentence(n) for n in result.notes]
    return list(dict.fromkeys(found))
