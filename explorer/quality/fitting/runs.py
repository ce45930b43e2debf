"""Fit a law to a table of finished runs, and say how far it can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from explorer.catalog.laws import NCounts, priors
from explorer.errors import ExplorerError, UnknownName
from explorer.quality.coefficients import centre_of
from explorer.quality.fitting.form import TERMS, Form
from explorer.quality.fitting.groups import extremes, folds
from explorer.quality.fitting.record import FitReport, LeftOut, law_record
from explorer.quality.fitting.solve import Solution, bootstrap, condition, left_out_errors, solve
from explorer.quality.fitting.table import Runs, runs_from

HUBER = 1e-3
"""Huber's delta on the log loss (Hoffmann et al. 2022, section 3.3)."""
# A term has to lower the cross-validated error by this share to be taken up: noise alone rarely does.
_WORTH = 0.05
_FEWEST_PER_PARAMETER = 3


def fit_runs(
    table: str | Path | Mapping[str, Any],
    *,
    name: str = "fitted",
    terms: tuple[str, ...] | None = None,
    mapping: Mapping[str, str] | None = None,
    drop_highest: int = 0,
    n_counts: NCounts = "total",
    bootstraps: int = 1000,
    seed: int = 0,
    huber: float = HUBER,
) -> FitReport:
    """A law fitted to runs (a CSV path or a mapping of columns).

    Columns are N, D (or C, training FLOPs), loss and optionally c, d, L, steps, batch, series, under
    the names of `table.ALIASES` or as `mapping` says (`{"N": "my_column"}`). Capacity, data and
    irreducible loss are always fitted; `terms` adds some of `form.TERMS`, and None takes up those for
    which the columns are there and whose presence lowers the error on left-out groups.
    Same arguments, same report. Raises ExplorerError when the table is too small or a column is missing.
    """
    runs = runs_from(table, mapping, drop_highest=drop_highest)
    notes = [f"{drop_highest} rows of the highest loss left out"] if drop_highest else []
    runs = _two_windows_are_two_series(runs, notes)
    reference = _most_common(runs.context_length, centre_of(priors()["context"]["reference_window"]))
    offered = _offered(runs)
    settings = {
        "huber": huber,
        "reference": reference,
        "nu": centre_of(priors()["context"]["nu"]),
        "b": centre_of(priors()["context"]["b"]),
    }
    if terms is None:
        form, solution = _select(runs, offered, settings, notes)
    else:
        _check_terms(terms, offered)
        form = Form.of(runs, tuple(t for t in TERMS if t in terms), **settings)
        solution = solve(form)
    if len(runs) < _FEWEST_PER_PARAMETER * len(form.names):
        raise ExplorerError(
            f"a law of {len(form.names)} parameters needs at least {_FEWEST_PER_PARAMETER * len(form.names)} runs, "
            f"got {len(runs)}"
        )
    rows = form.as_written(bootstrap(form, solution, bootstraps, seed)) if bootstraps else None
    kind, partition = folds(runs)
    groups = extremes(runs) | partition
    errors = left_out_errors(form, solution, groups)
    left_out = [LeftOut.of(n, "extreme" if n not in partition else kind, e) for n, e in errors.items()]
    together = np.concatenate([errors[n] for n in partition])
    left_out.append(LeftOut.of(f"every {kind}, left out in turn", "all", together))
    row = form.as_written(solution.row)
    law = law_record(
        name, form, row, rows, runs, n_counts=n_counts, reference=reference, left_out=left_out, seed=seed,
        objective=solution.objective,
    )  # fmt: skip
    return FitReport(
        name=name,
        record=law,
        terms=form.terms,
        names=form.names,
        row=row,
        bootstrap_rows=rows,
        objective=solution.objective,
        starts=(solution.n_starts, solution.n_finalists, solution.n_agreeing),
        condition_number=condition(form, solution.row),
        runs=runs,
        predicted=np.exp(form.predict(solution.row[None, :])[0][0]),
        left_out=tuple(left_out),
        series_names=form.series_names,
        notes=tuple(notes),
    )


