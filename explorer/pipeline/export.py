"""A run's design, or a catalogue model, in another program's format."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from explorer.errors import ExplorerError


def export(source: str, target: str, pick: str) -> str:
    """The text of a design in another program's format: a pick of a run's front, or a catalogue model.

    Unsupported where the format lacks something, with what to set instead and the formats that lack nothing.
    """
    from explorer.errors import Unsupported
    from explorer.formats import TARGETS

    text = _exporter(source, pick)
    try:
        return text(target)
    except Unsupported as refused:
        able = []
        for other in TARGETS:
            with suppress(Unsupported):
                text(other)
                able.append(other)
        hint = f"; --to {' or '.join(able)} can" if able else ""
        raise Unsupported(f"{refused}{hint}") from None


def _exporter(source: str, pick: str) -> Callable[[str], str]:
    """Target → text, for one design of a run or of the catalogue."""
    from explorer.formats import named, write

    folder = Path(source)
    if not (folder / "summary.json").is_file():
        design = named(source)
        return lambda target: write(design, None, target)
    from explorer.evidence import written
    from explorer.result import load
    from explorer.search import Problem

    result = load(folder)
    if not result.feasible:
        raise ExplorerError(f"{folder}: no design of this run meets every limit, so there is none to export")
    row = int(pick) if pick.isdigit() else result.picks[pick]
    if row >= len(result.front):
        raise ExplorerError(f"--pick {row}: the front has rows 0 to {len(result.front) - 1}")
    problem, chosen = Problem(result.budget), result.front.iloc[row]
    return lambda target: written(problem, chosen, target)
