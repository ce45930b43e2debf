"""How good the search was: share of the exact hypervolume, or of the best possible, against trials."""

from __future__ import annotations

import altair as alt

from explorer.report import words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts


def chart(facts: Facts) -> Chart | None:
    """The rising hypervolume; None where the search told nothing on the way."""
    import pandas as pd

    search = facts.result.search
    if len(search.curve) < 2:
        return None
    frame = pd.DataFrame(search.curve, columns=["trials", "share"]).round(5)
    measure = search.measure
    x = alt.X("trials:Q", title="Trials", axis=alt.Axis(tickMinStep=1, tickCount=8))
    y = alt.Y(
        "share:Q",
        title=f"Share of {measure}",
        axis=alt.Axis(format=".0%"),
        scale=alt.Scale(domain=[0, 1]),
    )
    source = alt.Chart(alt.NamedData("search"))
    layers = [
        alt.Chart(alt.NamedData("search-exact")).mark_rule(strokeDash=[4, 3]).encode(y=alt.Y("at:Q")),
        source.mark_line(interpolate="step-after", color="@c0", strokeWidth=2).encode(x=x, y=y),
        source.mark_point(color="@c0", filled=True, size=28, opacity=1 if len(frame) <= 60 else 0).encode(
            x=x, y=y, tooltip=[alt.Tooltip("trials:Q", title="Trials"), alt.Tooltip("share:Q", title="Share", format=".2%")]
        ),
    ]  # fmt: skip
    said = takeaway(facts)
    return Chart(
        name="search",
        title="How good the search was",
        takeaway=said,
        description=f"Share of {measure} over {search.n_trials} trials. {said}",
        spec=specify(layers, 220),
        data={"search": frame, "search-exact": pd.DataFrame({"at": [1.0]})},
        table=Table(
            caption=f"Share of {measure}, at the trials that raised it",
            columns=("Trials", f"Share of {measure}"),
            rows=tuple((words.whole(t), f"{100 * s:.2f}%") for t, s in _told(search.curve)),
            numeric=frozenset({0, 1}),
        ),
        height=290,
    )  # fmt: skip


def _told(curve: tuple[tuple[int, float], ...]) -> list[tuple[int, float]]:
    """The trials at which the share rose, and the last one."""
    rose = [point for k, point in enumerate(curve) if k == 0 or point[1] > curve[k - 1][1] + 5e-5]
    return rose if rose[-1] == curve[-1] else [*rose, curve[-1]]


def takeaway(facts: Facts) -> str:
    """Share reached, after how many trials, against how many designs."""
    search = facts.result.search
    reached = next((t for t, s in search.curve if s >= 0.99), None)
    when = f", 99% of it after {words.whole(reached)}" if reached else ""
    return (
        f"{words.whole(search.n_trials)} trial{'' if search.n_trials == 1 else 's'} ({search.sampler}, seed {search.seed}) reached "
        f"{search.reached} of {search.measure}{when}. The enumerated front is {search.closeness}."
    )  # fmt: skip
