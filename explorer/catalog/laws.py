"""Scaling laws as data: constants, joint uncertainty, domain and source of each.

A law file is JSON; the catalogue's and those that `explore fit` writes have one format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from math import isfinite, log
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from explorer.errors import ExplorerError, UnknownName
from explorer.files import why

if TYPE_CHECKING:  # reading names must not cost an import of NumPy
    from explorer.units import FloatArray

NCounts: TypeAlias = Literal["total", "non_embedding"]
Interval: TypeAlias = tuple[float, float]

DEFAULT_LAW = "besiroglu-2024"
ROW_ORDER = ("log_A", "log_B", "log_E", "alpha", "beta")
"""First columns of a law's joint deviations; a fitted law may add those of `MORE_COLUMNS`."""
MORE_COLUMNS = ("log_power", "kappa", "log_aspect", "drift")


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """Where a law was fitted; outside it the value is given and flagged. Bounds are inclusive."""

    n_params: Interval
    n_tokens: Interval
    tokens_per_param: Interval
    context_length: Interval


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Law:
    """L(N, D) = E + (A/N^alpha + B/D^beta)^power in nats per token, at the law's own window."""

    name: str
    description: str
    source: str
    n_counts: NCounts
    """What N counts: all parameters, or those outside embeddings and position tables."""
    reference_context: float
    """The window of the law's own runs, in tokens: the context term is zero there."""
    A: float
    B: float
    E: float
    alpha: float
    beta: float
    power: float = 1.0
    """1 for Chinchilla's form; Kaplan's joint form raises the sum to a power."""
    domain: Domain
    domain_source: str = ""
    deviations: FloatArray | None = None
    """Joint uncertainty, (n_rows, n_columns): whole rows to add to the central values."""
    deviation_names: tuple[str, ...] = ROW_ORDER
    deviations_note: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    """Terms of the context or aspect priors that this law's own fit replaces."""
    aspect: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    """How it was fitted: rows, objective, errors on left-out groups (laws of `explore fit`)."""

    @property
    def constants(self) -> dict[str, float]:
        """The fitted constants by name."""
        return {k: getattr(self, k) for k in ("A", "B", "E", "alpha", "beta", "power")}


def laws() -> tuple[str, ...]:
    """Names of the catalogue's laws, the default first."""
    names = sorted(
        entry.name.removesuffix(".json")
        for entry in resources.files("explorer.catalog").joinpath("law_files").iterdir()
        if entry.name.endswith(".json")
    )
    return (DEFAULT_LAW, *(n for n in names if n != DEFAULT_LAW))


@cache
def catalogue_law(name: str) -> Law:
    """A law of the catalogue. Raises UnknownName with the nearest names."""
    if name not in laws():
        raise UnknownName("law", name, laws())
    file = resources.files("explorer.catalog").joinpath("law_files", f"{name}.json")
    return law_from(json.loads(file.read_text(encoding="utf-8")), name)


def read_law(path: str | Path) -> Law:
    """A law from a file. Raises ExplorerError, one line, naming what is missing or wrong."""
    try:
        row = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExplorerError(f"law file {path}: no such file") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ExplorerError(f"law file {path}: must be JSON, got: {why(error)}") from None
    return law_from(row, f"law file {path}")


def law_from(row: Any, where: str) -> Law:
    """A law from its JSON record; `where` names the record in errors."""
    if not isinstance(row, dict) or row.get("kind") != "law":
        raise ExplorerError(
            f"{where}: kind must be 'law', got {row.get('kind') if isinstance(row, dict) else row!r}"
        )
    constants, domain = _section(row, "constants", where), _section(row, "domain", where)
    values = {k: _number(constants, k, where) for k in ("A", "B", "E", "alpha", "beta")}
    values["power"] = _number({"power": 1.0, **constants}, "power", where)
    for key, value in values.items():
        if value < 0 or (value == 0 and key != "E"):
            raise ExplorerError(f"{where}: constants.{key} must be > 0, got {value}")
    if row.get("n_counts") not in ("total", "non_embedding"):
        raise ExplorerError(f"{where}: n_counts must be total or non_embedding, got {row.get('n_counts')!r}")
    names, deviations, note = _deviations(row, values, where)
    return Law(
        name=str(row.get("name", Path(where).stem)),
        description=str(row.get("description", "")),
        source=str(row.get("source", "")),
        n_counts=cast(NCounts, row["n_counts"]),
        reference_context=_number({"reference_context": 2048.0, **row}, "reference_context", where),
        domain=Domain(
            n_params=_interval(domain, "n_params", where),
            n_tokens=_interval(domain, "n_tokens", where),
            tokens_per_param=_interval(domain, "tokens_per_param", where),
            context_length=_interval(domain, "context_length", where),
        ),
        domain_source=str(row.get("domain_source", "")),
        deviations=deviations,
        deviation_names=names,
        deviations_note=note,
        context=row.get("context") or {},
        aspect=row.get("aspect") or {},
        fit=row.get("fit") or {},
        **values,
    )


