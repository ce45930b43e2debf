"""What can be had: the front of the feasible designs, with everything that was tried behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt

from explorer.report import facts as f
from explorer.report import labels, words
from explorer.report.chart import MOST_TABLE_ROWS, Chart, Table, specify
from explorer.report.facts import Facts
from explorer.report.figures import axes

if TYPE_CHECKING:
    import pandas as pd

    from explorer.catalog.metrics import Metric
    from explorer.units import FloatArray

CROWD = 80
"""Designs of a front beyond which its marks are drawn small: with three objectives it has thousands."""
ROW = alt.TooltipContent(content="data")
"""A tooltip that the page's script writes out of the row when it is asked for: writing one for each of thousands of
marks would take longer than drawing them."""
CROSS = "M-1,-1L1,1M1,-1L-1,1"
"""A mark that reads as struck out."""


HEIGHT, PADDING = 440, 10
"""Pixels: of the plot, and to spare at the ends of its horizontal axis."""


def chart(facts: Facts, designs: pd.DataFrame) -> Chart:
    """The front, loss (or the first objective) upwards."""
    ok = designs[designs["ok"] == 1]
    y_low, y_high = window(ok, facts.direction(facts.y))
    x = axes.along(facts.x, "x")
    y = alt.Y(
        "y:Q",
        title=axes.title(facts.y),
        scale=alt.Scale(zero=False, nice=False, domainMin=alt.expr("yLow"), domainMax=alt.expr("yHigh")),
    )
    crowd = len(facts.result.front) > CROWD
    brush = alt.selection_interval(name="brush", zoom=False)
    source = alt.Chart(alt.NamedData("designs"))
    names = alt.Chart(alt.NamedData("picks"))
    label: dict[str, Any] = {"fontSize": 12.5, "color": "@ink"}
    layers = [
        source.transform_filter("datum.ok == 0")
        .mark_point(shape=CROSS, size=22, color="@faint", opacity=0.7, clip=True, strokeWidth=1, tooltip=ROW)
        .encode(x=x, y=y),
        source.transform_filter("datum.ok == 1 && datum.front == 0")
        .mark_point(size=16, color="@c5", opacity=0.5, filled=True, clip=True, tooltip=ROW)
        .encode(x=x, y=y),
        source.transform_filter("datum.exact == 1 && exactShown")
        .mark_line(interpolate="step-after", color="@muted", strokeWidth=1.25, strokeDash=[4, 3], clip=True)
        .encode(x=x, y=y, order=alt.Order("x:Q")),
        source.transform_filter("datum.front == 1")
        .mark_point(filled=True, size=26 if crowd else 100, opacity=alt.expr("dim ? 0.25 : 1"), clip=True, tooltip=ROW)
        .encode(
            x=x,
            y=y,
            color=alt.ColorValue("@accent"),
            shape=alt.Shape(
                "staged:N",
                scale=alt.Scale(domain=[0, 1], range=["circle", "triangle-up"]),
                legend=alt.Legend(
                    title="Front:", labelExpr="datum.value == 1 ? 'staged schedule' : 'constant schedule'",
                    symbolFillColor="@accent", symbolStrokeColor="@accent",
                ) if designs.loc[designs["front"] == 1, "staged"].nunique() > 1 else None,
            ),
        )
        .add_params(brush),
        source.transform_filter("datum.front == 1 && datum.outside == 1")
        .mark_point(filled=True, size=8 if crowd else 32, color="@paper", clip=True, tooltip=ROW)
        .encode(x=x, y=y, shape=alt.Shape("staged:N", scale=alt.Scale(domain=[0, 1], range=["circle", "triangle-up"]), legend=None)),
        alt.Chart(alt.NamedData("selected"))
        .mark_point(filled=False, size=alt.expr("many ? 20 : 150"), color="@hot", strokeWidth=alt.expr("many ? 1.5 : 2.5"), clip=True, tooltip=ROW)
        .encode(x=x, y=y),
        source.transform_filter("datum.inside == 1")
        .mark_point(shape="diamond", size=110, color="@good", filled=False, strokeWidth=2, clip=True, tooltip=ROW)
        .encode(x=x, y=y),
        *baseline(facts, x, y),
        # Among thousands of marks a name alone does not say whose it is.
        *([names.mark_point(filled=False, size=130, color="@ink", strokeWidth=1.5, clip=True).encode(x=x, y=y)] if crowd else []),
        *(names.mark_text(**labels.MARK, **label, **halo).encode(x=x, y=y, text=alt.Text("label:N")) for halo in axes.HALO),
    ]  # fmt: skip
    front = facts.result.front
    # A measured study's own figures and the model's share no zero.
    two = len(facts.objectives) == 2 and not facts.measured
    whole = (
        "exact front of the whole lattice" if facts.result.search.proven else "best front that was enumerated"
    )
    drawn = f"The dashed step is the {whole}. " if two else ""
    if facts.inside:
        drawn += (
            "Open diamonds are the best designs within the law’s domain, wholly or in context and schedule. "
        )
    beats, small = "nothing feasible", "feasible and beaten"
    if facts.measured:
        beats = "nothing feasible that was measured"
        small = "feasible: measured and beaten, or not measured and drawn with the model’s figures"
    return Chart(
        name="front",
        title=f"What can be had: {facts.y.label.lower()} against {facts.x.label.lower()}",
        takeaway=takeaway(facts),
        how_to_read=(
            f"Large marks are the front: {beats} beats them in {directions(facts)}; hollow ones lie outside the law’s domain. {drawn}Small dots are {small}; "
            "grey crosses break a limit, which the tooltip names. Drag over the front to select "
            "designs everywhere on the page; click a design to choose it."
        ),
        description=(
            f"Scatter plot of {len(designs):,} designs: {facts.y.label} ({axes.unit(facts.y)}) against "
            f"{facts.x.label} ({axes.unit(facts.x)}). {len(front)} designs form the front. {takeaway(facts)}"
        ),
        spec=specify(layers, HEIGHT, dim=False, many=False, exactShown=two, yLow=y_low, yHigh=y_high),
        data={
            "designs": designs,
            "picks": picks(facts, designs, y_low, y_high),
            "selected": designs.iloc[:0],
        },
        table=table(facts),
        height=460,
    )


def told(designs: pd.DataFrame) -> list[tuple[str, str, int | str]]:
    """The lines of a tooltip over a design: column, title with unit, and how it is written (decimals, `count`, `text`)."""
    lines: list[tuple[str, str, int | str]] = [
        ("context_length", "Context c (tokens)", 0), ("d_model", "Width d", 0), ("n_layers", "Layers L", 0),
        ("n_params", "Parameters", "count"), ("loss", "Loss (nats/token)", 4), ("n_tokens", "Training tokens", "count"),
        ("gpu_hours", "GPU-hours", 0), ("days", "Days", 1), ("memory_gib", "Training memory (GiB per GPU)", 1),
        ("kv_gib", "KV cache (GiB)", 2), ("serving_gib", "Serving memory (GiB)", 1), ("energy_kwh", "Energy (kWh)", 0),
        ("price", "Price (currency)", 0), ("schedule", "Schedule", "text"), ("plan", "Plan", "text"),
        ("why", "Infeasible because", "text"),
    ]  # fmt: skip
    return [line for line in lines if line[0] in designs]


def picks(facts: Facts, designs: pd.DataFrame, y_low: float, y_high: float) -> pd.DataFrame:
    """What is named in the chart, and where the names stand: the picks, the best design within the law's domain, the
    baseline (`kept` on every corpus, for it is on no front)."""
    import numpy as np
    import pandas as pd

    columns = ["id", "context_length", "d_model", "x", "y"]
    named = designs[(designs["kind"] == "front") & designs["id"].isin(list(facts.picks))]
    own = designs[designs["kind"] == "baseline"]
    table = pd.concat(
        [
            named[columns].assign(label=[facts.picks[i] for i in named["id"]], kept=0),
            *(_same(designs, row)[columns].assign(label=label, kept=0) for label, row in _inside(facts)),
            own[columns].assign(label=_baseline_name(facts) if len(own) else "", kept=1),
        ],
        ignore_index=True,
    )

    def along(column: pd.Series[Any]) -> FloatArray:
        values = column.to_numpy(dtype=float)
        return np.log(values) if facts.x.scale == "log2" else values

    ends = along(designs["x"])
    low, span = float(ends.min()), float(ends.max() - ends.min()) or 1.0

    def pixels(rows: pd.DataFrame) -> FloatArray:
        x = PADDING + (along(rows["x"]) - low) / span * (labels.NARROWEST - 2 * PADDING)
        return np.stack([x, HEIGHT * (y_high - rows["y"].to_numpy(dtype=float)) / (y_high - y_low)], axis=1)

    marks = designs[(designs["front"] == 1) | (designs["inside"] == 1) | (designs["kind"] == "baseline")]
    names = [
        labels.Name(text=text, points=((float(x), float(y)),), offsets=labels.AROUND)
        for text, (x, y) in zip(table["label"], pixels(table), strict=True)
    ]
    others = pixels(designs[designs["ok"] == 1])
    places = labels.place(names, pixels(marks), labels.NARROWEST, HEIGHT, faint=others)
    return table.assign(**labels.columns([p for p in places if p is not None]))


def _inside(facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    """The best designs within the law's domain, wholly and in what is the reader's to choose, with their names."""
    names = {"wholly": "within the law’s domain", "context": "c within the law’s domain"}
    found = [(names[key], facts.inside[key]) for key in names if key in facts.inside]
    return found[:1] if len(found) == 2 and found[0][1] == found[1][1] else found


def _same(designs: pd.DataFrame, row: dict[str, Any]) -> pd.DataFrame:
    """A design's row in the table of the page."""
    found = designs[designs["inside"] == 1]
    for key in ("context_length", "d_model", "n_layers"):
        found = found[found[key] == float(row[key])]
    return found.head(1)


