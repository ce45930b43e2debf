"""Several runs in one page: their answers side by side, what changed, and which limit moved it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from explorer.errors import ExplorerError
from explorer.report import facts as f
from explorer.report import story, words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts
from explorer.report.figures import axes, front
from explorer.report.figures.designs import beside
from explorer.report.page import fill
from explorer.units import format_loss

if TYPE_CHECKING:
    from explorer.result import Result

MOST_SETTINGS, MOST_NAMED = 24, 3
"""Settings that differ: rows of the table, and those a sentence names."""
COLOURS = ["@c0", "@c1", "@c2", "@c3", "@c6", "@c4", "@c7", "@c5"]
TOLD = [
    ("label", "Run", "text"), ("context_length", "Context c (tokens)", 0), ("d_model", "Width d", 0), ("n_layers", "Layers L", 0),
    ("n_params", "Parameters", "count"), ("loss", "Loss (nats/token)", 4),
]  # fmt: skip
"""The lines of a tooltip over a design."""
SHAPES = ["circle", "diamond", "triangle-up", "square", "cross", "triangle-down", "stroke", "circle"]


def compare(results: Sequence[Result]) -> str:
    """One page for several results; ExplorerError for fewer than two."""
    if len(results) < 2:
        raise ExplorerError(f"a comparison needs at least two runs, got {len(results)}")
    names = _names(results)
    every = {name: Facts(r) for name, r in zip(names, results, strict=True)}
    feasible = {name: facts for name, facts in every.items() if facts.result.feasible}
    found = [_fronts(feasible)] if feasible else []
    return fill(
        "compare.html", found, names=names, charts=found, overview=_overview(every), used=_used(feasible) if feasible else None,
        changes=_changes(every), settings=_settings(every), page_state={"told": {"fronts": TOLD}},
    )  # fmt: skip


def _names(results: Sequence[Result]) -> list[str]:
    """Study names, told apart by number where they repeat."""
    names = [str(r.budget.name) for r in results]
    return [n if names.count(n) == 1 else f"{n} ({names[: k + 1].count(n)})" for k, n in enumerate(names)]


def _fronts(every: Mapping[str, Facts]) -> Chart:
    import altair as alt
    import pandas as pd

    first = next(iter(every.values()))
    frame = pd.concat(
        [
            facts.result.front[["context_length", "d_model", "n_layers", "n_params", "loss"]]
            .assign(**beside(facts.result.front, "loss"), run=name, label=f"{name} on {facts.corpus}")
            .sort_values("context_length")
            for name, facts in every.items()
        ],
        ignore_index=True,
    )
    labels = list(dict.fromkeys(frame["label"]))
    x = axes.context()
    y = alt.Y("loss:Q", title="Loss (nats/token)", scale=alt.Scale(zero=False))
    colour = alt.Color(
        "label:N", sort=labels, title=None, scale=alt.Scale(domain=labels, range=COLOURS[: len(labels)])
    )
    source = alt.Chart(alt.NamedData("fronts"))
    layers = [
        source.mark_line(strokeWidth=1.5, opacity=0.7).encode(x=x, y=y, color=colour),
        source.mark_point(filled=True, size=60, opacity=1, tooltip=front.ROW).encode(
            x=x, y=y, color=colour,
            shape=alt.Shape("label:N", sort=labels, title=None, scale=alt.Scale(domain=labels, range=SHAPES[: len(labels)])),
        ),
    ]  # fmt: skip
    best = min(every, key=lambda n: float(every[n].best["loss"]))
    longest = max(every, key=lambda n: float(every[n].result.front["context_length"].max()))
    reach = float(every[longest].result.front["context_length"].max())
    said = (
        f"The lowest loss is {best}’s, {words.loss(every[best].best)}, the longest feasible context of a "
        f"front {longest}’s ({words.tokens(reach)})."
    )
    corpora = {facts.corpus for facts in every.values()}
    warning = (
        ""
        if len(corpora) == 1
        else " Losses on different corpora share no zero: compare shapes, not heights."
    )
    return Chart(
        name="fronts", title="The fronts", takeaway=said + warning,
        description=f"Loss against context length for the fronts of {words.listed(every)}. {said}",
        spec=specify(layers, 380), data={"fronts": frame},
        table=Table(
            caption="All designs of all fronts",
            columns=("Run", "Context c (tokens)", "Width d", "Layers L", "Parameters", words.LOSS_HEADING),
            rows=tuple(
                (r["label"], words.whole(r["context_length"]), words.whole(r["d_model"]), words.whole(r["n_layers"]),
                 words.count(r["n_params"]), format_loss(r))
                for _, r in frame.head(400).iterrows()
            ),
            numeric=frozenset(range(1, 6)), left_out=max(0, len(frame) - 400),
        ),
        height=450, how_to_read=f"Law: {first.law}." if len({x.law for x in every.values()}) == 1 else "",
    )  # fmt: skip


def _overview(every: Mapping[str, Facts]) -> Table:
    rows = []
    for name, facts in every.items():
        if not facts.result.feasible:
            rows.append((name, "nothing fits", *["—"] * 9))
            continue
        b = facts.best
        outside = words.listed(words.lever(x) for x in facts.outside(facts.best_number))
        rows.append(
            (name, facts.corpus, words.whole(b["context_length"]), words.whole(b["d_model"]), words.whole(b["n_layers"]),
             words.count(float(b["n_params"])), format_loss(b), words.hours(float(b["gpu_hours"])),
             words.listed(facts.limit(k) for k in facts.binding(b)) or "none", outside or "nothing", _called(facts))
        )  # fmt: skip
    return Table(
        caption="The best design of every run",
        columns=("Run", "Corpus", "Context c (tokens)", "Width d", "Layers L", "Parameters", words.LOSS_HEADING, "Cost",
                 "Used up", "Extrapolated", "The idea"),
        rows=tuple(rows),
        numeric=frozenset({2, 3, 4, 5, 7}),
    )  # fmt: skip


def _called(facts: Facts) -> str:
    """fails (P = 4%)."""
    verdict = facts.result.verdict
    if verdict is None:
        return "—"
    said = {"holds": "holds", "fails": "fails", "undecided": "is undecided"}[verdict.status]
    if "holds" not in verdict.statements or not verdict.with_interval:
        return said
    chance = words.probability(verdict.statements["holds"].probability.central)
    equal = "" if chance[0] in "<>" else "=\u00a0"
    return f"{said} (P\u00a0{equal}{chance})"


def _used(every: Mapping[str, Facts]) -> Table:
    limits = list(dict.fromkeys(k for facts in every.values() for k in facts.limits(facts.best)))
    rows = []
    for name, facts in every.items():
        used = facts.limits(facts.best)
        rows.append((name, *(words.percent(used[k], 3) if k in used else "not set" for k in limits)))
    return Table(
        caption="How much of each limit the best design uses", columns=("Run", *(words.sentence(words.limit(k))[:-1] for k in limits)),
        rows=tuple(rows), numeric=frozenset(range(1, len(limits) + 1)),
    )  # fmt: skip


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {
            k: v
            for name, part in value.items()
            for k, v in _flat(part, f"{path}.{name}" if path else str(name)).items()
        }
    return {path: value}


def _settings(every: Mapping[str, Facts]) -> Table | None:
    """What the budgets say differently, one setting a row; what is searched for and the limits come first."""
    flat = {name: _flat(facts.result.budget.model_dump(by_alias=True)) for name, facts in every.items()}
    keys = [k for k in dict.fromkeys(k for one in flat.values() for k in one) if k != "name"]
    differ = [k for k in keys if len({_say(k, one.get(k)) for one in flat.values()}) > 1]
    if not differ:
        return None
    return Table(
        caption="What the budgets say differently",
        columns=("Setting", *every),
        rows=tuple((k, *(_say(k, one.get(k)) for one in flat.values())) for k in differ[:MOST_SETTINGS]),
        left_out=max(0, len(differ) - MOST_SETTINGS),
    )


def _changes(every: Mapping[str, Facts]) -> list[str]:
    """What moved against the first run that found a design: shape, size, and which limits are used up."""
    found = {name: facts for name, facts in every.items() if facts.result.feasible}
    missing = [f"{name}: {story.nothing_fits(facts)}" for name, facts in every.items() if name not in found]
    if not found:
        return missing
    lines = []
    (first_name, first), *others = found.items()
    for name, facts in others:
        a, b = first.best, facts.best
        # By their names: what a run calls its training limit says whether it is the same one.
        used, used_now = ([x.limit(k) for k in x.binding(row)] for x, row in ((first, a), (facts, b)))
        gone, new = [k for k in used if k not in used_now], [k for k in used_now if k not in used]
        line = (
            f"From {first_name} to {name}{_asked(first, facts)} the best design goes from {f.shape(a)} to {f.shape(b)}: "
            f"{words.number(float(b['context_length']) / float(a['context_length']), 2)} times the context, "
            f"{words.number(float(b['n_params']) / float(a['n_params']), 2)} times the parameters."
        )
        if gone or new:
            parts = [f"no longer used up: {words.listed(gone)}"] if gone else []
            line += f" {words.sentence('; '.join([*parts, *([f'used up now: {words.listed(new)}'] if new else [])]))}"
        else:
            line += " The same limits are used up."
        before, after = (x.result.verdict.status if x.result.verdict else "" for x in (first, facts))
        if before and after and before != after:
            line += f" The idea {_called(facts)}, where on {first_name} it {_called(first)}."
        lines.append(line)
    return lines + missing


def _asked(first: Facts, other: Facts) -> str:
    """What of the question changed between two runs, the search left out: (quality.corpus: books → code)."""
    a, b = (_flat(x.result.budget.model_dump(by_alias=True)) for x in (first, other))
    moved = [
        f"{k}: {_say(k, a.get(k))} → {_say(k, b.get(k))}"
        for k in dict.fromkeys([*a, *b])
        if k != "name" and not k.startswith("search.") and _say(k, a.get(k)) != _say(k, b.get(k))
    ]
    if not moved:
        return ""
    rest = f"; {len(moved) - MOST_NAMED} more below" if len(moved) > MOST_NAMED else ""
    return f" ({'; '.join(moved[:MOST_NAMED])}{rest})"


def _say(key: str, value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        if "memory" in key:
            return words.memory(value)
        large = abs(value) >= 1e6
        return words.count(float(value)) if large else f"{value:,.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_say(name, part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_say(key, part) for part in value)
    return str(value)
