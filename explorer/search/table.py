"""A table of designs in, the same table out with costs and loss: the batch door.

Rows are evaluated together, one group per combination of categories, so a table costs about as much as
its distinct categories. Every mistake in a table is found at once and named by its row.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.design import Design, Plan
from explorer.errors import ExplorerError, InputErrors, nearest
from explorer.search.columns import COLUMNS, OUTPUTS, REQUIRED, Column
from explorer.search.figures import Group, figures
from explorer.units import FloatArray, parse_count

if TYPE_CHECKING:
    import pandas as pd

_YES, _NO = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")
_WHOLE = (
    "context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff", "vocab_size",
    "micro_batch", "global_batch", "n_gpus", "tensor_parallel", "pipeline_parallel", "context_parallel",
    "data_parallel",
)  # fmt: skip
_INDEX = ("n_experts", "n_experts_active", "window", "global_every", "zero_stage", "staged_from")
_STAGED_FROM, _STAGED_SHARE = 4096.0, 0.05
_TOKENS_PER_PARAMETER = 20.0
_CATEGORIES = tuple(n for n, c in COLUMNS.items() if c.kind != "number" and n not in ("corpus", "schedule"))


def evaluate(designs: pd.DataFrame) -> pd.DataFrame:
    """`designs` with its answers added, in its own row order; units in the columns' names.

    Columns are those of `explorer.search.columns`; an absent column or an empty cell takes its default.
    Raises InputErrors, a line per unknown column and per bad cell.
    """
    return _evaluate(designs, "row", first=0)


def evaluate_file(path: Path, output: Path | None) -> pd.DataFrame:
    """`evaluate` from a CSV or Parquet file ('-': standard input) to another ('-': standard output)."""
    import pandas as pd

    from explorer.files import read_text, why, write_bytes, write_text

    if str(path) != "-" and not path.exists():
        raise ExplorerError(f"{path} must exist; it is a CSV or Parquet table with one design per row")
    if output is not None and output.suffix not in ("", ".csv", ".txt", ".parquet"):
        raise ExplorerError(f"{output}: a table is written as .csv or .parquet, got '{output.suffix}'")
    if path.suffix == ".parquet":
        try:
            designs = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise ExplorerError(f"{path} must be a Parquet table, got: {why(error)}") from None
    else:
        try:
            # Read whole first: pandas would take an interrupt while it waits for a fault of the table.
            text = read_text(path)
            designs = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False, skipinitialspace=True)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
            if isinstance(error, pd.errors.ParserError):
                _stop_at_long_rows(path, text)
            raise ExplorerError(f"{path} must be a CSV table with a header, got: {why(error)}") from None
        # Pandas renames the second of two columns of one name.
        header = next(csv.reader(text.splitlines(), skipinitialspace=True))
        # Of rows that are all longer than the header it makes an index.
        if not isinstance(designs.index, pd.RangeIndex):
            _stop_at_long_rows(path, text)
        if twice := [name for name in dict.fromkeys(header) if name and header.count(name) > 1]:
            raise InputErrors(f"{path}:1: column '{name}' given twice" for name in twice)
    where = "stdin" if str(path) == "-" else str(path)
    found = _evaluate(designs, where, first=2)
    found = found.assign(**{c: _numbers_back(found[c]) for c in designs.columns})
    if output is None:
        return found
    if output.suffix == ".parquet":
        write_bytes(output, found.to_parquet(index=False))
    elif str(output) == "-":
        sys.stdout.write(found.to_csv(index=False, lineterminator="\n"))
    else:
        write_text(output, found.to_csv(index=False, lineterminator="\n"))
    return found


def _stop_at_long_rows(path: Path, text: str) -> None:
    """Raise InputErrors for the rows that have more cells than the header."""
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    n = len(next(rows))
    long = [
        f"{path}:{rows.line_num}: {n} cells, as the header has, got {len(row)}"
        for row in rows
        if len(row) > n
    ]
    if long:
        raise InputErrors(long)


def _evaluate(designs: pd.DataFrame, where: str, first: int) -> pd.DataFrame:
    import pandas as pd

    table = _Table(designs, where, first)
    table.check_columns()
    given = {name: table.read(column) for name, column in COLUMNS.items()}
    table.stop_at_errors()
    _fill(given, table)
    table.stop_at_errors()
    out = {name: np.full(table.n, np.nan) for name in OUTPUTS}
    # What a zero switches off is a category too: the ledger of a mixture is not that of a dense model.
    keys = {name: given[name] > 0 for name in ("n_experts", "window", "staged_from")}
    keys |= {name: given[name] for name in (*_CATEGORIES, "corpus")}
    codes = pd.DataFrame({name: pd.factorize(values)[0] for name, values in keys.items()})
    group = codes.groupby(list(keys), sort=True).ngroup().to_numpy()
    for g in range(int(group.max(initial=-1)) + 1):
        rows = np.flatnonzero(group == g)
        try:
            answer = figures(_group({name: values[rows] for name, values in given.items()}))
        except ExplorerError as error:
            table.errors.append(f"{table.place(int(rows[0]))}: {error}")
            continue
        for name in OUTPUTS:
            out[name][rows] = answer[name]
    table.stop_at_errors()
    return pd.concat([designs, pd.DataFrame(out, index=designs.index)], axis=1)


class _Table:
    """A table being read, with the mistakes found so far."""

    def __init__(self, designs: pd.DataFrame, where: str, first: int) -> None:
        self.designs, self.where, self.first = designs, where, first
        self.n = len(designs)
        self.errors: list[str] = []

    def place(self, row: int) -> str:
        """How an error names a row: file and line, or the table's own row number."""
        return f"{self.where}:{row + self.first}" if self.first else f"row {row}"

    def bad(self, rows: NDArray[Any], text: str) -> None:
        """Note a mistake in the rows of a mask; `{row}`-wise values are in the text already."""
        self.errors += [f"{self.place(int(row))}: {text}" for row in np.flatnonzero(rows)]

    def stop_at_errors(self) -> None:
        """Raise what was found."""
        if self.errors:
            raise InputErrors(self.errors)

    def check_columns(self) -> None:
        """No unknown, repeated or missing column."""
        head = f"{self.where}:1" if self.first else "columns"
        names = [str(c) for c in self.designs.columns]
        for name in dict.fromkeys(names):
            if name not in COLUMNS:
                near = nearest(name, COLUMNS)
                if name in OUTPUTS:
                    hint = "is an answer, not an input; drop it"
                else:
                    hint = f"did you mean {' or '.join(near)}?" if near else "see `explore evaluate --help`"
                self.errors.append(f"{head}: unknown column '{name}'; {hint}")
            elif names.count(name) > 1:
                self.errors.append(f"{head}: column '{name}' must occur once, got {names.count(name)}")
        self.errors += [f"{head}: column '{n}' is needed" for n in REQUIRED if n not in names]
        self.stop_at_errors()

    def read(self, column: Column) -> NDArray[Any]:
        """A column's cells: float64 with NaN for empty, or text with '' for empty."""
        if column.name not in self.designs.columns:
            empty: Any = np.nan if column.kind == "number" else ""
            return np.full(self.n, empty, dtype=np.float64 if column.kind == "number" else object)
        cells = self.designs[column.name].to_numpy(dtype=object)
        if self.designs[column.name].dtype.kind in "iuf":
            values = self.designs[column.name].to_numpy(dtype=np.float64, copy=True)
            return self._numbers(column, cells, values, np.flatnonzero(_doubtful(column.name, values)))
        return self._numbers(column, cells) if column.kind == "number" else self._texts(column, cells)

    def _numbers(
        self,
        column: Column,
        cells: NDArray[Any],
        values: FloatArray | None = None,
        rows: NDArray[Any] | None = None,
    ) -> FloatArray:
        """Cells as numbers: all of them, or (numbers already) the doubtful `rows`."""
        values = np.full(self.n, np.nan) if values is None else values
        for row in range(self.n) if rows is None else rows:
            cell = cells[row]
            if _empty(cell):
                if column.name in REQUIRED:
                    self.errors.append(f"{self.place(row)}: {column.name}: a number is needed, got nothing")
                continue
            try:
                value = _number(cell)
            except (ValueError, TypeError):
                self.errors.append(f"{self.place(row)}: {column.name}: a number such as 4096, got {cell!r}")
                continue
            wanted = _range_error(column.name, value)
            if wanted:
                self.errors.append(f"{self.place(row)}: {column.name}: {wanted}, got {cell!r}")
            values[row] = value
        return values

    def _texts(self, column: Column, cells: NDArray[Any]) -> NDArray[Any]:
        texts = np.array(["" if _empty(c) else str(c).strip() for c in cells], dtype=object)
        allowed = (*_YES, *_NO) if column.kind == "flag" else column.options
        for row, text in enumerate(texts):
            known = text.lower() if column.kind == "flag" else text
            if text and column.kind != "text" and known not in allowed:
                near = nearest(text, allowed)
                hint = f"; did you mean {near[0]}?" if near else ""
                choice = "yes or no" if column.kind == "flag" else f"one of {', '.join(allowed)}"
                self.errors.append(f"{self.place(row)}: {column.name}: {choice}, got {text!r}{hint}")
        return texts


