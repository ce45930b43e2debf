"""How a person asks: commands that parse, call and print, with no arithmetic of their own.

stdout carries the answer, stderr progress and messages. Exit codes: 0 done; 1 a bug, with its
traceback; 2 bad usage or invalid input; 3 ran, and the answer is no; 130 interrupted. What ends a command
without an answer is told on stderr: in lines, or under `--json` as one line, `{"errors": […], "exit_code": 2}`.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper

OBJECTS_BETWEEN_COLLECTIONS = 200_000
"""What a whole run has at a time; Python's own 700 make it look for cycles hundreds of times, in vain."""


def main() -> None:
    """The `explore` program."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    leaving = _Leaving()
    if not atexit._ncallbacks():
        # Registered first, it is called after all others.
        atexit.register(leaving.at_once)
    try:
        _main()
        leaving.status = 0
    except SystemExit as end:
        leaving.status = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


class _Leaving:
    """The way out: the system takes back all memory at once, Python object by object, for a tenth of a second."""

    status = 1

    def at_once(self) -> None:
        """End the process when everybody has cleaned up; where output cannot be flushed, Python tells it."""
        with suppress(OSError, ValueError):
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(self.status)


def _main() -> None:
    arguments = sys.argv[1:]
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal of another encoding than UTF-8 gets an escape in place of what it cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        match arguments:
            case ["check" | "run" | "worker", budget, *_] if budget[:1] != "-" and not _HELP & {*arguments}:
                _tell_mistakes(budget)
        from explorer.cli.program import app

        app()
    except KeyboardInterrupt:
        # Before a command runs; commands tell more.
        raise SystemExit(fail(["interrupted"], 130)) from None


def fail(errors: Sequence[str], exit_code: int) -> int:
    """Tell why there is no answer, for a person or, where `--json` was asked for, for a program."""
    text = "\n".join(errors)
    if "--json" in sys.argv[1:]:
        import json

        text = json.dumps({"errors": [*errors], "exit_code": exit_code}, ensure_ascii=False)
    print(text, file=sys.stderr)
    return exit_code


_HELP = {"-h", "--help"}


def _tell_mistakes(budget: str) -> None:
    """Leave with every mistake in a budget file, before anything that an answer would need is imported."""
    from pathlib import Path

    from explorer.budget.loading import check, read
    from explorer.errors import ExplorerError

    path = Path(budget)
    try:
        check(read(path), str(path), path.parent)
    except ExplorerError as error:
        raise SystemExit(fail(error.lines, error.exit_code)) from None
