"""How much faster two workers are than one, for evaluators that take a moment.

    python tests/benchmarks/bench_workers.py [--seconds 0.2 1 4] [--trials 16] [--markdown]

Each trial waits so many seconds as a training run on another machine would. Every storage that can be
started here is tried. Rates are counted while all workers are at it, by the evaluator's own clock: what it
takes to start Python is not the search's. `--markdown` writes the table between its markers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

# ruff: noqa: E402
import tables
from budgets import small
from storages import Missing, postgres, proxy

EVALUATOR = """
import os, time

def train(design):
    with open({log!r}, "a") as log:
        log.write(f"{{os.getpid()}} {{time.time()}}\\n")
    time.sleep({seconds})
    return {{"step_seconds": 1.1 * design["step_seconds"]}}
"""


def seconds_per_trial(kind: str, url: str, n_workers: int, seconds: float, trials: int) -> float:
    """From one trial's start to the next, all workers together, while all of them have work."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = folder / "starts"
        name = f"{kind}-{n_workers}-{seconds:g}".replace(" ", "-")
        (folder / "budget.yaml").write_text(small(name, trials), "utf-8")
        (folder / "slow.py").write_text(EVALUATOR.format(log=str(log), seconds=seconds), "utf-8")
        where = {"": "study.log", "sqlite": "sqlite:///study.db"}.get(url, url)
        command = [sys.executable, "-m", "explorer", "worker", "budget.yaml", "--storage", where]
        workers = [
            subprocess.Popen(
                [*command, "--evaluator", "slow:train", "--quiet"], cwd=folder, stdout=subprocess.DEVNULL
            )
            for _ in range(n_workers)
        ]
        assert [w.wait() for w in workers] == [0] * n_workers
        starts: dict[str, list[float]] = {}
        for line in log.read_text().splitlines():
            worker, began = line.split()
            starts.setdefault(worker, []).append(float(began))
    assert len(starts) == n_workers
    first, last = max(s[0] for s in starts.values()), min(s[-1] for s in starts.values())
    rate = 0.0
    for began in starts.values():
        both = [s for s in began if first <= s <= last]
        rate += (len(both) - 1) / (both[-1] - both[0])
    return 1 / rate


def storages(stack: ExitStack) -> Iterator[tuple[str, str]]:
    """Name and URL of every storage that can be started here."""
    yield "journal file", ""
    yield "SQLite", "sqlite"
    try:
        url = stack.enter_context(postgres())
        yield "PostgreSQL", url
        yield "gRPC proxy of it", stack.enter_context(proxy(url))
    except Missing as missing:
        print(missing, file=sys.stderr)


def main() -> None:
    """Print the table, or write it between its markers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.2, 1.0, 4.0])
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--markdown", action="store_true", help="write the table between its markers")
    arguments = parser.parse_args()
    table = [
        ("storage", "a trial waits", "one worker: s per trial", "two workers: s per trial", "times as fast")
    ]
    with ExitStack() as stack:
        for name, url in storages(stack):
            for seconds in arguments.seconds:
                one, two = (seconds_per_trial(name, url, n, seconds, n * arguments.trials) for n in (1, 2))
                table.append((name, f"{seconds:g} s", f"{one:.2f}", f"{two:.2f}", f"{one / two:.2f}"))
                print(*table[-1], file=sys.stderr)
    title = (
        "What two workers on one study bring, for an evaluator that waits as a training run elsewhere would "
        "(`bench_workers.py`)"
    )
    tables.show(title, table)
    if arguments.markdown:
        tables.write("workers", title, table)


if __name__ == "__main__":
    main()
