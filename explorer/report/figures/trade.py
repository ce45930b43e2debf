"""Does the trade pay: what each freedom is worth per corpus, and what width buys in context."""

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
    "context": "longer context, same shape (A → B)",
    "width": "then a smaller width for it (B → C)",
    "waiting": "then a staged schedule (C → D)",
}
MOST_COMPUTE = 10.0
"""Beyond ten times the compute the axis ends; the table says the figure."""


def charts(facts: Facts) -> list[Chart]:
    """Values in nats, values in equivalent compute, the exchange curve."""
    trade = facts.result.trade
    if trade is None:
        return []
    found = [values(trade, "nats"), values(trade, "compute")]
    return found + ([exchange(trade)] if trade.asked.curve else [])


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
            if value is None:
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
            x=alt.X("low:Q", title=title, scale=scale, axis=axis), x2="high:Q", y=y, yOffset=offset, color=colour, tooltip=tips
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
    if not asked.models_context:
        return f"On {asked.corpus} the law models no benefit of context, so neither value can pay there."
    context, width = getattr(asked.context, unit), getattr(asked.width, unit)
    show = "nats" if unit == "nats" else "compute"
    text = (
        f"On {asked.corpus}, a longer context at the same shape is worth {words.interval(context, show)}; "
        f"taking width for it adds {words.interval(width, show)}"
    )
    top = max(trade.corpora.values(), key=lambda t: getattr(t.width, unit).central)
    if top.corpus != asked.corpus:
        text += f", and on {top.corpus}, where it adds most, {words.interval(getattr(top.width, unit), show)}"
    return text + "."


def exchange(trade: Trade) -> Chart:
    """What a smaller width buys: the best and the longest feasible context, and the gain over arm A."""
    import pandas as pd

    rows = []
    for corpus in ordered(trade):
        for p in trade.corpora[corpus].curve:
            rows.append(
                {
                    "corpus": corpus, "d_model": p.d_model, "best_c": p.context_length, "longest_c": p.longest_context,
                    "n_layers": p.n_layers, "n_params": p.n_params, "gain": round(p.gain.central, 6),
                    "low": p.gain.p05, "high": p.gain.p95, "loss": words.interval(p.loss, "loss"),
                    "asked": int(corpus == trade.corpus), "said": words.interval(p.gain, "nats"),
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows)
    corpora = ordered(trade)
    x = alt.X("d_model:Q", title="Width d (widest feasible at the left)", scale=alt.Scale(type="log", base=2, reverse=True, nice=False),
              axis=alt.Axis(format=",.0f", tickCount=8, labelOverlap=True))  # fmt: skip
    y = alt.Y("gain:Q", title="Gain over arm A (nats/token)")
    tips = [
        alt.Tooltip("corpus:N", title="Corpus"), alt.Tooltip("d_model:Q", title="Width d", format=",.0f"),
        alt.Tooltip("best_c:Q", title="Best context (tokens)", format=",.0f"),
        alt.Tooltip("longest_c:Q", title="Longest feasible context (tokens)", format=",.0f"),
        alt.Tooltip("n_layers:Q", title="Layers L", format=",.0f"), alt.Tooltip("n_params:Q", title="Parameters", format=".3s"),
        alt.Tooltip("said:N", title="Gain over arm A"), alt.Tooltip("loss:N", title="Loss"),
    ]  # fmt: skip
    source = alt.Chart(alt.NamedData("exchange"))
    colour = alt.Color("corpus:N", sort=corpora, scale=alt.Scale(domain=corpora, range=["@c0", "@c1", "@c2", "@c3", "@c4", "@c6"]),
                       legend=alt.Legend(title="Corpus:", symbolType="stroke", symbolStrokeWidth=3))  # fmt: skip
    dash = alt.StrokeDash("corpus:N", sort=corpora, scale=alt.Scale(domain=corpora, range=[[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3]]), legend=None)  # fmt: skip
    layers = [
        alt.Chart(alt.NamedData("exchange-zero")).mark_rule(color="@faint").encode(y=alt.Y("at:Q")),
        source.transform_filter("datum.asked == 1").mark_area(opacity=0.16, color="@c0").encode(
            x=x, y=alt.Y("low:Q", title="Gain over arm A (nats/token)"), y2="high:Q"
        ),
        source.mark_line(strokeWidth=2.25).encode(x=x, y=y, color=colour, strokeDash=dash),
        source.mark_point(size=26, filled=True, opacity=1).encode(x=x, y=y, color=colour, tooltip=tips),
        source.transform_filter(f"datum.asked == 1 && datum.index % {max(1, len(trade.asked.curve) // 8)} == 0")
        .transform_calculate(label="format(datum.best_c / 1024, '.3~r') + 'k'")
        .mark_text(dy=-11, fontSize=11, color="@ink").encode(x=x, y=y, text="label:N"),
    ]  # fmt: skip
    frame["index"] = frame.groupby("corpus", sort=False).cumcount()
    said = exchange_words(trade)
    return Chart(
        name="exchange",
        title="The exchange rate: what each width can buy in context",
        takeaway=said,
        how_to_read=(
            f"Read from the widest feasible design to the narrowest. Labels are the best context at that width on "
            f"{trade.corpus} (k = 1,024 tokens), the band its 90% interval; gains are paired with arm A draw by draw."
        ),
        description=f"Gain over arm A against width for {len(corpora)} corpora. {said}",
        spec=specify(layers, 320),
        data={"exchange": frame, "exchange-zero": pd.DataFrame({"at": [0.0]})},
        table=Table(
            caption=f"Width against context on {trade.corpus}: one design per width under the same budget",
            columns=("Width d", "Best context c (tokens)", "Longest feasible c (tokens)", "Layers L", "Parameters", "Loss", "Gain over arm A"),
            rows=tuple(
                (words.whole(p.d_model), words.whole(p.context_length), words.whole(p.longest_context), words.whole(p.n_layers),
                 words.count(p.n_params), words.interval(p.loss, "loss"), words.interval(p.gain, "nats"))
                for p in trade.asked.curve
            ),
            numeric=frozenset(range(5)),
        ),
        height=420,
    )  # fmt: skip


def exchange_words(trade: Trade) -> str:
    """The best width on the curve and the price of a doubling."""
    asked = trade.asked
    best = max(asked.curve, key=lambda p: p.gain.central)
    text = (
        f"On {asked.corpus} the best width on the line is d = {words.whole(best.d_model)} with c = "
        f"{words.tokens(best.context_length)}, {words.interval(best.gain)} better than arm A"
    )
    rate = asked.width_per_doubling
    if rate is None or not math.isfinite(rate) or rate <= 0:
        return f"{text}; nothing is traded there, so there is no rate to quote."
    if rate >= 1:
        return f"{text}; along the line, a doubling of the context costs no width."
    return f"{text}; along the line, a doubling of the context costs {words.percent(1 - rate)} of the width."
