"""The one sequence: load → search → claims → Result → write data and report; and how to resume or redraw."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import ExplorerError
from explorer.units import format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from explorer.budget import Budget
    from explorer.result import Result
    from explorer.search.problem import Problem
    from explorer.search.study import Search

N_DRAWS = 300
"""Posterior draws of the trade: a probability of .5 is then known to about .03."""
CLOUD_ROWS = 4000
"""Rows of explored designs that a run keeps beside its trials."""
NEAREST_ROWS = 12

OnProgress = Callable[..., Any]


def run(
    budget: Budget,
    *,
    trials: int | None = None,
    seed: int | None = None,
    sampler: str | None = None,
    journal: Path | None = None,
    n_draws: int = N_DRAWS,
    on_progress: OnProgress | None = None,
) -> Result:
    """Search the designs `budget` allows, weigh the idea, and return everything found.

    `trials`, `seed` and `sampler` replace the budget's own. `journal` is a file that keeps the study, so
    that an interrupted run can be continued. `n_draws` = 0 answers at the law's central values, without
    interval. Raises ExplorerError on input that cannot be run; a budget that nothing meets is a result.
    """
    from explorer.claims import ledger, trade, verdict
    from explorer.claims.setting import Setting
    from explorer.errors import NothingFits
    from explorer.evidence import gather
    from explorer.result import Result
    from explorer.search import Problem, explore

    budget = with_search(budget, trials=trials, seed=seed, sampler=sampler)
    wanted, tell, clock = budget.search, on_progress or _silent, _Clock()
    with clock("search"):
        problem = Problem(budget)
        search = explore(
            problem,
            trials=wanted.trials,
            sampler=wanted.sampler,
            seed=wanted.seed,
            journal=journal,
            on_progress=tell,
        )
    weighed, found, evidence = None, None, None
    picks = _picks(search, problem)
    notes = [*budget.notes, *search.notes, *_lattice_notes(problem)]
    with clock("trade"):
        setting = Setting.of(problem)
        try:
            weighed = trade(
                problem,
                n_draws=n_draws,
                seed=wanted.seed,
                setting=setting,
                on_progress=lambda share: tell("trade", int(100 * share), 100),
            )
            found = verdict(weighed)
        except NothingFits as nothing:
            notes.append(str(nothing))
    with clock("evidence"):
        claims = tuple(ledger(budget.quality.law))
        if picks:
            evidence = gather(problem, setting, search, picks["best-loss"])
    return Result(
        budget=budget,
        trials=search.trials,
        front=search.front,
        exact_front=search.exact_front,
        cloud=_thinned(search.cloud),
        picks=picks,
        search=_summary(search),
        claims=claims,
        trade=weighed,
        verdict=found,
        evidence=evidence,
        nearest=_nearest(problem, search) if not picks else search.trials.iloc[:0],
        assumptions=_assumptions(problem, weighed),
        notes=tuple(dict.fromkeys(notes)),
        timings=clock.seconds,
        provenance=_provenance(budget),
    )


def run_in(
    folder: Path,
    budget: Budget,
    *,
    trials: int | None = None,
    seed: int | None = None,
    sampler: str | None = None,
    formats: Sequence[str] = (),
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Result:
    """`run`, with its files in `folder`: an earlier run of the same budget is continued, another refused.

    Raises ExplorerError (and writes nothing) where the folder holds a run of another budget, unless
    `force` replaces it.
    """
    from explorer.budget import dump
    from explorer.files import write_text

    budget = with_search(budget, trials=trials, seed=seed, sampler=sampler)
    _open(folder, budget, force)
    write_text(folder / "budget.yaml", dump(budget))
    result = run(
        budget,
        journal=folder / "journal.log",
        on_progress=on_progress,
    )
    began = time.perf_counter()
    _draw(result, folder, formats)
    result.timings["report"] = round(time.perf_counter() - began, 3)  # type: ignore[index]
    result.save(folder)
    return result


def redraw(folder: Path, formats: Sequence[str] = ()) -> Path:
    """Write the report of a finished run again; returns the page's path."""
    from explorer.result import load

    return _draw(load(folder), folder, formats)


