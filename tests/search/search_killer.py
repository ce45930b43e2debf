"""Whole runs killed at random moments and taken up again: `search_killer.py FOLDER KILLS [measured]`.

Every run is a child forked when all imports are done, so that each kill falls into the run itself: into
the search, the trade, the drawing or the writing of files. A run that ends before its kill is compared
with the undisturbed one and begun anew. Prints how many kills fell where, as JSON.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import optuna

from explorer.budget import parse
from explorer.pipeline import run_in

optuna.logging.set_verbosity(optuna.logging.ERROR)
BUDGET = """
name: killed
budget: {parameters: 3B, training: {gpu_hours: 2k}}
hardware: {accelerator: h100-sxm-80gb, gpus: 8}
space:
  context_length: {from: 1024, to: 32768, per_octave: 2, multiple_of: 256}
  d_model: {from: 1024, to: 4096, multiple_of: 256}
  n_layers: {from: 8, to: 40}
search: {trials: 40}
"""


def train(design):
    """An evaluator that disagrees with the model by a known factor, and fails now and then."""
    if design["n_layers"] == 30:
        raise RuntimeError("out of memory")
    return {"step_seconds": 1.2 * design["step_seconds"]}


def main(where: Path, kills: int, measured: bool) -> None:
    budget = parse(BUDGET, "killed.yaml")

    def whole(folder: Path) -> None:
        run_in(folder, budget, evaluator=train if measured else None)

    # The first run also loads what is loaded late; the second is timed.
    for name in ("warm", "undisturbed"):
        began = time.monotonic()
        whole(where / name)
        seconds = time.monotonic() - began
    wanted = (where / "undisturbed" / "front.csv").read_bytes()
    moments, folder, left = random.Random(0), where / "killed", kills
    found: Counter[str] = Counter()
    while left:
        child = os.fork()
        if not child:
            try:
                whole(folder)
            finally:
                os._exit(0)
        time.sleep(moments.uniform(0, seconds))
        if os.waitpid(child, os.WNOHANG)[0]:
            found["finished"] += 1
            assert (folder / "front.csv").read_bytes() == wanted
            shutil.rmtree(folder)
            continue
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        left -= 1
        log = folder / "journal.log"
        told = log.read_bytes().count(b'"values":[') if log.exists() else 0
        found["in the search" if told < 40 else "after the search"] += 1
    whole(folder)
    assert (folder / "front.csv").read_bytes() == wanted
    assert (folder / "summary.json").is_file()
    print(json.dumps({"kills": kills, "seconds": round(seconds, 2), **found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), len(sys.argv) > 3)
