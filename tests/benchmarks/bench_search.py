"""How close searches come to the exact front, and what they cost: ours beside Optuna's samplers.

Run it with `python tests/benchmarks/bench_search.py [BUDGET.yaml] [SEEDS]`. For two and for three objectives
it prints the share of the exact hypervolume after 20, 100, 300 and 1,000 trials (median over the seeds) and
the CPU seconds of 300 trials; k* is the fewest trials that could reach 99.9%. Samplers that take long are
stopped at 300 trials. pymoo's NSGA-II is among them where it is installed.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import optuna

import explorer
from explorer.search.exact import exact_front
from explorer.search.front import Objective, Ruler, greedy
from explorer.search.problem import Problem
from explorer.search.samplers import make
from explorer.search.variables import Variables

STUDY = Path(__file__).parents[2] / "studies" / "one-node.yaml"
AT = (20, 100, 300, 1000)
SLOW = ("tpe", "tpe-independent", "gp")


def main(study: str | Path = STUDY, n_seeds: int = 3) -> None:
    """Prints a table per number of objectives."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for extra in ((), (Objective("kv_cache_bytes", "minimize"),)):
        problem = Problem(explorer.load(study))
        problem.objectives = (*problem.objectives, *extra)
        start = time.process_time()
        exact = exact_front(problem)
        seconds = time.process_time() - start
        ruler = Ruler.of(exact.coordinates)
        fewest = len(greedy(exact.coordinates, ruler.reference, 0.999))
        print(f"\n{problem.name}: {', '.join(o.name for o in problem.objectives)}")
        print(f"exact: {len(exact.points)} designs on the front of {exact.n_proved:,}, {exact.n_evaluated:,} "
              f"evaluated, {seconds:.2f} CPU s; k* = {fewest}")  # fmt: skip
        print(f"{'sampler':<16}" + "".join(f"{n:>9}" for n in AT) + f"{'CPU s':>9}{'to 99.9%':>10}")
        names = ["auto", "random", "qmc", "nsga2", "nsga3", "tpe", "tpe-independent"]
        names += ["gp"] if find_spec("torch") else []
        for name in names:
            runs = [_optuna(problem, name, seed, ruler) for seed in range(n_seeds)]
            _print(name, runs)
        if find_spec("pymoo"):
            _print("pymoo nsga2", [_pymoo(problem, seed, ruler) for seed in range(n_seeds)])


def _optuna(problem: Problem, name: str, seed: int, ruler: Ruler) -> tuple[np.ndarray, float]:
    """Curve of shares, and CPU seconds of 300 trials."""
    trials = 300 if name in SLOW else max(AT)
    variables = Variables(problem.lattice)
    start = time.process_time()
    sampler, batch = make(name, problem, seed)
    study = optuna.create_study(directions=[o.direction for o in problem.objectives], sampler=sampler)
    coordinates, feasible, seconds, told = [], [], np.nan, 0
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
        if told >= 300 and np.isnan(seconds):
            seconds = time.process_time() - start
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

        def _evaluate(self, x: np.ndarray, out: dict, *args: object, **kwargs: object) -> None:
            outcome = problem.outcome(variables.mended(x.astype(np.int64)))
            seen.append((outcome.coordinates, outcome.feasible))
            out["F"], out["G"] = np.nan_to_num(outcome.coordinates, posinf=1e9), outcome.violation[:, None]

    start = time.process_time()
    algorithm = NSGA2(pop_size=50, sampling=IntegerRandomSampling(), repair=RoundingRepair())
    minimize(Indices(), algorithm, ("n_eval", max(AT)), seed=seed)
    seconds = (time.process_time() - start) * 300 / max(AT)
    return ruler.curve(np.vstack([c for c, _ in seen]), np.concatenate([f for _, f in seen])), seconds


def _print(name: str, runs: list[tuple[np.ndarray, float]]) -> None:
    curves = [curve for curve, _ in runs]
    shares = [np.median([c[n - 1] for c in curves]) if len(curves[0]) >= n else np.nan for n in AT]
    reached = [int(np.argmax(c >= 0.999)) + 1 if (c >= 0.999).any() else np.inf for c in curves]
    cells = "".join(f"{s:>9.2%}" if np.isfinite(s) else f"{'-':>9}" for s in shares)
    hit = np.median(reached)
    print(f"{name:<16}{cells}{np.median([s for _, s in runs]):>9.2f}{hit if np.isfinite(hit) else '-':>10}")


if __name__ == "__main__":
    main(*sys.argv[1:2], *(int(a) for a in sys.argv[2:3]))
