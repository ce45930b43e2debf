"""Around the chosen design: what ten percent more of a lever does to loss, memory and hours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import altair as alt

from explorer.report import words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts

if TYPE_CHECKING:
    import pandas as pd

LEVERS = {"context_length": "context c", "d_model": "width d", "n_layers": "layers L"}
LOSS = {"loss": "under the budget", "loss_same_tokens": "at the same tokens"}
FIGURES = ("low", "high", "loss", "loss_same_tokens", "memory", "hours")
COST = {"hours": "GPU-hours at the same tokens", "memory": "memory per GPU"}


def embedded(facts: Facts) -> pd.DataFrame:
    """What the page's script draws other designs from: `design`, `lever`, and the figures."""
    evidence = facts.result.evidence
    assert evidence is not None
    assert evidence.sensitivities is not None
    table = evidence.sensitivities
    # As many decimals as the page writes out: hundred-thousandths of a nat, thousandths of a percent.
    values = {name: table[name].round(5) for name in FIGURES}
    # The page looks columns that begin with `loss_` up late: they are many, and seldom asked for.
    values["same_tokens"] = values.pop("loss_same_tokens")
    return table[["lever"]].assign(design=table["row"].astype(int), **values)


def charts(facts: Facts) -> list[Chart]:
    """Loss and cost around the best design; nothing where they were not computed."""
    evidence = facts.result.evidence
    table = evidence.sensitivities if evidence is not None else None
    if table is None or not len(table):
        return []
    own = table[table["row"] == facts.best_number]
    here: dict[str, dict[str, float]] = {
        str(line["lever"]): {k: float(f"{line[k]:.4g}") for k in FIGURES}
        for line in own.to_dict(orient="records")
    }
    if not here:
        return []
    return [
        _chart("near-loss", "What 10% more of a lever does to the loss", "Change of loss (nats/token)", LOSS, here, loss_words(here)),
        _chart("near-cost", "What 10% more of a lever costs", "Change (share)", COST, here, cost_words(here)),
    ]  # fmt: skip


def loss_words(here: Mapping[str, Mapping[str, float]]) -> str:
    """The steepest lever under the budget, and what more parameters would bring if tokens were free."""
    top = max(here, key=lambda k: abs(here[k]["loss"]))
    best = min(here, key=lambda k: here[k]["loss_same_tokens"])
    text = (
        f"Under the budget, where a dearer token means fewer of them, no lever moves the loss more than {LEVERS[top]}: "
        f"10% more changes it by {words.nats(here[top]['loss'], signed=True)}"
    )
    if here[best]["loss_same_tokens"] < 0:
        text += f"; at the same tokens {LEVERS[best]} brings most, {words.nats(here[best]['loss_same_tokens'], signed=True)}"
    return f"{text}."


def cost_words(here: Mapping[str, Mapping[str, float]]) -> str:
    """What each lever costs in hours, and which takes most memory."""
    first, *rest = sorted(here, key=lambda k: -here[k]["hours"])
    held = max(here, key=lambda k: here[k]["memory"])
    others = words.listed(f"{LEVERS[k]} {words.percent(here[k]['hours'])}" for k in rest)
    return (
        f"At the same tokens, 10% more {LEVERS[first]} takes {words.percent(here[first]['hours'])} more GPU-hours"
        f"{f', {others}' if rest else ''}; most memory goes to {LEVERS[held]}, {words.percent(here[held]['memory'])} more."
    )


def _chart(
    name: str,
    title: str,
    unit: str,
    shown: Mapping[str, str],
    here: Mapping[str, Mapping[str, float]],
    said: str,
) -> Chart:
    import pandas as pd

    cost = shown is COST
    frame: pd.DataFrame = pd.DataFrame(
        [
            {"lever": LEVERS[lever], "place": place, "what": label, "value": effects[key]}
            for place, (lever, effects) in enumerate(here.items())
            for key, label in shown.items()
        ]
    )
    labels = list(shown.values())
    x = alt.X("value:Q", title=unit, axis=alt.Axis(format="+~%" if cost else "+~r", tickCount=5))
    source = alt.Chart(alt.NamedData(name)).encode(
        y=alt.Y("lever:N", sort=alt.EncodingSortField("place"), title=None,
                axis=alt.Axis(labelColor="@ink", domain=False, ticks=False, labelFontSize=12)),
        yOffset=alt.YOffset("what:N", sort=labels),
        color=alt.Color("what:N", sort=labels, scale=alt.Scale(domain=labels, range=["@c0", "@c1"]), legend=alt.Legend(title=None, symbolStrokeWidth=0)),
        tooltip=[alt.Tooltip("lever:N", title="10% more"), alt.Tooltip("what:N", title="Effect on"),
                 alt.Tooltip("value:Q", title=unit, format="+.1%" if cost else "+.5f")],
    )  # fmt: skip
    layers = [
        alt.Chart(alt.NamedData("near-zero")).mark_rule(color="@ink").encode(x=alt.X("at:Q")),
        source.mark_rule(strokeWidth=3).encode(x=x, x2=alt.X2Datum(0)),
        source.mark_point(filled=True, size=80, opacity=1).encode(
            x=x, shape=alt.Shape("what:N", scale=alt.Scale(domain=labels, range=["circle", "diamond"]))
        ),
    ]
    return Chart(
        name=name,
        title=title,
        takeaway=said,
        how_to_read=(
            "The slope between the design’s neighbours on the lattice, laid out as the design is (same micro-batch, recompute and "
            "parallel sizes)." if cost else "At a design that the budget bounds, a lever may still pull: what stops it is a limit, not the loss."
        ),
        description=f"Points for {len(here)} levers: {words.listed(labels)}. {said}",
        spec=specify(layers, alt.Step(20)),
        data={name: frame, "near-zero": pd.DataFrame({"at": [0.0]})},
        table=Table(
            caption=title,
            columns=("Lever", "Neighbours compared", *(words.sentence(x)[:-1] for x in labels)),
            rows=tuple(
                (LEVERS[k], f"{words.whole(e['low'])} and {words.whole(e['high'])}",
                 *(words.percent(e[key]) if cost else f"{e[key]:+.5f} nats" for key in shown))
                for k, e in here.items()
            ),
            numeric=frozenset({2, 3}),
        ),
        height=210,
    )  # fmt: skip
