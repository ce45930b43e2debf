"""The one sequence: load → search → claims → Result → write data and report; and how to resume or redraw."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import ExplorerError
from explorer.units import QUANTILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from explorer.budget import Budget
    from explorer.claims.setting import Setting
    from explorer.result import Result
    from explorer.search.evaluators import Evaluator
    from explorer.search.problem import Problem
    from explorer.search.study import Search

N_DRAWS = 300
"""Posterior draws of the trade: a probability of .5 is then known to about .03."""
CLOUD_ROWS = 4000
"""Rows of explored designs that a run keeps beside its trials."""
NEAREST_ROWS = 12
MOST_WEIGHED = 1_000_000
"""Designs of a lattice that the trade weighs whole; of a larger one it holds all but context, width and depth."""

OnProgress = Callable[..., Any]


def run(
    budget: Budget,
    *,
    trials: int | None = None,
    seed: int | None = None,
    sampler: str | None = None,
    journal: Path | None = None,
    storage: str | None = None,
    evaluator: Evaluator | str | None = None,
    heartbeat: int | None = None,
    n_draws: int = N_DRAWS,
    on_progress: OnProgress | None = None,
) -> Result:
    """Search the designs `budget` allows, weigh the idea, and return everything found.

    `trials`, `seed` and `sampler` replace the budget's own. `journal` is a file that keeps the study, so
    that an interrupted run can be continued; `storage` is a journal or an Optuna storage URL that several
    processes share, each showing a sign of life every `heartbeat` seconds. `evaluator` measures designs: a
    callable, or its name as `module:function`; it takes a design's row (a mapping, units in the names) and
    returns what it measured, by metric name (see `explorer.search.evaluators`). `n_draws` = 0 answers at
    the law's central values, without interval. Raises ExplorerError on input that cannot be run; a budget
    that nothing meets is a result.
    """
    from explorer.checking import lattice_notes
    from explorer.claims import ledger, trade, verdict
    from explorer.claims.landscape import describe_levers
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
            storage=storage,
            evaluator=evaluator,
            **({} if heartbeat is None else {"heartbeat": heartbeat}),
            on_progress=tell,
        )
    weighed, found, evidence = None, None, None
    picks = _picks(search, problem)
    notes = [*budget.notes, *search.exact.notes, *_measured_notes(search), *lattice_notes(problem)]
    with clock("trade"):
        levers = _levers(search, problem)
        setting = Setting.of(problem, levers)
        if levers is not None:
            notes.append(
                f"the trade keeps {describe_levers(problem.lattice, levers)} of the best design, since it cannot "
                f"weigh all {problem.lattice.size:,} designs in every draw"
            )
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
            evidence = gather(problem, setting, search, picks)
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
        nearest=search.trials.iloc[:0] if picks else _nearest(problem, setting),
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
    storage: str | None = None,
    evaluator: Evaluator | str | None = None,
    heartbeat: int | None = None,
    formats: Sequence[str] = (),
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Result:
    """`run`, with its files in `folder`: an earlier run of the same budget is continued, another refused.

    Without a `storage`, the study is kept in the folder and belongs to this process alone. Raises
    ExplorerError (and writes nothing) where the folder holds a run of another budget, unless `force`
    replaces it.
    """
    from explorer.budget import dump
    from explorer.files import clear_scratch, only_one, write_text

    budget = with_search(budget, trials=trials, seed=seed, sampler=sampler)
    # Processes that share a study may share the folder too: what they write there is the same.
    with only_one(folder) if storage is None else nullcontext():
        _open(folder, budget, force)
        if storage is None:
            # Nobody else writes here.
            clear_scratch(folder, _OWN_FILES)
        fresh = not (folder / "budget.yaml").exists()
        write_text(folder / "budget.yaml", dump(budget))
        try:
            result = run(
                budget,
                journal=folder / "journal.log" if storage is None else None,
                storage=storage,
                evaluator=evaluator,
                heartbeat=heartbeat,
                on_progress=on_progress,
            )
        except ExplorerError:
            # A study that could not be begun or joined leaves nothing behind that looks like a run.
            if fresh:
                (folder / "budget.yaml").unlink()
                with suppress(OSError):
                    folder.rmdir()
            raise
        began = time.perf_counter()
        _draw(result, folder, formats)
        seconds = round(time.perf_counter() - began, 3)
        result = replace(result, timings={**result.timings, "report": seconds})
        result.save(folder)
    return result


def work(
    budget: Budget,
    *,
    storage: str,
    evaluator: Evaluator | str | None = None,
    trials: int | None = None,
    heartbeat: int | None = None,
    on_progress: OnProgress | None = None,
) -> int:
    """Evaluate trials of the study of `budget` in `storage` until it has all, and report nothing.

    Returns how many trials were told here. How many are wanted, by which sampler and seed, is the study's
    to say, and the budget's where no study is there yet. Raises ExplorerError for another budget's study.
    """
    from explorer.search import Problem
    from explorer.search.study import evaluate_for

    wanted = budget.search
    return evaluate_for(
        Problem(budget),
        storage=storage,
        trials=trials or wanted.trials,
        sampler=wanted.sampler,
        seed=wanted.seed,
        evaluator=evaluator,
        **({} if heartbeat is None else {"heartbeat": heartbeat}),
        on_progress=on_progress or _silent,
    )


def redraw(folder: Path, formats: Sequence[str] = ()) -> Path:
    """Write the report of a finished run again; returns the page's path."""
    from explorer.result import load

    return _draw(load(folder), folder, formats)


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