def _offered(runs: Runs) -> tuple[str, ...]:
    """Terms that the table's columns could determine."""
    offered = ["power"]
    batch, c, aspect = runs.batch_tokens, runs.context_length, runs.aspect
    if batch is not None and batch.max() > 1.2 * batch.min():
        offered.append("batch")
    if c is not None and len(np.unique(c)) >= 3:
        offered.append("context")
    if aspect is not None and len(np.unique(aspect)) >= 4:
        offered += ["aspect", "drift"]
    return tuple(t for t in TERMS if t in offered)


def _select(
    runs: Runs, offered: tuple[str, ...], settings: dict[str, float], notes: list[str]
) -> tuple[Form, Solution]:
    """Forward selection by cross-validated error: the term that helps most, while it helps enough."""
    _, partition = folds(runs)

    def attempt(terms: tuple[str, ...]) -> tuple[float, Form, Solution]:
        form = Form.of(runs, terms, **settings)
        solution = solve(form, coarse=True)
        if not _sensible(form, solution, runs):
            return np.inf, form, solution
        errors = left_out_errors(form, solution, partition)
        return float(np.mean(np.abs(np.concatenate(list(errors.values()))))), form, solution

    error, form, _ = attempt(())
    while True:
        steps = _steps(form.terms, offered)
        steps = [s for s in steps if _FEWEST_PER_PARAMETER * (len(form.names) + 3) <= len(runs)]
        tried = [(*attempt(s), s) for s in steps]
        best = min(tried, key=lambda t: t[0], default=None)
        if best is None or best[0] > (1 - _WORTH) * error:
            left = [t for t in offered if t not in form.terms]
            if left:
                notes.append(
                    f"not taken up, for they do not lower the error on left-out runs by {_WORTH:.0%} "
                    f"with sensible parameters: {', '.join(left)}"
                )
            return form, solve(form)
        notes.append(
            f"{', '.join(t for t in best[3] if t not in form.terms)}: mean error on left-out runs "
            f"{error:.4f}, {best[0]:.4f} nats with it"
        )
        error, form = best[:2]


def _steps(terms: tuple[str, ...], offered: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The term sets one step further: one term more, or aspect together with its drift."""
    more = [{t} for t in offered if t not in terms and (t != "drift" or "aspect" in terms)]
    if "aspect" in offered and "aspect" not in terms:
        more.append({"aspect", "drift"})
    return [tuple(t for t in TERMS if t in terms or t in step) for step in more]


def _sensible(form: Form, solution: Solution, runs: Runs) -> bool:
    """Whether the optional terms are what they are meant to be, not a curve that happens to fit.

    A best aspect has to be a minimum and lie within the shapes trained (by up to their spread), and a
    longer window must not raise the loss.
    """
    p = dict(zip(form.names, solution.row.tolist(), strict=True))
    if p.get("S", 1.0) < 0 or p.get("b", 1.0) <= 0:
        return False
    if form.log_aspect is None:
        return True
    best = p["log_aspect"] + p.get("drift", 0.0) * (np.log(runs.n_params) - np.log(1e9))
    low, high = form.log_aspect.min(), form.log_aspect.max()
    return p["kappa"] > 0 and bool(np.all((best > low - 0.7) & (best < high + 0.7)))


def _check_terms(terms: tuple[str, ...], offered: tuple[str, ...]) -> None:
    for term in terms:
        if term not in TERMS:
            raise UnknownName("term", term, TERMS)
        if term not in offered:
            needs = {
                "batch": "steps or batch that vary",
                "context": "c with at least three values",
                "aspect": "d and L with at least four shapes",
                "drift": "d and L with at least four shapes",
            }
            raise ExplorerError(f"the {term} term needs columns: {needs[term]}")
    if "drift" in terms and "aspect" not in terms:
        raise ExplorerError("the drift term needs the aspect term as well")


def _two_windows_are_two_series(runs: Runs, notes: list[str]) -> Runs:
    """Two windows cannot give a curve: each gets an irreducible loss of its own instead."""
    c = runs.context_length
    if c is None or len(np.unique(c)) != 2 or len(set(runs.series)) > 1:
        return runs
    notes.append("c has two values: each has its own irreducible loss, and no context term is fitted")
    return replace(runs, series=tuple(f"c={v:g}" for v in c))


def _most_common(c: Any, default: float) -> float:
    return default if c is None else float(Counter(c.tolist()).most_common(1)[0][0])
