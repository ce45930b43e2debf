"""What a whole run costs: CPU seconds of `explore run` beside those of importing the libraries it uses.

    python tests/benchmarks/bench_run.py [BUDGET.yaml ...] [--times 3] [--markdown]

Each is a process of its own; the least of a few is taken, since other programs only ever add to it. The
library that draws charts and the forms of the charts are put together once per user and kept; a first run
takes that long more.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import tables

STUDY = Path(__file__).parents[2] / "studies" / "one-node.yaml"
LIBRARIES = (
    "numpy, scipy, optuna, pandas, altair, pyarrow, pydantic, jinja2, moocore, ruamel.yaml, typer, rich"
)
USED = f"{LIBRARIES}, scipy.special, vl_convert, jsonschema, pyarrow.parquet"
"""The same with the parts of them that a run loads."""


_KEEPING_BYTECODE = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""As an installed program runs: its modules are compiled once, by the run that is not timed."""


def cpu_seconds(*command: str) -> float:
    """User and system time of a process and its children, numeric libraries on one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**_KEEPING_BYTECODE, **one})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Prints the figures and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("budgets", nargs="*", type=Path, default=[STUDY])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--markdown", action="store_true", help="write the table into the README")
    asked = parser.parse_args()
    imports, used = (
        min(cpu_seconds(sys.executable, "-c", f"import {names}") for _ in range(asked.times))
        for names in (LIBRARIES, USED)
    )
    table = [("run", "CPU s", "its libraries", "times as long", "with the parts it loads", "times as long")]
    for budget in asked.budgets:
        with tempfile.TemporaryDirectory() as folder:
            run = (sys.executable, "-m", "explorer", "run", str(budget), "-o", folder, "--force", "--quiet")
            cpu_seconds(*run)
            whole = min(cpu_seconds(*run) for _ in range(asked.times))
        ratios = (f"{whole / imports:.1f}", f"{whole / used:.1f}")
        table.append((budget.stem, f"{whole:.2f}", f"{imports:.2f}", ratios[0], f"{used:.2f}", ratios[1]))
    title = "`explore run` as a whole process, its report included, beside importing the libraries it uses (`bench_run.py`)"
    tables.show(title, table)
    if asked.markdown:
        tables.write("run", title, table)


if __name__ == "__main__":
    main()
