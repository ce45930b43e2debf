"""Progress on stderr: a bar with the hypervolume rising on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self


class Progress:
    """A context manager whose `update` takes what is being done and how far it is."""

    def __init__(self, quiet: bool = False) -> None:
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._on = not quiet and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._on:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            from explorer.cli.output import console

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self

    def update(self, phase: str, done: int, total: int, note: str = "") -> None:
        """`done` of `total` units of a phase; `note` may hold the share of the hypervolume reached."""
        if self._bar is None:
            return
        if phase not in self._tasks:
            self._tasks[phase] = self._bar.add_task(phase, total=total, note=note)
        self._bar.update(self._tasks[phase], completed=done, total=total, note=note)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
