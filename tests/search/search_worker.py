"""A process that takes part in a search, for tests that kill it.

`search_worker.py journal PATH TRIALS` runs a whole study; `search_worker.py shared URL TRIALS` works on a
shared one, each trial taking a moment.
"""

import sys
import time
from pathlib import Path

import optuna
from search_toy import Toy

from explorer.search.auto import AutoSampler
from explorer.search.shared import SharedStudy, open_storage
from explorer.search.study import explore

MOMENT = 0.15
IDENTITY = {"problem": {"limit": 2e9, "compute": 3e20}, "sampler": "auto", "seed": 0}


def patient(design):
    """An evaluator that takes a moment and finds what the model says."""
    time.sleep(MOMENT)
    return {"loss": design["loss"]}


def shared(url, wanted, sleep=True):
    storage = open_storage(url, heartbeat=1)
    study = SharedStudy(Toy(), AutoSampler(Toy(), seed=0), storage, IDENTITY, patient if sleep else None)
    study.work(wanted, lambda done, wanted: None)
    return study


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kind, where, trials = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "journal":
        explore(Toy(), trials=trials, sampler="nsga2", seed=0, journal=Path(where))
    else:
        shared(where, trials)
