"""A process that takes part in a search, for tests that kill it.

`search_worker.py journal PATH TRIALS` runs a whole study; `search_worker.py shared URL TRIALS` works on a
shared one, each trial taking a moment; `search_worker.py modelled URL TRIALS` and `measured URL TRIALS` are
workers as `explore worker` starts them, without an evaluator and with one that the model is wrong about.
"""

import random
import sys
import time
from pathlib import Path

import optuna
from search_toy import Toy

from explorer.search.auto import AutoSampler
from explorer.search.shared import SharedStudy, open_storage
from explorer.search.study import evaluate_for, explore

MOMENT = 0.15
IDENTITY = {"problem": {"limit": 2e9, "compute": 3e20}, "sampler": "auto", "seed": 0}


def patient(design):
    """An evaluator that takes a moment and finds what the model says."""
    time.sleep(MOMENT)
    return {"loss": design["loss"]}


def deeper_is_worse(design):
    """A deterministic evaluator: the model thinks far too well of deep designs."""
    time.sleep(MOMENT * random.random())
    return {"loss": design["loss"] + 0.01 * design["n_layers"]}


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
    elif kind in ("modelled", "measured"):
        evaluator = deeper_is_worse if kind == "measured" else None
        evaluate_for(Toy(), storage=where, trials=trials, seed=0, evaluator=evaluator)
    else:
        shared(where, trials)
