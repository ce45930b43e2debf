"""The verdict: what the trade says of the idea, called at P ≥ .9 or ≤ .1, in one sentence and its parts."""

from __future__ import annotations

from typing import Any

from explorer.claims import words
from explorer.claims.records import (
    CorpusTrade,
    Estimate,
    Statement,
    StatementName,
    Status,
    Trade,
    Value,
    Verdict,
)

CALLED_TRUE, CALLED_FALSE = 0.9, 0.1
# Least and most by which final losses of runs differ that differ by their seed alone, nats (DESIGN).
SEED_NOISE = (0.01, 0.02)

TEXTS: dict[StatementName, str] = {
    "holds": "A smaller width with a longer context makes more sense",
    "contexts_too_short": "Contexts are too short: a longer one pays at the same shape",
    "staged_better": "Lengthening the context late in training is better still",
}

OPEN: dict[StatementName, str] = {
    "holds": "whether trading width pays",
    "contexts_too_short": "whether a longer context alone pays",
    "staged_better": "whether staging is better still",
}
TRAINING = ("flops", "tokens", "gpu_hours", "days")
"""The training limits of a budget."""


def verdict(trade: Trade) -> Verdict:
    """What the trade says, for the corpus the budget asks about and for the others beside it."""
    asked = trade.asked
    statements = _statements(trade, asked)
    open_ones = [s for s in statements.values() if s.status == "undecided"]
    return Verdict(
        sentence=_sentence(trade, asked),
        status=call(asked.holds.central),
        with_interval=trade.n_draws > 0,
        corpus=trade.corpus,
        statements={str(name): s for name, s in statements.items()},
        by_corpus={name: _summary(trade, c) for name, c in trade.corpora.items()},
        nu_zero=_summary(trade, trade.nu_zero[trade.corpus]),
        by_aspect=trade.by_aspect,
        factors=trade.factors,
        undecided_because=_decider(trade, open_ones),
        limited_by=_limited_by(asked),
        extrapolated=_extrapolated(asked),
        blind_to=trade.blind_to,
        caveats=_caveats(trade, asked),
    )


def call(probability: float) -> Status:
    """A statement's status from its probability."""
    if probability >= CALLED_TRUE:
        return "holds"
    return "fails" if probability <= CALLED_FALSE else "undecided"


def _statements(trade: Trade, c: CorpusTrade) -> dict[StatementName, Statement]:
    a, b, free = c.arms["A"], c.arms["B"], c.arms["C"]
    narrower = (
        f"the free design has c = {free.context_length:,.0f} at d = {free.d_model:,.0f}, the short one "
        f"d = {a.d_model:,.0f}; the value of trading width is {words.nats(c.width.nats)}, "
        f"{words.compute(c.width.compute.central)}"
    )
    longer = (
        f"at arm A's shape the best context is {b.context_length:,.0f}, worth {words.nats(c.context.nats)}, "
        f"{words.compute(c.context.compute.central)}"
    )
    if not c.models_context:
        longer = narrower = f"the law models no benefit of context on {c.corpus}"
    made: dict[StatementName, Statement] = {
        "holds": _statement("holds", c.holds, c.width, narrower),
        "contexts_too_short": _statement("contexts_too_short", c.contexts_too_short, c.context, longer),
    }
    if c.staged_better is not None and c.waiting is not None:
        made["staged_better"] = _statement("staged_better", c.staged_better, c.waiting, _staged_reason(c))
    return made


def _statement(name: StatementName, p: Estimate, value: Value, reason: str) -> Statement:
    return Statement(
        name=name, text=TEXTS[name], status=call(p.central), probability=p, value=value, reason=reason
    )


