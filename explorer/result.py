"""What came out of a run: tables, front, evidence, verdict, provenance; saved to and loaded from a folder.

Files (see README, "What a run writes"): `trials.parquet`, `front.csv`, `summary.json`, `evidence.json`,
`budget.yaml`. Rendering is `explorer.report`'s. Tables name their units in their columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import ExplorerError
from explorer.files import plain, to_json, write_bytes, write_text

if TYPE_CHECKING:
    import pandas as pd

    from explorer.budget import Budget
    from explorer.claims.records import Claim, Trade, Verdict
    from explorer.search.agreement import Agreement, Failure


MOST_SHOWN = 60
"""Designs of a front that a page lists as it opens; with three objectives it has thousands."""


def shown_rows(n: int, picks: Iterable[int]) -> list[int]:
    """Row numbers of a front of `n` designs that a page lists as it opens: all, or evenly taken ones and the picks."""
    step = max(1, -(-n // MOST_SHOWN))
    return sorted({*range(0, n, step), *(k for k in picks if k < n)})


@dataclass(frozen=True, kw_only=True)
class SearchSummary:
    """How the front was found and how close it is to the exact one."""

    sampler: str
    seed: int
    n_trials: int
    n_feasible: int
    n_lattice: int
    """Designs on the lattice; what cannot be built is not among them."""
    n_proved: int
    """Designs that enumeration decided (evaluated or discarded by a bound)."""
    model_evaluations: int
    """Designs the sampler itself looked at: the full model, with every plan a design may run under."""
    hypervolume: float
    hypervolume_exact: float
    """Of the exact front; where enumeration ended early, the most that there can be (see `measure`)."""
    hypervolume_share: float
    """hypervolume / hypervolume_exact of the asked trials alone."""
    igd_plus: float
    epsilon: float
    seconds: float
    curve: tuple[tuple[int, float], ...] = ()
    """(trials told, share of the exact hypervolume) as the search went on."""
    n_evaluated: int = 0
    """Designs that enumeration evaluated in full; bounds ruled out the rest of those proved."""
    model_weighed: int = 0
    """Designs the sampler weighed without looking at them: closed forms, and a surrogate of the looks."""
    n_undecided: int = 0
    """Designs that enumeration did not reach, where it was to end early; with none the front is proven exact."""
    gap: float | None = 0.0
    """The most that the enumerated front lacks of the best possible hypervolume, as a share of it; None where
    nothing bounds what was not reached."""
    evaluator: str = ""
    """What measured the designs, as `module:function`; empty where the model alone spoke."""
    agreement: tuple[Agreement, ...] = ()
    """Model against measurement, one entry per measured metric."""
    failures: tuple[Failure, ...] = ()
    """Trials that came to nothing."""

    @property
    def proven(self) -> bool:
        """Whether the enumerated front is the exact one."""
        return not self.n_undecided

    @property
    def measure(self) -> str:
        """What the hypervolume of the trials is a share of."""
        if self.proven:
            return "the exact front's hypervolume"
        if self.gap is None:
            return "the hypervolume of the best front that was found"
        return "the best possible hypervolume"

    @property
    def reached(self) -> str:
        """The share of it that the trials reached: exactly, or at least."""
        from explorer.units import at_least

        bounded = not self.proven and self.gap is not None
        return f"at least {at_least(self.hypervolume_share)}" if bounded else f"{self.hypervolume_share:.2%}"

    @property
    def closeness(self) -> str:
        """How close the enumerated front is to the best possible, and what that is proved over."""
        from explorer.units import at_most

        n = f"{self.n_evaluated:,} of them evaluated"
        if self.proven:
            return f"exact, proven over {self.n_proved:,} designs, {n}"
        decided = f"{self.n_proved:,} of {self.n_lattice:,} designs decided, {n}"
        if self.gap is None:
            return f"not known to be close to the best possible: {decided}"
        return f"within {at_most(self.gap)} of the best possible: {decided}"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the report draws beside the trials: one record per chart, computed once."""

    plane: pd.DataFrame
    """Best feasible design for each (context_length, d_model): `loss` with quantiles, `n_layers`, `n_params`, `feasible`,
    `binding` (the limit closest to its end, or the one exceeded most where nothing is feasible),
    `extrapolated`."""
    sweep: pd.DataFrame
    """The best design over context lengths, long form: `context_length`, `quantity` (`memory_bytes`,
    `flops_per_token`, `seconds_per_token`), `part`, `value`."""
    anatomies: pd.DataFrame
    """The rows of the front (`key`) taken apart at full context (`stage` is `full`), staged designs also at their
    short window (`short`): `context_length`, then a column per part: `memory: …` in bytes per GPU, `flops: …` in
    model FLOPs per training token, `time: …` in seconds per token of the whole job."""
    models: pd.DataFrame
    """Published models near the budget: `name`, `context_length`, `d_model`, `n_layers`, `n_params`."""
    importance: pd.DataFrame
    """`lever`, `objective`, `importance` (PED-ANOVA over the trials; shares of 1)."""
    crossover: Mapping[str, float]
    """`flops`: context at which attention's quadratic FLOPs equal the linear ones for the best design,
    causal; `seconds`: the same in step time (nan where there is none)."""
    model_anatomies: pd.DataFrame | None = None
    """Published models taken apart as `anatomies` are, `key` their name, at their own context under the budget's
    hardware."""
    sensitivities: pd.DataFrame | None = None
    """What 10% more of a lever does around each row of the front: `row`, `lever`, `low` and `high` (the
    neighbours compared), `loss` and `loss_same_tokens` (nats/token), `memory`, `hours`, `tokens` (shares)."""
    outside: tuple[tuple[str, ...], ...] = ()
    """Per row of the front, the quantities of the law outside what it was fitted on."""
    inside: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """The feasible designs of lowest loss within the law's domain: `wholly`, and `context` (in context and
    schedule); rows as the front's, with `outside`. A key is missing where there is none."""
    domain: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Quantity → the range that the law was fitted on."""
    corpus_fronts: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """The exact front on every other corpus, rows as the trials'."""
    baseline: dict[str, Any] | None = None
    """The named baseline at its own shape and context under the same limits; a row as the front's."""
    exports: dict[str, Any] = field(default_factory=dict)
    """`lines`, `names` (target → file name) and `texts`: target → row of the front (as text) → the numbers of
    its lines, or why the target cannot express it."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything a run found. `result.front` is a pandas table, `result.verdict` prints as a sentence."""

    budget: Budget
    trials: pd.DataFrame
    """Every asked design, feasible or not, in order of asking."""
    front: pd.DataFrame
    """Feasible non-dominated trials, best first objective first, with `on_exact_front`."""
    exact_front: pd.DataFrame
    cloud: pd.DataFrame
    """Designs the search looked at without asking for them (bounded sample; may be empty)."""
    picks: Mapping[str, int]
    """Row numbers of the front by name: `best-loss`, `longest`, `knee`."""
    search: SearchSummary
    claims: tuple[Claim, ...]
    trade: Trade | None
    """None where nothing is feasible."""
    verdict: Verdict | None
    evidence: Evidence | None
    nearest: pd.DataFrame
    """Where nothing is feasible: the designs closest to feasibility, with the excess over each limit; where the
    model knows feasible ones, the closest trials (none where all failed)."""
    assumptions: tuple[str, ...]
    notes: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds per phase."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Versions, law, seed, budget fingerprint."""

    @property
    def feasible(self) -> bool:
        """Whether any design meets every limit."""
        return bool(len(self.front))

    @property
    def missed(self) -> bool:
        """Whether the model knows feasible designs, and no trial has turned out to be one."""
        return not self.feasible and len(self.exact_front) > 0

    def summary(self) -> dict[str, Any]:
        """What `summary.json` holds: the answer, structured, small enough to read."""
        return {
            "name": self.budget.name,
            "feasible": self.feasible,
            "verdict": plain(self.verdict),
            "picks": {name: _row(self.front, row) for name, row in self.picks.items()},
            "budgets_used": {name: self.budget_use(row) for name, row in self.picks.items()},
            "nearest": plain(self.nearest.to_dict(orient="records")),
            "hypervolume": self.search.hypervolume,
            "search": plain({f.name: getattr(self.search, f.name) for f in fields(self.search)}),
            "law": self.budget.quality.law,
            "seed": self.search.seed,
            "assumptions": list(self.assumptions),
            "notes": list(self.notes),
            "timings": plain(self.timings),
            "provenance": plain(self.provenance),
        }

    def lines(self) -> list[str]:
        """The answer in sentences: the verdict, and how good the search was; `picked` has the designs."""
        if not self.feasible:
            return self._nothing()
        lines = [str(self.verdict)] if self.verdict is not None else []
        s = self.search
        trials = f"{s.n_trials} trial{'' if s.n_trials == 1 else 's'} ({s.sampler})"
        for a in s.agreement:
            lines.append(
                f"{a.metric}: the model is off by {a.median_error:.1%} in the median of {a.n} measurements "
                f"(bias {a.bias:+.1%}, {a.spread:.1%} without it)"
                + (f"; corrected by earlier trials, by {a.corrected_error:.1%}" if a.n_corrected else "")
            )
        if s.evaluator:
            lines.append(f"{trials} measured by {s.evaluator}")
            return lines + self._failed()
        lines.append(
            f"{trials} reached {s.reached} of {s.measure}"
            + (
                f", {s.closeness.removeprefix('exact, ')}"
                if s.proven
                else f"; the enumerated front is {s.closeness}"
            )
        )
        return lines

    def _failed(self) -> list[str]:
        """How many trials failed, and the first one's error; nothing where none did."""
        failures = self.search.failures
        if not failures:
            return []
        first = next(iter(failures[0].error.splitlines()), "")
        return [f"{len(failures)} trial{'s' if len(failures) > 1 else ''} failed; the first: {first}"]

    def _nothing(self) -> list[str]:
        """The answer where no trial is feasible: whether any design is, and how far off the nearest one is."""
        s, said = self.search, "no design meets every limit"
        if not s.proven:
            undecided = f"{s.n_undecided:,} of {s.n_lattice:,} are undecided"
            said = f"no design was found that meets every limit ({undecided})"
        if self.missed:
            n = self.search.n_trials + len(self.search.failures)
            said = f"none of {n} trials meets every limit; {len(self.exact_front):,} designs on the model's own front do"
        if not len(self.nearest):
            return [said, *self._failed()]
        row = self.nearest.iloc[0]
        over = {c.removeprefix("excess_"): float(row[c]) for c in self.nearest.columns if c[:7] == "excess_"}
        broken = {k: v for k, v in sorted(over.items(), key=lambda kv: -kv[1]) if v > 0}
        most = max(over, key=over.__getitem__)
        return [
            f"{said}; the one that binds is {most}",
            f"nearest {'trial' if self.missed else 'design'}: c = {row['context_length']:,.0f}, "
            f"d = {row['d_model']:,.0f}, L = {row['n_layers']:,.0f}, over by "
            + ", ".join(f"{v:.1%} in {k}" for k, v in broken.items()),
            *self._failed(),
        ]

    def _repr_html_(self) -> str:
        """The verdict and the designs a reader asks for first, with units, for notebooks."""
        from html import escape

        head = f"<h3>{escape(self.budget.name)}</h3>"
        if not self.feasible:
            return head + "".join(f"<p>{escape(line)}</p>" for line in self.lines())
        verdict = f"<p>{escape(str(self.verdict))}</p>" if self.verdict is not None else ""
        return head + verdict + self.picked().to_html(border=0) + f"<p>{escape(self.lines()[-1])}</p>"

    def picked(self) -> pd.DataFrame:
        """The designs a reader asks for first, one per row, under headings with units.

        Indexed by pick; empty where no design meets every limit. All columns are in `front`.
        """
        import pandas as pd

        from explorer.units import GIB

        rows = self.front.iloc[list(self.picks.values())]

        def spread(q: str) -> list[float]:
            return [float(v) for v in rows.get(f"loss_{q}", [math.nan] * len(rows))]

        columns = {
            "c (tokens)": rows["context_length"].map("{:,.0f}".format),
            "d": rows["d_model"].map("{:,.0f}".format),
            "L": rows["n_layers"].map("{:,.0f}".format),
            "parameters (10⁹)": (rows["n_params"] / 1e9).map("{:,.2f}".format),
            "tokens (10⁹)": (rows["n_tokens"] / 1e9).map("{:,.1f}".format),
            "loss (nats/token)": rows["loss"].map("{:.4f}".format),
            "loss, 5 to 95%": [
                _range(low, high) for low, high in zip(spread("p05"), spread("p95"), strict=True)
            ],
            "loss, median": ["-" if math.isnan(v) else f"{v:.3f}" for v in spread("p50")],
            "GPU-hours": rows["gpu_hours"].map("{:,.0f}".format),
            "memory (GiB/GPU)": (rows["peak_device_bytes"] / GIB).map("{:.1f}".format),
            "tokens/s/GPU": rows["tokens_per_second_per_gpu"].map("{:,.0f}".format),
            "limited by": rows["binding"],
            "beyond the law's domain": ["yes" if v else "no" for v in rows["extrapolated"]],
        }
        return pd.DataFrame(columns).set_axis(list(self.picks), axis="index")

    def budget_use(self, row: int) -> dict[str, float]:
        """Share of each limit that a row of the front uses (1 = all of it)."""
        prefix = "excess_"
        columns = [c for c in self.front.columns if c.startswith(prefix)]
        return {c.removeprefix(prefix): 1.0 + float(self.front[c].iloc[row]) for c in columns}

    def save(self, folder: str | Path) -> Path:
        """Write the run's data files into `folder` (each atomically) and return the folder."""
        from explorer.budget import dump

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "budget.yaml", dump(self.budget))
        write_bytes(folder / "trials.parquet", self.trials.to_parquet(index=False))
        write_text(folder / "front.csv", self.front.to_csv(index=False, lineterminator="\n"))
        write_text(folder / "evidence.json", to_json(self._evidence()))
        # Last: a folder with a summary is a finished run.
        write_text(folder / "summary.json", to_json(self.summary()))
        return folder

    def _evidence(self) -> dict[str, Any]:
        """What a report needs beyond the tables and the summary."""
        tables = {name: getattr(self, name).to_dict(orient="list") for name in ("exact_front", "cloud")}
        evidence = None
        if self.evidence is not None:
            evidence = {f.name: _unfolded(getattr(self.evidence, f.name)) for f in fields(self.evidence)}
        return {
            **tables,
            "picks": dict(self.picks),
            "claims": [claim.to_dict() for claim in self.claims],
            "trade": self.trade.to_dict() if self.trade is not None else None,
            "evidence": evidence,
        }


