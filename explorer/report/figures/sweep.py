"""Where the quadratic part matters: memory, FLOPs and time by part over the context, for the best design."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np

from explorer.report import labels, palette, words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts
from explorer.report.figures import axes

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = {
    "memory_bytes": ("sweep-memory", "Memory per GPU by part", "Memory (GiB per GPU)", 2.0**30, "GiB per GPU"),
    "flops_per_token": ("sweep-flops", "Training FLOPs per token by part", "GFLOPs per token", 1e9, "GFLOPs per token"),
    "seconds_per_token": ("sweep-seconds", "Time per token by part", "Time (µs per token, all GPUs)", 1e-6, "µs per token"),
}  # fmt: skip
MOST_PARTS = 7


def charts(facts: Facts) -> list[Chart]:
    """One chart per quantity that the evidence holds."""
    assert facts.result.evidence is not None
    sweep = facts.result.evidence.sweep
    return [chart(facts, q, part) for q in QUANTITIES if len(part := sweep[sweep["quantity"] == q])]


def chart(facts: Facts, quantity: str, sweep: pd.DataFrame) -> Chart:
    """Parts stacked over the context length, with the best design's own context marked."""
    import pandas as pd

    name, title, label, scale, unit = QUANTITIES[quantity]
    frame = gathered(sweep).assign(value=lambda t: (t["value"] / scale).map(lambda v: float(f"{v:.4g}")))
    order = list(frame.groupby("part")["value"].mean().sort_values(ascending=False).index)
    order.sort(key=lambda part: not quadratic(part))
    frame["rank"] = frame["part"].map({p: k for k, p in enumerate(order)})
    best_c, best_d = float(facts.best["context_length"]), float(facts.best["d_model"])
    marks = pd.DataFrame(
        [(best_c, f"best: c = {words.whole(best_c)}"), *([(best_d, "c = d")] if abs(np.log2(best_c / best_d)) > 0.4 else [])],
        columns=["context_length", "label"],
    )  # fmt: skip
    marks = marks[
        marks["context_length"].between(frame["context_length"].min(), frame["context_length"].max())
    ]
    marks = _named(marks, float(frame["context_length"].min()), float(frame["context_length"].max()))
    x = axes.context()
    source = alt.Chart(alt.NamedData(name))
    layers = [
        source.mark_area(stroke="@paper", strokeWidth=0.75).encode(
            x=x,
            y=alt.Y("value:Q", title=label, stack="zero", axis=alt.Axis(format="~s" if scale == 1 else "~r")),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=order, range=palette.CATEGORICAL[1:2] + [palette.CATEGORICAL[k] for k in (0, 2, 3, 4, 5, 6, 7)]),
                legend=alt.Legend(title=None, columns=2, symbolType="square", symbolStrokeWidth=0, labelFontSize=11, offset=24),
            ),
            order=alt.Order("rank:Q"),
            tooltip=[
                alt.Tooltip("part:N", title="Part"), alt.Tooltip("context_length:Q", title="Context c (tokens)", format=",.0f"),
                alt.Tooltip("value:Q", title=unit, format=",.4~r"),
            ],
        ),
        alt.Chart(alt.NamedData(f"{name}-marks")).mark_rule(color="@ink", strokeDash=[3, 3], strokeWidth=1.25).encode(x=alt.X("context_length:Q")),
        alt.Chart(alt.NamedData(f"{name}-marks"))
        .mark_text(**labels.MARK, fontSize=11.5, color="@ink", y=0)
        .encode(x=alt.X("context_length:Q"), text=alt.Text("label:N")),
    ]  # fmt: skip
    words_ = takeaway(facts, quantity, frame)
    pivot = frame.pivot_table(index="context_length", columns="part", values="value", aggfunc="sum")[order]
    return Chart(
        name=name,
        title=title,
        takeaway=words_,
        description=(
            f"Stacked areas over context lengths from {words.whole(pivot.index.min())} to {words.tokens(pivot.index.max())}: "
            f"{label}, split into {words.listed(order)}. {words_}"
        ),
        spec=specify(layers, 270),
        how_to_read=(
            "Each context length has its own best plan, which fills the memory there is: jumps are changes of plan."
            if quantity == "memory_bytes"
            else ""
        ),
        data={name: frame[["context_length", "part", "value", "rank"]], f"{name}-marks": marks},
        table=Table(
            caption=f"{title} ({unit}) for the best design's shape at other context lengths",
            columns=("Context c (tokens)", *order, "Sum"),
            rows=tuple(
                (words.whole(c), *(words.number(v) for v in row), words.number(row.sum())) for c, row in pivot.iterrows()  # type: ignore[arg-type]
            ),
            numeric=frozenset(range(len(order) + 2)),
        ),
        height=390,
    )  # fmt: skip


