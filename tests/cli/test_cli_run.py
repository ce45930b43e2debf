"""The main job as a person runs it: a budget in, files and an exit code out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from program import ROOT, explore

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