@cache
def priors() -> Mapping[str, Any]:
    """Priors of the context, recovery and aspect terms: each a value or distribution with its source."""
    text = resources.files("explorer.catalog").joinpath("priors.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _deviations(
    row: Mapping[str, Any], values: Mapping[str, float], where: str
) -> tuple[tuple[str, ...], FloatArray | None, str]:
    record = row.get("uncertainty")
    if record is None:
        return ROW_ORDER, None, "the source states no uncertainty: its constants are held at their values"
    if not isinstance(record, dict):
        raise ExplorerError(f"{where}: uncertainty must be a mapping with rows or rows_of, got {record!r}")
    note = str(record.get("note", ""))
    if "rows_of" in record:
        other = catalogue_law(str(record["rows_of"]))
        return other.deviation_names, other.deviations, note
    import numpy as np

    names = tuple(record.get("order", ROW_ORDER))
    if names[: len(ROW_ORDER)] != ROW_ORDER or not set(names[len(ROW_ORDER) :]) <= set(MORE_COLUMNS):
        raise ExplorerError(
            f"{where}: uncertainty.order must begin with {', '.join(ROW_ORDER)} "
            f"and may go on with {', '.join(MORE_COLUMNS)}, got {', '.join(map(str, names))}"
        )
    try:
        rows = np.asarray(record["rows"], dtype=float)
    except (KeyError, TypeError, ValueError) as error:
        raise ExplorerError(f"{where}: uncertainty.rows must be a table of numbers, got {error}") from None
    if rows.ndim != 2 or rows.shape[1] != len(names) or not np.isfinite(rows).all() or len(rows) < 2:
        raise ExplorerError(f"{where}: uncertainty.rows must be finite rows of {', '.join(names)}")
    if not values["E"]:
        raise ExplorerError(f"{where}: constants.E must be > 0 where uncertainty.rows are given, got 0")
    centre = {f"log_{k}": log(values[k]) for k in ("A", "B", "E", "power")}
    centre |= {"alpha": values["alpha"], "beta": values["beta"]}
    if set(names) & {"kappa", "log_aspect", "drift"}:
        aspect = _section(row, "aspect", where)
        centre["kappa"] = _number(_section(aspect, "curvature", where), "value", where)
        centre["log_aspect"] = log(_number(_section(aspect, "optimum", where), "value", where))
        centre["drift"] = _number(_section(aspect, "drift", where), "value", where)
    return names, rows - np.array([centre[name] for name in names]), note


def _section(row: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    if not isinstance(row.get(key), dict):
        raise ExplorerError(f"{where}: {key} must be a mapping, got {row.get(key)!r}")
    return cast(Mapping[str, Any], row[key])


def _number(row: Mapping[str, Any], key: str, where: str) -> float:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ExplorerError(f"{where}: {key} must be a finite number, got {value!r}")
    return float(value)


def _interval(row: Mapping[str, Any], key: str, where: str) -> Interval:
    value = row.get(key)
    numbers = isinstance(value, list) and len(value) == 2 and all(isinstance(v, int | float) for v in value)
    if not numbers or not 0 <= value[0] <= value[1]:  # type: ignore[index]
        raise ExplorerError(f"{where}: domain.{key} must be [low, high] with 0 <= low <= high, got {value!r}")
    return float(value[0]), float(value[1])  # type: ignore[index]
