"""How soon the program answers: CPU seconds of whole processes against `python -c "import typer, rich"`.

    python tests/benchmarks/bench_startup.py [ROUNDS]

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
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
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
    print(f"reference, import typer, rich: {1e3 * median(reference):.0f} ms of CPU, {rounds} rounds")
    slow = False
    for name, times in taken.items():
        ratio = median(t / r for t, r in zip(times, reference, strict=True))
        print(f"{name:30} {1e3 * median(times):5.0f} ms   {ratio:.2f} times the reference")
        slow |= ratio > TARGET
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
