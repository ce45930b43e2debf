"""What width buys in context: along the iso-budget line, and the best design of each width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from explorer.claims.records import CurvePoint, Trade
from explorer.report import labels, words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts
from explorer.report.figures import axes
from explorer.report.figures.trade import ordered

if TYPE_CHECKING:
    import pandas as pd

COLOURS = ["@c0", "@c1", "@c2", "@c3", "@c4", "@c6"]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3]]
LABELS = 8
"""About as many points of the asked corpus carry a label."""
HEIGHT, ROOMY = 320, 620.0
"""Pixels: height of the plot, and a width of it (on paper) for which names are placed."""
ABOVE = tuple(labels.Offset(0, dy, "center") for dy in (-13, 14, -20, 21))


def charts(facts: Facts) -> list[Chart]:
    """The iso-budget line and the curve over widths, where the trade drew them."""
    trade = facts.result.trade
    if trade is None:
        return []
    found = [line(trade)] if len(trade.asked.exchange) > 1 else []
    return found + ([widths(trade)] if len(trade.asked.curve) > 1 else [])


def line(trade: Trade) -> Chart:
    """From the widest design to the longest context at the same depth, tokens and limits."""
    said = _rate(trade)
    # The line may be shorter than a doubling.
    ticks = sorted([*axes.POWERS_OF_TWO, *(3 * k for k in axes.POWERS_OF_TWO)])
    x = axes.context("c").axis(values=ticks, labelExpr=axes.TOKENS, labelOverlap=True)
    a = trade.asked.arms["A"]
    return _curve(
        trade, "exchange", "exchange", x, label="'d ' + format(datum.d_model, ',.0f')",
        title="The exchange rate: what a longer context costs in width",
        takeaway=said,
        how_to_read=(
            f"Follow a line from the widest design that the budget pays for to the longest context: every point keeps arm A's "
            f"{words.whole(a.n_layers)} layers and {words.count(a.n_tokens)} tokens, and labels are the width that is left "
            f"(on the line widths lie between those listed). {_band(trade)}"
        ),
        caption=f"Along the iso-budget line, judged on {trade.corpus}",
    )  # fmt: skip


def widths(trade: Trade) -> Chart:
    """The best context and depth at each width, widest first."""
    best = max(trade.asked.curve, key=lambda p: p.gain.central)
    said = (
        f"On {trade.corpus} the best width is d = {words.whole(best.d_model)}, with c = {words.tokens(best.context_length)} and "
        f"{words.whole(best.n_layers)} layers: {words.interval(best.gain)} better than arm A."
    )
    if not trade.asked.models_context:
        said = f"On {trade.corpus} the law models no benefit of context, so each width stands at the context that is cheapest for it."
    x = alt.X("d_model:Q", title="Width d (widest feasible at the left)", scale=alt.Scale(type="log", base=2, reverse=True, nice=False),
              axis=alt.Axis(format=",.0f", tickCount=8, labelOverlap=True))  # fmt: skip
    return _curve(
        trade, "widths", "curve", x, label="'c ' + format(datum.c / 1024, '.3~r') + 'k'",
        title="The best design of each width",
        takeaway=said,
        how_to_read=(
            "Each width takes the context and depth that suit it best under the same limits; labels are that context "
            f"(1k = 1,024 tokens), and zigzags come from depths being whole numbers. {_band(trade)}"
        ),
        caption=f"The best design of each width on {trade.corpus}, under the same budget",
    )  # fmt: skip


def _band(trade: Trade) -> str:
    return (
        f"The band is the 90% interval on {trade.corpus}, paired with arm A draw by draw; hollow marks lie outside the law's domain."
        if trade.n_draws
        else "Hollow marks lie outside the law's domain."
    )


def _frame(trade: Trade, which: str) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for corpus in _drawn(trade, which):
        points: tuple[CurvePoint, ...] = getattr(trade.corpora[corpus], which)
        every = max(1, round(len(points) / LABELS))
        rows += [
            {
                "corpus": corpus, "c": p.context_length, "d_model": p.d_model, "longest": p.longest_context, "n_layers": p.n_layers,
                "n_params": p.n_params, "gain": round(p.gain.central, 6), "low": p.gain.p05, "high": p.gain.p95,
                "loss": words.estimated_loss(p.loss), "said": words.interval(p.gain, "nats"),
                "far": int(p.extrapolated), "asked": int(corpus == trade.corpus),
                "labelled": int(corpus == trade.corpus and k % every == every // 2),
            }
            for k, p in enumerate(points)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def _named(frame: pd.DataFrame, along: str) -> pd.DataFrame:
    """The rows that are labelled, their names off every line; those without a free place are not."""
    every = np.concatenate([frame[k].dropna().to_numpy(dtype=float) for k in ("gain", "low", "high")])
    low, high = float(every.min()), float(every.max())
    ends = np.log(frame[along].to_numpy(dtype=float))
    x = ROOMY * (ends - ends.min()) / ((ends.max() - ends.min()) or 1.0)
    x = ROOMY - x if along == "d_model" else x
    y = HEIGHT * (high - frame["gain"].to_numpy(dtype=float)) / ((high - low) or 1.0)
    strokes = []
    for _, line in frame.groupby("corpus", sort=False):
        order = np.argsort(x[line.index])
        at = np.linspace(x[line.index].min(), x[line.index].max(), 200)
        strokes.append(np.stack([at, np.interp(at, x[line.index][order], y[line.index][order])], axis=1))
    wanted = frame.index[frame["labelled"] == 1]
    names = [
        labels.Name(
            text="d 12,345", size=11, offsets=ABOVE, points=((float(x[k]), float(y[k])),), optional=True
        )
        for k in wanted
    ]
    places = labels.place(names, np.concatenate(strokes), ROOMY, float(HEIGHT))
    placed = {k: p for k, p in zip(wanted, places, strict=True) if p}
    frame["labelled"] = [int(k in placed) for k in frame.index]
    for name in ("dx", "dy", "align"):
        frame[name] = [getattr(placed[k].offset, name) if k in placed else None for k in frame.index]
    return frame


def _drawn(trade: Trade, which: str) -> list[str]:
    """Corpora of a curve: one that chooses contexts says nothing where no benefit of context is modelled."""
    return [
        name
        for name in ordered(trade)
        if which == "exchange" or name == trade.corpus or trade.corpora[name].models_context
    ]


def _curve(trade: Trade, name: str, which: str, x: alt.X, *, label: str, caption: str, **said: str) -> Chart:
    import pandas as pd

    frame, corpora = (
        _named(_frame(trade, which), "c" if which == "exchange" else "d_model"),
        _drawn(trade, which),
    )
    points: tuple[CurvePoint, ...] = getattr(trade.asked, which)
    y = alt.Y("gain:Q", title="Gain over arm A (nats/token)")
    tips = [
        alt.Tooltip("corpus:N", title="Corpus"), alt.Tooltip("d_model:Q", title="Width d", format=",.0f"),
        alt.Tooltip("c:Q", title="Context c (tokens)", format=",.0f"), alt.Tooltip("longest:Q", title="Longest feasible context (tokens)", format=",.0f"),
        alt.Tooltip("n_layers:Q", title="Layers L", format=",.0f"), alt.Tooltip("n_params:Q", title="Parameters", format=".3s"),
        alt.Tooltip("said:N", title="Gain over arm A"), alt.Tooltip("loss:N", title=words.LOSS_HEADING),
    ]  # fmt: skip
    source = alt.Chart(alt.NamedData(name))
    # A corpus looks the same in every chart, also where another one is left out.
    place = [ordered(trade).index(corpus) % len(COLOURS) for corpus in corpora]
    colours, dashes = [COLOURS[k] for k in place], [DASHES[k] for k in place]
    colour = alt.Color("corpus:N", sort=corpora, scale=alt.Scale(domain=corpora, range=colours),
                       legend=alt.Legend(title="Corpus:", symbolType="stroke", symbolStrokeWidth=3))  # fmt: skip
    dash = alt.StrokeDash(
        "corpus:N", sort=corpora, scale=alt.Scale(domain=corpora, range=dashes), legend=None
    )
    layers = [
        alt.Chart(alt.NamedData(f"{name}-zero")).mark_rule(color="@faint").encode(y=alt.Y("at:Q")),
        source.transform_filter("datum.asked == 1").mark_area(opacity=0.16, color="@c0").encode(
            x=x, y=alt.Y("low:Q", title="Gain over arm A (nats/token)"), y2=alt.Y2("high:Q")
        ),
        source.mark_line(strokeWidth=2.25).encode(x=x, y=y, color=colour, strokeDash=dash),
        source.transform_filter("datum.far == 0").mark_point(size=26, filled=True, opacity=1).encode(x=x, y=y, color=colour, tooltip=tips),
        source.transform_filter("datum.far == 1").mark_point(size=26, filled=True, fill="@paper", strokeWidth=1.5, opacity=1).encode(
            x=x, y=y, stroke=alt.Stroke("corpus:N", sort=corpora, scale=alt.Scale(domain=corpora, range=colours), legend=None), tooltip=tips),
        *(
            source.transform_filter("datum.labelled == 1").transform_calculate(label=label)
            .mark_text(**labels.MARK, fontSize=11, color="@ink", opacity=alt.expr(axes.ROOM), **halo).encode(x=x, y=y, text=alt.Text("label:N"))
            for halo in axes.HALO
        ),
    ]  # fmt: skip
    outside = sum(p.extrapolated for p in points) / len(points)
    takeaway = said["takeaway"]
    if outside:
        takeaway += f" {'The whole' if outside == 1 else f'{words.percent(outside)} of the'} curve lies outside the law's domain."
    return Chart(
        name=name, title=said["title"], takeaway=takeaway, how_to_read=said["how_to_read"],
        description=f"Gain over arm A along {len(points)} designs, for {len(corpora)} corpora. {takeaway}",
        spec=specify(layers, HEIGHT),
        data={name: frame, f"{name}-zero": pd.DataFrame({"at": [0.0]})},
        table=Table(
            caption=caption,
            columns=("Width d", "Context c (tokens)", "Longest feasible c (tokens)", "Layers L", "Parameters", words.LOSS_HEADING, "Gain over arm A", "Law"),
            rows=tuple(
                (words.whole(p.d_model), words.whole(p.context_length), words.whole(p.longest_context), words.whole(p.n_layers), words.count(p.n_params),
                 words.estimated_loss(p.loss), words.interval(p.gain, "nats"), "outside its domain" if p.extrapolated else "inside")
                for p in points
            ),
            numeric=frozenset(range(5)),
        ),
        height=420,
    )  # fmt: skip


def _rate(trade: Trade) -> str:
    """The line's ends, its best point, and the price of a doubling."""
    points, rate = trade.asked.exchange, trade.asked.width_per_doubling
    first, last = points[0], points[-1]
    best = max(points, key=lambda p: p.gain.central)
    text = (
        f"At equal depth and tokens the budget pays for d = {words.whole(first.d_model)} at c = {words.tokens(first.context_length)} and for "
        f"d = {words.whole(last.d_model)} at c = {words.tokens(last.context_length)}"
    )
    if rate is not None and math.isfinite(rate) and rate > 0:
        cost = "no width" if rate >= 1 else f"{words.percent(1 - rate)} of the width"
        text += f"; from {words.tokens(trade.reference_context)} on, a doubling of the context costs {cost}"
    if not trade.asked.models_context:
        return f"{text}; on {trade.corpus} the law models no gain from it."
    return f"{text}. On {trade.corpus} the line is best at c = {words.tokens(best.context_length)}, a gain over arm A of {words.interval(best.gain)}."
