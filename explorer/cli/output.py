"""How answers are printed: JSON for programs, tables for people, plain text in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from explorer.files import to_json

if TYPE_CHECKING:
    from rich.console import Console


def console(stderr: bool = False) -> Console:
    """A rich console that degrades to plain text off a terminal and honours NO_COLOR."""
    from rich.console import Console

    # Rich's own NO_COLOR still writes bold; here it means text alone.
    system: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(stderr=stderr, highlight=False, soft_wrap=True, color_system=system)


@contextmanager
def only_answers() -> Iterator[None]:
    """Whatever is printed meanwhile, also by child processes, goes to stderr: stdout is for the answer."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def say(message: str, quiet: bool = False) -> None:
    """One line of progress or advice on stderr."""
    if not quiet:
        print(message, file=sys.stderr)


def print_json(value: Any) -> None:
    """`value` as JSON on stdout."""
    sys.stdout.write(to_json(value))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", left: int = 1
) -> None:
    """Rows of text under headings; the first `left` columns are left-aligned, the rest right.

    In a pipe the same rows come tab-separated, so that `cut` and `awk` see whole cells.
    """
    if not sys.stdout.isatty():
        if title:
            print(f"# {title}")
        print("\t".join(columns))
        for row in rows:
            print("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        # Words wrap where names with underscores would be torn.
        table.add_column(name.replace("_", " "), justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)
