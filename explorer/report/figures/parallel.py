"""All figures of the front at once: one line per design across parallel axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from explorer.report import words
from explorer.report.chart import MOST_TABLE_ROWS, Chart, Table, specify
from explorer.report.facts import Facts
from explorer.report.figures import axes, front

if TYPE_CHECKING:
    import pandas as pd

AXES = {
    "context_length": "Context c", "d_model": "Width d", "n_layers": "Layers L", "n_params": "Parameters",
    "n_tokens": "Tokens", "peak_device_bytes": "Memory", "kv_cache_bytes": "KV cache", "gpu_hours": "GPU-hours",
    "loss": "Loss",
}  # fmt: skip
MOST_LINES, FEWEST = 150, 4


def chart(facts: Facts) -> Chart | None:
    """None where the front has too few designs to show a pattern."""
    rows = facts.result.front.head(MOST_LINES)
    names = [a for a in AXES if a in rows and float(rows[a].max()) > float(rows[a].min()) * (1 + 1e-6)]
    if len(rows) < FEWEST or len(names) < 2:
        return None
    import numpy as np
    import pandas as pd

    parts = []
    for place, name in enumerate(names):
        values = rows[name].astype(float)
        drawn = values if name == "loss" else np.log(values)
        level = (drawn - drawn.min()) / (drawn.max() - drawn.min())
        parts.append(
            pd.DataFrame({"id": range(len(rows)), "axis": AXES[name], "place": place, "level": level.round(4).to_numpy(),  # type: ignore[union-attr]
                          "said": [_said(r, name) for _, r in rows.iterrows()]})
        )  # fmt: skip
    frame = pd.concat(parts, ignore_index=True)
    ends = pd.concat(
        [
            p.loc[[p["level"].idxmin(), p["level"].idxmax()], ["axis", "place", "level", "said"]]
            for p in parts
        ],
        ignore_index=True,
    )
    # Above and below an axis there is room for the value alone.
    ends["said"] = ends["said"].str.partition(" (")[0]
    labels = [AXES[n] for n in names]
    x = alt.X("place:Q", title=None, scale=alt.Scale(domain=[-0.35, len(names) - 0.65], nice=False),
              axis=alt.Axis(orient="top", values=list(range(len(names))), labelExpr=f"{labels}[datum.value]", grid=True,
                            domain=False, ticks=False, labelFontSize=12, labelColor="@ink", labelPadding=22))  # fmt: skip
    y = alt.Y("level:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
    tips = [alt.Tooltip("axis:N", title="Figure"), alt.Tooltip("said:N", title="Value")]
    source = alt.Chart(alt.NamedData("parallel"))
    chosen = alt.Chart(alt.NamedData("parallel-selected"))
    marks = alt.Chart(alt.NamedData("parallel-ends"))
    layers = [
        source.mark_line(strokeWidth=1.2, color="@accent", opacity=alt.expr("dim ? 0.15 : 0.5")).encode(x=x, y=y, detail=alt.Detail("id:N")),
        source.mark_point(size=20, filled=True, color="@accent", opacity=alt.expr("dim ? 0.2 : 0.8")).encode(x=x, y=y, detail=alt.Detail("id:N"), tooltip=tips),
        chosen.mark_line(strokeWidth=2.25, color="@hot").encode(x=x, y=y, detail=alt.Detail("id:N")),
        chosen.mark_point(size=40, filled=True, color="@hot", opacity=1).encode(x=x, y=y, detail=alt.Detail("id:N"), tooltip=tips),
        marks.transform_filter("datum.level >= 0.5").mark_text(dy=-9, fontSize=11, color="@muted").encode(x=x, y=y, text=alt.Text("said:N")),
        marks.transform_filter("datum.level < 0.5").mark_text(dy=12, fontSize=11, color="@muted").encode(x=x, y=y, text=alt.Text("said:N")),
    ]  # fmt: skip
    said = takeaway(rows, names)
    return Chart(
        name="parallel",
        title="The front across all its figures",
        takeaway=said,
        how_to_read="One line per design of the front; each axis runs from its smallest to its largest value there, ratios as lengths (loss linear). Selected designs stand out.",
        description=f"Parallel coordinates of {len(rows)} designs over {words.listed(labels)}. {said}",
        spec=specify(layers, 260, dim=False),
        data={"parallel": frame, "parallel-selected": frame.iloc[:0], "parallel-ends": ends},
        table=Table(
            caption="The front across all its figures",
            columns=tuple(labels),
            rows=tuple(
                tuple(_said(r, n) for n in names) for _, r in rows.head(MOST_TABLE_ROWS).iterrows()
            ),
            numeric=frozenset(range(len(names))),
            left_out=max(0, len(facts.result.front) - MOST_TABLE_ROWS),
        ),
        height=360,
    )  # fmt: skip


_KNOWN = {"context_length", "loss", "gpu_hours", "n_params", "n_tokens", *axes.PAGE_COLUMNS}


def _said(row: Any, name: str) -> str:
    return front.value(row, name) if name in _KNOWN else words.whole(row[name])


def takeaway(rows: pd.DataFrame, names: list[str]) -> str:
    """Which figure moves most along the front, and which least, as ratios."""
    ratios = {n: float(rows[n].max() / rows[n].min()) for n in names if n != "loss" and rows[n].min() > 0}
    if not ratios:
        return f"The front's {len(rows)} designs differ in loss only."
    most, least = max(ratios, key=lambda n: ratios[n]), min(ratios, key=lambda n: ratios[n])
    return (
        f"Along the front the designs differ most in {AXES[most].lower()}, {words.number(ratios[most], 2)} times from the least to the most, "
        f"and least in {AXES[least].lower()}, {words.number(ratios[least], 2)} times."
    )
