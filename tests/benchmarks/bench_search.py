"""How close searches come to the exact front, and what they cost: ours beside Optuna's samplers and pymoo.

    pip install -e '.[bench]' && python tests/benchmarks/bench_search.py --markdown

Part one enumerates lattices of rising size. Part two gives, for every study with two and with three
objectives, k* (the fewest trials that can reach 99.9% of the exact hypervolume: picks from the exact front by
hypervolume gained), the trials `auto` takes over ten seeds, and how much it looked at. Part three gives the
share of the exact hypervolume after 20, 100, 300 and 1,000 trials, and CPU seconds, of every sampler on every
study with two and with three objectives; a run that has spent `--seconds` of CPU stops there, and a dash stands
for the trials that not every seed reached. It takes hours: `--sampler` runs some alone, and `--keep FILE` keeps
every finished run, to go on from there. Part four is `auto` on the budgets of `varied.yaml`, unlike the studies. Part five
enumerates one budget's levers, ever more of them, from 10^4 to 10^9 designs: what a design costs, and the memory.
Part six is `auto` on budgets drawn by a seed, which nobody saw while it was built.
`--part` runs some parts alone; `--markdown` writes the parts that ran between its markers. pymoo
and Optuna's GP (which needs PyTorch) are compared where they are installed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# ruff: noqa: E402
import compared
import numpy as np
import optuna
from drawn import drawn
from ruamel.yaml import YAML
from tables import Row, show, write

import explorer
from explorer.search.auto import AutoSampler
from explorer.search.exact import exact_front
from explorer.search.front import Objective, Ruler, greedy
from explorer.search.problem import Problem

HERE = Path(__file__).parent
STUDIES = tuple(HERE.parents[1] / "studies" / f"{name}.yaml" for name in ("one-gpu", "one-node", "cluster"))
LEVERS = HERE / "levers.yaml"
VARIED = HERE / "varied.yaml"
BILLION = HERE / "billion.yaml"
PARTS = ("exact", "auto", "samplers", "varied", "scale", "drawn")
LEVERS_BY_SIZE = (
    {"per_octave": 1, "multiple_of": 512},
    {"multiple_of": 256},
    {"multiple_of": 128, "ffn": 2, "schedule": 2},
    {"multiple_of": 128, "n_kv_heads": 2, "ffn": 2, "vocab_size": 2, "attention": 2, "schedule": 3},
    {
        "multiple_of": 128,
        "d_head": 2,
        "n_kv_heads": 4,
        "ffn": 4,
        "vocab_size": 3,
        "attention": 2,
        "schedule": 4,
    },
    {},
)
"""Of each lattice of part five: the grid of contexts and widths, and how many of each lever's values are listed
(one where nothing is said); the last is all of `billion.yaml`."""
THIRD = ("", "n_params", "kv_cache_bytes")
"""Third objective beside the budget's own two; empty for none."""
MOST_SECONDS = 300.0
"""CPU seconds after which a run of a sampler is stopped."""
ENOUGH = 0.999
N_DRAWN = 12
"""Budgets drawn by a seed."""


def main() -> int:
    """Prints the tables; 1 where `auto` takes more than 1.3 k* trials (median) or 2 k* (any seed)."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the other samplers")
    parser.add_argument(
        "--sampler", action="append", choices=compared.NAMES, help="only this one; may be repeated"
    )
    parser.add_argument(
        "--seconds", type=float, default=MOST_SECONDS, help="CPU seconds a sampler's run may take"
    )
    parser.add_argument("--keep", type=Path, help="file of finished runs of samplers")
    parser.add_argument("--draw", type=int, default=0, help="seed that budgets are drawn by")
    parser.add_argument("--markdown", action="store_true", help="write the tables between their markers")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parts = {
        "exact": ("Exact front, one core", _exact),
        "auto": (
            f"`auto` to {ENOUGH:.1%} of the exact hypervolume, ten seeds",
            lambda: _auto(_studies(), 10),
        ),
        "samplers": (
            f"Share of the exact hypervolume by trials, medians over the seeds; a run stops after "
            f"{asked.seconds:.0f} CPU seconds, and — stands for trials that not every seed reached",
            lambda: compared.table(
                (problem_of(study, third) for study in STUDIES for third in THIRD[:2]),
                asked.sampler or compared.NAMES,
                asked.seeds,
                asked.seconds,
                asked.keep,
            ),
        ),
        "varied": (
            f"`auto` on budgets unlike the studies, to {ENOUGH:.1%}, {asked.seeds} seeds",
            lambda: _auto(varied(), asked.seeds),
        ),
        "scale": (
            "Exact front of one budget with ever more levers listed, one core",
            _scale,
        ),
        "drawn": (
            f"`auto` on budgets drawn by a seed ({asked.draw}), to {ENOUGH:.1%}, {asked.seeds} seeds of `auto`",
            lambda: _auto(drawn(N_DRAWN, asked.draw), asked.seeds),
        ),
    }
    reached = True
    for name in asked.part or PARTS:
        title, make_rows = parts[name]
        table = list(make_rows())
        show(title, table)
        if asked.markdown:
            write(name, title, table)
        if name == "auto":
            reached = all(row[-1] == "yes" for row in table[1:])
    return 0 if reached else 1


def problem_of(study: Path, third: str = "") -> Problem:
    """A study's problem, with one objective more."""
    problem = Problem(explorer.load(study))
    if third:
        problem.objectives = (*problem.objectives, Objective(third, "minimize"))
    return problem


