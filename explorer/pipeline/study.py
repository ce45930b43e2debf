"""The one sequence: search → claims → evidence → Result; `work` does the search's part alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.pipeline import facts
from explorer.pipeline.options import Options

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
    within: float | None = None,
    most_evaluated: int | None = None,
    journal: Path | None = None,
    storage: str | None = None,
    evaluator: Evaluator | str | None = None,
    evaluator_timeout: float | str | None = None,
    heartbeat: int | None = None,
    n_draws: int = N_DRAWS,
    on_progress: OnProgress | None = None,
) -> Result:
    """Search the designs `budget` allows, weigh the idea, and return everything found.

    `trials`, `seed`, `sampler`, `within`, `most_evaluated` and `evaluator_timeout` replace the budget's own (None
    keeps it). The enumeration that the search is measured by ends once it is `within` this share of the best
    possible hypervolume, or has evaluated `most_evaluated` designs. `journal` is a file that keeps the study, so
    that an interrupted run can be continued; `storage` goes before it: a journal or an Optuna storage URL that
    several processes share, each showing a sign of life every `heartbeat` seconds (20).

    `evaluator` measures designs: a callable, or its name as `module:function`; it takes a design's row (a
    mapping, units in the names) and returns what it measured, by metric name (see
    `explorer.search.evaluators`). One that takes longer than `evaluator_timeout` over a trial (seconds, or
    `30m`) is interrupted, and the trial fails; see `explorer.search.timeout` for where that cannot be.

    `n_draws` are the draws of the law behind every probability; 0 answers at its central values, without
    interval. `on_progress(phase, done, total, note)` hears how far it is. Raises ExplorerError on input that
    cannot be run; a budget that nothing meets is a result.
    """
    options = Options(
        trials=trials,
        seed=seed,
        sampler=sampler,
        within=within,
        most_evaluated=most_evaluated,
        journal=journal,
        storage=storage,
        evaluator=evaluator,
        evaluator_timeout=evaluator_timeout,
        heartbeat=heartbeat,
    )
    return answer(budget, options, n_draws=n_draws, on_progress=on_progress)


def answer(
    budget: Budget, options: Options, *, n_draws: int = N_DRAWS, on_progress: OnProgress | None = None
) -> Result:
    """`run`, as `options` ask for it."""
    from explorer.checking import lattice_notes
    from explorer.claims import ledger, trade, verdict
    from explorer.claims.setting import Setting
    from explorer.claims.survey import describe_levers
    from explorer.errors import NothingFits
    from explorer.evidence import gather
    from explorer.result import Result
    from explorer.search import Problem, explore

    budget = options.of(budget)
    wanted, tell, clock = budget.search, on_progress or _silent, _Clock()
    with clock("search"):
        problem = Problem(budget)
        search = explore(
            problem,
            trials=wanted.trials,
            sampler=wanted.sampler,
            seed=wanted.seed,
            within=wanted.within or 0.0,
            most_evaluated=wanted.most_evaluated,
            journal=options.journal,
            storage=options.storage,
            evaluator=options.evaluator,
            timeout=wanted.evaluator_timeout,
            heartbeat=options.heartbeat,
            on_progress=tell,
        )
    weighed, found, evidence = None, None, None
    picks = _picks(search, problem)
    notes = [*budget.notes, *search.exact.notes, *facts.measured_notes(search), *lattice_notes(problem)]
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
        search=facts.summary(search),
        claims=claims,
        trade=weighed,
        verdict=found,
        evidence=evidence,
        nearest=_nearest(problem, setting, search),
        assumptions=facts.assumptions(problem, weighed),
        notes=tuple(dict.fromkeys(notes)),
        timings=clock.seconds,
        provenance=facts.provenance(budget),
    )


def work(budget: Budget, options: Options, *, storage: str, on_progress: OnProgress | None = None) -> int:
    """Evaluate trials of the study of `budget` in `storage` until it has all, and report nothing.

    Returns how many trials were told here. How many are wanted, by which sampler and seed, is the study's
    to say, and what `options` and the budget ask where no study is there yet. Raises ExplorerError for another
    budget's study.
    """
    from explorer.search import Problem
    from explorer.search.study import evaluate_for

    budget = options.of(budget)
    wanted = budget.search
    return evaluate_for(
        Problem(budget),
        storage=storage,
        trials=wanted.trials,
        sampler=wanted.sampler,
        seed=wanted.seed,
        within=wanted.within or 0.0,
        most_evaluated=wanted.most_evaluated,
        evaluator=options.evaluator,
        timeout=wanted.evaluator_timeout,
        heartbeat=options.heartbeat,
        on_progress=on_progress or _silent,
    )


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
    from explorer.claims.survey import LEVERS
    from explorer.search.space import AXES

    found = search.exact
    best = found.points[found.optima.get("loss", 0)] if len(found.points) else [0] * len(AXES)
    return {name: int(best[AXES.index(name)]) for name in LEVERS}


def _nearest(problem: Problem, setting: Setting, search: Search) -> pd.DataFrame:
    """Without a front, the designs closest to feasibility: least largest excess first.

    They are the lattice's; where the model knows feasible designs there, the trials'.
    """
    import pandas as pd

    from explorer.claims.landscape import nearest_points

    if len(search.front):
        return search.trials.iloc[:0]
    if len(search.exact_front):
        excess = search.trials.filter(regex="^excess_").max(axis="columns")
        return search.trials.loc[excess.sort_values(kind="stable").index[:NEAREST_ROWS]]

    return pd.DataFrame(problem.columns(nearest_points(problem.lattice, setting.grids, NEAREST_ROWS)))


def _thinned(cloud: pd.DataFrame) -> pd.DataFrame:
    """At most CLOUD_ROWS of the explored designs, evenly taken."""
    step = max(1, -(-len(cloud) // CLOUD_ROWS))
    return cloud.iloc[::step].reset_index(drop=True)


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