def compare(folders: Sequence[Path], output: Path) -> list[dict[str, Any]]:
    """A page with several finished runs side by side; returns its table, one row per run."""
    from explorer.files import write_text
    from explorer.report import compare as page
    from explorer.result import load

    results = [load(folder) for folder in folders]
    write_text(output, page(results))
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
                "loss": round(float(best["loss"]), 4),
                "binding": str(best["binding"]),
            }
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name, "-") for name in names} for row in rows]


def export(source: str, target: str, pick: str) -> str:
    """The text of a design in another program's format: a pick of a run's front, or a catalogue model."""
    from explorer.catalog import model
    from explorer.formats import write

    folder = Path(source)
    if not folder.is_dir():
        return write(model(source).design, None, target)
    from explorer.evidence import design_of, plan_of
    from explorer.result import load
    from explorer.search import Problem

    result = load(folder)
    if not result.feasible:
        raise ExplorerError(f"{folder}: no design of this run meets every limit, so there is none to export")
    row = int(pick) if pick.isdigit() else result.picks[pick]
    if row >= len(result.front):
        raise ExplorerError(f"--pick {row}: the front has rows 0 to {len(result.front) - 1}")
    chosen = result.front.iloc[row]
    problem = Problem(result.budget)
    design = design_of(problem, chosen)
    remarks = (
        f"expected peak device memory: {format_bytes(float(chosen['peak_device_bytes']))} per GPU",
        f"expected throughput: {float(chosen['tokens_per_second_per_gpu']):,.0f} tokens/s per GPU",
        f"predicted loss: {float(chosen['loss']):.4f} nats per token",
    )
    return write(
        design, plan_of(problem, design), target, n_tokens=float(chosen["n_tokens"]), remarks=remarks
    )


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a budget asks, before any search."""

    name: str
    n_listed: int
    n_lattice: int
    n_feasible: int
    n_plans: int
    stopped_by: Mapping[str, int]
    """Limit → designs of the lattice that break it."""
    tokens_by_limit: Mapping[str, tuple[float, float]]
    """Training limit → fewest and most tokens it allows over the feasible designs."""
    blind_to: tuple[str, ...]
    nearest: Mapping[str, float] = field(default_factory=dict)
    """Where nothing is feasible: least excess over each limit, as a share of it."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        from dataclasses import asdict

        return asdict(self)

    def lines(self) -> list[str]:
        """For a person."""
        lines = [
            f"{self.name}: {self.n_lattice:,} designs on the lattice "
            f"({self.n_listed - self.n_lattice:,} listed ones cannot be built or repeat another), "
            f"{self.n_plans:,} plans each",
            f"feasible: {self.n_feasible:,} ({self.n_feasible / max(self.n_lattice, 1):.1%})",
        ]
        for name, n in self.stopped_by.items():
            lines.append(f"limit {name}: stops {n:,} designs ({n / max(self.n_lattice, 1):.1%})")
        for name, (low, high) in self.tokens_by_limit.items():
            lines.append(f"training {name}: allows {format_count(low)} to {format_count(high)} tokens")
        for name, excess in self.nearest.items():
            lines.append(f"nothing is feasible; nearest design to {name}: {excess:+.1%} of the limit")
        if self.blind_to:
            lines.append(f"the loss is blind to: {', '.join(self.blind_to)}")
        return [*lines, *(f"note: {note}" for note in self.notes)]