def _number(cell: Any) -> float:
    """A cell's number, also a negative one, which is then refused for what it is."""
    try:
        return float(cell)
    except ValueError:
        return parse_count(cell)


def _empty(cell: Any) -> bool:
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())


def _doubtful(name: str, values: FloatArray) -> NDArray[Any]:
    """Which numbers `_range_error` may refuse: all but whole ones that every column takes."""
    if name in ("zero_stage", "staged_share", "weight_bits", "kv_bits"):
        return np.ones(values.shape, dtype=bool)
    least = 1 if name in _WHOLE else 0
    plain: NDArray[Any] = np.isfinite(values) & (values >= least) & (values == np.rint(values))
    return ~plain


def _range_error(name: str, value: float) -> str:
    """What a number must be and is not; empty when it is fine."""
    if not np.isfinite(value):
        return "a finite number"
    if name in _WHOLE and (value < 1 or value != np.rint(value)):
        return "a whole number above 0"
    if name in _INDEX and (value < 0 or value != np.rint(value)):
        return "a whole number, 0 or more"
    if name == "zero_stage" and value > 3:
        return "0, 1, 2 or 3"
    if name == "staged_share" and not 0 <= value < 1:
        return "a share from 0 to below 1"
    if name in ("weight_bits", "kv_bits") and value not in (4, 8, 16, 32):
        return "4, 8, 16 or 32"
    return "" if value >= 0 else "0 or more"