def _staged_reason(c: CorpusTrade) -> str:
    assert c.waiting is not None
    if "D" not in c.arms:
        return "no staged design fits"
    d = c.arms["D"]
    lead = c.waiting.nats.central
    ahead = "leads" if lead > 0 else "trails"
    text = (
        f"c = {d.context_length:,.0f} for the last {d.staged_share:.0%} of the tokens {ahead} arm C by "
        f"{words.nats(Estimate(central=abs(lead)))}"
    )
    r = c.recovery_needed
    if r is None:
        return text
    if r.central == float("inf"):
        return (
            f"{text}; it would not lead even if the extension recovered the whole gain of the longer context"
        )
    return f"{text}; it leads only if the extension recovers {r.central:.0%} of the longer context's gain"


def _sentence(trade: Trade, c: CorpusTrade) -> str:
    ending = "" if trade.n_draws else " (central values, without interval)"
    if not c.models_context:
        return (
            f"On {c.corpus} documents the law models no benefit of context beyond "
            f"{trade.reference_context:,.0f} tokens, so this budget has nothing to gain from trading width "
            f"for it; that says nothing about longer documents{ending}."
        )
    idea = "a smaller width with a longer context"
    opening = {
        "holds": f"{idea} makes more sense",
        "fails": f"{idea} does not make more sense",
        "undecided": f"it is undecided whether {idea} makes more sense",
    }[call(c.holds.central)]
    certain = f" ({words.chance(c.holds)})" if trade.n_draws else ""
    said = f"{opening}{certain}: {_best_design(c)}; {_longer_alone(trade, c)}"
    return f"For this budget, judged on {c.corpus}, {said}{ending}."


def _best_design(c: CorpusTrade) -> str:
    """What the freely chosen design does with its width, and what that is worth."""
    a, free = c.arms["A"], c.arms["C"]
    gain = c.width.nats.central
    worth = f"{words.nats(c.width.nats)}, {words.compute(c.width.compute.central)}"
    # Where a staged schedule is open, the lowest loss may be a staged design's: arm C is constant.
    best = "the best design of constant context" if "D" in c.arms else "the best design"
    if free.d_model < a.d_model:
        text = f"{best} narrows d from {a.d_model:,.0f} to {free.d_model:,.0f}"
        reach = "" if free.context_length >= free.d_model else ", short of its width"
        return f"{text} at c = {free.context_length:,.0f}{reach}, and trading width is worth {worth}"
    kept = "keeps" if free.d_model == a.d_model else f"widens d from {a.d_model:,.0f} to"
    text = f"{best} {kept} {'d = ' if kept == 'keeps' else ''}{free.d_model:,.0f}"
    text = f"{text} at c = {free.context_length:,.0f}"
    if words.is_nothing(gain):
        return f"{text}, and nothing is gained by another shape"
    return f"{text} with {free.n_layers:.0f} layers for {a.n_layers:.0f}, and that shape is worth {worth}"


def _longer_alone(trade: Trade, c: CorpusTrade) -> str:
    """Whether a longer context pays at the same shape."""
    certain = f" ({words.percent(c.contexts_too_short.central)})" if trade.n_draws else ""
    b = c.arms["B"].context_length
    worth = f"c = {b:,.0f} is worth {words.nats(c.context.nats)}, {words.compute(c.context.compute.central)}"
    status = call(c.contexts_too_short.central)
    if status == "holds":
        return f"a longer context alone pays{certain}: {worth}"
    if status == "undecided":
        return f"whether a longer context alone pays is open{certain}: {worth}"
    if words.is_nothing(c.context.nats.central):
        return f"a longer context alone does not pay{certain}"
    if b < trade.reference_context:
        return f"a longer context alone does not pay{certain}, a shorter one does better: {worth}"
    return f"a longer context alone does not pay{certain}: {worth}"


def _summary(trade: Trade, c: CorpusTrade) -> dict[str, Any]:
    a, b, free = c.arms["A"], c.arms["B"], c.arms["C"]
    return {
        "status": call(c.holds.central),
        "holds": c.holds.central,
        "contexts_too_short": c.contexts_too_short.central,
        "contexts_status": call(c.contexts_too_short.central),
        "staged_better": c.staged_better.central if c.staged_better is not None else None,
        "models_context": c.models_context,
        "context_A": a.context_length,
        "width_A": a.d_model,
        "context_B": b.context_length,
        "context_C": free.context_length,
        "width_C": free.d_model,
        "context_nats": c.context.nats.to_dict(),
        "width_nats": c.width.nats.to_dict(),
        "sentence": _sentence(trade, c),
    }


