"""One chart: a specification without data, the tables it reads, and its words for those who cannot see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from explorer.report import compiling, palette

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


MOST_TABLE_ROWS = 60
"""Rows of a table behind a chart that has one row per design; the rest is in the run's files."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text in rows, with what each column means; numbers are already written out."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    """Columns that are right-aligned."""
    left_out: int = 0
    """Rows that the page leaves out because they would make it heavy."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart as data: `spec` is Vega-Lite whose tables are named, `data` holds them."""

    name: str
    title: str
    takeaway: str
    """One sentence computed from the data."""
    description: str
    """What is drawn, for a reader who does not see it."""
    spec: dict[str, Any]
    data: Mapping[str, pd.DataFrame]
    table: Table
    height: int = 340
    """Pixels the page keeps free, so that nothing jumps while charts are drawn."""
    how_to_read: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def static(self, colours: Mapping[str, str] = palette.LIGHT, width: int = 720) -> dict[str, Any]:
        """The whole specification with its data inside, for a picture."""
        spec = palette.paint(self.spec, dict(colours))
        spec["datasets"] = {name: records(frame) for name, frame in self.data.items()}
        spec["width"] = width
        spec["background"] = colours["paper"]
        spec["title"] = {
            "text": self.title,
            "subtitle": _wrap(self.takeaway),
            "subtitleColor": colours["muted"],
        }
        spec["padding"] = 12
        return spec  # type: ignore[no-any-return]

    def compiled(self) -> dict[str, Any]:
        """The Vega specification, colours still as roles and tables still by name."""
        vega = compiling.compiled(self.spec)
        vega.pop("background", None)
        return vega


def specify(layers: Sequence[alt.Chart] | alt.Chart, height: int | alt.Step, **params: Any) -> dict[str, Any]:
    """Altair layers as one Vega-Lite specification as wide as its container, with named parameters.

    Layers are written out one by one: Altair's own layering copies each of them through and through several times.
    """
    import altair as alt

    shown = layers if isinstance(layers, Sequence) else [layers]
    return {
        "$schema": alt.SCHEMA_URL,
        "params": [{"name": name, "value": value} for name, value in params.items()],
        "layer": [layer.to_dict(validate=False, context={"top_level": False}) for layer in shown],
        "width": "container",
        "height": height if isinstance(height, int) else height.to_dict(),
        "config": palette.CONFIG,
    }


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain dicts; what is not a number is null."""
    import json

    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return rows


def _wrap(text: str, width: int = 110) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)
