"""How close searches come to the exact front, and what they cost: ours beside Optuna's samplers and pymoo.

    python tests/benchmarks/bench_search.py [--seeds 3] [--quick] [--markdown]

Part one enumerates lattices of rising size. Part two gives, for every study with two and with three
objectives, k* (the fewest trials that can reach 99.9% of the exact hypervolume: picks from the exact front by
hypervolume gained), the trials `auto` takes over ten seeds, and how much it looked at. Part three gives the
share of the exact hypervolume after 20, 100, 300 and 1,000 trials, and CPU seconds, of every sampler on one
study. Slow samplers stop earlier, which leaves their later columns empty. `--quick` leaves the slow ones out;
`--markdown` writes the tables into the README between its markers. pymoo is compared where it is installed.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# ruff: noqa: E402
import numpy as np
import optuna

import explorer
from explorer.search.auto import AutoSampler
from explorer.search.exact import exact_front
from explorer.search.front import Objective, Ruler, greedy
from explorer.search.problem import Problem
from explorer.search.samplers import make
from explorer.search.variables import Variables

HERE = Path(__file__).parent
STUDIES = tuple(HERE.parents[1] / "studies" / f"{name}.yaml" for name in ("one-gpu", "one-node", "cluster"))
LEVERS = HERE / "levers.yaml"
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
THIRD = ("", "n_params", "kv_cache_bytes")
"""Third objective beside the budget's own two; empty for none."""
AT = (20, 100, 300, 1000)
CAP = {"tpe": 300, "tpe-independent": 300, "gp": 100}
"""Trials after which a slow sampler is stopped."""
NAMES = ("random", "nsga2", "nsga3", "tpe", "tpe-independent", "gp")
ENOUGH = 0.999
Row = tuple[str, ...]


def main() -> int:
    """Prints the tables; 1 where `auto` takes more than 1.3 k* trials (median) or 2 k* (any seed)."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the other samplers")
    parser.add_argument("--quick", action="store_true", help="without TPE and GP")
    parser.add_argument("--markdown", action="store_true", help="write the tables into the README")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tables: list[tuple[str, list[Row]]] = []
    for title, rows in (
        ("Exact front, one core", _exact()),
        (f"`auto` to {ENOUGH:.1%} of the exact hypervolume, ten seeds", _auto()),
        ("Share of the exact hypervolume by trials", _samplers(asked.seeds, asked.quick)),
    ):
        table = list(rows)
        tables.append((title, table))
        _show(title, table)
    if asked.markdown:
        _write(tables)
    return 0 if all(row[-1] == "yes" for row in tables[1][1][1:]) else 1


def problem_of(study: Path, third: str = "") -> Problem:
    """A study's problem, with one objective more."""
    problem = Problem(explorer.load(study))
    if third:
        problem.objectives = (*problem.objectives, Objective(third, "minimize"))
    return problem


def _goals(problem: Problem) -> str:
    return ", ".join(o.name for o in problem.objectives)


def _exact() -> Iterator[Row]:
    yield "lattice", "objectives", "designs", "× plans", "evaluated", "on the front", "CPU s", "peak MiB"
    for study, third in [*((s, t) for s in STUDIES for t in THIRD[:2]), (LEVERS, "")]:
        problem = problem_of(study, third)
        start = time.process_time()
        exact = exact_front(problem)
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield (
            problem.name, _goals(problem), f"{exact.n_proved:,}", f"{exact.n_proved * problem.n_plans:.1e}",
            f"{exact.n_evaluated:,}", f"{len(exact.points):,}", f"{seconds:.2f}", f"{peak:.0f}",
        )  # fmt: skip


def _auto() -> Iterator[Row]:
    yield (
        "study", "objectives", "k*", "trials (median)", "trials (worst)", "CPU s", "looked at",
        "within 1.3 k* and 2 k*",
    )  # fmt: skip
    for study in STUDIES:
        for third in THIRD:
            problem = problem_of(study, third)
            exact = exact_front(problem)
            ruler = Ruler.of(exact.coordinates)
            fewest = len(greedy(exact.coordinates, ruler.reference, ENOUGH))
            hits, seconds, looked = [], [], 0
            for seed in range(10):
                start = time.process_time()
                sampler = AutoSampler(problem, seed=seed)
                points = np.array([sampler.point(k) for k in range(3 * fewest)])
                seconds.append(time.process_time() - start)
                looked = max(looked, sampler.model_evaluations)
                outcome = problem.outcome(points)
                hits.append(_trials_to(ruler.curve(outcome.coordinates, outcome.feasible)))
            middle, worst = float(np.median(hits)), max(hits)
            good = middle <= max(1.3 * fewest, fewest + 1) and worst <= 2 * fewest
            yield (
                problem.name, _goals(problem), str(fewest), f"{middle:.0f}",
                f"{worst:.0f}" if np.isfinite(worst) else f"more than {3 * fewest}",
                f"{np.median(seconds):.2f}", f"{looked:,} ({looked / problem.lattice.size:.2%})",
                "yes" if good else "no",
            )  # fmt: skip


