"""Searches beside each other on one problem: share of the exact hypervolume by trials, and CPU seconds.

A run is one sampler on one problem with one seed, up to so many trials or CPU seconds. Runs of other people's
samplers can be kept in a file of one JSON line each, from which a table is put together without running them again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from tables import Row

from explorer.search.exact import exact_front
from explorer.search.front import Ruler
from explorer.search.problem import Problem
from explorer.search.samplers import make
from explorer.search.variables import Variables

AT = (20, 100, 300, 1000)
"""Trials after which shares are told."""
PYMOO = "pymoo-nsga2"
OURS = "auto"
NAMES = (OURS, "random", "nsga2", "nsga3", PYMOO, "tpe", "tpe-independent", "gp")
TITLES = {PYMOO: "pymoo NSGA-II, vectorised", "tpe": "tpe (multivariate)", "tpe-independent": "tpe (single)"}
NEEDS = {PYMOO: "pymoo", "gp": "torch"}
"""Libraries beside Optuna."""
ONCE = ("tpe", "tpe-independent", "gp")
"""Run with one seed alone: a run takes a minute and more."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of one run."""

    study: str
    objectives: str
    hypervolume: float
    """Of the exact front: a run on a problem whose figures have changed is no longer one of it."""
    sampler: str
    seed: int
    limit: float
    """CPU seconds after which it was to stop."""
    trials: int
    shares: tuple[float, ...]
    """After each of `AT`, as far as it came."""
    seconds: float
    """CPU seconds that it took."""

    @property
    def key(self) -> tuple[object, ...]:
        """What it is a run of."""
        return self.study, self.objectives, f"{self.hypervolume:.9g}", self.sampler, self.seed

    def stands(self, limit: float) -> bool:
        """Whether it is what a run with another limit would have been."""
        return self.limit == limit or (self.trials == max(AT) and self.seconds <= limit)


def table(
    problems: Iterable[Problem], names: Iterable[str], n_seeds: int, limit: float, kept: Path | None
) -> Iterator[Row]:
    """A row per problem and sampler, medians over the seeds."""
    yield "study", "objectives", "sampler", *(f"{n:,} trials" for n in AT), "trials", "CPU s", "seeds"
    done = {run.key: run for run in _read(kept) if run.stands(limit)}
    for problem in problems:
        goals = ", ".join(o.name for o in problem.objectives)
        ruler = Ruler.of(exact_front(problem).coordinates)
        for name in names:
            title = TITLES.get(name, name)
            if name in NEEDS and find_spec(NEEDS[name]) is None:
                yield problem.name, goals, f"{title}: needs {NEEDS[name]}", *("—" for _ in AT), "—", "—", "—"
                continue
            runs = []
            for seed in range(1 if name in ONCE else n_seeds):
                wanted = (problem.name, goals, f"{ruler.hypervolume:.9g}", name, seed)
                if wanted not in done:
                    done[wanted] = _run(problem, goals, name, seed, limit, ruler)
                    if name != OURS:
                        _keep(kept, done[wanted])
                runs.append(done[wanted])
            yield problem.name, goals, title, *_medians(runs)


def _medians(runs: list[Run]) -> Row:
    shares = [
        f"{np.median([r.shares[k] for r in runs]):.2%}" if min(len(r.shares) for r in runs) > k else "—"
        for k in range(len(AT))
    ]
    trials, seconds = (float(np.median([getattr(r, f) for r in runs])) for f in ("trials", "seconds"))
    return *shares, f"{trials:,.0f}", f"{seconds:.2f}" if seconds < 10 else f"{seconds:.0f}", str(len(runs))


def _run(problem: Problem, goals: str, name: str, seed: int, limit: float, ruler: Ruler) -> Run:
    start = time.process_time()
    told = _pymoo(problem, seed, limit) if name == PYMOO else _optuna(problem, name, seed, limit)
    seconds = time.process_time() - start
    curve = ruler.curve(np.vstack([c for c, _ in told]), np.concatenate([f for _, f in told]))
    return Run(
        study=problem.name, objectives=goals, hypervolume=ruler.hypervolume, sampler=name, seed=seed, limit=limit,
        trials=len(curve), shares=tuple(float(curve[n - 1]) for n in AT if n <= len(curve)), seconds=seconds,
    )  # fmt: skip


Told = list[tuple[np.ndarray, np.ndarray]]
"""Coordinates and feasibility of trials, batch by batch."""


def _optuna(problem: Problem, name: str, seed: int, limit: float) -> Told:
    start = time.process_time()
    variables = Variables(problem.lattice)
    sampler, batch = make(name, problem, seed)
    study = optuna.create_study(directions=[o.direction for o in problem.objectives], sampler=sampler)
    told: Told = []
    n = 0
    while n < max(AT) and time.process_time() - start < limit:
        asked = [study.ask(variables.distributions) for _ in range(min(batch, max(AT) - n))]
        outcome = problem.outcome(variables.points([t.params for t in asked]))
        for row, trial in enumerate(asked):
            for constraint, excess in outcome.constraints.items():
                trial.set_constraint(constraint, float(excess[row]))
            study.tell(trial, outcome.figures[row].tolist())
        told.append((outcome.coordinates, outcome.feasible))
        n += len(asked)
    return told


def _pymoo(problem: Problem, seed: int, limit: float) -> Told:
    """NSGA-II on lattice indices, a generation evaluated at once."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    lattice, variables = problem.lattice, Variables(problem.lattice)
    told: Told = []

    class Indices(PymooProblem):
        def __init__(self) -> None:
            super().__init__(
                n_var=len(lattice.sizes), n_obj=len(problem.objectives), n_ieq_constr=1,
                xl=np.zeros(len(lattice.sizes)), xu=np.array(lattice.sizes) - 1, vtype=int,
            )  # fmt: skip

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: object, **kwargs: object) -> None:
            outcome = problem.outcome(variables.mended(x.astype(np.int64)))
            told.append((outcome.coordinates, outcome.feasible))
            out["F"], out["G"] = np.nan_to_num(outcome.coordinates, posinf=1e9), outcome.violation[:, None]

    start = time.process_time()
    algorithm = NSGA2(pop_size=50, sampling=IntegerRandomSampling(), repair=RoundingRepair())
    algorithm.setup(Indices(), termination=("n_eval", max(AT)), seed=seed)
    while algorithm.has_next() and time.process_time() - start < limit:
        algorithm.next()
    return told


def _read(kept: Path | None) -> Iterator[Run]:
    if kept is None or not kept.exists():
        return
    for line in kept.read_text("utf-8").splitlines():
        found = json.loads(line)
        yield Run(**{**found, "shares": tuple(found["shares"])})


def _keep(kept: Path | None, run: Run) -> None:
    if kept is not None:
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")
