"""What a whole run costs: CPU seconds of `explore run` beside those of importing the libraries it uses.

    python tests/benchmarks/bench_run.py [BUDGET.yaml ...] [--times 3] [--markdown]

Each is a process of its own; the least of a few is taken, since other programs only ever add to it. What is
the same for every budget (the library that draws charts, their forms, the ledger) is put together once per user
and kept; a first run takes that long more. A run is set beside all that it imports from elsewhere, module by
module, and beside the packages alone, as `import numpy, optuna, …` loads them.
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
PACKAGES = (
    "numpy, scipy, optuna, pandas, altair, pyarrow, pydantic, jinja2, moocore, ruamel.yaml, typer, rich"
)
RUN = """
import sys
from explorer.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.stderr.write("\\n".join(name for name in sys.modules if not name.startswith(("explorer", "__main"))))
"""
"""A run that names the modules of others which it loaded."""
IMPORT = """
import contextlib, importlib, sys
for name in sys.argv[1:]:
    # A few are only there once another module has put them together.
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
"""


_KEEPING_BYTECODE = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""As an installed program runs: its modules are compiled once, by the run that is not timed."""


def cpu_seconds(*command: str) -> float:
    """User and system time of a process and its children, numeric libraries on one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**_KEEPING_BYTECODE, **one})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def loaded(arguments: tuple[str, ...]) -> list[str]:
    """Modules of libraries and of Python that a run loads, in its order."""
    run = (sys.executable, "-c", RUN, *arguments)
    done = subprocess.run(run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return done.stderr.split()


def main() -> None:
    """Prints the figures and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("budgets", nargs="*", type=Path, default=[STUDY])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--markdown", action="store_true", help="write the table between its markers")
    asked = parser.parse_args()
    packages = min(cpu_seconds(sys.executable, "-c", f"import {PACKAGES}") for _ in range(asked.times))
    head = ("run", "CPU s", "all it imports", "times as long", "the packages", "times as long")
    table = [head]
    for budget in asked.budgets:
        with tempfile.TemporaryDirectory() as folder:
            arguments = ("run", str(budget), "-o", folder, "--force", "--quiet")
            modules = loaded(arguments)
            whole = min(cpu_seconds(sys.executable, "-m", "explorer", *arguments) for _ in range(asked.times))
        imports = min(cpu_seconds(sys.executable, "-c", IMPORT, *modules) for _ in range(asked.times))
        beside = [(f"{least:.2f}", f"{whole / least:.1f}") for least in (imports, packages)]
        table.append((budget.stem, f"{whole:.2f}", *beside[0], *beside[1]))
    title = "`explore run` as a whole process, its report included, beside importing the libraries it uses (`bench_run.py`)"
    tables.show(title, table)
    if asked.markdown:
        tables.write("run", title, table)


if __name__ == "__main__":
    main()