def _fill(given: dict[str, NDArray[Any]], table: _Table) -> None:
    """Defaults into `given`, and what must hold between columns."""

    def default(name: str, value: Any) -> None:
        if COLUMNS[name].kind == "number":
            given[name] = np.where(np.isnan(given[name]), value, given[name])
        else:
            given[name] = np.where(given[name] == "", value, given[name])

    for name, column in COLUMNS.items():
        if column.kind == "flag":
            words = np.array([str(v).lower() for v in given[name]], dtype=object)
            given[name] = np.where(words == "", column.default == "yes", np.isin(words, _YES))
        elif column.kind == "choice" or name in ("accelerator", "corpus"):
            if name == "schedule":
                staged = given["staged_from"] > 0
                default(name, np.where(staged, "staged", "constant"))
            default(name, column.default)
    d = given["d_model"]
    heads_given = ~np.isnan(given["n_heads"])
    default("d_head", np.where(heads_given, d / given["n_heads"], 128.0))
    default("n_heads", d / given["d_head"])
    table.bad(given["n_heads"] != np.rint(given["n_heads"]), "n_heads = d_model / d_head must be whole")
    table.bad(given["d_head"] != np.rint(given["d_head"]), "d_head = d_model / n_heads must be whole")
    default("n_kv_heads", given["n_heads"])
    table.bad(given["n_heads"] % given["n_kv_heads"] != 0, "n_kv_heads must divide n_heads")
    gated = np.isin(given["ffn"], ("swiglu", "geglu"))
    default("d_ff", np.where(gated, np.ceil(8 * d / 3 / 256) * 256, 4 * d))
    default("vocab_size", 32_000.0)
    for name in ("n_experts", "n_experts_active", "window", "global_every", "zero_stage"):
        default(name, 0.0)
    experts, active = given["n_experts"], given["n_experts_active"]
    table.bad((experts > 0) & ((active < 1) | (active > experts)), "n_experts_active must be 1 to n_experts")
    table.bad((experts == 0) & (active > 0), "n_experts_active needs n_experts")
    _fill_plan(given, default, table)
    staged = given["schedule"] == "staged"
    default("staged_from", np.where(staged, _STAGED_FROM, 0.0))
    default("staged_share", np.where(staged, _STAGED_SHARE, 0.0))
    table.bad(~staged & (given["staged_from"] > 0), "staged_from needs schedule staged")
    # A staged schedule that never leaves its short window is the constant one.
    real = staged & (given["staged_from"] < given["context_length"])
    for name in ("staged_from", "staged_share"):
        given[name] = np.where(real, given[name], 0.0)
    default("weight_bits", 16.0)
    default("kv_bits", 16.0)


