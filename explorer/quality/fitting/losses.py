"""Tables of loss against context length: columns by name, protocols by their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.catalog.laws import priors
from explorer.errors import ExplorerError
from explorer.quality.fitting.table import floats, read_table
from explorer.units import FloatArray

PROTOCOLS = ("window", "position", "sliding")
"""What a loss was averaged over: non-overlapping windows of c, the last position, or a window slid along."""
COLUMNS = ("series", "c", "nll", "protocol", "N", "model")
"""Columns of such a table; c, nll and protocol are needed."""
AMPLITUDE_PARAMS = 7e9
_ALIASES = {
    "c": ("context_length", "context", "ctx"),
    "nll": ("loss", "val_loss"),
    "N": ("n_params", "params"),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Losses:
    """Usable rows; arrays of shape (n_rows,)."""

    series: NDArray[np.int64]
    """Index into `names`."""
    names: tuple[str, ...]
    c: FloatArray
    nll: FloatArray
    protocol: tuple[str, ...]
    n_params: FloatArray

    def rows(self, which: NDArray[np.bool_]) -> Losses:
        """Some of the rows, series as they were."""
        return Losses(
            series=self.series[which],
            names=self.names,
            c=self.c[which],
            nll=self.nll[which],
            protocol=tuple(np.asarray(self.protocol)[which].tolist()),
            n_params=self.n_params[which],
        )


def read_losses(rows: str | Path | Mapping[str, Any], mapping: Mapping[str, str], notes: list[str]) -> Losses:
    """The usable rows of a CSV path or a mapping of columns; what was left out is added to `notes`."""
    where = str(rows) if isinstance(rows, str | Path) else "losses"
    columns = read_table(rows) if isinstance(rows, str | Path) else dict(rows)
    found = {k: _column(k, columns, mapping, where) for k in COLUMNS}
    for needed in ("c", "nll", "protocol"):
        if found[needed] is None:
            raise ExplorerError(
                f"{where}: needs a column '{needed}' (or --map {needed}=COLUMN); got {', '.join(columns)}"
            )
    c, nll = (_numbers(columns[str(found[k])], str(found[k]), where) for k in ("c", "nll"))
    series = _labels(columns, found, len(c))
    protocol = [_protocol(p, i, where) for i, p in enumerate(columns[str(found["protocol"])])]
    n_params = np.full(len(c), np.nan)
    if found["N"] is not None:
        n_params = np.array([float(v) if str(v).strip() else np.nan for v in columns[found["N"]]])
    if np.isnan(n_params).any():
        notes.append("rows without N are taken to be at 7e9 parameters")
        n_params = np.where(np.isnan(n_params), AMPLITUDE_PARAMS, n_params)
    # A series is one model on one text: sizes or protocols that differ do not share a level.
    labels = [f"{s}|{n:.3g}|{p}" for s, n, p in zip(series, n_params, protocol, strict=True)]
    low = float(priors()["context"]["context_length"]["range"][0])
    kept = c >= low
    if not kept.all():
        notes.append(
            f"{int((~kept).sum())} rows below {low:g} tokens left out: the term is a power law above it only"
        )
    truncated = np.array([p == "" for p in protocol])
    if truncated.any():
        notes.append(
            f"{int(truncated.sum())} rows of truncated documents left out: they mix the place in a document "
            "with the context"
        )
        kept &= ~truncated
    for label in sorted({label for label, k in zip(labels, kept, strict=True) if k}):
        if len(np.unique(c[kept & (np.asarray(labels) == label)])) < 2:
            kept &= np.asarray(labels) != label
            notes.append(f"series {label.split('|')[0]} left out: it has fewer than two windows")
    if not kept.any():
        raise ExplorerError(
            f"{where}: at least one series must have losses at two windows of {low:g} or more"
        )
    names, index = np.unique(np.asarray(labels)[kept], return_inverse=True)
    return Losses(
        series=index,
        names=tuple(_short(str(n), names) for n in names),
        c=c[kept],
        nll=nll[kept],
        protocol=tuple(np.asarray(protocol)[kept].tolist()),
        n_params=n_params[kept],
    )


def _short(label: str, labels: Any) -> str:
    """A series' own name, with size and protocol only where the name alone is not one series."""
    name, n, protocol = label.rsplit("|", 2)
    alone = sum(str(other).rsplit("|", 2)[0] == name for other in labels) == 1
    return name if alone else f"{name} (N {float(n):.3g}, {protocol})"


def _column(key: str, columns: Mapping[str, Any], mapping: Mapping[str, str], where: str) -> str | None:
    if key in mapping:
        if mapping[key] not in columns:
            raise ExplorerError(f"{where}: no column '{mapping[key]}'; columns: {', '.join(columns)}")
        return mapping[key]
    return next((n for n in (key, *_ALIASES.get(key, ())) if n in columns), None)


def _labels(columns: Mapping[str, Any], found: Mapping[str, str | None], n: int) -> list[str]:
    """Name of each row's series, with its model's where the table has one."""
    parts = [[str(v) for v in columns[str(found[k])]] for k in ("series", "model") if found[k] is not None]
    return ["all"] * n if not parts else [", ".join(p for p in row if p) for row in zip(*parts, strict=True)]


def _protocol(text: Any, row: int, where: str) -> str:
    """A row's protocol; descriptions that name one are understood, all else is refused.

    Empty for truncated documents: they mix the place in a document with the context.
    """
    words = str(text).strip().lower()
    if words in PROTOCOLS:
        return words
    if "truncated" in words:
        return ""
    for protocol, marks in _MARKS.items():
        if any(mark in words for mark in marks):
            return protocol
    raise ExplorerError(
        f"{where}: protocol must be one of {', '.join(PROTOCOLS)}, got '{text}' in row {row + 1}"
    )


_MARKS = {
    "sliding": ("sliding",),
    "position": ("at position", "last position", "last-token", "last token"),
    "window": ("nonoverlapping", "non-overlapping", "over window", "over the window", "train_len=eval_len"),
}


def _numbers(column: Any, name: str, where: str) -> FloatArray:
    values = floats(column, name, where)
    if not np.all(np.isfinite(values) & (values > 0)):
        row = int(np.flatnonzero(~(np.isfinite(values) & (values > 0)))[0])
        raise ExplorerError(
            f"{where}: column '{name}' must be finite and > 0, got {column[row]!r} in row {row + 1}"
        )
    return values
