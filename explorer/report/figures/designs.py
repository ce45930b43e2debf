"""The table of designs that the front, the plane, the parallel axes and the query box share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.report import facts as f
from explorer.report import words
from explorer.report.facts import Facts
from explorer.report.figures import axes
from explorer.result import design_columns
from explorer.units import QUANTILES

if TYPE_CHECKING:
    import pandas as pd

    from explorer.search.space import IntArray

MOST_ROWS = 5_000
"""Designs a page embeds, unless more are on a front; others would make it heavy without showing more."""
FIGURES = (
    "context_length", "d_model", "n_layers", "n_params", "n_tokens", "loss", "gpu_hours", "days",
    "tokens_per_second_per_gpu", "energy_kwh", "price",
)  # fmt: skip
EXACT = ("context_length", "d_model", "n_layers", "loss")
SHOWN_INFEASIBLE = 1_200
"""Grey marks drawn; a brush over more than this stutters."""
DERIVED = ["id", "front", "exact", "x", "y"]
"""Columns that the page's script makes: a row's number, kind and proof say them, and the axes are the reader's."""
GIB = 2.0**30


def designs(facts: Facts) -> pd.DataFrame:
    """Front, others taken along, trials, exact front and cloud as one table with `id`, `kind`, `front`, `ok`, `why`."""
    import pandas as pd

    result = facts.result
    keys = design_columns(result.trials)
    evidence = result.evidence
    elsewhere = dict(evidence.corpus_fronts) if evidence is not None else {}
    inside = pd.DataFrame(list(facts.inside.values()))
    parts = [
        result.front.assign(kind="front", front=1),
        facts.others.assign(kind=_kind(facts.others), front=0),
        result.trials.assign(kind="trial", front=0),
        result.exact_front.assign(kind="exact", front=0),
        *(t.assign(kind="exact", front=0) for t in elsewhere.values()),
        inside.assign(kind="exact", front=0),
        result.cloud.assign(kind="cloud", front=0),
    ]
    whole = pd.concat([p for p in parts if len(p)], ignore_index=True)
    most = max(MOST_ROWS, len(result.front) + len(facts.others))
    whole = thinned(whole.drop_duplicates(subset=keys)).head(most).reset_index(drop=True)
    if evidence is not None and evidence.baseline is not None:
        own = pd.DataFrame([evidence.baseline]).assign(kind="baseline", front=0)
        whole = pd.concat([whole, own.reindex(columns=whole.columns)], ignore_index=True)
    out: dict[str, Any] = {"id": range(len(whole)), "kind": whole["kind"], "front": whole["front"]}
    out["ok"] = whole["feasible"].astype(bool).astype(int)
    wanted = dict.fromkeys([*FIGURES, *(m.name for m, _ in facts.objectives)])
    for name in wanted:
        if name in whole and whole[name].notna().any() and name not in axes.PAGE_COLUMNS:
            digits = 7 if name in EXACT else 5
            out[name] = whole[name].map(lambda v, digits=digits: float(f"{v:.{digits}g}"))
    out["loss"] = whole["loss"].round(5)
    out |= beside(whole, "loss")
    for metric, (column, _) in axes.PAGE_COLUMNS.items():
        if metric in whole:
            out[column] = (whole[metric] / GIB).map(lambda v: float(f"{v:.4g}"))
    for corpus in facts.elsewhere:
        if f"loss_{corpus}" in whole:
            out[f"loss_{corpus}"] = whole[f"loss_{corpus}"].round(5)
            out |= beside(whole, f"loss_{corpus}")
    records: list[Any] = whole.to_dict(orient="records")
    out["staged"] = [int(float(r.get("staged_from", 0) or 0) > 0) for r in records]
    out["schedule"] = [f.schedule(r) for r in records]
    out["plan"] = [f.plan(r) if r["kind"] != "cloud" else "" for r in records]
    out["why"] = ["" if r["feasible"] else facts.reason(r) for r in records]
    out["binds"] = [
        words.listed(facts.limit(b) for b in facts.binding(r)) if r["feasible"] else "" for r in records
    ]
    out["outside"] = f.flags(whole["extrapolated"]).astype(int) if "extrapolated" in whole else 0
    table = pd.DataFrame(out)
    table["x"], table["y"] = table[axes.column(facts.x)], table[axes.column(facts.y)]
    out_of = {facts.corpus: result.exact_front, **elsewhere}
    rows = _rows(whole, keys)
    on = [_on(rows, out_of[name], keys) * 2**k for k, name in enumerate(facts.proven)]
    # One bit per corpus of `facts.proven`: on which of their exact fronts the design lies.
    table["proof"] = sum(on)
    table["exact"] = _on(rows, result.exact_front, keys)
    table["inside"] = _on(rows, inside, keys)
    return table


def _kind(others: pd.DataFrame) -> Any:
    """Trials have a number; what enumeration or the sampler knew has none."""
    return np.where(others["number"].notna(), "trial", "other")


def beside(rows: pd.DataFrame, loss: str) -> dict[str, Any]:
    """The quantiles of a loss, as they are written out."""
    return {name: rows[name].round(3) for q in QUANTILES if (name := f"{loss}_{q}") in rows}


def thinned(whole: pd.DataFrame) -> pd.DataFrame:
    """All feasible designs and, evenly spread, as many infeasible ones as a chart can draw in grey."""
    broken = whole.index[~whole["feasible"].astype(bool)]
    step = max(1, -(-len(broken) // SHOWN_INFEASIBLE))
    return whole.drop(index=broken.difference(broken[::step]))


def _on(whole: list[tuple[Any, ...]], front: pd.DataFrame, keys: list[str]) -> IntArray:
    """1 for each row of `whole` (its keys) that is a design of `front`, else 0."""
    known = set(_rows(front, keys)) if len(front) else set()
    return np.array([row in known for row in whole], dtype=np.int64)


def _rows(table: pd.DataFrame, keys: list[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(table[key].tolist() for key in keys), strict=True))
