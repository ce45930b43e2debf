"""How much faster two workers are than one, for an evaluator that takes a moment: `bench_workers.py [SECONDS] [URL]`.

Each trial waits SECONDS (default 1) as a training run on another machine would; 24 trials per round, in a
journal file or in the storage at URL. Counted from the first trial's start to the last one's end, by the
study's own clock: what it takes to start Python is not the search's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna

from explorer.search.shared import open_storage

BUDGET = """
name: workers-{n}
budget: {{parameters: 3B, training: {{gpu_hours: 2k}}}}
hardware: {{accelerator: h100-sxm-80gb, gpus: 8}}
space:
  context_length: {{from: 1024, to: 32768, per_octave: 2, multiple_of: 256}}
  d_model: {{from: 1024, to: 4096, multiple_of: 256}}
  n_layers: {{from: 8, to: 40}}
search: {{trials: {trials}}}
"""
TRIALS = 24


def seconds(folder: Path, n_workers: int, url: str) -> float:
    """From the first start to the last end of a study that `n_workers` processes work on."""
    budget = folder / f"workers-{n_workers}.yaml"
    budget.write_text(BUDGET.format(n=n_workers, trials=TRIALS), "utf-8")
    where = url or str(folder / "study.log")
    command = [sys.executable, "-m", "explorer", "worker", str(budget), "--storage", where]
    workers = [
        subprocess.Popen(
            [*command, "--evaluator", "slow:train", "--quiet"], cwd=folder, stdout=subprocess.DEVNULL
        )
        for _ in range(n_workers)
    ]
    assert [w.wait() for w in workers] == [0] * n_workers
    study = optuna.load_study(study_name=f"workers-{n_workers}", storage=open_storage(where))
    trials = study.get_trials(deepcopy=False)
    # A worker counts from the moment that all of them are there.
    began = sorted(t.datetime_start for t in trials if t.datetime_start)[n_workers - 1]
    ended = max(t.datetime_complete for t in trials if t.datetime_complete)
    done = sum(1 for t in trials if t.datetime_complete and t.datetime_start and t.datetime_start >= began)
    return (ended - began).total_seconds() / done


def main(wait: float, url: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "slow.py").write_text(
            f"import time\n\n\ndef train(design):\n    time.sleep({wait})\n    return {{'loss': design['loss']}}\n",
            "utf-8",
        )
        began = time.monotonic()
        one, two = (seconds(folder, n, url) for n in (1, 2))
        print(
            f"trials of {wait:g} s: {one:.2f} s a trial with one worker, {two:.2f} s with two: {one / two:.2f} times as fast"
        )
        print(f"({TRIALS} trials each, {time.monotonic() - began:.0f} s in all)")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, sys.argv[2] if len(sys.argv) > 2 else "")
