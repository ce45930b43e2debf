"""The main job as a person runs it: a budget in, files and an exit code out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import explore


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