def _decider(trade: Trade, open_ones: list[Statement]) -> str:
    """What would decide the open statements: the prior each varies most with, and its measurement."""
    if not open_ones:
        return ""
    said = []
    for s in open_ones:
        decider = trade.deciders.get(s.name)
        hangs = f"most on {decider}" if decider else "on no prior by itself: it takes runs at this budget"
        said.append(f"{OPEN[s.name]} hangs {hangs}")
    return "; ".join(said)


def _limited_by(c: CorpusTrade) -> str:
    parts = []
    for stop in c.stopped_by:
        part = (
            f"{words.limit(stop.limit)} stops the context-only arm at c = {c.arms['B'].context_length:,.0f} "
        )
        part += f"(without it, c = {stop.context_length_lifted:,.0f}"
        if stop.vanishing_share > 0:
            part += f", and {stop.vanishing_share:.0%} of the value of trading width vanishes"
        parts.append(part + ")")
    if "parameters" in c.arms["A"].binds:
        parts.append("the parameter limit binds in the short arm, so no arm can be larger")
    for name in ("C", "B"):
        if c.models_context:
            parts += [f"arm {name}'s {edge.split()[0]} sits on the edge of the space ({edge})"
                      for edge in c.arms[name].edges]  # fmt: skip
    used_up = [words.limit(b) for b in c.arms["C"].binds if b in TRAINING]
    if used_up:
        parts.append(f"used up in every arm: {words.listed(used_up)}")
    return "; ".join(dict.fromkeys(parts)) or "no limit: the optimum lies inside the budget"


def _extrapolated(c: CorpusTrade) -> tuple[str, ...]:
    """Quantity → the arms in which it lies outside the law's domain, as text."""
    found: dict[str, list[str]] = {}
    for name in ("A", "B", "C", "D"):
        for quantity in c.arms[name].extrapolated if name in c.arms else ():
            found.setdefault(quantity, []).append(name)
    return tuple(
        f"{quantity} in arm{'s' if len(arms) > 1 else ''} {words.listed(arms)}"
        for quantity, arms in found.items()
    )


def _caveats(trade: Trade, c: CorpusTrade) -> tuple[str, ...]:
    caveats = []
    zero = trade.nu_zero[trade.corpus]
    if c.models_context:
        caveats.append(
            "ν makes trading width look good by itself (a smaller model gains more from context): "
            f"with ν = 0 trading width is worth {words.nats(zero.width.nats)} ({words.chance(zero.holds)})"
        )
        wider = zero.arms["C"].width_spread
        if wider is not None and wider.p95 is not None and wider.p95 > zero.arms["A"].d_model:
            caveats.append("in part of the draws arm C is wider than arm A: what it gains there is reshaping")
    if call(zero.holds.central) != call(c.holds.central):
        caveats.append("the verdict changes with ν = 0: it rests on that prior")
    calls = {name: call(row.holds.central) for name, row in trade.by_aspect.items()}
    if len(set(calls.values())) > 1:
        said = words.listed([f"{name}: {status}" for name, status in calls.items()])
        caveats.append(f"the verdict depends on the aspect-ratio law ({said})")
    small = c.width.nats.central
    if 0 < small < SEED_NOISE[1]:
        caveats.append(
            f"single runs differ by {SEED_NOISE[0]:g} to {SEED_NOISE[1]:g} nats between seeds: one pair "
            "of runs could not show the value of trading width"
        )
    if c.staged_better is not None and "staged_better" in _statements(trade, c):
        caveats.append(f"staged training, given its recovery r: {_staged_reason(c)}")
    if c.rejected_share > 0:
        caveats.append(
            f"{c.rejected_share:.0%} of the draws were rejected: their loss rose with model size or tokens"
        )
    return (*caveats, *c.notes)