def check(budget: Budget) -> Check:
    """A dry run: size of the space, what each limit stops, what the loss is blind to."""
    import numpy as np

    from explorer.claims.describe import blind_to
    from explorer.claims.landscape import landscapes
    from explorer.cost import enumerate_plans
    from explorer.search import Problem

    began = time.perf_counter()
    problem = Problem(budget)
    lattice = problem.lattice
    grids = landscapes(problem, float(lattice.context_length[0]), problem.law.n_counts)
    listed = {(s.staged_from, s.staged_share) for s in lattice.schedule}
    grids = [g for g in grids if (g.staged_from, g.staged_share) in listed]
    # Shapes beyond the parameter limit are cut off before they are planned: only that limit stops them.
    cut = lattice.size - sum(int(g.exists.sum()) for g in grids)
    names = list(grids[0].excess)
    broken = {
        n: sum(int((g.exists & (np.broadcast_to(g.excess[n], g.shape) > 0)).sum()) for g in grids)
        for n in names
    }
    broken["parameters"] = broken.get("parameters", 0) + cut
    n_feasible = sum(int(g.feasible.sum()) for g in grids)
    nearest: dict[str, float] = {}
    if not n_feasible:
        for n in names:
            values = [np.broadcast_to(g.excess[n], g.shape)[g.exists].min() for g in grids if g.exists.any()]
            nearest[n] = float(min(values)) if values else math.inf
    tokens: dict[str, tuple[float, float]] = {}
    if n_feasible:
        every = np.concatenate([g.n_tokens[g.feasible] for g in grids])
        tokens[" and ".join(problem.training_limits)] = (float(every.min()), float(every.max()))
    plans = enumerate_plans(problem.setting, problem.hardware)
    return Check(
        name=budget.name,
        n_listed=lattice.listed,
        n_lattice=lattice.size,
        n_feasible=n_feasible,
        n_plans=sum(int(np.size(p.tensor_parallel)) for p in plans),
        stopped_by={n: k for n, k in broken.items() if k},
        tokens_by_limit=tokens,
        blind_to=tuple(blind_to(lattice)),
        nearest=nearest,
        notes=(*budget.notes, *_lattice_notes(problem)),
        seconds=round(time.perf_counter() - began, 3),
    )


def with_search(
    budget: Budget, *, trials: int | None = None, seed: int | None = None, sampler: str | None = None
) -> Budget:
    """The budget with some of its `search` section replaced; UnknownName for an unknown sampler."""
    given = {k: v for k, v in (("trials", trials), ("seed", seed), ("sampler", sampler)) if v is not None}
    if not given:
        return budget
    if sampler is not None:
        from explorer.errors import UnknownName
        from explorer.search.samplers import NAMES

        known = (*NAMES, "exact")
        if sampler not in known:
            raise UnknownName("sampler", sampler, known)
    return budget.model_copy(update={"search": budget.search.model_copy(update=given)})


_OWN_FILES = (
    "report.html", "trials.parquet", "front.csv", "summary.json", "evidence.json", "budget.yaml",
    "journal.log",
)  # fmt: skip


def _open(folder: Path, budget: Budget, force: bool) -> None:
    """Make sure that `folder` may hold a run of `budget`: new, or begun with the same budget."""
    from explorer.budget import difference, fingerprint, load

    if folder.exists() and not folder.is_dir():
        raise ExplorerError(f"{folder} is a file; choose another --output")
    changed: list[str] = []
    if not force and (folder / "budget.yaml").is_file():
        changed = difference(load(folder / "budget.yaml"), budget)
    elif not force and (folder / "summary.json").is_file():
        known = json.loads((folder / "summary.json").read_text("utf-8"))["provenance"].get("budget")
        if known != fingerprint(budget):
            changed = ["the budget is not the one that its summary.json was made with"]
    if changed:
        raise ExplorerError(
            "\n".join(
                [
                    f"{folder} holds a run of another budget; pass --force to replace it or another --output",
                    *(f"  {line}" for line in changed),
                ]
            )
        )
    if force:
        for name in _OWN_FILES:
            (folder / name).unlink(missing_ok=True)


def _draw(result: Result, folder: Path, formats: Sequence[str]) -> Path:
    from explorer.files import write_text
    from explorer.report import render, save_charts

    write_text(folder / "report.html", render(result))
    if formats:
        save_charts(result, folder / "charts", formats)
    return folder / "report.html"


