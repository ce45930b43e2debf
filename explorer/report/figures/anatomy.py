"""One design taken apart beside a published model: memory, FLOPs and time by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from explorer.report import packing, palette, words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts
from explorer.units import GIB

if TYPE_CHECKING:
    import pandas as pd

PARTS: dict[str, tuple[str, str, float, tuple[str, ...]]] = {
    "memory": (
        "Memory per GPU, filled by", "GiB per GPU", GIB,
        ("weights", "optimizer states", "gradients", "saved activations", "logits and gradients",
         "temporaries", "allocator slack", "context and buffers"),
    ),
    "flops": ("Training FLOPs per token, spent on", "GFLOPs per token", 1e9, ()),
    "time": ("Time per token, spent on", "µs per token", 1e-6, ()),
}  # fmt: skip
"""Quantity → title, unit, the model's figures per that unit, and the order of its parts where it is fixed."""
MOST_PARTS = 8
OWN = "this design"

Parts = Sequence[tuple[str, Mapping[str, float]]]
"""Bars of one quantity."""
Bars = Sequence[tuple[str, Mapping[str, Mapping[str, float]]]]
"""Bars of every quantity."""


def bars_of(table: pd.DataFrame | None, key: Any) -> Bars:
    """(`at 4,096`, quantity → part → value as drawn): one bar, or one per stage of a staged schedule, the first
    stage first; none where the key was not taken apart."""
    if table is None or not len(table):
        return []
    own = table[table["key"] == key].sort_values("stage", ascending=False)
    return [
        (
            f"at {words.whole(line['context_length'])}",
            {
                q: {p: line[f"{q}: {p}"] / scale for p in parts_in(table, q) if line[f"{q}: {p}"] > 0}
                for q, (_, _, scale, _) in PARTS.items()
            },
        )
        for line in own.to_dict(orient="records")
    ]


def parts_in(table: pd.DataFrame, quantity: str) -> list[str]:
    """The parts of a quantity that a table has columns for."""
    return [str(c).split(": ")[1] for c in table.columns if str(c).startswith(f"{quantity}: ")]


def fullest(bars: Bars) -> tuple[str, Mapping[str, float]]:
    """Of a staged design the stage that fills the device most, with what fills it (GiB); else the design itself."""
    at, found = max(bars, key=lambda bar: sum(bar[1]["memory"].values()))
    return at, found["memory"]


def rows(bars: Parts, quantity: str, order: list[str]) -> list[dict[str, Any]]:
    """The segments of all bars, in the chart's order; parts beyond its colours go into the last one."""
    return [
        {"who": who, "place": place, "part": p, "rank": order.index(p), "value": float(f"{v:.4g}"), "quantity": quantity}
        for place, (who, found) in enumerate(bars)
        for p, v in folded(found, order).items()
    ]  # fmt: skip


def closest(facts: Facts, n_params: float) -> str | None:
    """The published model nearest in size among those that were taken apart."""
    evidence = facts.result.evidence
    if evidence is None or evidence.model_anatomies is None:
        return None
    models = evidence.models[evidence.models["name"].isin(evidence.model_anatomies["key"])]
    if not len(models):
        return None
    ratio = models["n_params"].astype(float) / n_params
    return str(models.loc[ratio.where(ratio >= 1, 1 / ratio).idxmin(), "name"])  # type: ignore[index]


def charts(facts: Facts) -> list[Chart]:
    """Memory, FLOPs and time of the best design, beside the published model of the nearest size."""
    evidence = facts.result.evidence
    mine = bars_of(evidence.anatomies, facts.best_number) if evidence is not None else []
    if evidence is None or not mine:
        return []
    model = closest(facts, float(facts.best["n_params"]))
    others = bars_of(evidence.model_anatomies, model)
    names = order_of(facts)
    return [
        _chart(
            q, [(f"{OWN}|{at}", found[q]) for at, found in mine], [(f"{model}|{at}", found[q]) for at, found in others], names[q]
        )
        for q in PARTS
    ]  # fmt: skip


def every(facts: Facts) -> pd.DataFrame:
    """All that was taken apart: the rows of the front, then the published models."""
    import pandas as pd

    evidence = facts.result.evidence
    assert evidence is not None
    tables = [evidence.anatomies, evidence.model_anatomies]
    return pd.concat([t for t in tables if t is not None and len(t)], ignore_index=True).fillna(0.0)


def order_of(facts: Facts) -> dict[str, list[str]]:
    """Every part that any design or model has, so that colours mean the same for all of them."""
    whole = every(facts)
    found: dict[str, list[str]] = {}
    for quantity, (*_, fixed) in PARTS.items():
        values = whole[[f"{quantity}: {p}" for p in parts_in(whole, quantity)]]
        weight = values.div(values.sum(axis=1).where(lambda total: total > 0, 1.0), axis=0).sum()
        there = {str(c).split(": ")[1]: float(w) for c, w in weight.items() if w > 0}
        found[quantity] = [p for p in fixed if p in there] or sorted(there, key=lambda p: -there[p])
    return found


