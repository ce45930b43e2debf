"""The cost model against measurements, as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from explorer.report import words
from explorer.report.chart import Chart, Table, specify
from explorer.report.page import fill

if TYPE_CHECKING:
    from explorer.validation.scores import Scores

MOST_ROWS = 4_000
MOST_LISTED = 300


def validation_page(scores: Scores) -> str:
    """Predicted against measured, error per group and its stated budget."""
    scored = [r for r in scores.rows if r.predicted is not None]
    late = [g for g in scores.groups if not g.within_budget]
    lead = (
        f"{words.whole(len(scored))} measurements in {len(scores.groups)} groups were predicted; "
        + (f"{len(late)} groups lie above their stated error budget: {words.listed(f'{g.group} ({g.what})' for g in late)}."
           if late else "every group lies within its stated error budget.")
    )  # fmt: skip
    gaps = len(scores.rows) - len(scored)
    notes = (
        [f"{words.whole(gaps)} measurements could not be predicted; the table of gaps says why"]
        if gaps
        else []
    )
    found = [c for c in (_groups(scores), _scatter(scores)) if c is not None]
    return fill(
        "plain.html", found, title="The cost model against measurements", lead=lead, notes=notes, charts=found,
        tables=[_gaps(scores)] if gaps else [],
    )  # fmt: skip


def _groups(scores: Scores) -> Chart | None:
    import altair as alt
    import pandas as pd

    if not scores.groups:
        return None
    frame = pd.DataFrame(
        [
            {"group": f"{g.group} · {g.what}", "median": g.median_error, "p90": g.p90_error, "budget": g.budget_median,
             "budget_p90": g.budget_p90, "n": g.n, "bias": g.bias}
            for g in scores.groups
        ]
    ).round(5)  # fmt: skip
    y = alt.Y(
        "group:N",
        title=None,
        sort=list(frame["group"]),
        axis=alt.Axis(labelColor="@ink", labelLimit=280, domain=False, ticks=False),
    )
    x = alt.X(
        "median:Q",
        title="Absolute relative error: median (mark) to 90th percentile (bar)",
        axis=alt.Axis(format=".0%"),
    )
    source = alt.Chart(alt.NamedData("groups"))
    tips = [alt.Tooltip("group:N", title="Group"), alt.Tooltip("n:Q", title="Measurements"), alt.Tooltip("median:Q", title="Median error", format=".1%"),
            alt.Tooltip("p90:Q", title="90th percentile", format=".1%"), alt.Tooltip("bias:Q", title="Bias", format="+.1%"),
            alt.Tooltip("budget:Q", title="Budget of the median", format=".0%")]  # fmt: skip
    layers = [
        source.mark_rule(strokeWidth=3, color="@c0", opacity=0.5).encode(x=x, x2=alt.X2("p90:Q"), y=y, tooltip=tips),
        source.mark_point(filled=True, size=80, color="@c0", opacity=1).encode(x=x, y=y, tooltip=tips),
        source.mark_tick(color="@hot", thickness=2, size=18).encode(x=alt.X("budget:Q"), y=y, tooltip=tips),
    ]  # fmt: skip
    worst = max(scores.groups, key=lambda g: g.median_error)
    said = f"The largest median error is {words.percent(worst.median_error)}, for {worst.what} of {worst.group} ({words.whole(worst.n)} {'measurement' if worst.n == 1 else 'measurements'})."
    return Chart(
        name="groups", title="Error by group", takeaway=said, description=f"Median and 90th percentile of the error per group. {said}",
        how_to_read="The upright stroke is the group’s stated budget of the median error.",
        spec=specify(layers, alt.Step(24)), data={"groups": frame},
        table=Table(
            caption="Error by group", columns=("Group", "Figure", "Measurements", "Median error", "90th percentile", "Bias", "Budget (median)", "Budget (90th)", "Within"),
            rows=tuple(
                (g.group, g.what, words.whole(g.n), words.percent(g.median_error), words.percent(g.p90_error), words.percent(g.bias),
                 words.percent(g.budget_median), words.percent(g.budget_p90), "yes" if g.within_budget else "no")
                for g in scores.groups
            ),
            numeric=frozenset(range(2, 8)),
        ),
        height=110 + 24 * len(frame),
    )  # fmt: skip


def _scatter(scores: Scores) -> Chart | None:
    import altair as alt
    import pandas as pd

    rows = [
        r
        for r in scores.rows
        if r.predicted is not None and r.predicted > 0 and isinstance(r.value, int | float) and r.value > 0
    ]
    if not rows:
        return None
    step = -(-len(rows) // MOST_ROWS)
    frame = pd.DataFrame(
        [
            {"group": r.group, "what": r.what, "label": r.label, "value": float(f"{r.value:.5g}"), "ratio": float(f"{(r.predicted or 0.0) / r.value:.4g}"), "unit": r.unit}
            for r in rows[::step]
        ]
    )  # fmt: skip
    kinds = list(dict.fromkeys(frame["what"]))
    order = ["@c0", "@c1", "@c2", "@c3", "@c6", "@c4", "@c7", "@c5"]
    low, high = (
        max(0.2, min(0.8, float(frame["ratio"].min()))),
        min(5.0, max(1.25, float(frame["ratio"].max()))),
    )
    x = alt.X(
        "value:Q",
        title="Measured (in its own unit)",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format="~e", tickCount=6),
    )
    y = alt.Y(
        "ratio:Q",
        title="Predicted / measured",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(format="~r"),
    )
    tips = [alt.Tooltip("what:N", title="Figure"), alt.Tooltip("group:N", title="Group"), alt.Tooltip("label:N", title="Row"),
            alt.Tooltip("value:Q", title="Measured", format=",.5~r"), alt.Tooltip("unit:N", title="Unit"), alt.Tooltip("ratio:Q", title="Predicted / measured", format=".3f")]  # fmt: skip
    layers = [
        alt.Chart(alt.NamedData("one")).mark_rule(color="@ink").encode(y=alt.Y("at:Q")),
        alt.Chart(alt.NamedData("rows")).mark_point(filled=True, size=22, opacity=0.55, clip=True).encode(
            x=x, y=y, tooltip=tips, color=alt.Color("what:N", title=None, scale=alt.Scale(domain=kinds, range=[order[k % 8] for k in range(len(kinds))]), legend=alt.Legend(columns=4)),
            shape=alt.Shape("what:N", scale=alt.Scale(domain=kinds, range=["circle", "square", "diamond", "triangle-up", "cross", "triangle-down"])),
        ),
    ]  # fmt: skip
    near = float(frame["ratio"].between(1 / 1.1, 1.1).mean())
    said = f"{words.percent(near)} of the predictions lie within 10% of what was measured."
    listed = sorted(rows, key=lambda r: -abs(r.error or 0.0))[:MOST_LISTED]
    return Chart(
        name="rows", title="Predicted against measured", takeaway=said, description=f"Ratio of predicted to measured for {len(rows):,} measurements. {said}",
        spec=specify(layers, 380), data={"rows": frame, "one": pd.DataFrame({"at": [1.0]})},
        table=Table(
            caption="The largest errors", columns=("Figure", "Group", "Row", "Measured", "Predicted", "Unit", "Error"),
            rows=tuple((r.what, r.group, r.label, words.number(float(r.value)), words.number(r.predicted or 0.0), r.unit, words.percent(r.error or 0.0)) for r in listed),
            numeric=frozenset({3, 4, 6}), left_out=len(rows) - len(listed),
        ),
        height=470,
    )  # fmt: skip


def _gaps(scores: Scores) -> Table:
    counts: dict[tuple[str, str, str], int] = {}
    for row in scores.rows:
        if row.predicted is None:
            key = (row.group, row.what, row.reason)
            counts[key] = counts.get(key, 0) + 1
    return Table(
        caption="What could not be predicted, and why", columns=("Group", "Figure", "Measurements", "Why"),
        rows=tuple((g, w, words.whole(n), why) for (g, w, why), n in sorted(counts.items(), key=lambda kv: -kv[1])[:200]),
        numeric=frozenset({2}),
    )  # fmt: skip
