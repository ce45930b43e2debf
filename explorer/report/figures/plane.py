"""Where designs lie: loss over the plane of context length and width, with the lines the idea speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from explorer.claims.verdict import SEED_NOISE
from explorer.report import facts as f
from explorer.report import labels, palette, words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts
from explorer.report.figures import axes, front
from explorer.report.figures.designs import beside
from explorer.units import format_loss

if TYPE_CHECKING:
    import pandas as pd

    from explorer.units import FloatArray

STEPS = (0.002, 0.005, 0.01, 0.03, 0.1, 0.3)
"""Edges of the colour classes, nats above the best; the first ones lie within seed noise (.01–.02)."""
GRADES = (*(f"≤ {s:g}" for s in STEPS), f"> {STEPS[-1]:g}")
MOST_CELLS = 4_000
MOST_NAMED = 9
"""Published models with a name."""
HEIGHT, ROOMY = 430, 380.0
"""Pixels: height of the plot, and its width from which models are named; tooltips name them on narrower ones."""


def chart(facts: Facts, designs: pd.DataFrame) -> Chart:
    """The best loss in every cell of the c × d plane."""
    cells = cells_of(facts)
    models, lines = models_of(facts, cells), lines_of(facts, cells)
    front_rows = designs[designs["front"] == 1]
    c_span = [float(cells["c_low"].min()), float(cells["c_high"].max())]
    d_span = [float(cells["d_low"].min()), float(cells["d_high"].max())]
    x = alt.X(
        "context_length:Q",
        title="Context length c (tokens, 1k = 1,024)",
        scale=alt.Scale(type="log", base=2, domain=c_span, nice=False),
        axis=alt.Axis(values=axes.POWERS_OF_TWO, labelExpr=axes.TOKENS, grid=False),
    )
    y = alt.Y(
        "d_model:Q",
        title="Width d (1k = 1,024)",
        scale=alt.Scale(type="log", base=2, domain=d_span, nice=False),
        axis=alt.Axis(values=axes.POWERS_OF_TWO, labelExpr=axes.TOKENS, grid=False),
    )
    colour = alt.Color(
        "grade:O",
        scale=alt.Scale(domain=list(range(len(STEPS) + 1)), range=palette.HEAT),
        legend=alt.Legend(
            title="Nats above the best:", labelExpr=f"{[*GRADES]}[datum.value]", symbolType="square",
            symbolStrokeWidth=0, columns=4, columnPadding=14,
        ),
    )  # fmt: skip
    box = {"x": x.copy(), "x2": "c_high:Q", "y": y.copy(), "y2": "d_high:Q"}
    box["x"].shorthand, box["y"].shorthand = "c_low:Q", "d_low:Q"  # type: ignore[attr-defined]
    grid = alt.Chart(alt.NamedData("plane"))
    layers = [
        grid.transform_filter("datum.ok == 0").mark_rect(color="@cell", strokeWidth=0, tooltip=front.ROW).encode(**box),
        grid.transform_filter("datum.ok == 1").mark_rect(strokeWidth=0, tooltip=front.ROW).encode(**box, color=colour),
        grid.transform_filter("datum.ok == 1 && datum.far == 1 && datum.mixed == 1")
        .mark_point(shape="stroke", angle=45, size=22, color="@paper", opacity=0.55, strokeWidth=1, tooltip=front.ROW)
        .encode(x=x, y=y),
        alt.Chart(alt.NamedData("lines"))
        .mark_line(strokeWidth=1.75, color="@ink", clip=True)
        .encode(
            x=x, y=y, detail=alt.Detail("line:N"),
            strokeDash=alt.StrokeDash("line:N", legend=None, scale=alt.Scale(domain=["c = d", "crossover"], range=[[1, 0], [6, 4]])),
        ),
        *(
            alt.Chart(alt.NamedData("line_labels"))
            .mark_text(**labels.MARK, fontSize=12, color="@ink", fontStyle="italic", clip=False, **halo)
            .encode(x=x, y=y, text=alt.Text("label:N"))
            for halo in axes.HALO
        ),
        alt.Chart(alt.NamedData("models"))
        .mark_point(shape="square", size=60, filled=True, color="@c3", stroke="@paper", strokeWidth=1)
        .encode(x=x, y=y, tooltip=[
            alt.Tooltip("name:N", title="Published model"), alt.Tooltip("context_length:Q", title="Context c (tokens)", format=",.0f"),
            alt.Tooltip("d_model:Q", title="Width d", format=",.0f"), alt.Tooltip("n_layers:Q", title="Layers L", format=",.0f"),
            alt.Tooltip("n_params:Q", title="Parameters", format=".3s"),
        ]),
        *(
            alt.Chart(alt.NamedData("model_labels"))
            .mark_text(**labels.MARK, fontSize=11.5, color="@ink", opacity=alt.expr(f"width < {ROOMY:g} ? 0 : 1"), **halo)
            .encode(x=x, y=y, text=alt.Text("label:N"))
            for halo in axes.HALO
        ),
        alt.Chart(alt.NamedData("designs"))
        .transform_filter("datum.front == 1")
        .mark_point(filled=True, size=55 if len(facts.result.front) <= front.CROWD else 12, color="@hot", stroke="@paper", strokeWidth=1 if len(facts.result.front) <= front.CROWD else 0, opacity=alt.expr("dim ? 0.3 : 1"), tooltip=front.ROW)
        .encode(x=x, y=y)
        .add_params(alt.selection_interval(name="brush", zoom=False)),
        alt.Chart(alt.NamedData("selected"))
        .mark_point(filled=False, size=alt.expr("many ? 20 : 160"), color="@hot", strokeWidth=alt.expr("many ? 1.5 : 2.5"), tooltip=front.ROW)
        .encode(x=x, y=y),
    ]  # fmt: skip
    return Chart(
        name="plane",
        title="Loss over context length and width",
        takeaway=takeaway(facts, cells),
        how_to_read=(
            "Each cell is the best depth for its c and d; darker is closer to the best loss (on a dark page: "
            f"brighter). Cells without colour break a limit, which the tooltip names. {marks_of(cells)}Squares are "
            "published models, dots the front. Drag to select."
        ),
        description=(
            f"Heat map of the lowest feasible loss for {len(cells):,} pairs of context length and width, with the "
            f"line c = d, the line on which attention's quadratic FLOPs equal the rest, {len(models)} published "
            f"models and the front. {takeaway(facts, cells)}"
        ),
        spec=specify(layers, HEIGHT, dim=False, many=False),
        data={
            "plane": cells, "lines": lines, **names_of(lines, models, front_rows, c_span, d_span), "models": models, "designs": designs, "selected": designs.iloc[:0],
        },
        table=table(facts, cells),
        height=500,
    )  # fmt: skip


TOLD = (
    ("context_length", "Context c (tokens)", 0), ("d_model", "Width d", 0), ("n_layers", "Best depth L", 0),
    ("n_params", "Parameters", "count"), ("loss", "Loss (nats/token)", 4), ("limit", "Limit", "text"), ("outside", "Law", "text"),
)  # fmt: skip
"""The lines of a tooltip over a cell, as those over a design."""


def cells_of(facts: Facts) -> pd.DataFrame:
    """The plane's cells with their borders, half way (in doublings) to the neighbours."""
    assert facts.result.evidence is not None
    plane = thin(facts.result.evidence.plane)
    out = plane[["context_length", "d_model", "n_layers", "n_params"]].astype(float).copy()
    out["ok"] = plane["feasible"].astype(int)
    out["loss"] = plane["loss"].astype(float).round(5)
    out = out.assign(**beside(plane, "loss"))
    for corpus in facts.elsewhere:
        if f"loss_{corpus}" in plane:
            out[f"loss_{corpus}"] = plane[f"loss_{corpus}"].round(5)
            out = out.assign(**beside(plane, f"loss_{corpus}"))
    for axis, low, high in (("context_length", "c_low", "c_high"), ("d_model", "d_low", "d_high")):
        values = np.unique(out[axis].to_numpy())
        edges = borders(values)
        place = np.searchsorted(values, out[axis].to_numpy())
        out[low], out[high] = edges[place].round(1), edges[place + 1].round(1)
    ok = out["ok"] == 1
    out["above"] = (out["loss"] - out.loc[ok, "loss"].min()).where(ok).round(5)
    out["grade"] = np.searchsorted(STEPS, out["above"].fillna(0).to_numpy())
    binding = plane["binding"].astype(str) if "binding" in plane else plane["feasible"].map(lambda _: "")
    out["limit"] = [
        "" if not b or b == "nan" else (f"closest to its end: {facts.limit(b)}" if o else f"exceeded most: {facts.limit(b)}")
        for b, o in zip(binding, ok, strict=True)
    ]  # fmt: skip
    out["far"] = f.flags(plane["extrapolated"]).astype(int) if "extrapolated" in plane else 0
    # Where nearly everything is extrapolated, strokes everywhere would say nothing; the words do.
    out["mixed"] = int(out.loc[ok, "far"].mean() < 0.9) if ok.any() else 0
    out["outside"] = ["outside its domain" if v else "inside its domain" for v in out["far"]]
    return out.reset_index(drop=True)


