"""How many designs × plans a second the whole model answers: cost and quality, with every limit and objective.

    python tests/benchmarks/bench_model.py

times, on one core, a study's designs as a table in random order (rows share what they repeat: widths and
contexts), as few unrelated rows, and as open grids, where plans fall away by straight lines in depth.
Enumeration, which rules most designs out by bounds before a plan is looked for, is in `bench_search.py`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# ruff: noqa: E402
import numpy as np

import explorer
from explorer.search.problem import Problem
from explorer.search.sweep import boxes

STUDIES = Path(__file__).parents[2] / "studies"
TARGET = 3e6


def main() -> int:
    """Prints rates; 1 where an open grid falls short of the target."""
    least = np.inf
    for name in ("one-node", "cluster"):
        problem = Problem(explorer.load(STUDIES / f"{name}.yaml"))
        lattice, rng = problem.lattice, np.random.default_rng(0)
        points = lattice.points(rng.integers(0, lattice.listed, 40_000))
        points = points[lattice.valid(points)]
        for label, some in (("table, many rows", points[:2000]), ("table, unrelated rows", points[:150])):
            start = time.process_time()
            problem.outcome(some)
            seconds = time.process_time() - start
            _show(name, label, len(some) * problem.n_plans, seconds)
        n, start = 0, time.process_time()
        for box in boxes(problem):
            found = problem.evaluate(box.design)
            assert np.shape(np.broadcast_to(found.loss, box.shape)) == box.shape
            n += int(np.prod(box.shape)) * problem.n_plans
        seconds = time.process_time() - start
        _show(name, "open grids, every design of the study", n, seconds)
        least = min(least, n / seconds)
    print(f"target: {TARGET / 1e6:.0f} million/s on one core, {'reached' if least >= TARGET else 'missed'}")
    return 0 if least >= TARGET else 1


def _show(study: str, label: str, n: int, seconds: float) -> None:
    print(f"{study:10s}{label:40s}{n:>16,d} in {seconds:6.2f} CPU s {n / seconds / 1e6:9.2f} million/s")


if __name__ == "__main__":
    sys.exit(main())
