"""Tables of the benchmarks: on the terminal, and between markers in the README or in the one beside this file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

PAGES = (Path(__file__).parents[2] / "README.md", Path(__file__).parent / "README.md")
Row = tuple[str, ...]


def show(title: str, table: Sequence[Row]) -> None:
    """Print a table, its columns aligned."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    print(f"\n{title}")
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    sys.stdout.flush()


def write(part: str, title: str, table: Sequence[Row]) -> None:
    """Put a part's table between its own markers, on the page that has them, or add it to the last page."""
    head, *rows = table
    lines = [f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *rows)]
    begin, end = f"<!-- speed:{part} -->", f"<!-- speed:{part}:end -->"
    new = f"{begin}\n{title}:\n\n" + "\n".join(lines) + f"\n{end}"
    page = next((page for page in PAGES if begin in page.read_text("utf-8")), PAGES[-1])
    before, found, rest = page.read_text("utf-8").partition(begin)
    after = rest.partition(end)[2]
    page.write_text(before + new + after if found else f"{before}\n{new}\n", "utf-8")