def marks_of(cells: pd.DataFrame) -> str:
    """The sentence on cells outside the law's domain; none where all are inside it."""
    if not cells["far"].any():
        return ""
    if cells["mixed"].any():
        return "Slanted strokes mark cells outside the law's domain. "
    return "Nearly every cell lies outside the law's domain, so none is marked for it; tooltips say which. "


def thin(plane: pd.DataFrame) -> pd.DataFrame:
    """A plane of bounded size: every second, third, … width where there are too many cells."""
    widths = np.unique(plane["d_model"].to_numpy())
    keep = -(-len(plane) // MOST_CELLS)
    return plane if keep == 1 else plane[plane["d_model"].isin(widths[::keep])]


def borders(values: Any) -> Any:
    """Cell borders at geometric midpoints."""
    if len(values) == 1:
        return np.array([values[0] / 2**0.5, values[0] * 2**0.5])
    middle = np.sqrt(values[1:] * values[:-1])
    first, last = values[0] ** 2 / middle[0], values[-1] ** 2 / middle[-1]
    return np.concatenate([[first], middle, [last]])


def crossover_ratio(facts: Facts) -> float | None:
    """Context over width at which quadratic FLOPs equal the linear ones, for shapes like the best one."""
    evidence = facts.result.evidence
    at = float(evidence.crossover.get("flops", np.nan)) if evidence else np.nan
    return at / float(facts.best["d_model"]) if np.isfinite(at) else None


def lines_of(facts: Facts, cells: pd.DataFrame) -> pd.DataFrame:
    """End points of c = d and of the crossover, clipped to the plane."""
    import pandas as pd

    low, high = float(cells["d_low"].min()), float(cells["d_high"].max())
    left, right = float(cells["c_low"].min()), float(cells["c_high"].max())
    rows = []
    ratio = crossover_ratio(facts)
    for name, label, k in (
        ("c = d", "c = d", 1.0),
        ("crossover", f"c = {words.number(ratio, 2)} d: quadratic = linear FLOPs" if ratio else "", ratio),
    ):
        if k:
            ends = [max(low, left / k), min(high, right / k)]
            rows += [(name, label, k * d, d) for d in ends if ends[0] < ends[1]]
    return pd.DataFrame(rows, columns=["line", "label", "context_length", "d_model"])


def names_of(
    lines: pd.DataFrame,
    models: pd.DataFrame,
    front_rows: pd.DataFrame,
    c_span: list[float],
    d_span: list[float],
) -> dict[str, pd.DataFrame]:
    """The names in the plane and where they stand: `line_labels` always, `model_labels` where the plot is ROOMY.

    Models that share c and d share a name; those that would stand on another name have none.
    """
    import pandas as pd

    def pixels(rows: pd.DataFrame, width: float) -> FloatArray:
        x, y = (
            np.log(rows[axis].to_numpy(dtype=float) / low) / np.log(high / low)
            for axis, (low, high) in (("context_length", c_span), ("d_model", d_span))
        )
        return np.stack([width * x, HEIGHT * (1 - y)], axis=1)

    def points(found: FloatArray) -> tuple[tuple[float, float], ...]:
        return tuple((float(x), float(y)) for x, y in found)

    along = [_along(line) for _, line in lines.groupby("line", sort=False)]
    marks = pd.concat([models, front_rows])[["context_length", "d_model"]]
    line_names = [
        labels.Name(
            text=str(line["label"].iloc[0]),
            size=12,
            offsets=labels.BESIDE,
            points=points(pixels(line, labels.NARROWEST)),
        )
        for line in along
    ]
    strokes = [pixels(line, labels.NARROWEST) for line in along]
    stand = labels.place(
        line_names, np.concatenate([pixels(marks, labels.NARROWEST), *strokes]), labels.NARROWEST, HEIGHT
    )
    chosen = [
        (name, line.iloc[[p.point]], p.offset)
        for name, line, p in zip(line_names, along, stand, strict=True)
        if p
    ]
    # On a wider plot they stand at the same points of their lines.
    rooms = [labels.box(name, *points(pixels(line, ROOMY))[0], offset) for name, line, offset in chosen]
    shared = models.sort_values("n_params", ascending=False).groupby(
        ["context_length", "d_model"], sort=False
    )["name"]
    named = (
        shared.agg(lambda n: n.iloc[0] + (f" +{len(n) - 1}" if len(n) > 1 else ""))
        .rename("label")
        .reset_index()
    )
    names = [
        labels.Name(text=label, size=11.5, offsets=labels.BESIDE, points=(point,), optional=True)
        for label, point in zip(named["label"], points(pixels(named, ROOMY)), strict=True)
    ]
    strokes = [pixels(line, ROOMY) for line in along]
    places = labels.place(names, np.concatenate([pixels(marks, ROOMY), *strokes]), ROOMY, HEIGHT, rooms)
    kept = [k for k, p in enumerate(places) if p][:MOST_NAMED]
    line_labels = pd.concat([line for _, line, _ in chosen]) if chosen else lines
    return {
        "line_labels": line_labels.assign(**labels.columns([p for p in stand if p])),
        "model_labels": named.iloc[kept].assign(**labels.columns([p for p in places if p][:MOST_NAMED])),
    }


def _along(line: pd.DataFrame) -> pd.DataFrame:
    """Points along a line from its upper end, where its name looks best, to its lower one."""
    import pandas as pd

    shares = np.linspace(0.95, 0.05, 31)
    ends = {axis: line[axis].to_numpy(dtype=float) for axis in ("context_length", "d_model")}
    points = {axis: low ** (1 - shares) * high**shares for axis, (low, high) in ends.items()}
    return pd.DataFrame({"line": line["line"].iloc[0], "label": line["label"].iloc[0], **points})


def models_of(facts: Facts, cells: pd.DataFrame) -> pd.DataFrame:
    """Published models inside the plane."""
    import pandas as pd

    evidence = facts.result.evidence
    assert evidence is not None
    models = evidence.models
    if evidence.baseline is not None and evidence.baseline["name"] not in set(models["name"]):
        models = pd.concat(
            [models, pd.DataFrame([evidence.baseline]).reindex(columns=models.columns)], ignore_index=True
        )
    inside = models["context_length"].between(cells["c_low"].min(), cells["c_high"].max()) & models[
        "d_model"
    ].between(cells["d_low"].min(), cells["d_high"].max())
    columns = ["name", "context_length", "d_model", "n_layers", "n_params"]
    return models.loc[inside, columns].reset_index(drop=True)


def takeaway(facts: Facts, cells: pd.DataFrame) -> str:
    """How wide the flat bottom is, where it lies against c = d, and what bounds it."""
    ok = cells[cells["ok"] == 1]
    near = ok[ok["above"] <= SEED_NOISE[0]]
    best = ok.loc[ok["above"].idxmin()]  # type: ignore[call-overload]
    ratio = float(best["context_length"]) / float(best["d_model"])
    crossing = crossover_ratio(facts)
    # As many digits as tell the two apart.
    digits = 3 if crossing and words.number(ratio, 2) == words.number(crossing, 2) else 2
    beyond = "" if not crossing else (
        f", {'beyond' if ratio > crossing else 'short of'} the FLOP crossover at c = {words.number(crossing, digits)} d"
    )  # fmt: skip
    return (
        f"{'By the model, the' if facts.measured else 'The'} best cell has c = {words.whole(best['context_length'])} tokens at d = {words.whole(best['d_model'])}, "
        f"{words.number(ratio, digits)} times its width{beyond}; cells within {SEED_NOISE[0]:g} nats of it (less than seed noise) reach "
        f"from c = {words.whole(near['context_length'].min())} to {words.whole(near['context_length'].max())} tokens "
        f"and from d = {words.whole(near['d_model'].min())} to {words.whole(near['d_model'].max())}. "
        f"{words.share(float(ok['far'].mean()), 'the feasible cells')} outside the law's domain."
    )


def table(facts: Facts, cells: pd.DataFrame) -> Table:
    """The best width for every context length."""
    ok = cells[cells["ok"] == 1]
    best = ok.loc[ok.groupby("context_length")["above"].idxmin()]
    return Table(
        caption="The best feasible width and depth for every context length",
        columns=("Context c (tokens)", "Width d", "Layers L", "Parameters", words.LOSS_HEADING, "Above the best (nats)", "Limit"),
        rows=tuple(
            (words.whole(r["context_length"]), words.whole(r["d_model"]), words.whole(r["n_layers"]),
             words.count(r["n_params"]), format_loss(r), f"{r['above']:.4f}", str(r["limit"]))
            for _, r in best.iterrows()
        ),
        numeric=frozenset(range(6)),
    )  # fmt: skip
