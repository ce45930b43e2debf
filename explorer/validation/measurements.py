"""Measurements to judge the model by: rows `{what, config, value, unit}`, from a file or the cited set.

A row may add `group` (whose measurement), `kind` (`measured`, `exact`, or `analytic`: a formula that
was printed as if measured, never a target) and `source`. The shape is that of the published data
sets; other keys are kept aside.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.errors import InputErrors
from explorer.files import read_text, why


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One published figure and what it was measured on."""

    what: str
    config: Mapping[str, Any]
    value: Any
    unit: str = ""
    group: str = "ungrouped"
    kind: str = "measured"
    source: str = ""
    notes: str = ""

    @property
    def number(self) -> float | None:
        """The value, if it is a number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            return None
        return float(self.value)


def read(path: str | Path | None = None) -> list[Measurement]:
    """Rows of a JSONL or CSV file (in CSV `config` holds JSON); without a path the cited set that ships.

    '-' is standard input: JSONL where it starts with a brace, else CSV. Raises InputErrors with a line per
    row that cannot be read.
    """
    if path is None:
        from explorer.catalog.cited import measurements

        return [measurement(row, "catalogue") for row in measurements()]
    path = Path(path)
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputErrors([f"{path}: a readable file of measurements, got: {why(error)}"]) from error
    rows: list[Measurement] = []
    errors: list[str] = []
    tabular = path.suffix == ".csv" or (str(path) == "-" and not text.lstrip().startswith("{"))
    for where, row in _csv(text) if tabular else _lines(text):
        try:
            if isinstance(row, Exception):
                raise row
            rows.append(measurement(row, f"{path}:{where}"))
        except (ValueError, InputErrors) as error:
            errors += error.lines if isinstance(error, InputErrors) else [f"{path}:{where}: {error}"]
    if errors:
        raise InputErrors(errors)
    if not rows:
        raise InputErrors([f"{path}: at least one measurement, got none"])
    return rows


def measurement(row: Any, where: str = "measurement") -> Measurement:
    """One row, checked. Raises InputErrors."""
    if not isinstance(row, Mapping):
        raise InputErrors([f"{where}: an object with what, config, value and unit, got {type(row).__name__}"])
    missing = [name for name in ("what", "config", "value") if name not in row]
    if missing:
        raise InputErrors(
            [f"{where}: {', '.join(missing)} required, got {', '.join(map(str, row)) or 'none'}"]
        )
    config = row["config"]
    if not isinstance(config, Mapping):
        raise InputErrors([f"{where}: config: an object, got {config!r}"])
    if isinstance(row["value"], float) and not math.isfinite(row["value"]):
        raise InputErrors([f"{where}: value: a finite number, got {row['value']}"])
    texts = {
        name: str(row[name])
        for name in ("unit", "group", "kind", "source", "notes")
        if row.get(name) is not None
    }
    return Measurement(what=str(row["what"]), config=dict(config), value=row["value"], **texts)


def _lines(text: str) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append((number, json.loads(line)))
        except json.JSONDecodeError as error:
            found.append(
                (number, ValueError(f"a JSON object per line, got {error.msg} at column {error.colno}"))
            )
    return found


def _csv(text: str) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    reader = csv.DictReader(text.splitlines())
    for row in reader:
        clean: dict[str, Any] = {k: v for k, v in row.items() if k and v not in (None, "")}
        try:
            clean["config"] = json.loads(clean.get("config", "{}"))
            clean["value"] = _number(clean["value"]) if "value" in clean else None
            found.append((reader.line_num, clean))
        except json.JSONDecodeError as error:
            found.append(
                (reader.line_num, ValueError(f"config: JSON, got {error.msg} at column {error.colno}"))
            )
    return found


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Inexpressible(Exception):
    """A row that the model has no words for, with the reason."""

    reason: str
