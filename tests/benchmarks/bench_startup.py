"""How soon the program answers: CPU seconds of whole processes against `python -c "import typer, rich"`.

    python tests/benchmarks/bench_startup.py [ROUNDS] [--markdown]

Every command runs once in each round, beside the reference; the ratio is the median over rounds, so that a
machine that slows down for a while slows both.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import tables

ROOT = Path(__file__).parents[2]
REFERENCE = [sys.executable, "-c", "import typer, rich"]
TARGET = 1.5
"""Most that help and a mistake in a budget may cost, as a multiple of the reference."""


def seconds(command: list[str]) -> float:
    """CPU seconds, user and system, of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print one line per command; exit 1 where help or a mistake takes longer than its target."""
    rounds = next((int(word) for word in sys.argv[1:] if word.isdigit()), 9)
    explore = str(Path(sys.executable).with_name("explore"))
    with tempfile.TemporaryDirectory() as folder:
        mistake = Path(folder, "mistake.yaml")
        study = (ROOT / "studies" / "one-node.yaml").read_text("utf-8")
        mistake.write_text(study.replace("gpus: 8", "gpus: eight"), "utf-8")
        commands = {
            "explore --help": ["--help"],
            "explore --version": ["--version"],
            "explore run --help": ["run", "--help"],
            "an unknown command": ["rnu"],
            "an unknown flag": ["run", "--no-such-flag"],
            "a mistake in a budget, check": ["check", str(mistake)],
            "a mistake in a budget, run": ["run", str(mistake)],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        reference = []
        for _ in range(rounds):
            reference.append(seconds(REFERENCE))
            for name, arguments in commands.items():
                taken[name].append(seconds([explore, *arguments]))
    table = [("asked", "CPU ms", "times as long as importing typer and rich")]
    ratios = {}
    for name, times in taken.items():
        ratios[name] = median(t / r for t, r in zip(times, reference, strict=True))
        table.append((name, f"{1e3 * median(times):.0f}", f"{ratios[name]:.2f}"))
    title = f"How soon the program answers (`bench_startup.py`; target {TARGET})"
    tables.show(title, table)
    if "--markdown" in sys.argv[1:]:
        tables.write("startup", title, table)
    sys.exit(1 if max(ratios.values()) > TARGET else 0)


if __name__ == "__main__":
    main()