def export(source: str, target: str, pick: str) -> str:
    """The text of a design in another program's format: a pick of a run's front, or a catalogue model.

    Unsupported where the format lacks something, with what to set instead and the formats that lack nothing.
    """
    from explorer.errors import Unsupported
    from explorer.formats import TARGETS

    text = _exporter(source, pick)
    try:
        return text(target)
    except Unsupported as refused:
        able = []
        for other in TARGETS:
            with suppress(Unsupported):
                text(other)
                able.append(other)
        hint = f"; --to {' or '.join(able)} can" if able else ""
        raise Unsupported(f"{refused}{hint}") from None


def _exporter(source: str, pick: str) -> Callable[[str], str]:
    """Target → text, for one design of a run or of the catalogue."""
    from explorer.formats import named, write

    folder = Path(source)
    if not (folder / "summary.json").is_file():
        design = named(source)
        return lambda target: write(design, None, target)
    from explorer.evidence import written
    from explorer.result import load
    from explorer.search import Problem

    result = load(folder)
    if not result.feasible:
        raise ExplorerError(f"{folder}: no design of this run meets every limit, so there is none to export")
    row = int(pick) if pick.isdigit() else result.picks[pick]
    if row >= len(result.front):
        raise ExplorerError(f"--pick {row}: the front has rows 0 to {len(result.front) - 1}")
    problem, chosen = Problem(result.budget), result.front.iloc[row]
    return lambda target: written(problem, chosen, target)


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


def _levers(search: Search, problem: Problem) -> dict[str, int] | None:
    """Where the lattice is too large to be weighed whole, the best design's place on LEVERS; else None."""
    if problem.lattice.size <= MOST_WEIGHED:
        return None
    from explorer.claims.landscape import LEVERS
    from explorer.search.space import AXES

    found = search.exact
    best = found.points[found.optima.get("loss", 0)] if len(found.points) else [0] * len(AXES)
    return {name: int(best[AXES.index(name)]) for name in LEVERS}


def _nearest(problem: Problem, setting: Setting) -> pd.DataFrame:
    """The designs of the whole lattice closest to feasibility: least largest excess first."""
    import pandas as pd

    from explorer.claims.landscape import nearest_points

    return pd.DataFrame(problem.columns(nearest_points(problem, setting.grids, NEAREST_ROWS)))


def _thinned(cloud: pd.DataFrame) -> pd.DataFrame:
    """At most CLOUD_ROWS of the explored designs, evenly taken."""
    step = max(1, -(-len(cloud) // CLOUD_ROWS))
    return cloud.iloc[::step].reset_index(drop=True)


def _measured_notes(search: Search) -> list[str]:
    """What a reader must know where designs were measured."""
    if not search.evaluator:
        return []
    notes = [
        f"figures of the trials are those that {search.evaluator} measured, where it did; the exact front, "
        "the share of its hypervolume, the trade and the verdict are the model's, uncorrected"
    ]
    if search.failures:
        notes.append(f"{len(search.failures)} trials failed in the evaluator and are on no front")
    return notes


def _summary(search: Search) -> Any:
    from explorer.result import SearchSummary
    from explorer.search.agreement import agreement

    return SearchSummary(
        sampler=search.sampler,
        seed=search.seed,
        n_trials=len(search.trials),
        n_feasible=int(search.trials["feasible"].sum()),
        n_lattice=search.n_lattice,
        n_proved=search.exact.n_proved,
        n_evaluated=search.exact.n_evaluated,
        model_evaluations=search.model_evaluations,
        hypervolume=search.hypervolume,
        hypervolume_exact=search.hypervolume_exact,
        hypervolume_share=search.hypervolume_share,
        igd_plus=search.igd_plus,
        epsilon=search.epsilon,
        seconds=search.seconds,
        curve=search.curve,
        evaluator=search.evaluator,
        agreement=agreement(search.trials),
        failures=search.failures,
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
