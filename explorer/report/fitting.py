"""A fitted law as a page: constants with intervals, residuals, error on what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.report import words
from explorer.report.chart import Chart, Table, specify
from explorer.report.page import fill

if TYPE_CHECKING:
    from explorer.quality.fitting.record import FitReport


def fit_page(report: FitReport) -> str:
    """What was fitted, how well it holds on runs it has not seen, and what is collinear."""
    residuals = np.asarray(report.residuals, dtype=float)
    inside = float(np.sqrt(np.mean(residuals**2)))
    tried, carried, agree = report.starts
    lead = f"Law {report.name} was fitted to {words.whole(len(residuals))} runs; its root-mean-square error on them is {words.nats(inside)}"
    unseen = [f"{words.nats(g.rmse)} ({g.name})" for g in report.left_out if g.kind in ("extreme", "all")]
    if unseen:
        lead += f", on runs left out of the fit {words.listed(unseen)}"
    notes = [
        f"{agree} of {carried} starts carried to the end ({tried} tried) agree on the minimum",
        f"condition number of the fit: {words.number(report.condition_number)}; large values mean constants that only hold together",
        *report.notes,
    ]
    found = [_residuals(report, residuals)]
    return fill(
        "plain.html", found, title=f"Fit of law {report.name}", lead=lead + ".", notes=notes, charts=found,
        tables=[t for t in (_constants(report), _left_out(report), _correlations(report)) if t is not None],
    )  # fmt: skip


def _residuals(report: FitReport, residuals: np.ndarray) -> Chart:
    import altair as alt
    import pandas as pd

    frame = pd.DataFrame({"n": np.asarray(report.runs.n_params, dtype=float), "residual": residuals.round(6), "loss": np.asarray(report.runs.loss, dtype=float)})  # fmt: skip
    x = alt.X("n:Q", title="Parameters", scale=alt.Scale(type="log"), axis=alt.Axis(format="~s", tickCount=6))
    y = alt.Y("residual:Q", title="Predicted less measured loss (nats)")
    layers = [
        alt.Chart(alt.NamedData("zero")).mark_rule(color="@ink").encode(y=alt.Y("at:Q")),
        alt.Chart(alt.NamedData("residuals")).mark_point(filled=True, size=40, color="@c0", opacity=0.7).encode(
            x=x, y=y, tooltip=[alt.Tooltip("n:Q", title="Parameters", format=".3s"), alt.Tooltip("loss:Q", title="Measured loss (nats)", format=".4f"),
                               alt.Tooltip("residual:Q", title="Residual (nats)", format="+.4f")]),
    ]  # fmt: skip
    order = np.argsort(-np.abs(residuals))[:200]
    k = int(order[0])
    said = f"Residuals have a median of {words.nats(float(np.median(residuals)))}; the largest, {words.nats(float(residuals[k]))}, is at {words.count(float(frame['n'].iloc[k]))} parameters."
    return Chart(
        name="residuals", title="Residuals", takeaway=said, description=f"Residual against model size for {len(frame)} runs. {said}",
        spec=specify(layers, 320), data={"residuals": frame, "zero": pd.DataFrame({"at": [0.0]})},
        table=Table(
            caption="Residuals, the largest first", columns=("Parameters", "Measured loss (nats)", "Residual (nats)"),
            rows=tuple((words.count(float(frame["n"].iloc[i])), f"{frame['loss'].iloc[i]:.4f}", f"{residuals[i]:+.4f}") for i in order),
            numeric=frozenset({0, 1, 2}), left_out=max(0, len(frame) - 200),
        ),
        height=400,
    )  # fmt: skip


def _constants(report: FitReport) -> Table:
    return Table(
        caption="Constants as fitted; standard error and interval from the bootstrap over runs",
        columns=("Constant", "Fitted", "Standard error", "5%", "95%"),
        rows=tuple(
            (c.name, words.number(c.value, 5), *("—" if v is None else words.number(v, 3) for v in (c.standard_error, *(c.interval or (None, None)))))
            for c in report.constants
        ),
        numeric=frozenset({1, 2, 3, 4}),
    )  # fmt: skip


def _left_out(report: FitReport) -> Table | None:
    if not report.left_out:
        return None
    return Table(
        caption="Error on runs that were left out of the fit (nats)",
        columns=("Left out", "Runs", "Root mean square", "Mean absolute", "Median absolute", "Bias"),
        rows=tuple(
            (g.name, str(g.n), *(f"{v:.4f}" for v in (g.rmse, g.mean_absolute, g.median_absolute)), f"{g.bias:+.4f}")
            for g in sorted(report.left_out, key=lambda g: g.kind not in ("extreme", "all"))
        ),
        numeric=frozenset(range(1, 6)),
    )  # fmt: skip


def _correlations(report: FitReport) -> Table | None:
    matrix = report.correlations
    if matrix is None:
        return None
    return Table(
        caption="Correlations of the bootstrap rows: near ±1, two constants are only known together",
        columns=("", *report.names),
        rows=tuple(
            (name, *(f"{v:+.2f}" for v in row)) for name, row in zip(report.names, matrix, strict=True)
        ),
        numeric=frozenset(range(1, len(report.names) + 1)),
    )
