"""What the answer hangs on: the tornado over priors, and which lever moves which objective."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from explorer.report import words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts

if TYPE_CHECKING:
    import pandas as pd


def tornado(facts: Facts) -> Chart | None:
    """The value of trading width at the low and the high end of each prior."""
    import pandas as pd

    trade = facts.result.trade
    if trade is None or not trade.factors:
        return None
    factors = sorted(trade.factors, key=lambda f: -abs(f.value_high - f.value_low))
    frame = pd.DataFrame(
        [
            {"prior": _lines(f.label), "end": end, "value": round(value, 6), "at": at, "other": round(other, 6), "share": f.variance_share}
            for f in factors
            for end, value, other, at in (
                ("low end of the prior", f.value_low, f.value_high, _at(f.low)),
                ("high end of the prior", f.value_high, f.value_low, _at(f.high)),
            )
        ]
    )  # fmt: skip
    order = [_lines(f.label) for f in factors]
    y = alt.Y(
        "prior:N",
        sort=order,
        title=None,
        axis=alt.Axis(
            labelLimit=330, labelExpr="split(datum.label, '|')", labelColor="@ink", domain=False, ticks=False
        ),
    )
    x = alt.X(
        "value:Q",
        title="Value of trading width (nats/token), mean over a fifth of the draws",
        axis=alt.Axis(format="~r", tickCount=6),
    )
    tips = [
        alt.Tooltip("prior:N", title="Prior"), alt.Tooltip("end:N", title="At its"), alt.Tooltip("at:N", title="Prior's value"),
        alt.Tooltip("value:Q", title="Value of trading width (nats)", format=".4f"),
        alt.Tooltip("share:Q", title="Share of the variance", format=".0%"),
    ]  # fmt: skip
    ends = ["low end of the prior", "high end of the prior"]
    source = alt.Chart(alt.NamedData("tornado"))
    layers = [
        source.mark_rule(strokeWidth=3, color="@faint").encode(x=x, x2=alt.X2("other:Q"), y=y),
        source.mark_point(filled=True, size=110, opacity=1).encode(
            x=x, y=y, tooltip=tips,
            color=alt.Color("end:N", scale=alt.Scale(domain=ends, range=["@c0", "@c1"]), legend=alt.Legend(title=None)),
            shape=alt.Shape("end:N", scale=alt.Scale(domain=ends, range=["circle", "diamond"])),
        ),
    ]  # fmt: skip
    top = max(factors, key=lambda f: f.variance_share)
    said = (
        f"What decides most is {top.label}: it explains {words.percent(top.variance_share)} of the variance of the "
        f"value of trading width on {trade.corpus}, which goes from {words.nats(top.value_low)} to {words.nats(top.value_high)} "
        f"across it; what would settle it: {top.decided_by}."
    )  # fmt: skip
    return Chart(
        name="tornado",
        title="What the verdict hangs on",
        takeaway=said,
        description=f"Tornado over {len(factors)} priors of the value of trading width. {said}",
        spec=specify(layers, alt.Step(42)),
        data={"tornado": frame},
        table=Table(
            caption=f"Value of trading width on {trade.corpus} across each prior",
            columns=("Prior", "Low end", "High end", "Value at low (nats)", "Value at high (nats)", "P(holds) at low",
                     "P(holds) at high", "Share of variance", "What would settle it"),
            rows=tuple(
                (f.label, _at(f.low), _at(f.high), f"{f.value_low:.4f}", f"{f.value_high:.4f}", words.probability(f.holds_low),
                 words.probability(f.holds_high), words.percent(f.variance_share), f.decided_by)
                for f in factors
            ),
            numeric=frozenset(range(1, 8)),
        ),
        height=130 + 42 * len(factors),
    )  # fmt: skip


def _lines(label: str) -> str:
    """A long label broken at `|`, where the axis takes a new line."""
    import textwrap

    return "|".join(textwrap.wrap(label, 46))


def _at(value: float | None) -> str:
    return "—" if value is None else words.number(value)


def importance(facts: Facts) -> Chart | None:
    """Which lever moves which objective among the trials."""
    evidence = facts.result.evidence
    if evidence is None or not len(evidence.importance):
        return None
    from explorer.catalog.metrics import METRICS

    frame = evidence.importance.copy()
    # An objective that is a lever itself hangs on itself alone.
    frame = frame[~frame["objective"].isin(frame["lever"])]
    if not len(frame):
        return None
    frame["lever"] = frame["lever"].map(words.lever)
    frame["objective"] = frame["objective"].map(lambda o: METRICS[o].label if o in METRICS else str(o))
    frame["importance"] = frame["importance"].astype(float).round(4)
    objectives = list(dict.fromkeys(frame["objective"]))
    order = list(
        frame[frame["objective"] == objectives[0]].sort_values("importance", ascending=False)["lever"]
    )
    y = alt.Y(
        "lever:N",
        sort=order,
        title=None,
        axis=alt.Axis(labelColor="@ink", domain=False, ticks=False, labelLimit=200),
    )
    colours = ["@c0", "@c1", "@c2", "@c3"]
    source = alt.Chart(alt.NamedData("importance")).encode(
        y=y,
        yOffset=alt.YOffset("objective:N", sort=objectives),
        color=alt.Color("objective:N", sort=objectives, scale=alt.Scale(domain=objectives, range=colours), legend=alt.Legend(title=None, symbolStrokeWidth=0)),
        tooltip=[alt.Tooltip("lever:N", title="Lever"), alt.Tooltip("objective:N", title="Objective"),
                 alt.Tooltip("importance:Q", title="Share of its importance", format=".0%")],
    )  # fmt: skip
    x = alt.X("importance:Q", title="Share of importance (PED-ANOVA)", axis=alt.Axis(format=".0%", tickCount=5), scale=alt.Scale(domain=[0, 1]))  # fmt: skip
    layers = [
        source.mark_rule(strokeWidth=3).encode(x=x),
        source.mark_point(filled=True, size=70, opacity=1).encode(
            x=x, shape=alt.Shape("objective:N", scale=alt.Scale(domain=objectives, range=["circle", "diamond", "square", "triangle-up"]))
        ),
    ]  # fmt: skip
    said = words.sentence(
        "; ".join(
            f"{str(name).lower()} hangs on {_most(part)}"
            for name, part in frame.groupby("objective", sort=False)
        )
    )
    return Chart(
        name="importance",
        title="Which lever matters",
        takeaway=said,
        how_to_read="Importance among the designs that were tried, interactions left out; it describes this space, not nature.",
        description=f"Importance of {len(order)} levers for {len(objectives)} objectives. {said}",
        spec=specify(layers, alt.Step(17)),
        data={"importance": frame},
        table=Table(
            caption="Importance of each lever for each objective (PED-ANOVA, shares of 1)",
            columns=("Lever", "Objective", "Importance"),
            rows=tuple((str(r["lever"]), str(r["objective"]), words.percent(float(r["importance"]))) for _, r in frame.iterrows()),
            numeric=frozenset({2}),
        ),
        height=120 + 18 * len(frame),
    )  # fmt: skip


def _most(part: pd.DataFrame) -> str:
    """The levers of one objective that make up nine tenths, the weightiest first."""
    ranked = part.sort_values("importance", ascending=False)
    before = ranked["importance"].cumsum() - ranked["importance"]
    told = ranked[before < 0.9 * ranked["importance"].sum()]
    return words.listed(
        f"{lever} ({words.percent(share)})"
        for lever, share in zip(told["lever"], told["importance"], strict=True)
    )
