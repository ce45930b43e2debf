"""The model against measurement, where designs were measured: one chart per metric, errors, failures."""

from __future__ import annotations

from typing import Literal

import altair as alt

from explorer.catalog.metrics import METRICS
from explorer.report import words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts
from explorer.search.agreement import CORRECTED, MODELLED, Agreement

LABELS = {"peak_allocated_bytes": "Peak allocated memory", "peak_reserved_bytes": "Peak reserved memory"}
"""What a framework tells of the memory peak; every other name is a metric."""
MOST_ROWS = 60
GIB = 2.0**30


def charts(facts: Facts) -> list[Chart]:
    """Predicted against measured, for every metric that was measured."""
    return [chart(facts, found) for found in facts.result.search.agreement]


def chart(facts: Facts, found: Agreement) -> Chart:
    """One point per trial; on the line the model is right."""
    import pandas as pd

    label, unit, scale = _said(found.metric)
    trials = facts.result.trials
    columns = ["context_length", "d_model", "n_layers", found.metric, f"{MODELLED}{found.metric}"]
    figures = ["measured", "predicted", "corrected"]
    frame = trials[columns].dropna().set_axis(["c", "d", "L", *figures[:2]], axis=1)
    frame["corrected"] = trials[f"{CORRECTED}{found.metric}"] if found.n_corrected else float("nan")
    frame[figures] = (frame[figures].astype(float) / scale).map(lambda v: float(f"{v:.5g}"))
    corrected = frame.dropna()[["c", "d", "L", "measured", "corrected"]]
    corrected = corrected.rename(columns={"corrected": "predicted"})
    both = frame[["measured", "predicted"]].to_numpy()
    ends = pd.DataFrame({"measured": [both.min(), both.max()], "predicted": [both.min(), both.max()]})
    # Ratios matter where figures span more than a doubling.
    kind: Literal["log", "linear"] = "log" if both.min() > 0 and both.max() > 2 * both.min() else "linear"
    options = alt.Scale(type=kind, nice=False, zero=False, padding=10)
    axis = alt.Axis(format="~r", tickCount=5)
    x = alt.X("measured:Q", title=f"Measured ({unit})", scale=options, axis=axis)
    y = alt.Y("predicted:Q", title=f"Predicted ({unit})", scale=options, axis=axis)
    name = f"measured-{found.metric.replace('_', '-')}"
    shown = [
        alt.Tooltip(f"{c}:Q", title=t, format=",.0f")
        for c, t in (("c", "Context c"), ("d", "Width d"), ("L", "Layers L"))
    ]
    shown += [
        alt.Tooltip(f"{c}:Q", title=f"{c.capitalize()} ({unit})", format=",.4~r")
        for c in ("measured", "predicted")
    ]
    layers = [
        alt.Chart(alt.NamedData(f"{name}-line")).mark_line(strokeDash=[4, 3], color="@muted").encode(x=x, y=y),
        alt.Chart(alt.NamedData(name)).mark_point(filled=True, size=55, opacity=0.85, color="@c0", aria=False).encode(x=x, y=y, tooltip=shown),
    ]  # fmt: skip
    data = {name: frame.drop(columns="corrected"), f"{name}-line": ends}
    read = "On the dashed line the model is right; above it the model says too much."
    if len(corrected):
        data[f"{name}-corrected"] = corrected
        ring = alt.Chart(alt.NamedData(f"{name}-corrected")).mark_point(size=55, color="@c1", aria=False)
        layers.append(ring.encode(x=x, y=y, tooltip=shown))
        read += " Rings: the same designs, corrected by what the trials before each had measured."
    said = takeaway(found)
    errors = frame["predicted"] / frame["measured"] - 1
    rows = [
        (
            words.whole(r["c"]),
            words.whole(r["d"]),
            words.whole(r["L"]),
            words.number(r["measured"]),
            words.number(r["predicted"]),
            words.percent(float(errors[k])),
            words.number(r["corrected"]) if r["corrected"] == r["corrected"] else "",
        )
        for k, (_, r) in zip(frame.index, frame.iterrows(), strict=True)
    ]
    return Chart(
        name=name,
        title=f"{label}: model and measurement",
        takeaway=said,
        description=f"Predicted over measured {label.lower()} of {found.n} designs, with the line on which both agree{' and, as rings, what was corrected by earlier trials' if len(corrected) else ''}. {said}",
        spec=specify(layers, 260),
        data=data,
        table=Table(
            caption=f"{label} of every measured design ({unit})",
            columns=("Context c (tokens)", "Width d", "Layers L", "Measured", "Predicted", "Error", "Corrected"),
            rows=tuple(rows[:MOST_ROWS]),
            numeric=frozenset(range(7)),
            left_out=max(0, len(rows) - MOST_ROWS),
        ),
        height=330,
        how_to_read=read,
    )  # fmt: skip


def takeaway(found: Agreement) -> str:
    """Error, bias, and what a single factor would not mend."""
    side = "too much" if found.bias > 0 else "too little"
    ordered = ""
    if found.rank_correlation == found.rank_correlation:
        ordered = f"; it orders designs with a rank correlation of {words.number(found.rank_correlation, 2)}"
    learned = ""
    if found.n_corrected:
        learned = (
            f" Corrected by the trials before each, {words.percent(found.corrected_error)} are left of "
            f"{words.percent(found.uncorrected_error)} (median of the last {words.whole(found.n_corrected)})."
        )
    return (
        f"The model is off by {words.percent(found.median_error)} in the median of {words.whole(found.n)} designs. It says "
        f"{words.percent(abs(found.bias))} {side} in the median; without that bias {words.percent(found.spread)} are left{ordered}.{learned}"
    )


def agreements(facts: Facts) -> Table | None:
    """Every measured metric in a row; None where nothing was measured."""
    found = facts.result.search.agreement
    if not found:
        return None
    return Table(
        caption=f"What {facts.result.search.evaluator} measured, against the model (error: predicted / measured − 1)",
        columns=("Metric", "Designs", "Median error", "Bias (median)", "Error without the bias", "Rank correlation", "Corrected by earlier trials"),
        rows=tuple(
            (_said(a.metric)[0], words.whole(a.n), words.percent(a.median_error), words.percent(a.bias), words.percent(a.spread),
             words.number(a.rank_correlation, 2),
             f"{words.percent(a.uncorrected_error)} → {words.percent(a.corrected_error)}" if a.n_corrected else "too few")
            for a in found
        ),
        numeric=frozenset(range(1, 7)),
    )  # fmt: skip


def failures(facts: Facts) -> Table | None:
    """Trials that came to nothing; None where all came to something."""
    found = facts.result.search.failures
    if not found:
        return None
    return Table(
        caption="Trials that failed, and what they died of",
        columns=("Trial", "Design", "Error"),
        rows=tuple(
            (words.whole(t.number), words.listed(f"{words.lever(k)} {v}" for k, v in t.params.items()), t.error[:400])
            for t in found[:MOST_ROWS]
        ),
        numeric=frozenset({0}),
        left_out=max(0, len(found) - MOST_ROWS),
    )  # fmt: skip


def _said(name: str) -> tuple[str, str, float]:
    """A figure's label, the unit a page shows it in, and that unit in its own."""
    metric = METRICS.get(name)
    label = metric.label if metric else LABELS.get(name, name)
    if name.endswith("_bytes"):
        return label, "GiB", GIB
    return label, metric.unit if metric else "", 1.0