def _named(marks: pd.DataFrame, low: float, high: float) -> pd.DataFrame:
    """The marks' names above the plot, each to the side of its line on which there is room; or else below its upper edge."""
    width = 200.0  # of one of three charts in a row on a small screen
    names = [
        labels.Name(
            text=text, size=11.5, points=((float(width * np.log(c / low) / np.log(high / low)), 20.0),),
            offsets=(labels.Offset(-1, -12, "left"), labels.Offset(1, -12, "right"), labels.Offset(4, 12, "left"), labels.Offset(-4, 12, "right")),
        )
        for text, c in zip(marks["label"], marks["context_length"], strict=True)
    ]  # fmt: skip
    # The one at the right first: what stands left of it has the other side too.
    order = list(np.argsort(-marks["context_length"].to_numpy()))
    found = labels.place([names[k] for k in order], np.empty((0, 2)), width, 40.0)
    places = dict(zip(order, found, strict=True))
    return marks.assign(**labels.columns([p for k in range(len(names)) if (p := places[k])]))


def gathered(sweep: pd.DataFrame) -> pd.DataFrame:
    """The parts, the smallest ones put together so that colours stay distinguishable."""
    frame = sweep[["context_length", "part", "value"]].copy()
    size = frame.groupby("part")["value"].max().sort_values(ascending=False)
    size = size[size > 0]
    frame = frame[frame["part"].isin(size.index)]
    keep = set(size.index[: MOST_PARTS - 1]) | {p for p in size.index if quadratic(p)}
    if len(size) > MOST_PARTS:
        frame["part"] = frame["part"].where(frame["part"].isin(keep), "other")
    frame["part"] = frame["part"].map(lambda p: str(p).replace("_", " "))
    return frame.groupby(["context_length", "part"], as_index=False)["value"].sum()  # type: ignore[return-value]


def quadratic(part: str) -> bool:
    """Whether a part is attention's own, the one whose cost per token grows with the context."""
    name = str(part).lower()
    return "quadratic" in name or name in ("attention", "attention scores", "scores", "attention kernel")


def share_at(frame: pd.DataFrame, context: float) -> float:
    """Share of the quadratic part at a context length, on the sweep's nearest point."""
    points = frame["context_length"].to_numpy()
    near = points[np.argmin(np.abs(np.log(points / context)))]
    here = frame[frame["context_length"] == near]
    return float(here.loc[here["part"].map(quadratic), "value"].sum() / here["value"].sum())


def takeaway(facts: Facts, quantity: str, frame: pd.DataFrame) -> str:
    """The share that grows with the context, at the best design and at both ends."""
    evidence = facts.result.evidence
    assert evidence is not None
    best = float(facts.best["context_length"])
    low, high = float(frame["context_length"].min()), float(frame["context_length"].max())
    total = frame.groupby("context_length")["value"].sum()
    if quantity == "memory_bytes":
        grows = float(total.iloc[-1] / total.iloc[0])
        here = frame[frame["context_length"] == _nearest(frame, best)]
        top = here.loc[here["value"].idxmax()]  # type: ignore[call-overload]
        return (
            f"From {words.whole(low)} to {words.tokens(high)} the memory per GPU changes by a factor of "
            f"{words.number(grows, 2)}; at the best design's context the largest part is {top['part']} with "
            f"{words.percent(float(top['value']) / float(here['value'].sum()))}."
        )
    what, where = ("FLOPs", "flops") if quantity == "flops_per_token" else ("step time", "seconds")
    at = float(evidence.crossover.get(where, np.nan))
    crossing = (
        f"it equals all the rest at c = {words.tokens(at)} ({words.number(at / float(facts.best['d_model']), 2)} d)"
        if np.isfinite(at)
        else f"it does not reach half of the total up to {words.tokens(high)}"
    )
    return (
        f"Attention's quadratic part takes {words.percent(share_at(frame, float(facts.best['d_model'])))} of the {what} at "
        f"c = d and {words.percent(share_at(frame, best))} at the best design's c = {words.tokens(best)}; {crossing}."
    )  # fmt: skip


def _nearest(frame: pd.DataFrame, context: float) -> float:
    points = frame["context_length"].to_numpy()
    return float(points[np.argmin(np.abs(np.log(points / context)))])
