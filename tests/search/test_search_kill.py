"""Processes that die at any moment: nothing told is lost, and the end is that of an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import optuna
import program
import pytest
from budgets import small
from optuna.storages import JournalStorage
from search_toy import Toy
from search_worker import shared

from explorer.search.storage import journal_file
from explorer.search.study import explore

optuna.logging.set_verbosity(optuna.logging.ERROR)
WORKER = Path(__file__).with_name("search_worker.py")
# More on request.
KILLS = int(os.environ.get("EXPLORER_KILLS", "50"))
KILLER = Path(__file__).with_name("search_killer.py")


def start(*arguments):
    return subprocess.Popen([sys.executable, str(WORKER), *map(str, arguments)], stderr=subprocess.DEVNULL)


def test_killed_at_random_moments_a_study_ends_as_if_undisturbed(tmp_path):
    undisturbed = explore(Toy(), trials=300, sampler="nsga2", seed=0)
    journal = tmp_path / "study.log"
    moments = random.Random(0)
    for _ in range(4):
        process = start("journal", journal, 300)
        # The process needs about a second to import; it is killed on both sides of that.
        time.sleep(moments.uniform(0.5, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    again = explore(Toy(), trials=300, sampler="nsga2", seed=0, journal=journal)
    assert again.front.to_csv() == undisturbed.front.to_csv()
    study = optuna.load_study(study_name="toy", storage=JournalStorage(journal_file(journal)))
    assert [t.number for t in study.get_trials(deepcopy=False)] == list(range(300))


@pytest.mark.parametrize("kind", ["modelled", "measured"])
def test_whole_runs_killed_at_random_moments_end_in_the_same_front(tmp_path, kind):
    arguments = [sys.executable, str(KILLER), "moments", str(tmp_path), str(KILLS)]
    done = subprocess.run(
        arguments + ["measured"] * (kind == "measured"), capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    # Every phase was hit.
    fell = json.loads(done.stdout)["fell"]
    phases = {"opening", "enumerating", "asking", "telling", "storing", "trade", "evidence", "drawing"}
    assert sum(fell.values()) == KILLS
    assert KILLS < 50 or phases | {"writing"} <= set(fell)


def test_runs_killed_at_every_change_of_what_they_keep_end_in_the_same_front(tmp_path, request):
    where = ["journal", f"sqlite:///{tmp_path}/a.db"]
    # What is not on this machine is skipped with its reason in the tests below.
    for name in ("postgres", "proxy"):
        with suppress(pytest.skip.Exception):
            where.append(request.getfixturevalue(name))
    arguments = [sys.executable, str(KILLER), "points", str(tmp_path), *where]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    found = json.loads(done.stdout)["fell"]
    assert len(found) == len(where)
    fell = found["journal"]
    assert all(fell[f"{when} an append"] for when in ("before", "within", "after"))
    files = ("budget.yaml", "report.html", "trials.parquet", "front.csv", "evidence.json", "summary.json")
    assert all(fell[f"{when} {name}"] for when in ("before", "after") for name in files)
    for name in {"sqlite", "postgresql+psycopg"} & set(found):
        assert all(found[name][f"{when} a commit"] > 5 for when in ("before", "after"))
    if "grpc" in found:
        assert {"create_new_trial", "set_trial_param"} <= {point.split()[-1] for point in found["grpc"]}


def test_two_workers_one_killed_in_mid_trial_find_what_one_process_finds(postgres):
    wanted = 24
    workers = [start("shared", postgres, wanted) for _ in range(2)]
    storage = None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.2)
        try:
            storage = storage or optuna.storages.RDBStorage(postgres)
            study = optuna.load_study(study_name="toy", storage=storage)
        except Exception:  # not there yet, in whichever way the database says it
            continue
        running = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING])
        if len(study.get_trials(deepcopy=False)) > 6 and len(running) == 2:
            break
    workers[0].send_signal(signal.SIGKILL)
    workers[0].wait()
    assert workers[1].wait(timeout=90) == 0
    study = shared(postgres, wanted, sleep=False)
    _, told = study.results(wanted)
    assert len(told) == wanted
    alone = explore(Toy(), trials=wanted, sampler="auto", seed=0)
    names = ("context_length", "d_model", "n_layers")
    assert [[t.params[n] for n in names] for t in told] == alone.trials[list(names)].astype(
        int
    ).to_numpy().tolist()
    again = [t for t in study.study.get_trials(deepcopy=False) if "failed_trial" in t.system_attrs]
    assert len(again) <= 1


def test_a_run_and_a_killed_worker_of_the_program_find_what_one_run_finds(postgres, tmp_path):
    (tmp_path / "budget.yaml").write_text(small("killed", 16, "random"), "utf-8")
    (tmp_path / "slow.py").write_text(
        "import time\n\ndef train(design):\n"
        "    time.sleep(0.5)\n    return {'step_seconds': 1.2 * design['step_seconds']}\n",
        "utf-8",
    )

    def explore_(command, *arguments):
        line = [
            sys.executable,
            "-m",
            "explorer",
            command,
            "budget.yaml",
            "--evaluator",
            "slow:train",
            *arguments,
        ]
        return subprocess.Popen(
            line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    shared_by = ("--storage", postgres, "--heartbeat", "1")
    victim = explore_("worker", *shared_by)
    storage, running = None, []
    deadline = time.monotonic() + 120
    while not running and time.monotonic() < deadline:
        time.sleep(0.1)
        try:
            storage = storage or optuna.storages.RDBStorage(postgres)
            study = optuna.load_study(study_name="killed", storage=storage)
        except Exception:  # not there yet, in whichever way the database says it
            continue
        trials = study.get_trials(deepcopy=False)
        running = [
            t for t in trials if len(trials) > 3 and t.params and t.state == optuna.trial.TrialState.RUNNING
        ]
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    joined = explore_("run", "-o", "together", *shared_by)
    assert joined.wait(timeout=300) == 0, joined.stderr.read()
    alone = explore_("run", "-o", "alone")
    assert alone.wait(timeout=300) == 0, alone.stderr.read()
    assert (tmp_path / "together/front.csv").read_bytes() == (tmp_path / "alone/front.csv").read_bytes()
    again = [t for t in study.get_trials(deepcopy=False) if "failed_trial" in t.system_attrs]
    assert [t.params for t in again] == [t.params for t in running]


@pytest.mark.parametrize("where", ["postgres", "proxy"])
def test_the_program_refuses_another_budget_on_a_database_in_one_line(request, tmp_path, where):
    url, text = request.getfixturevalue(where), small(f"refused-{where}", 2, "random")
    (tmp_path / "budget.yaml").write_text(text, "utf-8")
    begun = program.explore("worker", "budget.yaml", "--storage", url, cwd=tmp_path)
    assert begun.returncode == 0, begun.stderr
    (tmp_path / "budget.yaml").write_text(text.replace("gpus: 8", "gpus: 16"), "utf-8")
    for command in ("worker", "run"):
        refused = program.explore(command, "budget.yaml", "--storage", url, cwd=tmp_path)
        assert refused.returncode == 2
        (line,) = refused.stderr.strip().splitlines()
        assert (
            "holds a study of another budget, so it cannot be continued: problem.hardware.gpus: 8 -> 16."
            in line
        )
    assert not (tmp_path / "reports").exists()