def load(folder: str | Path) -> Result:
    """The result of a finished run in `folder`; ExplorerError names what is missing."""
    try:
        return _load(Path(folder))
    except (KeyError, TypeError) as error:
        raise ExplorerError(
            f"{folder}: not a run of this version ({error}); run it again with --force"
        ) from None


def _load(folder: Path) -> Result:
    import pandas as pd

    from explorer.budget import load as load_budget
    from explorer.claims.records import Claim, Trade, Verdict
    from explorer.search.agreement import Agreement, Failure

    for name in ("summary.json", "evidence.json", "trials.parquet", "front.csv", "budget.yaml"):
        if not (folder / name).is_file():
            raise ExplorerError(f"{folder} is not a finished run: it has no {name}; run it again")
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    data = json.loads((folder / "evidence.json").read_text("utf-8"))
    search = summary["search"]
    search["curve"] = tuple((int(n), float(share)) for n, share in search["curve"])
    search["agreement"] = tuple(Agreement.from_dict(a) for a in search["agreement"])
    search["failures"] = tuple(Failure(**a) for a in search["failures"])
    evidence = data["evidence"]
    if evidence is not None:
        for name in (
            "plane", "sweep", "models", "importance", "sensitivities", "anatomies", "model_anatomies",
        ):  # fmt: skip
            if evidence.get(name) is not None:
                evidence[name] = pd.DataFrame(evidence[name])
        evidence["outside"] = tuple(tuple(names) for names in evidence["outside"])
        fronts = evidence["corpus_fronts"]
        evidence["corpus_fronts"] = {k: pd.DataFrame(v) for k, v in fronts.items()}
        evidence = Evidence(**evidence)
    return Result(
        budget=load_budget(folder / "budget.yaml"),
        trials=pd.read_parquet(folder / "trials.parquet"),
        front=pd.read_csv(folder / "front.csv"),
        exact_front=pd.DataFrame(data["exact_front"]),
        cloud=pd.DataFrame(data["cloud"]),
        picks=data["picks"],
        search=SearchSummary(**search),
        claims=tuple(Claim.from_dict(c) for c in data["claims"]),
        trade=Trade.from_dict(data["trade"]) if data["trade"] else None,
        verdict=Verdict.from_dict(summary["verdict"]) if summary["verdict"] else None,
        evidence=evidence,
        nearest=pd.DataFrame(summary["nearest"]),
        assumptions=tuple(summary["assumptions"]),
        notes=tuple(summary["notes"]),
        timings=summary["timings"],
        provenance=summary["provenance"],
    )


def _range(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def _row(table: pd.DataFrame, row: int) -> dict[str, Any]:
    values: dict[str, Any] = plain(table.iloc[row].to_dict())
    return values


def _unfolded(value: Any) -> Any:
    """Tables, also those in a mapping, as columns of lists."""
    if hasattr(value, "columns"):
        return value.to_dict(orient="list")
    return {k: _unfolded(v) for k, v in value.items()} if isinstance(value, Mapping) else value
