"""What a whole run costs: CPU seconds of `explore run` beside those of importing the libraries it uses.

    python tests/benchmarks/bench_run.py [BUDGET.yaml] [TIMES]

Each is a process of its own; the least of a few is taken, since other programs only ever add to it. The
library that draws charts is put together once per user and kept; a first run takes that long more.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

STUDY = Path(__file__).parents[2] / "studies" / "one-node.yaml"
LIBRARIES = (
    "numpy, scipy, optuna, pandas, altair, pyarrow, pydantic, jinja2, moocore, ruamel.yaml, typer, rich"
)
USED = f"{LIBRARIES}, scipy.optimize, scipy.special, vl_convert, jsonschema, pyarrow.parquet"
"""The same with the parts of them that a run loads."""


def cpu_seconds(*command: str) -> float:
    """User and system time of a process and its children, numeric libraries on one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **one})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(study: str | Path = STUDY, times: int = 3) -> None:
    """Prints the figures and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        run = (sys.executable, "-m", "explorer", "run", str(study), "-o", folder, "--force", "--quiet")
        cpu_seconds(*run)
        whole, imports, used = (
            min(cpu_seconds(*command) for _ in range(times))
            for command in (
                run,
                (sys.executable, "-c", f"import {LIBRARIES}"),
                (sys.executable, "-c", f"import {USED}"),
            )
        )
    print(f"explore run {Path(study).name}: {whole:.2f} CPU s")
    print(f"importing its libraries: {imports:.2f} CPU s; the run takes {whole / imports:.1f} times that")
    print(f"with the parts it loads: {used:.2f} CPU s; the run takes {whole / used:.1f} times that")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*arguments[:1], *(int(a) for a in arguments[1:2]))