def _samplers(n_seeds: int, quick: bool) -> Iterator[Row]:
    yield "objectives", "sampler", *(f"{n:,} trials" for n in AT), "CPU s per 100 trials"
    for third in THIRD[:2]:
        problem = problem_of(STUDIES[1], third)
        ruler = Ruler.of(exact_front(problem).coordinates)
        for name in ("auto", *NAMES):
            if name == "gp" and find_spec("torch") is None:
                yield _goals(problem), name, *("-" for _ in AT), "needs PyTorch, not installed"
            elif not (quick and name in CAP):
                yield _line(problem, name, [_optuna(problem, name, seed, ruler) for seed in range(n_seeds)])
        if find_spec("pymoo"):
            runs = [_pymoo(problem, seed, ruler) for seed in range(n_seeds)]
            yield _line(problem, "pymoo NSGA-II, vectorised", runs)
        else:
            yield _goals(problem), "pymoo NSGA-II", *("-" for _ in AT), "pymoo is not installed"


def _optuna(problem: Problem, name: str, seed: int, ruler: Ruler) -> tuple[np.ndarray, float]:
    """Curve of shares, and CPU seconds per 100 trials."""
    trials = CAP.get(name, max(AT))
    variables = Variables(problem.lattice)
    start = time.process_time()
    sampler, batch = make(name, problem, seed)
    study = optuna.create_study(directions=[o.direction for o in problem.objectives], sampler=sampler)
    coordinates, feasible, told = [], [], 0
    while told < trials:
        asked = [study.ask(variables.distributions) for _ in range(min(batch, trials - told))]
        outcome = problem.outcome(variables.points([t.params for t in asked]))
        for row, trial in enumerate(asked):
            for limit, excess in outcome.constraints.items():
                trial.set_constraint(limit, float(excess[row]))
            study.tell(trial, outcome.figures[row].tolist())
        coordinates.append(outcome.coordinates)
        feasible.append(outcome.feasible)
        told += len(asked)
    seconds = (time.process_time() - start) * 100 / trials
    return ruler.curve(np.vstack(coordinates), np.concatenate(feasible)), seconds


def _pymoo(problem: Problem, seed: int, ruler: Ruler) -> tuple[np.ndarray, float]:
    """NSGA-II on lattice indices, a generation evaluated at once."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    lattice, variables = problem.lattice, Variables(problem.lattice)
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    class Indices(PymooProblem):
        def __init__(self) -> None:
            super().__init__(
                n_var=len(lattice.sizes), n_obj=len(problem.objectives), n_ieq_constr=1,
                xl=np.zeros(len(lattice.sizes)), xu=np.array(lattice.sizes) - 1, vtype=int,
            )  # fmt: skip

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: object, **kwargs: object) -> None:
            outcome = problem.outcome(variables.mended(x.astype(np.int64)))
            seen.append((outcome.coordinates, outcome.feasible))
            out["F"], out["G"] = np.nan_to_num(outcome.coordinates, posinf=1e9), outcome.violation[:, None]

    start = time.process_time()
    algorithm = NSGA2(pop_size=50, sampling=IntegerRandomSampling(), repair=RoundingRepair())
    minimize(Indices(), algorithm, ("n_eval", max(AT)), seed=seed)
    seconds = (time.process_time() - start) * 100 / max(AT)
    return ruler.curve(np.vstack([c for c, _ in seen]), np.concatenate([f for _, f in seen])), seconds


def _line(problem: Problem, name: str, runs: list[tuple[np.ndarray, float]]) -> Row:
    curves = [curve for curve, _ in runs]
    shares = [f"{np.median([c[n - 1] for c in curves]):.2%}" if len(curves[0]) >= n else "" for n in AT]
    return _goals(problem), name, *shares, f"{np.median([s for _, s in runs]):.2f}"


def _trials_to(curve: np.ndarray) -> float:
    """Trials until the curve reaches ENOUGH; infinite where it never does."""
    reached = np.flatnonzero(curve >= ENOUGH)
    return float(reached[0] + 1) if len(reached) else float("inf")


def _show(title: str, table: list[Row]) -> None:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    print(f"\n{title}")
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    sys.stdout.flush()


def _write(tables: list[tuple[str, list[Row]]]) -> None:
    """Replace what stands between the README's markers."""
    text = README.read_text("utf-8")
    before, found, rest = text.partition(BEGIN)
    if not found:
        raise SystemExit(f"{README} must hold the line {BEGIN}")
    _, _, after = rest.partition(END)
    parts = []
    for title, (head, *rows) in tables:
        lines = [f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *rows)]
        parts.append(f"{title}:\n\n" + "\n".join(lines))
    README.write_text(f"{before}{BEGIN}\n" + "\n\n".join(parts) + f"\n{END}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