def _fill_plan(given: dict[str, NDArray[Any]], default: Any, table: _Table) -> None:
    for name in ("micro_batch", "tensor_parallel", "pipeline_parallel", "context_parallel"):
        default(name, 1.0)
    inner = given["tensor_parallel"] * given["pipeline_parallel"] * given["context_parallel"]
    default("n_gpus", inner * np.where(np.isnan(given["data_parallel"]), 1.0, given["data_parallel"]))
    default("data_parallel", given["n_gpus"] / inner)
    table.bad(
        given["n_gpus"] != inner * given["data_parallel"],
        "n_gpus must be the product of tensor, pipeline, context and data parallel",
    )
    default("global_batch", given["micro_batch"] * given["data_parallel"])


def _group(given: dict[str, NDArray[Any]]) -> Group:
    """Rows that share their categories, as one design and one plan of arrays."""
    single: dict[str, Any] = {
        name: bool(given[name][0]) if COLUMNS[name].kind == "flag" else str(given[name][0])
        for name in _CATEGORIES
    }
    of_design = {f.name for f in fields(Design)}
    of_plan = {f.name for f in fields(Plan)}
    bias = single.pop("bias")
    # Zeros as a plain number let a dense, unwindowed, constant design take the short way.
    design: dict[str, Any] = {
        n: v if np.any(v) else 0 for n, v in given.items() if n in of_design and COLUMNS[n].kind == "number"
    }
    plan: dict[str, Any] = {n: v for n, v in given.items() if n in of_plan and COLUMNS[n].kind == "number"}
    expert: dict[str, Any] = {"d_ff_expert": given["d_ff"]} if np.any(given["n_experts"]) else {}
    return Group(
        design=Design(
            **design,
            **expert,
            **{n: v for n, v in single.items() if n in of_design},
            **dict.fromkeys(("qkv_bias", "output_bias", "ffn_bias"), bias),
        ),
        plan=Plan(**plan, **{n: v for n, v in single.items() if n in of_plan}),
        accelerator=str(single["accelerator"]),
        corpus=str(given["corpus"][0]),
        n_tokens=given["n_tokens"],
        kv_bits=given["kv_bits"],
        tokens_per_parameter=_TOKENS_PER_PARAMETER,
    )


def _numbers_back(column: pd.Series) -> pd.Series:
    """A text column that holds nothing but numbers, as numbers: what went in as 4096 comes out so."""
    import pandas as pd

    if column.dtype.kind in "ifb":
        return column
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column
