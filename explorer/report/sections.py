"""Tables of a page that are not charts: arms, verdicts, claims, the front, neighbours worth a look."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from explorer.claims.records import AspectTrade, CorpusTrade
from explorer.report import facts as f
from explorer.report import words
from explorer.report.chart import Table
from explorer.report.facts import Facts
from explorer.report.story import STATUS_MARKS
from explorer.units import GIB, QUANTILES, format_loss

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 60
"""Designs of a front that a page lists as it opens; with three objectives it has thousands."""


def arms(facts: Facts, corpus: str) -> Table:
    """The arms of the trade on one corpus."""
    trade = facts.result.trade
    assert trade is not None
    rows = []
    for arm in trade.corpora[corpus].arms.values():
        used = ", ".join(
            f"{words.limit(k)} {words.percent(v)}"
            for k, v in sorted(arm.limits.items(), key=lambda kv: -kv[1])
        )
        edge = f" at the edge of the space: {', '.join(arm.edges)}" if arm.edges else ""
        outside = words.listed(words.lever(x) for x in arm.extrapolated) or "nothing"
        rows.append(
            (
                f"{arm.name} · {arm.label}", words.whole(arm.context_length), words.whole(arm.d_model), words.whole(arm.n_layers),
                arm.schedule if arm.schedule == "constant" else f"staged from {words.whole(arm.staged_from)}, last {100 * arm.staged_share:g}%",
                words.count(arm.n_params), words.count(arm.n_tokens), words.estimated_loss(arm.loss),
                words.listed(words.limit(b) for b in arm.binds) or "none", used + edge, outside,
            )
        )  # fmt: skip
    return Table(
        caption=f"The arms under the same budget, each at its best, on {corpus}",
        columns=("Arm", "Context c (tokens)", "Width d", "Layers L", "Schedule", "Parameters", "Training tokens", words.LOSS_HEADING, "Stopped by", "Use of limits", "Outside the law’s domain",),
        rows=tuple(rows),
        numeric=frozenset({1, 2, 3, 5, 6}),
    )  # fmt: skip


def verdicts(facts: Facts) -> Table | None:
    """The three statements on every corpus, at ν = 0 and per aspect choice."""
    trade, verdict = facts.result.trade, facts.result.verdict
    if trade is None or verdict is None:
        return None
    rows = []

    def of(label: str, t: CorpusTrade | AspectTrade) -> tuple[str, ...]:
        context, width = (
            (t.context.nats, t.width.nats) if isinstance(t, CorpusTrade) else (t.context, t.width)
        )
        modelled = not isinstance(t, CorpusTrade) or t.models_context
        staged = t.staged_better
        return (
            label, words.interval(t.holds, "probability", short=True),
            words.interval(t.contexts_too_short, "probability", short=True) if modelled else "no benefit is modelled",
            words.interval(staged, "probability", short=True) if staged is not None else "no staged schedule",
            words.interval(context, short=True) if modelled else "none is modelled", words.interval(width, short=True),
        )  # fmt: skip

    for name in [trade.corpus, *(k for k in trade.corpora if k != trade.corpus)]:
        rows.append(of(f"{name} (asked)" if name == trade.corpus else name, trade.corpora[name]))
    if trade.corpus in trade.nu_zero:
        rows.append(of(f"{trade.corpus}, ν = 0", trade.nu_zero[trade.corpus]))
    rows += [of(f"{trade.corpus}, aspect law {name}", found) for name, found in trade.by_aspect.items()]
    return Table(
        caption="Probability of each statement and the values it rests on, with 90% intervals",
        columns=(
            "Judged on",
            "The idea holds",
            "Contexts are too short",
            "Staged is better still",
            "Value of context (nats/token)",
            "Value of trading width (nats/token)",
        ),
        rows=tuple(rows),
    )


def verdict_cards(facts: Facts) -> dict[str, dict[str, str]]:
    """Corpus → status, mark and sentence, for the switch of corpora."""
    trade, verdict = facts.result.trade, facts.result.verdict
    if trade is None or verdict is None:
        return {}
    cards = {}
    for name, t in trade.corpora.items():
        row = verdict.by_corpus.get(name, {})
        status = str(row.get("status", verdict.status if name == verdict.corpus else "undecided"))
        sentence = verdict.sentence if name == verdict.corpus else str(row.get("sentence", ""))
        if not t.models_context:
            sentence = sentence or f"On {name} the law models no benefit of context."
        cards[name] = {
            "status": status, "mark": STATUS_MARKS.get(status, ""), "sentence": words.sentence(sentence),
            "chance": words.probability(t.holds.central), "short": words.probability(t.contexts_too_short.central),
        }  # fmt: skip
    return cards


def use(facts: Facts) -> Table:
    """Which limit binds each pick, and how much of each it uses."""
    rows = []
    for number, label in facts.picks.items():
        row = facts.result.front.iloc[number]
        used = facts.limits(row)
        binds = words.listed(facts.limit(k) for k in facts.binding(row)) or "none"
        rows.append((label, f.shape(row), *(words.percent(used[k], 3) for k in used), binds))
    names = list(facts.limits(facts.best))
    return Table(
        caption="Use of every limit by the named designs (100% is all of it)",
        columns=("Pick", "Design", *(words.sentence(facts.limit(n))[:-1] for n in names), "Used up"),
        rows=tuple(rows),
        numeric=frozenset(range(2, 2 + len(names))),
    )


def jumps(facts: Facts) -> list[tuple[pd.Series[Any], float, float]]:
    """Designs of the front at which 1,024 more tokens of context become much dearer: (row, nats before, after)."""
    front = facts.result.front
    if len(front) < 3 or not {"context_length", "loss"} <= set(front.columns):
        return []
    by_c = front.sort_values(["context_length", "loss"]).drop_duplicates("context_length")
    step = by_c["loss"].diff().to_numpy() / (by_c["context_length"].diff().to_numpy() / 1024)
    found = [
        (by_c.iloc[k], float(step[k]), float(step[k + 1]))
        for k in range(1, len(by_c) - 1)
        if step[k + 1] > 1.5 * step[k] > 0
    ]
    found.sort(key=lambda jump: -jump[2] / jump[1])
    return sorted(found[:4], key=lambda jump: float(jump[0]["context_length"]))


def knees(facts: Facts) -> Table | None:
    """Designs of the front at which the exchange rate jumps, and the pick: offered, not chosen."""
    every = offered(facts)
    if not every:
        return None
    pick = int(facts.result.picks.get("knee", -1))
    rows = tuple(
        (
            f.shape(row), format_loss(row), _rate(before) if before is not None else "—", _rate(after) if after is not None else "—",
            f"{words.number(after / before, 2)}×" if before and after and before > 0 else "—",
            f"it lies {_where_knee(facts)}" if row.name == pick else "the next tokens become dearer",
        )
        for row, before, after in every
    )  # fmt: skip
    return Table(
        caption="Candidates for a knee, with what 1,024 more tokens of context cost before and after",
        columns=(
            "Design",
            words.LOSS_HEADING,
            "+1k context up to here",
            "+1k context from here",
            "Dearer by",
            "Why",
        ),
        rows=rows,
        numeric=frozenset({2, 3, 4}),
    )


def _where_knee(facts: Facts) -> str:
    """What makes the pick called `knee` one (explorer.search.front.knee)."""
    if len(facts.objectives) == 2:
        return "most below the line between the front’s ends"
    return f"lowest in all {len(facts.objectives)} objectives together, each over its range"


def offered(facts: Facts) -> list[tuple[pd.Series[Any], float | None, float | None]]:
    """The jumps and the pick called `knee`, by context: (row, nats per 1,024 tokens before, after)."""
    found: list[tuple[pd.Series[Any], float | None, float | None]] = [*jumps(facts)]
    pick = facts.result.picks.get("knee")
    if not found or pick is None or any(row.name == pick for row, _, _ in found):
        return found
    front = facts.result.front
    own = front.iloc[int(pick)]
    by_c = front.sort_values(["context_length", "loss"]).drop_duplicates("context_length")
    if own.name not in by_c.index:
        # Of several designs at its context it is not the best in loss, so no step along the front leads to it.
        return [*found, (own, None, None)]

    def rate(near: pd.DataFrame, end: int) -> float | None:
        if not len(near):
            return None
        other = near.iloc[end]
        return float(other["loss"] - own["loss"]) / (
            float(other["context_length"] - own["context_length"]) / 1024
        )

    before = rate(by_c[by_c["context_length"] < own["context_length"]], -1)
    after = rate(by_c[by_c["context_length"] > own["context_length"]], 0)
    return sorted([*found, (own, before, after)], key=lambda one: float(one[0]["context_length"]))


def knee_sentence(facts: Facts) -> str:
    """The sharpest of the candidates in words, and the pick where that is another one."""
    found = jumps(facts)
    if not found:
        return ""
    row, before, after = max(found, key=lambda jump: jump[2] / jump[1])
    said = f"The sharpest one is {f.shape(row)}: up to there 1,024 more tokens of context cost {_rate(before)}, beyond it {_rate(after)}."
    pick = facts.result.picks.get("knee")
    if pick is None or row.name == pick:
        return said
    return f"{said} The one marked “knee” in the charts, {f.shape(facts.result.front.iloc[int(pick)])}, lies {_where_knee(facts)}."


TARGETS = {"hf": "Hugging Face", "megatron": "Megatron-LM", "torchtitan": "torchtitan", "nanogpt": "nanoGPT"}


def targets(facts: Facts) -> list[tuple[str, str]]:
    """Export targets with the file each writes: (`hf`, `Hugging Face config.json`)."""
    evidence = facts.result.evidence
    names = evidence.exports.get("names", {}) if evidence is not None else {}
    return [(key, f"{TARGETS.get(key, key)} {file}") for key, file in names.items()]


def _rate(value: float) -> str:
    return f"{value:.5f} nats".replace("-", words.MINUS)


def shown_rows(n: int, picks: Iterable[int]) -> list[int]:
    """Row numbers of a front of `n` designs that a page lists as it opens: all, or evenly taken ones and the picks."""
    step = max(1, -(-n // MOST_SHOWN))
    return sorted({*range(0, n, step), *(k for k in picks if k < n)})


def front_rows(facts: Facts) -> list[dict[str, Any]]:
    """The table of front designs as the page opens."""
    rows, picks = [], pick_names(facts)
    for k in shown_rows(len(facts.result.front), facts.picks):
        row = facts.result.front.iloc[k]
        binds = words.listed(facts.limit(b) for b in facts.binding(row)) or "none"
        rows.append(
            {
                "id": k, "cells": [show(float(row[key])) for key, _, show in columns(facts.result.front)],
                "schedule": f.schedule(row), "plan": f.plan(row), "binds": binds, "pick": picks.get(k, ""), "shape": f.shape(row),
                "exact": "yes" if bool(row.get("on_exact_front", False)) else "no",
                "outside": "yes" if "extrapolated" in row and bool(f.flags(facts.result.front["extrapolated"].iloc[[k]]).iloc[0]) else "no",
            }
        )  # fmt: skip
    return rows


def pick_names(facts: Facts) -> dict[int, str]:
    """Rows of the front that are called something: the picks, and what else is offered as a knee."""
    every = [int(str(row.name)) for row, _, _ in jumps(facts)]
    offered = [k for k in every if "knee" not in facts.picks.get(k, "")]
    return {
        k: ", ".join(x for x in (facts.picks.get(k, ""), "knee candidate" if k in offered else "") if x)
        for k in sorted({*facts.picks, *offered})
    }


SCREEN_ONLY = ("loss_p50", "days", "serving_bytes", "tokens_per_second_per_gpu")
"""Columns of the front table for which paper has no room."""


def question(facts: Facts) -> str:
    """A question that the designs of this run can answer: the middle of the front in memory and context."""
    front = facts.result.front
    memory = math.ceil(float(front["peak_device_bytes"].median()) / GIB)
    context = 2 ** math.floor(math.log2(float(front["context_length"].median())))
    said = f"{context // 1024}k" if context >= 1024 else f"{context}"
    return f"best loss under {memory + 1} GiB with at least {said} context"


def columns(front: pd.DataFrame) -> list[tuple[str, str, Any]]:
    """Numeric columns of the front table: key, heading with unit, formatter without unit."""

    def gib(value: float) -> str:
        return words.number(value / 2**30)

    every = [
        ("context_length", "Context c (tokens)", words.whole), ("d_model", "Width d", words.whole), ("n_layers", "Layers L", words.whole),
        ("loss", "Loss (nats/token)", lambda v: f"{v:.4f}"),
        *((f"loss_{q}", f"Loss, {int(q[1:])}%", lambda v: f"{v:.3f}") for q in QUANTILES), ("n_params", "Parameters", words.count), ("n_tokens", "Training tokens", words.count),
        ("gpu_hours", "GPU-hours", words.whole), ("days", "Days", words.number), ("peak_device_bytes", "Training memory (GiB per GPU)", gib),
        ("kv_cache_bytes", "KV cache (GiB)", gib), ("serving_bytes", "Serving memory (GiB)", gib),
        ("tokens_per_second_per_gpu", "Tokens/s per GPU", words.whole),
    ]  # fmt: skip
    return [c for c in every if c[0] in front and front[c[0]].notna().all()]


def claims(facts: Facts) -> list[dict[str, Any]]:
    """The ledger: each claim with its counts, its verdict and how the verdict changes."""
    out = []
    for c in facts.result.claims:
        table = None
        if c.table:
            heads = tuple(str(k).replace("_", " ") for k in c.table[0])
            table = Table(
                caption=f"Rows behind claim {c.number}", columns=heads,
                rows=tuple(tuple(cell(v) for v in row.values()) for row in c.table),
            )  # fmt: skip
        variants = Table(
            caption=f"How claim {c.number} changes with the convention",
            columns=("Varied", "Setting", "Figure", "Verdict", "Note"),
            rows=tuple(
                (v.axis, v.setting, words.with_unit(v.figure, v.unit), f"{STATUS_MARKS[v.verdict]} {v.verdict}", v.note) for v in c.variants
            ),
        ) if c.variants else None  # fmt: skip
        out.append(
            {
                "claim": c, "mark": STATUS_MARKS[c.verdict], "figure": words.with_unit(c.figure, c.unit),
                "table": table, "variants": variants,
            }
        )  # fmt: skip
    return out


def cell(value: Any) -> str:
    """One value of a claim's table."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return words.number(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def nearest(facts: Facts) -> Table:
    """Where nothing is feasible: how far off the nearest designs are on each limit."""
    table = facts.result.nearest
    names = [str(c).removeprefix("excess_") for c in table.columns if str(c).startswith("excess_")]
    rows = []
    for _, row in table.head(50).iterrows():
        excess = [float(row[f"excess_{n}"]) for n in names]
        rows.append(
            (
                f.shape(row),
                *(_off(name, e) for name, e in zip(names, excess, strict=True)),
            )
        )
    return Table(
        caption="The designs closest to the budget, and how far each limit is exceeded",
        columns=("Design", *(words.sentence(facts.limit(n))[:-1] for n in names)),
        rows=tuple(rows),
    )


def _off(limit: str, excess: float) -> str:
    """How far a design is off a limit; of a plan, whether there is one."""
    if excess != excess:
        return "not known"
    if limit == "plan":
        return "there is one" if excess <= 0 else "there is none"
    return "within" if excess <= 0 else f.over_by(excess)
