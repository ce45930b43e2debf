"""Finished runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from explorer.units import QUANTILES


def compare(folders: Sequence[Path]) -> tuple[str, list[dict[str, Any]]]:
    """Several finished runs side by side: the page, and its table with one row per run."""
    from explorer.report import compare as page
    from explorer.result import load

    results = [load(folder) for folder in folders]
    rows = []
    for folder, result in zip(folders, results, strict=True):
        row: dict[str, Any] = {
            "run": str(folder),
            "verdict": result.verdict.status if result.verdict else "-",
        }
        if result.feasible:
            best = result.front.iloc[result.picks["best-loss"]]
            row |= {
                "context_length": int(best["context_length"]),
                "d_model": int(best["d_model"]),
                "n_layers": int(best["n_layers"]),
                **{
                    name: round(float(best[name]), 4)
                    for name in ("loss", *(f"loss_{q}" for q in QUANTILES))
                    if name in best and best[name] == best[name]
                },
                "binding": str(best["binding"]),
            }
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return page(results), [{name: row.get(name, "-") for name in names} for row in rows]
