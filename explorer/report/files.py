"""The files that train the designs of a front, as a page carries them: texts with gaps, and the numbers in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from explorer.report import packing

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


def packed(found: Mapping[str, Any]) -> dict[str, Any]:
    """`columns`, and `files`: target → groups of rows whose files differ in numbers alone.

    A group has its `rows`, and `text`: pieces as they stand, and places of `columns` that hold, row by row, what
    stands between them. `refused` marks a group whose text is the reason why there is no file.
    """
    if not found:
        return {}
    lines = [*found["lines"]]
    columns: dict[tuple[Any, ...], int] = {}
    written: list[dict[str, Any]] = []
    known: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def split(line: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What of a line stands still, and the numbers between."""
        if line not in known:
            text = lines[line]
            known[line] = tuple(NUMBER.split(text)), tuple(NUMBER.findall(text))
        return known[line]

    def column(rows: tuple[int, ...], values: tuple[str, ...]) -> int:
        """The place of a column; equal ones are kept once."""
        if (rows, values) not in columns:
            columns[rows, values] = len(written)
            written.append(_column(values))
        return columns[rows, values]

    files: dict[str, list[dict[str, Any]]] = {}
    for target, texts in found["texts"].items():
        groups: dict[tuple[Any, ...], dict[int, list[int]]] = {}
        for row, file in texts.items():
            refused = isinstance(file, str)
            if refused:
                lines.append(file)
            places = [len(lines) - 1] if refused else file
            groups.setdefault((refused, *(split(k)[0] for k in places)), {})[int(row)] = places
        files[target] = []
        for (refused, *_), members in groups.items():
            rows = tuple(members)
            pieces: list[str | int] = []
            for of_line in zip(*members.values(), strict=True):
                if pieces:
                    pieces.append("\n")
                if len(set(of_line)) == 1:
                    pieces.append(lines[of_line[0]])
                    continue
                slots = zip(*(split(k)[1] for k in of_line), strict=True)
                for piece, values in zip(split(of_line[0])[0], [*slots, None], strict=True):
                    pieces.append(piece)
                    if values is not None:
                        pieces.append(values[0] if len(set(values)) == 1 else column(rows, values))
            files[target].append(
                {
                    "count": len(rows),
                    "rows": packing.column(np.array(rows)),
                    "text": _joined(pieces),
                    "refused": int(refused),
                }
            )
    return {"columns": written, "files": files}


def _joined(pieces: Iterable[str | int]) -> list[str | int]:
    """Neighbouring texts as one."""
    found: list[str | int] = []
    for piece in pieces:
        if isinstance(piece, str) and found and isinstance(found[-1], str):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def _column(values: Sequence[str]) -> dict[str, Any]:
    """Numbers that are all written alike, as numbers with `decimals` and `grouped`; or else as they stand."""
    decimals = len(values[0].partition(".")[2])
    numbers = [float(v.replace(",", "")) for v in values]
    # A page keeps seven digits of a number.
    for grouped in (True, False) if max(numbers) * 10**decimals < 1e7 else ():
        form = f"{',' if grouped else ''}.{decimals}f"
        if all(format(n, form) == v for n, v in zip(numbers, values, strict=True)):
            return packing.column(np.array(numbers)) | {"decimals": decimals, "grouped": grouped}
    return packing.column(np.array(values, dtype=object))
