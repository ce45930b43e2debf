"""What came of a fit: the law file, its residuals and its errors on runs left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explorer.catalog.corpora import Corpus, corpus_row
from explorer.catalog.laws import Law, NCounts, law_from, priors
from explorer.files import write_text
from explorer.quality.coefficients import centre_of
from explorer.quality.fitting.form import Form
from explorer.quality.fitting.table import Runs
from explorer.units import FloatArray

_COLLINEAR = 0.95
_DIGITS = 8
# Names of constants whose fitted parameter is the logarithm of something with a unit.
_SCALED = {"log_aspect": "aspect_at_1e9", "log_critical_batch": "critical_batch_tokens"}


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Errors on one group of runs, by the fit to all others; nats per token."""

    name: str
    kind: str
    """`extreme` (largest N, D, c), the partition's kind (shape, size), or `all` of the partition."""
    n: int
    rmse: float
    mean_absolute: float
    median_absolute: float
    bias: float
    """Mean of prediction less measurement."""

    @classmethod
    def of(cls, name: str, kind: str, errors: FloatArray) -> LeftOut:
        """Summary of prediction errors (n,)."""
        return cls(
            name=name,
            kind=kind,
            n=len(errors),
            rmse=float(np.sqrt(np.mean(errors**2))),
            mean_absolute=float(np.mean(np.abs(errors))),
            median_absolute=float(np.median(np.abs(errors))),
            bias=float(np.mean(errors)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """One constant as the law uses it: A, not its logarithm."""

    name: str
    value: float
    standard_error: float | None
    """Standard deviation over the bootstrap; None without one."""
    interval: tuple[float, float] | None
    """5 and 95% of the bootstrap."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FitReport:
    """A fitted law with everything a reader needs to judge it."""

    name: str
    record: dict[str, Any]
    """The law file's content; `write` saves it, `law` is the law itself."""
    terms: tuple[str, ...]
    """Terms besides capacity, data and irreducible loss."""
    names: tuple[str, ...]
    row: FloatArray
    """Fitted parameters in the order of `names`."""
    bootstrap_rows: FloatArray | None
    """(n_bootstraps, p), whole rows."""
    objective: float
    starts: tuple[int, int, int]
    """Starts tried, those carried to the end, and those of them that agree on the minimum."""
    condition_number: float
    runs: Runs
    predicted: FloatArray
    """Predicted loss of every run, nats."""
    left_out: tuple[LeftOut, ...]
    series_names: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def law(self) -> Law:
        """The fitted law."""
        return law_from(self.record, f"law {self.name}")

    @property
    def corpus(self) -> Corpus | None:
        """The runs' own corpus, where the context term was fitted: amplitude 5 to 95% over the bootstrap."""
        if "S" not in self.names:
            return None
        k7 = centre_of(priors()["context"]["amplitude_7b"])
        rows = self.row[None, :] if self.bootstrap_rows is None else self.bootstrap_rows
        amplitude = np.maximum(rows[:, self.names.index("S")] / k7, 0.0)
        low, high = (float(v) for v in np.quantile(amplitude, (0.05, 0.95)))
        exponent = None
        if "b" in self.names:
            b = rows[:, self.names.index("b")]
            exponent = (float(self.row[self.names.index("b")]), float(np.std(b)))
        source = f"explore fit: context term of law {self.name}"
        return Corpus(
            name=self.name, amplitude_low=low, amplitude_high=high, exponent=exponent, source=source
        )

    @property
    def residuals(self) -> FloatArray:
        """Predicted less measured loss, nats (n_runs,)."""
        return self.predicted - self.runs.loss

    @property
    def constants(self) -> tuple[Fitted, ...]:
        """Every fitted constant on the scale on which the law uses it; a critical batch in tokens."""
        out = []
        for i, key in enumerate(self.names):
            values = np.append(self.row[i], () if self.bootstrap_rows is None else self.bootstrap_rows[:, i])
            if key.startswith("log_"):
                values = np.exp(values)
            if key == "log_critical_batch":
                values = values * self.record["fit"]["batch_tokens"]
            low, high = np.quantile(values[1:], (0.05, 0.95)) if len(values) > 1 else (None, None)
            out.append(
                Fitted(
                    name=_SCALED.get(key, key.removeprefix("log_")),
                    value=float(values[0]),
                    standard_error=float(np.std(values[1:])) if len(values) > 1 else None,
                    interval=None if low is None or high is None else (float(low), float(high)),
                )
            )
        return tuple(out)

    @property
    def standard_errors(self) -> dict[str, float]:
        """Bootstrap standard deviations by constant; empty without a bootstrap."""
        return {c.name: c.standard_error for c in self.constants if c.standard_error is not None}

    @property
    def correlations(self) -> FloatArray | None:
        """Correlations of the bootstrap rows (p, p); None without a bootstrap."""
        if self.bootstrap_rows is None:
            return None
        return np.atleast_2d(np.corrcoef(self.bootstrap_rows.T))

    @property
    def collinear(self) -> tuple[tuple[str, str, float], ...]:
        """Pairs of parameters whose bootstrap values are correlated beyond .95."""
        corr = self.correlations
        if corr is None:
            return ()
        pairs = zip(*np.triu_indices(len(self.names), 1), strict=True)
        return tuple(
            (self.names[i], self.names[j], float(corr[i, j]))
            for i, j in pairs
            if abs(corr[i, j]) > _COLLINEAR
        )

    def text(self) -> str:
        """The law file, in the form that `quality.law(path)` reads."""
        return dump_law(self.record)

    def write(self, path: str | Path) -> None:
        """Save the law file."""
        write_text(Path(path), self.text())

    def summary(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return {
            "name": self.name,
            "n_runs": len(self.runs),
            "columns": dict(self.runs.columns),
            "terms": list(self.terms),
            "constants": self.record["constants"],
            "parameters": dict(zip(self.names, self.row.tolist(), strict=True)),
            "standard_errors": self.standard_errors,
            "objective": self.objective,
            "starts": dict(zip(("tried", "finalists", "agreeing"), self.starts, strict=True)),
            "condition_number": self.condition_number,
            "collinear": [{"a": a, "b": b, "correlation": c} for a, b, c in self.collinear],
            "in_sample": _plain(LeftOut.of("all runs, in sample", "in sample", self.residuals)),
            "left_out": [_plain(e) for e in self.left_out],
            "corpus": None if self.corpus is None else corpus_row(self.corpus),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The report as text."""
        out = [f"law {self.name}: {len(self.runs)} runs, Huber objective {self.objective:.8f}"]
        out += [f"terms: capacity, data, irreducible{''.join(', ' + t for t in self.terms)}"]
        for found in self.constants:
            error = "" if found.standard_error is None else f" (se {found.standard_error:.3g})"
            out.append(f"  {found.name:<14} {found.value:.6g}{error}")
        out.append("starts: {2} of the best {1} of {0} agree".format(*self.starts))
        pairs = ", ".join(f"{a} and {b} {c:.3f}" for a, b, c in self.collinear) or "no pair beyond .95"
        out.append(f"collinearity: condition number {self.condition_number:.0f}; correlations: {pairs}")
        out.append(f"  {'error in nats':<30} {'n':>4}  rmse    mean|e|  median|e|  bias")
        for e in [LeftOut.of("in sample", "in sample", self.residuals), *self.left_out]:
            if e.kind in ("in sample", "extreme", "all"):
                out.append(
                    f"  {e.name:<30} {e.n:>4}  {e.rmse:.4f}  {e.mean_absolute:.4f}     "
                    f"{e.median_absolute:.4f}  {e.bias:+.4f}"
                )
        return out + [f"note: {n}" for n in self.notes]


def law_record(
    name: str,
    form: Form,
    row: FloatArray,
    rows: FloatArray | None,
    runs: Runs,
    *,
    n_counts: NCounts,
    reference: float,
    left_out: Sequence[LeftOut],
    objective: float,
    seed: int,
) -> dict[str, Any]:
    """The JSON content of a law file. The irreducible loss is that of the series with the most runs."""
    main = Counter(runs.series).most_common(1)[0][0]
    log_e = form.names.index("log_E" if form.n_series == 1 else f"log_E[{main}]")
    columns = {"log_A": 0, "log_B": 1, "log_E": log_e, "alpha": 2, "beta": 3}
    columns |= {
        k: form.names.index(k) for k in ("log_power", "kappa", "log_aspect", "drift") if k in form.names
    }
    constants = {"A": np.exp(row[0]), "B": np.exp(row[1]), "E": np.exp(row[log_e])}
    constants |= {"alpha": row[2], "beta": row[3]}
    if "log_power" in form.names:
        constants["power"] = np.exp(row[columns["log_power"]])
    record: dict[str, Any] = {
        "kind": "law",
        "name": name,
        "description": f"Fitted to {len(runs)} runs.",
        "source": "explore fit: Huber loss on log loss, L-BFGS from a grid of starts, bootstrap over runs",
        "n_counts": n_counts,
        "reference_context": reference,
        "constants": {k: float(v) for k, v in constants.items()},
        "standard_errors": _standard_errors(form, rows, log_e),
        "uncertainty": None,
        "domain": _domain(runs),
        "domain_source": "extent of the fitted runs; context length: theirs, or else the context term's",
        "fit": {
            "objective": objective,
            "n_runs": len(runs),
            "huber": form.huber,
            "seed": seed,
            "terms": list(form.terms),
            "series": main,
            "left_out": [_plain(e) for e in left_out if e.kind in ("extreme", "all")],
        },
    }
    if form.log_batch is not None:
        critical = form.batch_reference * np.exp(row[form.names.index("log_critical_batch")])
        record["fit"] |= {"batch_tokens": form.batch_reference, "critical_batch_tokens": float(critical)}
    if "aspect" in form.terms:
        record["aspect"] = {
            "curvature": {"value": float(row[columns["kappa"]])},
            "optimum": {"value": float(np.exp(row[columns["log_aspect"]]))},
            "drift": {"value": float(row[columns["drift"]]) if "drift" in columns else 0.0},
            "n_params": {"range": record["domain"]["n_params"]},
            "aspect_range": {"range": _extent(runs.aspect)},
        }
    if rows is not None:
        order = list(columns)
        record["uncertainty"] = {
            "note": f"{len(rows)} whole rows of the bootstrap over runs",
            "order": order,
            "rows": [
                [float(f"{v:.{_DIGITS}g}") for v in r] for r in rows[:, [columns[k] for k in order]].tolist()
            ],
        }
    return record


def dump_law(record: dict[str, Any]) -> str:
    """A law file's text: one bootstrap row per line."""
    marker = "@rows@"
    uncertainty = record.get("uncertainty")
    if not uncertainty or "rows" not in uncertainty:
        return json.dumps(record, indent=1) + "\n"
    text = json.dumps(record | {"uncertainty": uncertainty | {"rows": marker}}, indent=1)
    lines = ",\n".join("   " + json.dumps(r) for r in uncertainty["rows"])
    return text.replace(f'"{marker}"', f"[\n{lines}\n  ]") + "\n"


def _standard_errors(form: Form, rows: FloatArray | None, log_e: int) -> dict[str, float]:
    if rows is None:
        return {}
    columns = {"A": np.exp(rows[:, 0]), "B": np.exp(rows[:, 1]), "E": np.exp(rows[:, log_e])}
    columns |= {"alpha": rows[:, 2], "beta": rows[:, 3]}
    if "log_power" in form.names:
        columns["power"] = np.exp(rows[:, form.names.index("log_power")])
    rest = [n for n in form.names[4 + form.n_series :] if n != "log_power"]
    columns |= {n: rows[:, form.names.index(n)] for n in rest}
    return {k: float(np.std(v)) for k, v in columns.items()}


def _domain(runs: Runs) -> dict[str, list[float]]:
    c = runs.context_length
    default = [float(v) for v in priors()["context"]["context_length"]["range"]]
    return {
        "n_params": _extent(runs.n_params),
        "n_tokens": _extent(runs.n_tokens),
        "tokens_per_param": _extent(runs.n_tokens / runs.n_params),
        # One window says nothing about others: there the context term's own range holds.
        "context_length": default if c is None or c.max() == c.min() else _extent(c),
    }


def _extent(values: Any) -> list[float]:
    return [float(np.min(values)), float(np.max(values))]


def _plain(e: LeftOut) -> dict[str, Any]:
    return {k: getattr(e, k) for k in e.__slots__}
