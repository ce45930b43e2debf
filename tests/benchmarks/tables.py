"""Tables of the benchmarks: on the terminal, and in the README between markers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
END = "<!-- speed:end -->"
Row = tuple[str, ...]


def show(title: str, table: Sequence[Row]) -> None:
    """Print a table, its columns aligned."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    print(f"\n{title}")
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    sys.stdout.flush()


def write(part: str, title: str, table: Sequence[Row]) -> None:
    """Put a part's table between its own markers in the README's block, or add it at the block's end."""
    text = README.read_text("utf-8")
    if END not in text:
        raise SystemExit(f"{README} must hold the line {END}")
    head, *rows = table
    lines = [f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *rows)]
    begin, end = f"<!-- speed:{part} -->", f"<!-- speed:{part}:end -->"
    new = f"{begin}\n{title}:\n\n" + "\n".join(lines) + f"\n{end}"
    before, found, rest = text.partition(begin)
    after = rest.partition(end)[2]
    README.write_text(before + new + after if found else text.replace(END, f"\n{new}\n{END}"), "utf-8")
