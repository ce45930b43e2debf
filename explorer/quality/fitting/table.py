"""Tables of training runs, with whatever names their columns have."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.errors import ExplorerError, nearest
from explorer.files import read_text, why
from explorer.units import FloatArray

ALIASES: dict[str, tuple[str, ...]] = {
    "N": ("N", "n_params", "N_total", "params", "parameters", "params_active_precise", "Model Size"),
    "D": ("D", "n_tokens", "tokens", "train_tokens"),
    "C": ("C", "train_flops", "flops", "FLOPs", "Training FLOP"),
    "loss": ("loss", "val_loss", "final_loss", "nll"),
    "c": ("c", "context_length", "ctx", "seq_len", "sequence_length"),
    "d": ("d", "d_model", "width", "hidden_size"),
    "L": ("L", "n_layers", "depth", "num_layers"),
    "steps": ("steps", "step", "n_steps"),
    "batch": ("batch_tokens", "global_batch_tokens"),
    "series": ("series",),
}
"""Symbols a fit needs and the column names that stand for them; `--map N=my_column` names any other."""
_REQUIRED = ("n_params", "n_tokens", "loss")
_OPTIONAL = ("context_length", "d_model", "n_layers", "batch_tokens")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Runs:
    """Finished training runs, one per row; all arrays have the shape (n_runs,)."""

    n_params: FloatArray
    n_tokens: FloatArray
    loss: FloatArray
    """Nats per token."""
    context_length: FloatArray | None = None
    d_model: FloatArray | None = None
    n_layers: FloatArray | None = None
    batch_tokens: FloatArray | None = None
    """Tokens in one optimizer step."""
    series: tuple[str, ...] = ()
    """Evaluation set of each run: losses of different sets share no irreducible part."""
    columns: Mapping[str, str]
    """Which column was read as what."""

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def aspect(self) -> FloatArray | None:
        """d_model / n_layers, where the table has both."""
        if self.d_model is None or self.n_layers is None:
            return None
        return self.d_model / self.n_layers

    def rows(self, which: NDArray[Any]) -> Runs:
        """Some of the runs, by mask or index."""
        changes: dict[str, Any] = {
            name: value[which]
            for name in (*_REQUIRED, *_OPTIONAL)
            if (value := getattr(self, name)) is not None
        }
        changes["series"] = tuple(np.asarray(self.series)[which].tolist())
        return replace(self, **changes)


def read_table(path: str | Path) -> dict[str, list[str]]:
    """A CSV file's columns as text; '-' is standard input.

    Raises ExplorerError if there is no such file or no rows.
    """
    try:
        rows = list(csv.DictReader(read_text(path).splitlines(keepends=True)))
    except FileNotFoundError:
        raise ExplorerError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExplorerError(f"{path}: must be a CSV table, got: {why(error)}") from None
    if not rows:
        raise ExplorerError(f"{path}: must hold a header and at least one row")
    return {name: [row[name] or "" for row in rows] for name in rows[0] if name is not None}


def runs_from(
    table: str | Path | Mapping[str, Any], mapping: Mapping[str, str] | None = None, *, drop_highest: int = 0
) -> Runs:
    """Runs from a CSV path or a mapping of columns.

    `mapping` says which column is which symbol of `ALIASES` where its name is none of those listed
    there. Without D, D = C / 6N; tokens per step are `batch`, or D over `steps`. `drop_highest`
    leaves out that many rows of the highest loss (early divergence; Besiroglu et al. 2024 drop five).
    Raises ExplorerError, one line per fault.
    """
    where = str(table) if isinstance(table, str | Path) else "runs"
    columns = read_table(table) if isinstance(table, str | Path) else dict(table)
    found = _find(columns, mapping or {}, where)
    for needed in ("N", "loss"):
        if needed not in found:
            raise ExplorerError(
                f"{where}: needs a column for {needed}, named one of {', '.join(ALIASES[needed])} "
                f"or given by --map {needed}=COLUMN; got {', '.join(columns)}"
            )
    values = {
        symbol: _floats(columns[name], name, where) for symbol, name in found.items() if symbol != "series"
    }
    if "D" not in values:
        if "C" not in values:
            raise ExplorerError(
                f"{where}: needs a column for D (tokens) or C (training FLOPs, D = C/6N); "
                f"got {', '.join(columns)}"
            )
        values["D"] = values["C"] / (6 * values["N"])
    series = columns[found["series"]] if "series" in found else [""] * len(values["N"])
    runs = Runs(
        n_params=values["N"],
        n_tokens=values["D"],
        loss=values["loss"],
        context_length=values.get("c"),
        d_model=values.get("d"),
        n_layers=values.get("L"),
        batch_tokens=values["batch"] if "batch" in values else _per_step(values),
        series=tuple(str(s) for s in series),
        columns=found,
    )
    if not drop_highest:
        return runs
    kept = np.sort(np.argsort(runs.loss, kind="stable")[: len(runs) - drop_highest])
    return runs.rows(kept)


def _per_step(values: Mapping[str, FloatArray]) -> FloatArray | None:
    return values["D"] / values["steps"] if "steps" in values else None


def _find(columns: Mapping[str, Any], mapping: Mapping[str, str], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for symbol, name in mapping.items():
        if symbol not in ALIASES:
            raise ExplorerError(f"--map {symbol}={name}: maps one of {', '.join(ALIASES)}, got '{symbol}'")
        if name not in columns:
            near = nearest(name, columns)
            hint = f"did you mean {' or '.join(near)}?" if near else f"columns: {', '.join(columns)}"
            raise ExplorerError(f"{where}: no column '{name}' (--map {symbol}={name}); {hint}")
        found[symbol] = name
    for symbol, names in ALIASES.items():
        present = [n for n in names if n in columns]
        if symbol not in found and present:
            found[symbol] = present[0]
    return found


def floats(column: Any, name: str, where: str) -> FloatArray:
    """A column as numbers; ExplorerError names the first row that holds none."""
    found = np.empty(len(column))
    for row, cell in enumerate(column):
        try:
            found[row] = float(cell)
        except (TypeError, ValueError):
            raise ExplorerError(
                f"{where}: column '{name}' must hold numbers, got {cell!r} in row {row + 1}"
            ) from None
    return found


def _floats(column: Any, name: str, where: str) -> FloatArray:
    values = floats(column, name, where)
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise ExplorerError(
            f"{where}: column '{name}' must be finite and > 0 in every row, "
            f"got {column[bad[0]]!r} in row {bad[0] + 1}"
        )
    return values