def _studies() -> Iterator[Problem]:
    """Every study with its own objectives and with each third one."""
    yield from (problem_of(study, third) for study in STUDIES for third in THIRD)


def varied() -> Iterator[Problem]:
    """The budgets of `varied.yaml`: a study each, with some values replaced."""
    yaml = YAML(typ="safe")
    for name, changes in yaml.load(VARIED.read_text("utf-8")).items():
        budget = yaml.load((STUDIES[0].parent / f"{changes.pop('study')}.yaml").read_text("utf-8"))
        for path, value in changes.items():
            *sections, last = path.split(".")
            at = budget
            for section in sections:
                at = at[section]
            at[last] = value
        yield Problem(explorer.load(json.dumps({**budget, "name": name})))


def _goals(problem: Problem) -> str:
    return ", ".join(o.name for o in problem.objectives)


def _exact() -> Iterator[Row]:
    yield "lattice", "objectives", "designs", "× plans", "evaluated", "on the front", "CPU s", "peak MiB"
    for study, third in [*((s, t) for s in STUDIES for t in THIRD[:2]), (LEVERS, "")]:
        problem = problem_of(study, third)
        start = time.process_time()
        exact = exact_front(problem, workers=1)
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield (
            problem.name, _goals(problem), f"{exact.n_proved:,}", f"{exact.n_proved * problem.n_plans:.1e}",
            f"{exact.n_evaluated:,}", f"{len(exact.points):,}", f"{seconds:.2f}", f"{peak:.0f}",
        )  # fmt: skip


def _scale() -> Iterator[Row]:
    yield (
        "designs", "× plans", "evaluated", "CPU s", "CPU µs per design", "CPU µs per design × plan", "peak MiB",
    )  # fmt: skip
    for problem in map(_with_levers, LEVERS_BY_SIZE):
        start = time.process_time()
        exact = exact_front(problem, workers=1)
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cells = exact.n_proved * problem.n_plans
        yield (
            f"{exact.n_proved:,}", f"{cells:.1e}", f"{exact.n_evaluated:,}", f"{seconds:.2f}",
            f"{1e6 * seconds / exact.n_proved:.3f}", f"{1e6 * seconds / cells:.1e}", f"{peak:.0f}",
        )  # fmt: skip


def _with_levers(some: dict[str, int]) -> Problem:
    """`billion.yaml` with only some values of its levers; whole where none is named."""
    budget = YAML(typ="safe").load(BILLION.read_text("utf-8"))
    space = budget["space"]
    space["context_length"]["per_octave"] = some.get("per_octave", space["context_length"]["per_octave"])
    space["d_model"]["multiple_of"] = some.get("multiple_of", space["d_model"]["multiple_of"])
    for name in ("d_head", "n_kv_heads", "ffn", "vocab_size", "attention", "schedule") if some else ():
        space[name] = space[name][: some.get(name, 1)]
    return Problem(explorer.load(json.dumps(budget)))


def _auto(problems: Iterator[Problem], n_seeds: int) -> Iterator[Row]:
    yield (
        "study", "objectives", "k*", "trials (median)", "trials (worst)", "share at k*", "CPU s", "looked at",
        "weighed", "within 1.3 k* and 2 k*",
    )  # fmt: skip
    for problem in problems:
        exact = exact_front(problem)
        ruler = Ruler.of(exact.coordinates)
        fewest = len(greedy(exact.coordinates, ruler.reference, ENOUGH))
        asked = 2 * fewest + 1
        hits, seconds, shares, looked, weighed = [], [], [], 0, 0
        for seed in range(n_seeds):
            start = time.process_time()
            sampler = AutoSampler(problem, seed=seed)
            points, spent = [], []
            for k in range(asked):
                points.append(sampler.point(k))
                spent.append(time.process_time() - start)
            looked, weighed = max(looked, sampler.model_evaluations), max(weighed, sampler.model_weighed)
            outcome = problem.outcome(np.array(points))
            curve = ruler.curve(outcome.coordinates, outcome.feasible)
            hits.append(_trials_to(curve))
            # What it took to get there, or to propose all that were asked.
            seconds.append(spent[int(min(hits[-1], asked)) - 1])
            shares.append(curve[fewest - 1])
        middle, worst = float(np.median(hits)), max(hits)
        good = middle <= max(1.3 * fewest, fewest + 1) and worst <= max(2 * fewest, fewest + 1)
        told = [f"{n:.0f}" if np.isfinite(n) else f"more than {asked}" for n in (middle, worst)]
        yield (
            problem.name, _goals(problem), str(fewest), *told, f"{np.median(shares):.2%}",
            f"{np.median(seconds):.2f}", f"{looked:,} ({looked / problem.lattice.size:.2%})",
            f"{weighed:,} ({weighed / problem.lattice.size:.1%})", "yes" if good else "no",
        )  # fmt: skip


def _trials_to(curve: np.ndarray) -> float:
    """Trials until the curve reaches ENOUGH; infinite where it never does."""
    reached = np.flatnonzero(curve >= ENOUGH)
    return float(reached[0] + 1) if len(reached) else float("inf")


if __name__ == "__main__":
    sys.exit(main())
