"""A run's files in a folder: begin or continue it there, and draw its report again."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import ExplorerError
from explorer.pipeline.options import Options
from explorer.pipeline.study import OnProgress, answer

if TYPE_CHECKING:
    from explorer.budget import Budget
    from explorer.result import Result

_OWN_FILES = (
    "report.html", "trials.parquet", "front.csv", "summary.json", "evidence.json", "budget.yaml",
    "journal.log",
)  # fmt: skip


def run_in(
    folder: Path,
    budget: Budget,
    options: Options,
    *,
    formats: Sequence[str] = (),
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Result:
    """The answer, with its files in `folder`: an earlier run of the same budget is continued, another refused.

    Where `options` name no storage, the study is kept in the folder and belongs to this process alone. Raises
    ExplorerError (and writes nothing) where the folder holds a run of another budget, unless `force`
    replaces it.
    """
    from explorer.budget import dump
    from explorer.files import clear_scratch, only_one, write_text

    budget, alone = options.of(budget), options.storage is None
    absent = [at for at in (folder, *folder.parents) if not at.exists()]
    if alone:
        options = replace(options, journal=folder / "journal.log")
    # Processes that share a study may share the folder too: what they write there is the same.
    with only_one(folder) if alone else nullcontext():
        _open(folder, budget, force)
        if alone:
            # Nobody else writes here.
            clear_scratch(folder, _OWN_FILES)
        fresh = not (folder / "budget.yaml").exists()
        write_text(folder / "budget.yaml", dump(budget))
        try:
            result = answer(budget, options, on_progress=on_progress)
        except ExplorerError:
            # A study that could not be begun or joined leaves nothing behind that looks like a run.
            if fresh:
                (folder / "budget.yaml").unlink()
                for empty in absent:
                    with suppress(OSError):
                        empty.rmdir()
            raise
        began = time.perf_counter()
        _draw(result, folder, formats)
        seconds = round(time.perf_counter() - began, 3)
        result = replace(result, timings={**result.timings, "report": seconds})
        result.save(folder)
    return result


def redraw(folder: Path, formats: Sequence[str] = ()) -> list[Path]:
    """Write the report of a finished run again; returns the paths of the page and of the charts."""
    from explorer.result import load

    return _draw(load(folder), folder, formats)


def _open(folder: Path, budget: Budget, force: bool) -> None:
    """Make sure that `folder` may hold a run of `budget`: new, or begun with the same budget."""
    from explorer.budget import difference, fingerprint, load

    changed: list[str] = []
    if not force and (folder / "budget.yaml").is_file():
        try:
            changed = difference(_asked(load(folder / "budget.yaml")), _asked(budget))
        except ExplorerError as damaged:
            changed = [*damaged.lines]
    elif not force and (folder / "summary.json").is_file():
        known = None
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            known = json.loads((folder / "summary.json").read_text("utf-8"))["provenance"].get("budget")
        if known != fingerprint(budget):
            changed = ["the budget is not the one that its summary.json was made with"]
    if changed:
        raise ExplorerError(
            "\n".join(
                [
                    f"{folder} holds a run of another budget; pass --force to replace it or another --output",
                    *(f"  {line}" for line in changed),
                ]
            )
        )
    if force:
        for name in _OWN_FILES:
            (folder / name).unlink(missing_ok=True)


def _asked(budget: Budget) -> Budget:
    """What is asked, whatever time a trial may take: who waited for one that hangs may limit it then."""
    search = budget.search.model_copy(update={"evaluator_timeout": None})
    return budget.model_copy(update={"search": search})


def _draw(result: Result, folder: Path, formats: Sequence[str]) -> list[Path]:
    from explorer.files import write_text
    from explorer.report import render, save_charts

    write_text(folder / "report.html", render(result))
    charts = save_charts(result, folder / "charts", formats) if formats else []
    return [folder / "report.html", *charts]
