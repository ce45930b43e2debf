"""One study for several processes, and measured designs, as a person starts them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from budgets import small
from program import explore

BUDGET = small("shared", 12)
EVALUATOR = """
import os

calls = []

def train(design):
    print("epoch 1", flush=True)
    os.system("echo of a child")
    calls.append(design)
    if len(calls) == 3:
        raise RuntimeError("out of <b>memory</b>")
    return {"step_seconds": 1.25 * design["step_seconds"]}

def extreme(design):
    calls.append(design)
    seconds = (5e-324, 1e308, 1e-310, 1e-60, 1e60, design["step_seconds"])[len(calls) % 6]
    return {"step_seconds": seconds, "peak_allocated_bytes": seconds, "loss": (0.0, -1e60, 1e60, 2.5)[len(calls) % 4]}

def hanging(design):
    calls.append(design)
    while len(calls) == 2:
        pass
    return {"step_seconds": design["step_seconds"]}

def broken(design):
    raise ValueError("no <b>GPU</b>\\nno driver either")
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "budget.yaml").write_text(BUDGET, "utf-8")
    (tmp_path / "mine.py").write_text(EVALUATOR, "utf-8")
    return tmp_path


def worker(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    program = Path(sys.executable).with_name("explore")
    return subprocess.Popen(
        [str(program), "worker", "budget.yaml", *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_run_and_worker_share_a_study_and_find_what_one_process_finds(here: Path) -> None:
    assert explore("run", "budget.yaml", "-o", "alone", cwd=here).returncode == 0
    helper = worker(here, "--storage", "study.log", "--json")
    done = explore("run", "budget.yaml", "-o", "together", "--storage", "study.log", cwd=here)
    assert done.returncode == 0, done.stderr
    said, _ = helper.communicate(timeout=120)
    assert helper.returncode == 0
    assert json.loads(said)["study"] == "shared"
    assert (here / "together/front.csv").read_bytes() == (here / "alone/front.csv").read_bytes()
    assert not (here / "together/journal.log").exists()
    # Another budget is refused, says what changed, and leaves nothing behind.
    (here / "budget.yaml").write_text(BUDGET.replace("gpus: 8", "gpus: 16"), "utf-8")
    refused = explore("run", "budget.yaml", "-o", "other", "--storage", "study.log", cwd=here)
    assert refused.returncode == 2
    assert "problem.hardware.gpus: 8 -> 16" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (here / "other").exists()


def test_a_measured_run_compares_model_and_measurement(here: Path) -> None:
    done = explore("run", "budget.yaml", "-o", "measured", "--evaluator", "mine:train", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "step_seconds: the model is off by 20.0%" in done.stdout
    # What an evaluator and its children print is no part of the answer.
    assert "epoch 1" not in done.stdout
    assert "of a child" not in done.stdout
    assert done.stderr.count("epoch 1") == done.stderr.count("of a child") == 12
    assert "1 trial failed; the first: RuntimeError: out of <b>memory</b>" in done.stdout
    summary = json.loads((here / "measured/summary.json").read_text("utf-8"))
    (agreement,) = summary["search"]["agreement"]
    assert agreement["bias"] == pytest.approx(1 / 1.25 - 1)
    assert agreement["spread"] == pytest.approx(0, abs=1e-9)
    assert agreement["uncorrected_error"] == pytest.approx(0.2)
    assert agreement["corrected_error"] < 1e-9
    assert agreement["n"] + len(summary["search"]["failures"]) == 12
    page = (here / "measured/report.html").read_text("utf-8")
    assert "Model and measurement" in page
    assert "out of <b>memory</b>" not in page
    assert "out of &lt;b&gt;memory&lt;/b&gt;" in page
    # Drawn again from its files, the comparison is there; without the evaluator the folder is another study's.
    assert explore("report", "measured", cwd=here).returncode == 0
    assert "Model and measurement" in (here / "measured/report.html").read_text("utf-8")
    other = explore("run", "budget.yaml", "-o", "measured", cwd=here)
    assert other.returncode == 2
    assert "evaluator" in other.stderr


def test_where_every_trial_fails_the_answer_says_so_and_why(here: Path) -> None:
    arguments = ("run", "budget.yaml", "--trials", "2", "-o", "out", "--evaluator", "mine.py:broken")
    done = explore(*arguments, cwd=here)
    assert done.returncode == 3
    first, second = done.stdout.splitlines()
    assert first.startswith("none of 2 trials meets every limit; ")
    assert second == "2 trials failed; the first: ValueError: no <b>GPU</b>"
    page = (here / "out/report.html").read_text("utf-8")
    assert "no &lt;b&gt;GPU&lt;/b&gt;" in page
    assert "None of 2 trials meets every limit" in page
    assert "How far off" not in page


def test_measurements_beyond_all_sense_cost_their_trial_and_no_more(here: Path) -> None:
    arguments = ("run", "budget.yaml", "-o", "out", "--evaluator", "mine.py:extreme", "--json")
    done = explore(*arguments, cwd=here)
    assert done.returncode == 0, done.stderr
    failures = json.loads(done.stdout)["search"]["failures"]
    assert len(failures) == 6
    assert all("a positive, finite step_seconds of 1e-60 to 1e+60, got" in f["error"] for f in failures)
    # The sizes that are left are told of in tables and charts.
    drawn = explore("report", "out", "--format", "svg", cwd=here)
    assert drawn.returncode == 0, drawn.stderr


def test_an_evaluator_that_hangs_costs_its_trial_and_the_study_goes_on(here: Path) -> None:
    (here / "budget.yaml").write_text(
        BUDGET.replace("trials: 12", "trials: 4, evaluator_timeout: 1h"), "utf-8"
    )
    limited = (
        "run",
        "budget.yaml",
        "-o",
        "out",
        "--evaluator",
        "mine.py:hanging",
        "--evaluator-timeout",
        "1s",
    )
    done = explore(*limited, cwd=here)
    assert done.returncode == 0, done.stderr
    assert "1 trial failed; the first: the evaluator took longer than 1s, its timeout" in done.stdout
    assert "evaluator_timeout: 1s" in (here / "out/budget.yaml").read_text("utf-8")
    # The budget's own limit holds without the option, and another one is no other run.
    again = explore("run", "budget.yaml", "-o", "out", "--evaluator", "mine.py:hanging", cwd=here)
    assert again.returncode == 0, again.stderr
    assert "evaluator_timeout: 1h" in (here / "out/budget.yaml").read_text("utf-8")
    told = explore(*("worker", *limited[1:2], "--storage", "a.log", *limited[4:]), cwd=here)
    assert told.returncode == 0, told.stderr
    assert "told 4 trials" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--storage", "foo://bar"), "must be a journal's path or begin with sqlite://"),
        (("--evaluator-timeout", "1s"), "--evaluator-timeout limits an --evaluator, and none is given"),
        (
            ("--evaluator", "mine:train", "--evaluator-timeout", "soon"),
            "--evaluator-timeout takes a time such as 90s",
        ),
        (("--evaluator", "mine:train", "--evaluator-timeout", "0s"), "above 0 and up to 10000d, got '0s'"),
        (("--storage", "sqlite:////no/such/folder/a.db"), "unable to open database file"),
        (("--storage", "grpc://localhost"), "grpc://host:port"),
        (("--storage", "budget.yaml"), "must be a study's journal"),
        (("--evaluator", "train"), "module:function"),
        (("--evaluator", "mine:missing"), "must be importable"),
        (("--evaluator", "missing.py:train"), "there is no file missing.py"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_2(
    here: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = explore("run", "budget.yaml", "-o", "out", *arguments, cwd=here)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (here / "out").exists()
    assert (here / "budget.yaml").read_text("utf-8") == BUDGET


@pytest.mark.skipif(find_spec("psycopg") is not None, reason="the driver is installed")
def test_a_missing_driver_is_named_without_the_password(here: Path) -> None:
    url = "postgresql+psycopg://me:secret@localhost/x"
    done = explore("worker", "budget.yaml", "--storage", url, cwd=here)
    assert done.returncode == 2
    assert "pip install 'explorer[storage]'" in done.stderr
    assert "secret" not in done.stderr


def test_a_second_run_in_the_same_folder_is_refused_while_one_is_at_it(here: Path) -> None:
    from explorer.files import only_one

    with only_one(here / "out"):
        done = explore("run", "budget.yaml", "-o", "out", cwd=here)
    assert done.returncode == 2
    assert "being written by another run" in done.stderr
