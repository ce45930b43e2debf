"""The main job as a person runs it: a budget in, files and an exit code out."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from program import ROOT, explore

from explorer.result import load
from explorer.search.crew import cores

FILES = ("report.html", "trials.parquet", "front.csv", "summary.json", "budget.yaml", "journal.log")
STUDY = (ROOT / "studies" / "one-node.yaml").read_text("utf-8")


def test_a_run_writes_its_files_and_its_answer(one_node: Path) -> None:
    assert all((one_node / name).is_file() for name in FILES)
    assert (one_node / "report.html").stat().st_size < 2_000_000
    summary = json.loads((one_node / "summary.json").read_text("utf-8"))
    assert summary["search"]["hypervolume_share"] > 0.98
    assert summary["search"]["model_evaluations"] <= 0.01 * summary["search"]["n_lattice"] + 1
    assert summary["verdict"]["sentence"]
    assert summary["verdict"]["with_interval"]
    best = summary["picks"]["best-loss"]
    assert best["n_params"] <= 8e9
    assert best["serving_bytes"] <= 24 * 2**30


def test_the_last_sentence_says_what_the_sampler_did_inside_itself(one_node: Path) -> None:
    result = load(one_node)
    search = result.search
    assert search.model_weighed > 0
    said = f"; auto looked at {search.model_evaluations:,} designs and weighed {search.model_weighed:,} by closed forms"
    assert result.lines()[-1].endswith(said)
    other = replace(search, sampler="random", model_evaluations=0, model_weighed=0)
    assert "looked at" not in replace(result, search=other).lines()[-1]


def test_a_dashboard_finds_names_units_and_limits_in_the_journal(one_node: Path) -> None:
    # As optuna-dashboard opens it: by its path, with Optuna's own reader alone.
    backend = optuna.storages.journal.JournalFileBackend(str(one_node / "journal.log"))
    (summary,) = optuna.get_all_study_summaries(optuna.storages.JournalStorage(backend))
    study = optuna.load_study(study_name="one-node", storage=optuna.storages.JournalStorage(backend))
    assert summary.study_name == "one-node"
    assert study.metric_names == ["loss", "context_length"]
    assert study.user_attrs["units"] == {"loss": "nats/token", "context_length": "tokens"}
    assert "excess_<limit>" in study.user_attrs["constraints"]
    trials = study.get_trials(deepcopy=False)
    assert len(trials) == 300
    for trial in trials:
        shown = trial.user_attrs
        assert {"step_seconds", "peak_device_bytes", "gpu_hours", "n_params"} <= set(shown)
        limits = {k: v for k, v in shown.items() if k.startswith("excess_")}
        assert {"excess_parameters", "excess_gpu_memory", "excess_training", "excess_serving"} <= set(limits)
        assert shown["feasible"] == (max(limits.values()) <= 0)
        assert (shown["loss"], shown["context_length"]) == tuple(trial.values)


def test_the_same_seed_gives_the_same_front_in_another_process(one_node: Path, tmp_path: Path) -> None:
    again = explore("run", "studies/one-node.yaml", "-o", str(tmp_path / "again"))
    assert again.returncode == 0
    assert (tmp_path / "again" / "front.csv").read_bytes() == (one_node / "front.csv").read_bytes()


def test_a_run_of_another_budget_is_refused_with_what_changed(one_node: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(STUDY.replace("parameters: 8B", "parameters: 7B"), "utf-8")
    before = (one_node / "front.csv").read_bytes()
    refused = explore("run", str(other), "-o", str(one_node))
    assert refused.returncode == 2
    assert "budget.parameters" in refused.stderr
    assert (one_node / "front.csv").read_bytes() == before


def test_an_interrupted_run_continues_to_the_same_front(one_node: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    program = Path(sys.executable).with_name("explore")
    process = subprocess.Popen(
        [str(program), "run", "studies/one-node.yaml", "-o", str(folder)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # A shell that starts the tests in the background has its children ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )  # fmt: skip
    journal = folder / "journal.log"
    end = time.monotonic() + 60
    while time.monotonic() < end and not (journal.is_file() and journal.stat().st_size > 20_000):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    assert not (folder / "summary.json").exists()
    assert explore("run", "studies/one-node.yaml", "-o", str(folder)).returncode == 0
    assert (folder / "front.csv").read_bytes() == (one_node / "front.csv").read_bytes()


def test_a_budget_that_nothing_meets_exits_3_and_names_the_limit(tmp_path: Path) -> None:
    study = tmp_path / "tight.yaml"
    study.write_text(STUDY.replace("serving: {gpu_memory: 24GiB", "serving: {gpu_memory: 360MiB"), "utf-8")
    done = explore("run", str(study), "-o", str(tmp_path / "tight"))
    assert done.returncode == 3, done.stderr
    assert "serving" in done.stdout
    assert (tmp_path / "tight" / "report.html").is_file()
    # The nearest design is the lattice's, not the nearest of those that happened to be asked for.
    check = json.loads(explore("check", str(study), "--json").stdout)
    summary = json.loads((tmp_path / "tight" / "summary.json").read_text("utf-8"))
    nearest = summary["nearest"][0]
    assert nearest["excess_serving"] == pytest.approx(check["nearest"]["serving"])
    assert (
        f"nearest design: c = {nearest['context_length']:,.0f}, d = {nearest['d_model']:,.0f}" in done.stdout
    )


def test_every_mistake_is_one_line_with_its_place(tmp_path: Path) -> None:
    study = tmp_path / "budget.yaml"
    study.write_text(
        "name: bad\n"
        "budget:\n"
        "  parameters: 7GiB\n"
        "  gpu_memory: 80\n"
        "  training: {gpu_hours: 20k}\n"
        "hardware: {accelerator: h100-sxm-80g, gpus: 8}\n"
        "space:\n"
        "  d_modl: {from: 1024, to: 2048}\n"
        "  n_layers: {from: 96, to: 8}\n"
        "quality: {law: besiroglu-2023, corpus: books}\n",
        "utf-8",
    )
    done = explore("run", str(study), "-o", str(tmp_path / "out"))
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    places = [line.split(": ")[0].removeprefix(str(study)) for line in lines]
    assert [p.split(":")[1] for p in places] == ["3", "4", "6", "8", "9", "10"]
    assert not (tmp_path / "out").exists()


def test_starter_runs(tmp_path: Path) -> None:
    assert explore("init", "budget.yaml", cwd=tmp_path).returncode == 0
    assert explore("init", "budget.yaml", cwd=tmp_path).returncode == 2
    assert explore("check", "budget.yaml", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["one-gpu", "one-node", "cluster"])
def test_check_answers_for_every_study(name: str) -> None:
    done = explore("check", f"studies/{name}.yaml", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 0 < found["n_feasible"] <= found["n_lattice"]


def test_a_report_is_drawn_again_from_its_files(one_node: Path) -> None:
    page = one_node / "report.html"
    before = page.read_text("utf-8")
    page.unlink()
    assert explore("report", str(one_node)).returncode == 0
    assert len(page.read_text("utf-8")) == pytest.approx(len(before), rel=0.01)


@pytest.mark.skipif(cores() < 2, reason="one core enumerates alone")
@pytest.mark.parametrize("ways", ["Ctrl-C", "scheduler"])
def test_an_interrupt_while_cores_enumerate_leaves_no_process_and_a_folder_to_go_on_in(
    tmp_path: Path, ways: str
) -> None:
    folder = tmp_path / "cut"
    command = (
        "run",
        "tests/benchmarks/levers.yaml",
        "--within",
        "1%",
        "--most-evaluated",
        "20k",
        "-o",
        str(folder),
    )
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("explore")), *command],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )  # fmt: skip
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None and not _children(process.pid):
        time.sleep(0.01)
    helpers = _children(process.pid)
    assert helpers
    # A terminal interrupts every process of the group, a scheduler terminates the one that it started.
    if ways == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    assert said.splitlines()[-1] == f"interrupted; the same command continues the run in {folder}"
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert sorted(path.name for path in folder.iterdir()) == ["budget.yaml"]
    if ways == "Ctrl-C":
        assert explore(*command).returncode == 0
        assert (folder / "summary.json").is_file()


def _children(pid: int) -> list[int]:
    """Processes that a process started; none where it is gone."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text("ascii").split())
    return found


