"""How many designs × plans a second the whole model answers: cost and quality, with every limit and objective.

    python tests/benchmarks/bench_model.py [--markdown]

times, on one core, a study's designs as a table in random order (rows share what they repeat: widths and
contexts), as few unrelated rows, and as open grids, where plans fall away by straight lines in depth.
Enumeration, which rules most designs out by bounds before a plan is looked for, is in `bench_search.py`. `--markdown`
writes the table between its markers.
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
import tables

import explorer
from explorer.search.problem import Problem

STUDIES = Path(__file__).parents[2] / "studies"
TARGET = 3e6


def main() -> int:
    """Prints rates; 1 where an open grid falls short of the target."""
    table, least = [("study", "asked as", "designs × plans", "CPU s", "million/s")], np.inf
    for name in ("one-node", "cluster"):
        problem = Problem(explorer.load(STUDIES / f"{name}.yaml"))
        lattice, rng = problem.lattice, np.random.default_rng(0)
        points = lattice.points(rng.integers(0, lattice.listed, 40_000))
        points = points[lattice.valid(points)]
        for label, some in (("table, many rows", points[:2000]), ("table, unrelated rows", points[:150])):
            start = time.process_time()
            problem.outcome(some)
            seconds = time.process_time() - start
            table.append(_row(name, label, len(some) * problem.n_plans, seconds))
        n, start = 0, time.process_time()
        for widths in np.array_split(np.arange(len(lattice.d_model)), len(lattice.d_model)):
            # One feed-forward part and one attention pattern in these studies.
            box = lattice.box(within={"d_model": widths})
            found = problem.evaluate(box.design)
            assert np.shape(np.broadcast_to(found.loss, box.shape)) == box.shape
            n += int(np.prod(box.shape)) * problem.n_plans
        seconds = time.process_time() - start
        table.append(_row(name, "open grids, every design of the study", n, seconds))
        least = min(least, n / seconds)
    title = f"Designs × plans the whole model answers on one core (`bench_model.py`; target {TARGET / 1e6:.0f} million/s)"
    tables.show(title, table)
    if "--markdown" in sys.argv[1:]:
        tables.write("model", title, table)
    return 0 if least >= TARGET else 1


def _row(study: str, label: str, n: int, seconds: float) -> tables.Row:
    return study, label, f"{n:.1e}", f"{seconds:.2f}", f"{n / seconds / 1e6:.1f}"


if __name__ == "__main__":
    sys.exit(main())
