"""Charts as pictures for papers and READMEs, from the same specifications and data as the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import ExplorerError
from explorer.files import write_bytes
from explorer.report.page import charts

if TYPE_CHECKING:
    from explorer.result import Result

FORMATS = ("svg", "png")


def save_charts(result: Result, folder: str | Path, formats: Sequence[str] = ("svg",)) -> list[Path]:
    """Every chart of `result` as `folder/NAME.svg` or `.png`; the paths written. ExplorerError for another format."""
    import vl_convert

    unknown = [f for f in formats if f not in FORMATS]
    if unknown:
        raise ExplorerError(f"charts are written as {' or '.join(FORMATS)}, got '{unknown[0]}'")
    folder = Path(folder)
    written = []
    for name, chart in charts(result).items():
        spec = chart.static()
        # A picture travels without the page that says whose it is.
        spec["title"]["text"] += f" ({result.budget.name})"
        drawn = vl_convert.vegalite_to_svg(spec)
        for form in formats:
            data = drawn.encode() if form == "svg" else vl_convert.svg_to_png(drawn, scale=2)
            write_bytes(folder / f"{name}.{form}", data)
            written.append(folder / f"{name}.{form}")
    return written
