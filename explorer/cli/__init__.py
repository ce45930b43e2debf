"""How a person asks: commands that parse, call and print, with no arithmetic of their own.

stdout carries the answer, stderr progress and messages. Exit codes: 0 done; 1 a bug, with its
traceback; 2 bad usage or invalid input; 3 ran, and the answer is no; 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import sys

OBJECTS_BETWEEN_COLLECTIONS = 200_000
"""What a whole run has at a time; Python's own 700 make it look for cycles hundreds of times, in vain."""


def main() -> None:
    """The `explore` program."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    # Nothing is left to be told apart on the way out.
    atexit.register(gc.freeze)
    arguments = sys.argv[1:]
    try:
        match arguments:
            case ["check" | "run" | "worker", budget, *_] if budget[:1] != "-" and not _HELP & {*arguments}:
                _tell_mistakes(budget)
        from explorer.cli.program import app

        app()
    except KeyboardInterrupt:
        # Before a command runs; commands tell more.
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


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
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
