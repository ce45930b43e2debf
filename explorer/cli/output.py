"""How answers are printed: JSON for programs, tables for people, plain text in a pipe."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

from explorer.errors import ExplorerError
from explorer.files import to_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_LONGEST_CELL = 32
"""Characters; a column with a longer text is prose, and stands below its row."""


def console(stderr: bool = False) -> Console:
    """A rich console that degrades to plain text off a terminal and honours NO_COLOR."""
    from rich.console import Console

    # Rich's own NO_COLOR still writes bold; here it means text alone.
    system: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    # Rich takes a dumb terminal for 80 columns, however many it has.
    width = _width(sys.stderr if stderr else sys.stdout)
    return Console(stderr=stderr, highlight=False, soft_wrap=True, color_system=system, width=width)


def _width(stream: TextIO) -> int:
    """Columns of the terminal that `stream` is; 80 where nobody knows."""
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


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
        print(_wrapped(message, sys.stderr), file=sys.stderr)


def print_text(line: str, style: str = "") -> None:
    """A sentence on stdout; a terminal shows it wrapped between words."""
    text = _wrapped(line, sys.stdout)
    if style:
        console().print(text, style=style, markup=False)
    else:
        print(text)


def _wrapped(line: str, stream: TextIO) -> str:
    """A line as a terminal of any width shows it: whole words, the rest further in; as it is anywhere else."""
    if not stream.isatty():
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    kept: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": indent}
    return "\n".join(textwrap.fill(part, _width(stream), **kept) for part in line.split("\n"))


def one_answer(as_json: bool, output: object) -> None:
    """Refuse to print two things; `output` is where the command writes, '-' for stdout."""
    if as_json and str(output) == "-":
        raise ExplorerError(
            "--json and '-' both ask for stdout; name a file to write, or leave one of them out"
        )


def print_json(value: Any) -> None:
    """`value` as JSON on stdout."""
    sys.stdout.write(to_json(value))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", left: int = 1
) -> None:
    """Rows of text under headings; the first `left` columns are left-aligned, the rest right.

    A terminal too narrow for whole words shows each row as a list instead. In a pipe the same rows come
    tab-separated, so that `cut` and `awk` see whole cells.
    """
    if not sys.stdout.isatty():
        if title:
            print(f"# {title}")
        print("\t".join(columns))
        for row in rows:
            print("\t".join(row))
        return
    rows = list(rows)
    # Words wrap where names with underscores would be torn.
    names = [name.replace("_", " ") for name in columns]
    out = console()
    if title:
        print_text(title)
    short = [i for i in range(len(names)) if i == 0 or max(len(row[i]) for row in rows) <= _LONGEST_CELL]
    prose = [i for i in range(len(names)) if i not in short]
    widths = _widths([[names[i], *(row[i] for row in rows)] for i in short], out.width)
    if widths is None:
        for row in rows:
            print()
            _print_list(names, row)
        return
    table = _table([names[i] for i in short], widths, left)
    for row in rows:
        table.add_row(*(row[i] for i in short))
        if prose:
            out.print(table)
            _print_list([names[i] for i in prose], [row[i] for i in prose], indent="    ")
            table = _table([names[i] for i in short], widths, left)
            table.show_header = False
    if not prose:
        out.print(table)


def _table(names: Sequence[str], widths: Sequence[int], left: int) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, (name, width) in enumerate(zip(names, widths, strict=True)):
        table.add_column(name, justify="left" if index < left else "right", width=width)
    return table


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Widths in which every word of every column's cells stays whole; None where `room` is too small for it."""
    least = [max((len(word) for cell in column for word in cell.split()), default=1) for column in columns]
    most = [max(len(cell) for cell in column) for column in columns]
    # Two spaces between columns and a rule's end on either side.
    spare = room - sum(least) - 3 * len(columns) - 1
    if spare < 0:
        return None
    wanted = sum(most) - sum(least)
    share = min(1.0, spare / wanted) if wanted else 0.0
    return [low + int(share * (high - low)) for low, high in zip(least, most, strict=True)]


def _print_list(names: Sequence[str], row: Sequence[str], indent: str = "") -> None:
    """One row as lines of heading and text, the texts below each other."""
    left = max(len(name) for name in names)
    for name, cell in zip(names, row, strict=True):
        head = f"{indent}{name:<{left}}  "
        width = max(_width(sys.stdout), len(head) + 16)
        hung: dict[str, Any] = {"initial_indent": head, "subsequent_indent": " " * len(head)}
        print(textwrap.fill(cell, width, **hung, break_long_words=False, break_on_hyphens=False) or head)