def _picks(search: Search, problem: Problem) -> dict[str, int]:
    """Rows of the front that a reader asks for first; empty where nothing is feasible."""
    front = search.front
    if not len(front):
        return {}
    import numpy as np

    from explorer.search.front import coordinates, knee

    values = {o.name: front[o.name].to_numpy(dtype=float) for o in problem.objectives}
    points = coordinates(problem.objectives, values)
    return {
        "best-loss": int(np.argmin(front["loss"].to_numpy())),
        "longest": int(np.argmax(front["context_length"].to_numpy())),
        "knee": knee(points),
    }


def _nearest(problem: Problem, search: Search) -> pd.DataFrame:
    """The asked designs closest to feasibility: least largest excess first."""
    table = search.trials
    columns = [c for c in table.columns if c.startswith("excess_")]
    order = table[columns].max(axis=1).sort_values(kind="stable").index
    return table.loc[order].head(NEAREST_ROWS).reset_index(drop=True)


def _thinned(cloud: pd.DataFrame) -> pd.DataFrame:
    """At most CLOUD_ROWS of the explored designs, evenly taken."""
    step = max(1, -(-len(cloud) // CLOUD_ROWS))
    return cloud.iloc[::step].reset_index(drop=True)


def _summary(search: Search) -> Any:
    from explorer.result import SearchSummary

    return SearchSummary(
        sampler=search.sampler,
        seed=search.seed,
        n_trials=len(search.trials),
        n_feasible=int(search.trials["feasible"].sum()),
        n_lattice=search.n_lattice,
        n_proved=search.exact.n_proved,
        model_evaluations=search.model_evaluations,
        hypervolume=search.hypervolume,
        hypervolume_exact=search.hypervolume_exact,
        hypervolume_share=search.hypervolume_share,
        igd_plus=search.igd_plus,
        epsilon=search.epsilon,
        seconds=search.seconds,
        curve=search.curve,
        notes=search.notes,
    )


def _assumptions(problem: Problem, weighed: Any) -> tuple[str, ...]:
    """What the figures rest on: cost model, law, trade."""
    from explorer.cost import flops, memory
    from explorer.cost.time import assumptions
    from explorer.design import Design

    example = Design.of(2048, 1024, 8, **(problem.lattice.fixed or {}))
    plan = problem.setting.plan
    lines = [
        *flops(example).assumptions,
        *memory(example, plan, problem.hardware.accelerator).assumptions,
        *assumptions(plan, problem.hardware),
        f"law: {problem.law.name} - {problem.law.source}",
        f"corpus: {problem.corpus.name}, amplitude {problem.corpus.amplitude_low:g} to "
        f"{problem.corpus.amplitude_high:g} - {problem.corpus.source}",
        *(weighed.assumptions if weighed is not None else ()),
    ]
    return tuple(dict.fromkeys(lines))


def _lattice_notes(problem: Problem) -> list[str]:
    lattice = problem.lattice
    if not lattice.dropped:
        return []
    widths = int(lattice.valid_heads.any(axis=(0, 1)).sum())
    note = f"{lattice.dropped:,} of {lattice.listed:,} listed combinations cannot be built or repeat another"
    if widths < len(lattice.d_model):
        note += (
            f"; {widths} of {len(lattice.d_model)} widths remain, since d_model / d_head must be a "
            "whole number and a multiple of n_kv_heads (list more n_kv_heads for a finer grid)"
        )
    return [note]


def _provenance(budget: Budget) -> dict[str, str]:
    from explorer import __version__
    from explorer.budget import fingerprint

    names = ("numpy", "scipy", "optuna", "pandas", "altair", "moocore")
    return {
        "explorer": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        "law": budget.quality.law,
        "seed": str(budget.search.seed),
        "budget": fingerprint(budget),
    }


def _silent(*_: Any, **__: Any) -> None:
    """Progress that nobody listens to."""


class _Clock:
    """Seconds per phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[phase] = round(time.perf_counter() - began, 3)
