"""A run's data files, to and from a folder (see README, "What a run writes").

`trials.parquet`, `front.csv`, `summary.json`, `evidence.json`, `budget.yaml`. Rendering is `explorer.report`'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import ExplorerError
from explorer.files import plain, to_json, why, write_bytes, write_text
from explorer.result.records import Evidence, Result
from explorer.result.search import SearchSummary

if TYPE_CHECKING:
    import pandas as pd


def save(result: Result, folder: Path) -> Path:
    """Write the run's data files into `folder` (each atomically) and return the folder."""
    from explorer.budget import dump

    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "budget.yaml", dump(result.budget))
    write_bytes(folder / "trials.parquet", result.trials.to_parquet(index=False))
    write_text(folder / "front.csv", result.front.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "evidence.json", to_json(_evidence(result)))
    # Last: a folder with a summary is a finished run.
    write_text(folder / "summary.json", to_json(summary(result)))
    return folder


def load(folder: str | Path) -> Result:
    """The result of a finished run in `folder`; ExplorerError names what is missing or cannot be read."""
    folder = Path(folder)
    if not folder.is_dir():
        got = "a file" if folder.exists() else "no such folder"
        raise ExplorerError(f"{folder} must be the folder of a finished run, got {got}")
    try:
        return _load(folder)
    except (AttributeError, KeyError, TypeError) as error:
        raise ExplorerError(
            f"{folder}: not a run of this version ({error}); run it again with --force"
        ) from None


def summary(result: Result) -> dict[str, Any]:
    """What `summary.json` holds: the answer, structured, small enough to read."""
    return {
        "name": result.budget.name,
        "feasible": result.feasible,
        "verdict": plain(result.verdict),
        "picks": {name: _row(result.front, row) for name, row in result.picks.items()},
        "budgets_used": {name: result.budget_use(row) for name, row in result.picks.items()},
        "nearest": plain(result.nearest.to_dict(orient="records")),
        "hypervolume": result.search.hypervolume,
        "search": plain({f.name: getattr(result.search, f.name) for f in fields(result.search)}),
        "law": result.budget.quality.law,
        "seed": result.search.seed,
        "assumptions": list(result.assumptions),
        "notes": list(result.notes),
        "timings": plain(result.timings),
        "provenance": plain(result.provenance),
    }


def _evidence(result: Result) -> dict[str, Any]:
    """What a report needs beyond the tables and the summary."""
    tables = {name: getattr(result, name).to_dict(orient="list") for name in ("exact_front", "cloud")}
    evidence = None
    if result.evidence is not None:
        evidence = {f.name: _unfolded(getattr(result.evidence, f.name)) for f in fields(result.evidence)}
    return {
        **tables,
        "picks": dict(result.picks),
        "claims": [claim.to_dict() for claim in result.claims],
        "trade": result.trade.to_dict() if result.trade is not None else None,
        "evidence": evidence,
    }


def _load(folder: Path) -> Result:
    import pandas as pd

    from explorer.budget import load as load_budget
    from explorer.claims.records import Claim, Trade, Verdict
    from explorer.search.agreement import Agreement, Failure

    for name in ("summary.json", "evidence.json", "trials.parquet", "front.csv", "budget.yaml"):
        if not (folder / name).is_file():
            raise ExplorerError(f"{folder} is not a finished run: it has no {name}; run it again")
    summary, data = (_read(folder / name, _json) for name in ("summary.json", "evidence.json"))
    trials = _read(folder / "trials.parquet", pd.read_parquet)
    front = _read(folder / "front.csv", pd.read_csv)
    if lost := [name for name in trials.columns if name not in front.columns]:
        raise ExplorerError(
            f"{folder / 'front.csv'} must have the columns of trials.parquet, got no '{lost[0]}'; run it again "
            "with --force"
        )
    search = summary["search"]
    search["curve"] = tuple((int(n), float(share)) for n, share in search["curve"])
    search["agreement"] = tuple(Agreement.from_dict(a) for a in search["agreement"])
    search["failures"] = tuple(Failure(**a) for a in search["failures"])
    evidence = data["evidence"]
    if evidence is not None:
        for name in (
            "plane", "sweep", "models", "importance", "sensitivities", "anatomies", "model_anatomies", "others",
        ):  # fmt: skip
            if evidence.get(name) is not None:
                evidence[name] = _table(evidence[name])
        evidence["outside"] = tuple(tuple(names) for names in evidence["outside"])
        fronts = evidence["corpus_fronts"]
        evidence["corpus_fronts"] = {k: _table(v) for k, v in fronts.items()}
        evidence = Evidence(**evidence)
    return Result(
        budget=load_budget(folder / "budget.yaml"),
        trials=trials,
        front=front,
        exact_front=_table(data["exact_front"]),
        cloud=_table(data["cloud"]),
        picks=data["picks"],
        search=SearchSummary(**search),
        claims=tuple(Claim.from_dict(c) for c in data["claims"]),
        trade=Trade.from_dict(data["trade"]) if data["trade"] else None,
        verdict=Verdict.from_dict(summary["verdict"]) if summary["verdict"] else None,
        evidence=evidence,
        nearest=_table(summary["nearest"]),
        assumptions=tuple(summary["assumptions"]),
        notes=tuple(summary["notes"]),
        timings=summary["timings"],
        provenance=summary["provenance"],
    )


def _table(rows: Any) -> pd.DataFrame:
    """Rows or columns that JSON held; a column without any figure holds NaN, as it did, where JSON has null."""
    import pandas as pd

    table = pd.DataFrame(rows)
    empty = [name for name in table.columns if table[name].isna().all()]
    return table.astype(dict.fromkeys(empty, float))


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    """What a file of the run holds; ExplorerError, one line, where it was damaged."""
    try:
        return reader(path)
    except (OSError, ValueError) as error:
        # Pandas' and Arrow's complaints are ValueErrors too.
        raise ExplorerError(
            f"{path} must be as the run wrote it, got: {why(error)}; run it again with --force"
        ) from None


def _row(table: pd.DataFrame, row: int) -> dict[str, Any]:
    values: dict[str, Any] = plain(table.iloc[row].to_dict())
    return values


def _unfolded(value: Any) -> Any:
    """Tables, also those in a mapping, as columns of lists."""
    if hasattr(value, "columns"):
        return value.to_dict(orient="list")
    return {k: _unfolded(v) for k, v in value.items()} if isinstance(value, Mapping) else value