def _baseline_name(facts: Facts) -> str:
    """The baseline's name without the path it was read from."""
    evidence = facts.result.evidence
    assert evidence is not None
    assert evidence.baseline is not None
    return Path(str(evidence.baseline["name"]).rstrip("/").removesuffix("/config.json")).name


def directions(facts: Facts) -> str:
    """In both directions, or in all three objectives."""
    n = len(facts.objectives)
    return "both directions" if n == 2 else f"all {n} objectives" if n > 2 else "what is asked for"


def baseline(facts: Facts, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The named baseline as a square."""
    evidence = facts.result.evidence
    if evidence is None or evidence.baseline is None:
        return []
    source = alt.Chart(alt.NamedData("designs")).transform_filter("datum.kind == 'baseline'")
    square = source.mark_point(
        shape="square", size=110, filled=True, color="@c3", stroke="@paper", opacity=1, clip=True, tooltip=ROW
    )
    return [square.encode(x=x, y=y)]


def window(ok: pd.DataFrame, direction: str) -> tuple[float, float]:
    """The vertical range worth seeing: the front, and behind it as much again or the best third; on it, too,
    what is named beside the front."""
    if not len(ok):
        return 0.0, 1.0
    sign = -1.0 if direction == "maximize" else 1.0
    every, front = sign * ok["y"], sign * ok.loc[ok["front"] == 1, "y"]
    low = float(every.min())
    reach = float(front.max()) if len(front) else low
    high = max(reach + (reach - low), float(every.quantile(0.35)))
    beside = every[(ok["inside"] == 1) | (ok["kind"] == "baseline")]
    high = max(high, float(beside.max())) if len(beside) else high
    span = high - low or abs(high) or 1.0
    ends = sorted((sign * (low - 0.14 * span), sign * (high + 0.06 * span)))
    return ends[0], ends[1]


def takeaway(facts: Facts) -> str:
    """From one end of the front to the other."""
    front = facts.result.front
    x, y = facts.x, facts.y
    if len(front) == 1 or x.name not in front or y.name not in front:
        return f"One design is best in everything asked for: {f.shape(facts.best)}."
    if len(facts.objectives) > 2:
        spans = words.listed(_span(front, m) for m, _ in facts.objectives if m.name in front)
        return f"The {len(front):,} designs of the front have {spans}; one that looks beaten here is better in another objective."
    by_y = front.sort_values(y.name, ascending=facts.direction(y) == "minimize")
    first, last = by_y.iloc[0], by_y.iloc[-1]
    return (
        f"Along the {len(front)} designs of the front, {x.label.lower()} goes from {value(first, x.name)} to "
        f"{value(last, x.name)} and {y.label.lower()} from {value(first, y.name)} to "
        f"{value(last, y.name)}{exchange(facts)}."
    )


def _span(front: pd.DataFrame, metric: Metric) -> str:
    """A loss of 2.04 to 2.06 nats/token: a metric from its least to its most along the front."""
    values = front[metric.name].to_numpy(dtype=float)
    low, high = (value(front.iloc[int(at)], metric.name) for at in (values.argmin(), values.argmax()))
    label, unit = metric.label.lower(), axes.unit(metric)
    if label == unit:
        return f"{low.removesuffix(f' {unit}')} to {high}"
    return f"{label} of {low}" if low == high else f"{label} from {low} to {high}"


def exchange(facts: Facts) -> str:
    """What a doubling of the context costs on average along the front, in nats."""
    import math

    front = facts.result.front
    if {facts.x.name, facts.y.name} != {"context_length", "loss"} or len(front) < 2:
        return ""
    ends = front.sort_values("context_length").iloc[[0, -1]]
    doublings = math.log2(float(ends["context_length"].iloc[1]) / float(ends["context_length"].iloc[0]))
    cost = float(ends["loss"].iloc[1]) - float(ends["loss"].iloc[0])
    return f": {words.nats(cost / doublings)} per doubling of the context" if doublings > 0 else ""


def value(row: Any, name: str) -> str:
    """One figure of a design, with its unit."""
    if name == "loss":
        return words.loss(row)
    amount = float(row[name])
    if name in axes.PAGE_COLUMNS:
        return words.memory(amount)
    plain = {
        "context_length": words.tokens, "gpu_hours": words.hours, "days": words.days,
        "train_flops": words.flops, "lifetime_flops": words.flops, "mfu": words.percent,
    }  # fmt: skip
    if name in plain:
        return plain[name](amount)
    from explorer.catalog.metrics import METRICS

    unit = METRICS[name].unit if name in METRICS else ""
    return f"{words.count(amount)} {unit}".strip()


def table(facts: Facts) -> Table:
    """The front in the units of the chart."""
    front = facts.result.front
    metrics = [m for m, _ in facts.objectives if m.name in front]
    rows = [
        (words.whole(r["context_length"]), words.whole(r["d_model"]), words.whole(r["n_layers"]),
         *(value(r, m.name) for m in metrics if m.name != "context_length"), facts.picks.get(k, ""))
        for k, (_, r) in enumerate(front.head(MOST_TABLE_ROWS).iterrows())
    ]  # fmt: skip
    heads = [f"{m.label} ({axes.unit(m)})" for m in metrics if m.name != "context_length"]
    return Table(
        caption="The front: objectives of every design on it",
        columns=("Context c (tokens)", "Width d", "Layers L", *heads, "Pick"),
        rows=tuple(rows),
        numeric=frozenset(range(3 + len(heads))),
        left_out=max(0, len(front) - MOST_TABLE_ROWS),
    )