def embedded(facts: Facts) -> tuple[pd.DataFrame, list[str]]:
    """What the page's script draws other designs from, and the names of the models in it.

    `design` (the front's row, or −1 for the first model and so on), `short`, `context_length`, and per quantity its
    parts as drawn, numbered in the order of `order_of`.
    """
    import pandas as pd

    whole, order = every(facts), order_of(facts)
    evidence = facts.result.evidence
    assert evidence is not None
    models = [] if evidence.model_anatomies is None else list(dict.fromkeys(evidence.model_anatomies["key"]))
    places = {name: -1 - k for k, name in enumerate(models)}
    columns: dict[str, Any] = {
        "design": whole["key"].map(lambda key: places.get(key, key)).astype(int),
        "short": (whole["stage"] == "short").astype(int),
        "context_length": whole["context_length"],
    }
    for quantity, (_, _, scale, _) in PARTS.items():
        for k, part in enumerate(order[quantity]):
            columns[f"{quantity}{k}"] = packing.rounded(whole[f"{quantity}: {part}"] / scale)
    return pd.DataFrame(columns).sort_values(["design", "short"], ascending=[True, False]), models


def _chart(quantity: str, mine: Parts, others: Parts, order: list[str]) -> Chart:
    import pandas as pd

    title, unit, *_ = PARTS[quantity]
    shown = order[:MOST_PARTS]
    bars = [*mine, *others]
    data: pd.DataFrame = pd.DataFrame(rows(bars, quantity, shown))
    name = f"anatomy-{quantity}"
    colours = [palette.CATEGORICAL[k % 8] for k in range(len(shown))]
    source = alt.Chart(alt.NamedData(name))
    layers = [
        source.mark_bar(stroke="@paper", strokeWidth=1, height={"band": 0.72}).encode(
            x=alt.X("value:Q", title=unit, stack="zero", axis=alt.Axis(format="~r", tickCount=5)),
            y=alt.Y("who:N", sort=alt.EncodingSortField("place"), title=None,
                    axis=alt.Axis(labelColor="@ink", domain=False, ticks=False, labelLimit=120, labelFontSize=11.5,
                                  labelExpr="split(datum.label, '|')")),
            color=alt.Color("part:N", scale=alt.Scale(domain=shown, range=colours),
                            legend=alt.Legend(title=None, columns=2, symbolType="square", symbolStrokeWidth=0, labelFontSize=11)),
            order=alt.Order("rank:Q"),
            tooltip=[alt.Tooltip("who:N", title="Design"), alt.Tooltip("part:N", title="Part"), alt.Tooltip("value:Q", title=unit, format=",.4~r")],
        ),
    ]  # fmt: skip
    said = takeaway(quantity, mine, others)
    every = sorted({p for _, found in bars for p in found}, key=order.index)
    heads = [who.replace("|", " ") for who, _ in bars]
    return Chart(
        name=name,
        title=title,
        takeaway=said,
        description=f"Stacked bars of {unit} by part for {words.listed(heads)} tokens. {said}",
        spec=specify(layers, alt.Step(46)),
        data={name: data},
        table=Table(
            caption=f"{title} ({unit})",
            columns=("Part", *(words.sentence(h)[:-1] for h in heads)),
            rows=(*((p, *(words.number(found.get(p, 0.0)) for _, found in bars)) for p in every), ("Sum", *(words.number(sum(found.values())) for _, found in bars))),
            numeric=frozenset(range(1, len(bars) + 1)),
        ),
        height=310,
    )  # fmt: skip


def folded(found: Mapping[str, float], shown: list[str]) -> dict[str, float]:
    """Parts beyond the colours go into the last one."""
    out: dict[str, float] = {}
    for part, value in found.items():
        key = part if part in shown else shown[-1]
        out[key] = out.get(key, 0.0) + value
    return out


def takeaway(quantity: str, mine: Parts, others: Parts) -> str:
    """What takes most at full context, and how the sum compares with the other stage's and the model's."""
    unit = PARTS[quantity][1]
    who, full = mine[-1]
    total, top = sum(full.values()), max(full, key=lambda p: full[p])
    where = f"{who.split('|')[1].capitalize()} tokens the" if len(mine) > 1 else "The"
    text = (
        f"{where} largest part is {top}, {words.percent(full[top] / total)} of {words.number(total)} {unit}"
    )
    sums = [(w.replace("|", " "), sum(found.values())) for w, found in (*mine[:-1], *others)]
    return text + "".join(
        f"; {label.removeprefix(OWN).strip()} tokens {'it is' if label.startswith(OWN) else 'takes'} {words.number(value)}" for label, value in sums
    ) + "."  # fmt: skip