def test_an_enumeration_that_may_end_early_says_how_close_it_is(tmp_path: Path) -> None:
    study = tmp_path / "early.yaml"
    text = STUDY.replace("n_kv_heads: 8", "n_kv_heads: [2, 8]").replace(
        "multiple_of: 128}", "multiple_of: 512}"
    )
    study.write_text(
        text.replace("{maximize: context_length}]", "{maximize: context_length}, {minimize: n_params}]"),
        "utf-8",
    )
    runs: dict[str, dict[str, Any]] = {}
    for name, *limit in (
        ("whole",),
        ("close", "--sampler", "exact", "--within", "5%"),
        ("few", "--most-evaluated", "300"),
    ):
        folder = tmp_path / name
        done = explore("run", str(study), "--trials", "20", *limit, "--json", "-o", str(folder))
        assert done.returncode == 0, done.stderr
        runs[name] = json.loads(done.stdout)
        search, page = runs[name]["search"], (folder / "report.html").read_text("utf-8")
        assert search == json.loads((folder / "summary.json").read_text("utf-8"))["search"]
        assert search["n_proved"] + search["n_undecided"] == search["n_lattice"]
        n = f"{search['n_evaluated']:,} of them evaluated"
        if name == "whole":
            assert (search["n_undecided"], search["gap"]) == (0, 0)
            assert f"exact, proven over {search['n_lattice']:,} designs, {n}" in page
            assert "of the exact front" in page
            continue
        assert search["n_undecided"] > 0
        # The figure that is told is the one attained, raised to two digits.
        told = re.search(r"within ([0-9.]+)% of the best possible", page)
        assert told
        assert 0 <= float(told[1]) / 100 - search["gap"] < 0.1 * search["gap"] + 1e-12
        assert f"{search['n_proved']:,} of {search['n_lattice']:,} designs decided, {n}" in page
        assert "best possible hypervolume" in page
        assert "exact front of the whole lattice" not in page
        # Repeatable, and the bound holds: the exact front is no better.
        again = tmp_path / f"{name}-again"
        assert (
            explore("run", str(study), "--trials", "20", *limit, "--quiet", "-o", str(again)).returncode == 0
        )
        assert (again / "front.csv").read_bytes() == (folder / "front.csv").read_bytes()
    assert runs["close"]["search"]["gap"] <= 0.05
    assert runs["close"]["search"]["n_evaluated"] <= runs["whole"]["search"]["n_evaluated"]
    assert runs["few"]["search"]["n_evaluated"] <= 300


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--within", "0", "--within takes a share above 0 and up to 1, such as 0.05 or 5%, got '0'"),
        ("--within", "close", "--within takes a share above 0 and up to 1, such as 0.05 or 5%, got 'close'"),
        ("--within", "101%", "--within takes a share above 0 and up to 1, such as 0.05 or 5%, got '101%'"),
        ("--most-evaluated", "0", "--most-evaluated takes a whole number of at least 1, got '0'"),
        ("--most-evaluated", "1.5", "--most-evaluated takes a whole number of at least 1, got '1.5'"),
    ],
)
def test_an_end_of_the_enumeration_that_makes_no_sense_is_one_line(
    tmp_path: Path, option: str, value: str, told: str
) -> None:
    folder = tmp_path / "none"
    done = explore("run", "studies/one-node.yaml", option, value, "-o", str(folder))
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") <= 2
    assert not folder.exists()
