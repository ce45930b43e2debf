"""Does the trade pay: what each freedom is worth, per corpus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import altair as alt

from explorer.claims.records import CorpusTrade, Estimate, Trade, Value
from explorer.report import words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts

if TYPE_CHECKING:
    import pandas as pd

VALUES = ("context", "width", "waiting")
LABELS = {
    "context": "another context, same shape (A → B)",
    "width": "then another width and depth for it (B → C)",
    "waiting": "then a staged schedule (C → D)",
}
MOST_COMPUTE = 10.0
"""Beyond ten times the compute the axis ends; the table says the figure."""


def charts(facts: Facts) -> list[Chart]:
    """Values in nats and in equivalent training compute."""
    trade = facts.result.trade
    return [] if trade is None else [values(trade, "nats"), values(trade, "compute")]


def ordered(trade: Trade) -> list[str]:
    """Corpora, the asked one first."""
    return [trade.corpus, *(k for k in trade.corpora if k != trade.corpus)]


def of(corpus: CorpusTrade, name: str) -> Value | None:
    """One of the three values."""
    value: Value | None = getattr(corpus, name)
    return value


def frame_of(trade: Trade, unit: str) -> pd.DataFrame:
    """Long table: corpus, value, central figure and interval."""
    import pandas as pd

    rows = []
    for corpus in ordered(trade):
        for name in VALUES:
            value = of(trade.corpora[corpus], name)
            # Without a benefit of context the arms take the cheapest one: its worth is no finding.
            if value is None or not trade.corpora[corpus].models_context:
                continue
            estimate: Estimate = getattr(value, unit)
            low, high = (estimate.p05, estimate.p95) if estimate.has_interval else (None, None)
            show = words.nats if unit == "nats" else words.compute
            rows.append(
                {
                    "corpus": corpus, "value": LABELS[name], "central": _cap(estimate.central, unit),
                    "low": _cap(low, unit), "high": _cap(high, unit), "said": words.interval(estimate, "nats" if unit == "nats" else "compute"),
                    "pays": words.probability(value.pays), "shown": show(estimate.central),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _cap(value: float | None, unit: str) -> float | None:
    if value is None or math.isnan(value):
        return None
    return max(-MOST_COMPUTE, min(MOST_COMPUTE, value)) if unit == "compute" else value


def values(trade: Trade, unit: str) -> Chart:
    """Intervals of the three values per corpus, in nats or in equivalent training compute."""
    frame = frame_of(trade, unit)
    name = f"trade-{unit}"
    present = [v for v in LABELS.values() if v in set(frame["value"])]
    if unit == "nats":
        scale = alt.Scale(type="symlog", constant=0.002)
        axis = alt.Axis(
            values=[-0.3, -0.1, -0.03, -0.01, -0.003, 0, 0.003, 0.01, 0.03, 0.1, 0.3],
            format="~r",
            labelOverlap=True,
        )
        title = "Gain in loss (nats/token; axis linear near 0, then logarithmic)"
    else:
        scale = alt.Scale(type="symlog", constant=0.03)
        axis = alt.Axis(values=[-1, -0.3, -0.1, 0, 0.05, 0.2, 0.5, 1, 3, 10], format="+~%", labelOverlap=True)
        title = "Extra training compute that arm A would need for the same gain"
    y = alt.Y("corpus:N", sort=ordered(trade), title=None, scale=alt.Scale(paddingInner=0.25),
              axis=alt.Axis(grid=False, labelFontSize=13, labelColor="@ink", domain=False, ticks=False))  # fmt: skip
    offset = alt.YOffset("value:N", sort=present)
    colour = alt.Color("value:N", sort=present, scale=alt.Scale(domain=present, range=["@c0", "@c1", "@c2"]),
                       legend=alt.Legend(title=None, columns=1, symbolStrokeWidth=0))  # fmt: skip
    shape = alt.Shape("value:N", scale=alt.Scale(domain=present, range=["circle", "diamond", "triangle-up"]))
    tips = [
        alt.Tooltip("corpus:N", title="Corpus"), alt.Tooltip("value:N", title="Freedom"),
        alt.Tooltip("said:N", title="Worth"), alt.Tooltip("pays:N", title="Probability that it pays"),
    ]  # fmt: skip
    source = alt.Chart(alt.NamedData(name))
    threshold = trade.min_gain if unit == "compute" else 0.0
    x = alt.X("central:Q", title=title, scale=scale, axis=axis)
    layers = [
        alt.Chart(alt.NamedData(f"{name}-line")).mark_rule(color="@ink", strokeDash=[3, 3] if threshold else [1, 0]).encode(x=alt.X("at:Q")),
        source.mark_rule(strokeWidth=2.5, opacity=0.55).encode(
            x=alt.X("low:Q", title=title, scale=scale, axis=axis), x2=alt.X2("high:Q"), y=y, yOffset=offset, color=colour, tooltip=tips
        ),
        source.mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, yOffset=offset, color=colour, shape=shape, tooltip=tips),
    ]  # fmt: skip
    import pandas as pd

    what = "in nats" if unit == "nats" else "in equivalent training compute"
    said = takeaway(trade, unit)
    return Chart(
        name=name,
        title=f"What each freedom is worth, {what}",
        takeaway=said,
        how_to_read=(
            "Marks are the law's central values, bars 90% intervals over the posterior. "
            + (
                f"The dashed line is what pays: {words.percent(trade.min_gain)} of compute."
                if unit == "compute"
                else "Between single training runs, seed noise alone is .01–.02 nats."
            )
        ),
        description=f"Interval plot of {len(present)} values on {len(trade.corpora)} corpora, {what}. {said}",
        spec=specify(layers, alt.Step(19)),
        data={name: frame, f"{name}-line": pd.DataFrame({"at": [threshold]})},
        table=Table(
            caption=f"What each freedom is worth, {what}",
            columns=("Corpus", "Freedom", "Worth", f"Probability that it pays (≥ {words.percent(trade.min_gain)} of compute)"),
            rows=tuple((r["corpus"], r["value"], r["said"], r["pays"]) for _, r in frame.iterrows()),
            numeric=frozenset({3}),
        ),
        height=150 + 19 * len(frame) + 12 * len(trade.corpora),
    )  # fmt: skip


def takeaway(trade: Trade, unit: str) -> str:
    """The asked corpus in one sentence, set against the most favourable other one."""
    asked = trade.asked
    silent = [name for name, t in trade.corpora.items() if not t.models_context]
    unsaid = f" On {words.listed(silent)} the law models no benefit of context, so nothing is drawn there."
    if not asked.models_context:
        return unsaid.strip()
    context, width = getattr(asked.context, unit), getattr(asked.width, unit)
    show = "nats" if unit == "nats" else "compute"
    other = "shorter" if asked.arms["B"].context_length < trade.reference_context else "longer"
    text = (
        f"On {asked.corpus}, a {other} context at the same shape is worth {words.interval(context, show)}; "
        f"{moved(asked)} for it adds {words.interval(width, show)}"
    )
    top = max(
        (t for t in trade.corpora.values() if t.models_context), key=lambda t: getattr(t.width, unit).central
    )
    if top.corpus != asked.corpus:
        text += f"; on {top.corpus}, where another shape adds most, {moved(top)} adds {words.interval(getattr(top.width, unit), show)}"
    return text + "." + (unsaid if silent else "")


def moved(t: CorpusTrade) -> str:
    """What arm C changes against arm A's shape: width, depth or nothing."""
    a, c = t.arms["A"], t.arms["C"]
    changes = [
        f"{name} from {words.whole(here)} to {words.whole(there)}"
        for name, here, there in (("d", a.d_model, c.d_model), ("L", a.n_layers, c.n_layers))
        if here != there
    ]
    return f"taking {words.listed(changes)}" if changes else "another shape"
