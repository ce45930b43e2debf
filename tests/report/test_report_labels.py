"""Names in charts: off each other, off marks, inside the plot, at any width of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_fixture import make_result

from explorer import report
from explorer.report import labels
from explorer.report.figures import exchange, front, plane, sweep
from explorer.result import Result

Box = tuple[float, float, float, float]


def apart(a: Box, b: Box) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def name(text: str, x: float, y: float, *, optional: bool = False) -> labels.Name:
    return labels.Name(text=text, points=((x, y),), offsets=labels.AROUND, optional=optional)


def test_three_marks_in_a_row_have_names_that_do_not_touch() -> None:
    names = [
        name(text, 200 + 8 * k, 200) for k, text in enumerate(("lowest loss", "knee", "longest context"))
    ]
    marks = np.array([n.points[0] for n in names])
    places = labels.place(names, marks, 300, 400)
    boxes = [p.box for p in places if p]
    assert len(boxes) == 3
    assert all(apart(a, b) for a, b in combinations(boxes, 2))
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 300
        assert 0 <= top < bottom <= 400
        assert not ((marks > (left, top)) & (marks < (right, bottom))).all(axis=1).any()


@settings(max_examples=60, deadline=None)
@given(
    spots=st.lists(st.tuples(st.floats(0, 300), st.floats(0, 400)), min_size=1, max_size=6),
    marks=st.lists(st.tuples(st.floats(0, 300), st.floats(0, 400)), max_size=30),
)
def test_an_optional_name_stands_free_or_nowhere(spots: list[Any], marks: list[Any]) -> None:
    names = [name("a name", *spot, optional=True) for spot in spots]
    points = np.array(marks).reshape(-1, 2)
    places = labels.place(names, points, 300, 400)
    taken: list[Box] = []
    for one, found in zip(names, places, strict=True):
        free = []
        for offset in one.offsets:
            box = labels.box(one, *one.points[0], offset)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= 300 and box[3] <= 400
            bare = not any(
                box[0] - 4 < x < box[2] + 4 and box[1] - 4 < y < box[3] + 4 for x, y in [*marks, *spots]
            )
            free.append(inside and bare and all(apart(box, other) for other in taken))
        # The first place that is free, as the places are ordered.
        expected = one.offsets[free.index(True)] if any(free) else None
        assert (found.offset if found else None) == expected
        if found:
            taken.append(found.box)


def test_a_name_without_a_free_place_takes_the_least_bad_one() -> None:
    (place,) = labels.place([name("a long name of a mark", 20, 20)], np.empty((0, 2)), 60, 30)
    assert place is not None
    wide = labels.CHARACTER * 12.5 * len("a long name of a mark")
    out = [wide * labels.LINE * 12.5 - max(0, min(b[2], 60) - max(b[0], 0)) * max(0, min(b[3], 30) - max(b[1], 0))
           for b in (labels.box(name("a long name of a mark", 20, 20), 20, 20, o) for o in labels.AROUND)]  # fmt: skip
    assert place.offset == labels.AROUND[int(np.argmin(np.round(out, 6)))]


def crowded(points: list[float]) -> Result:
    """A front whose best, knee and longest design lie close together."""
    base = make_result()
    rows = base.front.iloc[[0, 1, 2]].assign(context_length=points).reset_index(drop=True)
    rows["loss"] = base.front["loss"].iloc[0] + np.array([0.0, 0.0004, 0.0009])
    evidence = base.evidence
    assert evidence is not None
    alone = replace(evidence, others=None, inside={}, outside=((),) * 3, corpus_fronts={})
    return replace(base, front=rows, picks={"best-loss": 0, "knee": 1, "longest": 2}, evidence=alone)


@pytest.mark.parametrize(
    "points", [[38_912, 39_936, 40_960], [1_024, 2_048, 131_072], [98_304, 114_688, 131_072]]
)
@pytest.mark.parametrize("width", [300.0, 490.0, 900.0])
def test_names_of_a_crowded_front_do_not_touch(points: list[float], width: float) -> None:
    chart = report.charts(crowded(points))["front"]
    rows, designs = chart.data["picks"], chart.data["designs"]
    assert {"lowest loss", "knee", "longest context"} <= set(rows["label"])
    low, high = np.log(designs["x"].min()), np.log(designs["x"].max())
    ends = {p["name"]: p["value"] for p in chart.spec["params"]}
    boxes = []
    for row in rows.to_dict("records"):
        x = front.PADDING + (np.log(row["x"]) - low) / (high - low) * (width - 2 * front.PADDING)
        y = front.HEIGHT * (ends["yHigh"] - row["y"]) / (ends["yHigh"] - ends["yLow"])
        offset = labels.Offset(row["dx"], row["dy"], row["align"])
        boxes.append(labels.box(labels.Name(text=row["label"], points=(), offsets=()), x, y, offset))
    assert all(apart(a, b) for a, b in combinations(boxes, 2))
    assert all(b[0] >= 0 and b[2] <= width and b[1] >= 0 and b[3] <= front.HEIGHT for b in boxes)


@pytest.mark.parametrize("width", [plane.ROOMY, 490.0, 900.0])
def test_names_of_the_plane_do_not_touch(width: float) -> None:
    chart = report.charts(make_result())["plane"]
    cells = chart.data["plane"]
    boxes = []
    for table, size in (("line_labels", 12.0), ("model_labels", 11.5)):
        for row in chart.data[table].to_dict("records"):
            x = np.log(row["context_length"] / cells["c_low"].min()) / np.log(
                cells["c_high"].max() / cells["c_low"].min()
            )
            y = np.log(row["d_model"] / cells["d_low"].min()) / np.log(
                cells["d_high"].max() / cells["d_low"].min()
            )
            named = labels.Name(text=row["label"], points=(), offsets=(), size=size)
            boxes.append(
                labels.box(
                    named,
                    width * x,
                    plane.HEIGHT * (1 - y),
                    labels.Offset(row["dx"], row["dy"], row["align"]),
                )
            )
    assert len(boxes) > 4
    assert all(apart(a, b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize(
    ("contexts", "above"),
    [
        ([384.0, 512.0], 2),
        ([512.0, 384.0], 1),
        ([140.0, 1_900.0], 2),
        ([1_800.0, 1_900.0], 1),
        ([300.0, 128.0], 1),
    ],
)
def test_names_of_two_lines_stand_on_either_side(contexts: list[float], above: int) -> None:
    marks = pd.DataFrame({"context_length": contexts, "label": ["c = d", "best: c = 512"]})
    found = sweep._named(marks, 128, 2_048)
    boxes = []
    for row in found.to_dict("records"):
        x = 200 * np.log(row["context_length"] / 128) / np.log(16)
        named = labels.Name(text=row["label"], points=(), offsets=(), size=11.5)
        boxes.append(labels.box(named, x, 10, labels.Offset(row["dx"], row["dy"], row["align"])))
    assert apart(*boxes)
    assert (found["dy"] < 0).sum() == above
    # At the left there is the axis, with room above it.
    assert all(b[0] >= -15 and b[2] <= 201 for b in boxes)


@pytest.mark.parametrize("name", ["exchange", "widths"])
def test_names_along_a_curve_stand_off_every_line(name: str) -> None:
    chart = report.charts(make_result())[name]
    frame = chart.data[name]
    labelled = frame[frame["labelled"] == 1]
    assert len(labelled)
    assert labelled[["dx", "dy", "align"]].notna().all(axis=None)
    along = "c" if name == "exchange" else "d_model"
    every = frame[["gain", "low", "high"]].to_numpy(dtype=float)
    low, high = np.nanmin(every), np.nanmax(every)
    x = np.log(frame[along] / frame[along].min()) / np.log(frame[along].max() / frame[along].min())
    x = exchange.ROOMY * (x if name == "exchange" else 1 - x)
    y = exchange.HEIGHT * (high - frame["gain"]) / (high - low)
    for at, row in labelled.iterrows():
        named = labels.Name(text="d 1,234", points=(), offsets=(), size=11)
        box = labels.box(named, x[at], y[at], labels.Offset(row["dx"], row["dy"], row["align"]))
        inside = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
        assert not inside.any()
