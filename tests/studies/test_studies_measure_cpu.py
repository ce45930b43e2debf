"""The measured study: its transformer is the one that is modelled, its gradients are right, its answer counts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from program import ROOT

import explorer
from explorer.cost import memory, parameters
from explorer.design import Design
from explorer.evidence.apart import taken_apart
from explorer.evidence.chosen import plan_of
from explorer.search import Problem
from explorer.search.exact import exact_front


def load(name: str) -> ModuleType:
    path = ROOT / "studies" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


program, study = load("numpy_transformer"), load("measure_cpu")
SMALL = {
    "context_length": 7, "d_model": 12, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_head": 6, "d_ff": 10,
    "vocab_size": 11, "micro_batch": 2, "global_batch": 4,
}  # fmt: skip


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_every_gradient_agrees_with_finite_differences(n_kv_heads: int) -> None:
    design = {**SMALL, "n_kv_heads": n_kv_heads}
    rng = np.random.default_rng(1)
    weights = program.init(design, seed=0, dtype=np.float64)
    for name, weight in weights.items():
        if weight.ndim == 1:
            weights[name] = weight + 0.1 * rng.standard_normal(weight.shape)
    tokens = rng.integers(0, 11, (2, 8))
    _, gradients = program.loss_and_gradients(weights, design, tokens)
    assert gradients.keys() == weights.keys()
    step = 1e-6
    for name, weight in weights.items():
        direction = rng.standard_normal(weight.shape)
        direction /= np.linalg.norm(direction)
        losses = [
            program.loss_and_gradients({**weights, name: weight + sign * step * direction}, design, tokens)[0]
            for sign in (1, -1)
        ]
        slope = (losses[0] - losses[1]) / (2 * step)
        assert (gradients[name] * direction).sum() == pytest.approx(slope, rel=1e-5, abs=1e-9), name


def test_no_token_sees_a_later_one() -> None:
    weights = program.init(SMALL, dtype=np.float64)
    tokens = np.random.default_rng(2).integers(0, 11, (1, 8))
    changed = tokens.copy()
    changed[0, -1] = (changed[0, -1] + 1) % 11
    # Only the last target changes: all gradients but those of the last position's loss stay.
    first = program.loss_and_gradients(weights, SMALL, tokens[:, :-1])[0]
    assert program.loss_and_gradients(weights, SMALL, changed[:, :-1])[0] == first
    assert program.loss_and_gradients(weights, SMALL, tokens)[0] != first


def test_it_has_the_parameters_that_the_model_counts() -> None:
    weights = program.init(SMALL)
    sizes = {k: v for k, v in SMALL.items() if k not in ("micro_batch", "global_batch")}
    assert sum(w.size for w in weights.values()) == parameters(Design(**sizes)).total


def test_training_lowers_the_loss_of_what_is_repeated() -> None:
    weights, state = program.init(SMALL), {}
    tokens = np.random.default_rng(3).integers(0, 11, (2, 8))
    losses = []
    for step in range(1, 60):
        loss, gradients = program.loss_and_gradients(weights, SMALL, tokens)
        program.adamw(weights, gradients, state, step)
        losses.append(loss)
    assert losses[0] == pytest.approx(np.log(11), rel=0.3)
    assert losses[-1] < 0.95 * losses[0]


def test_a_run_takes_the_measured_step_and_memory(tmp_path: Path) -> None:
    budget = explorer.load(ROOT / "studies" / "measure_cpu.yaml")
    result = explorer.run(budget, trials=3, evaluator=study.train, n_draws=0)
    trials = result.trials
    assert len(trials) == 3
    assert {a.metric for a in result.search.agreement} == {"step_seconds", "peak_allocated_bytes"}
    assert (trials["peak_allocated_bytes"] > 1.2 * 16 * trials["n_params"]).all()
    # The day's tokens are those that the measured step allows.
    tokens_per_step = trials["global_batch"] * trials["context_length"]
    np.testing.assert_allclose(trials["n_tokens"], 24 * 3600 / trials["step_seconds"] * tokens_per_step)


def test_a_cpu_keeps_no_context_of_a_driver() -> None:
    problem = Problem(explorer.load(ROOT / "studies" / "measure_cpu.yaml"))
    design = Design.of(512, 256, 4, n_heads=8, d_head=32, vocab_size=1024)
    apart = taken_apart(problem, {0: design}).iloc[0]
    assert apart["memory: context and buffers"] == 0
    assert apart.filter(like="memory: ").sum() == pytest.approx(1.04 * _allocated(problem, design), rel=1e-9)
    found = exact_front(problem)
    table = pd.DataFrame(problem.columns(found.points))
    assert (table["peak_device_bytes"] / table["peak_allocated_bytes"]).to_numpy() == pytest.approx(
        1.04, rel=1e-9
    )


def _allocated(problem: Problem, design: Design) -> float:
    plan = plan_of(problem, design)
    assert plan is not None
    return float(memory(design, plan).peak_allocated_bytes)
