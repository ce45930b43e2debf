"""The trade on a real budget, cost model and plans included."""

from pathlib import Path

import pytest

import explorer
from explorer.claims import trade, verdict
from explorer.search.problem import Problem

ONE_NODE = Path(__file__).parents[2] / "studies" / "one-node.yaml"


@pytest.fixture(scope="module")
def made():
    return trade(Problem(explorer.load(ONE_NODE)), n_draws=60)


def test_arms_stay_within_the_budget(made):
    for corpus in made.corpora.values():
        for arm in corpus.arms.values():
            assert all(share <= 1 + 1e-9 for share in arm.limits.values()), arm
            assert set(arm.limits) == set(made.limits)


def test_limits_and_law_are_named(made):
    v = verdict(made)
    assert made.limits["gpu_memory"] < 80 * 2**30
    assert "parameter limit" in v.limited_by
    assert any("n_tokens" in e for e in v.extrapolated)


def test_corpora_differ_and_nu_zero_leaves_nothing(made):
    v = verdict(made)
    assert (
        v.by_corpus["code"]["context_C"] > v.by_corpus["books"]["context_C"] > v.by_corpus["web"]["context_C"]
    )
    assert "models no benefit" in v.by_corpus["short"]["sentence"]
    for corpus in made.nu_zero.values():
        assert corpus.width.nats.central < 0.001


def test_a_baseline_keeps_its_shape():
    text = ONE_NODE.read_text(encoding="utf-8") + "\nbaseline: llama-2-7b\n"
    found = trade(Problem(explorer.load(text)), n_draws=20).asked
    arm = found.arms["baseline"]
    assert arm.label == "llama-2-7b"
    assert (arm.d_model, arm.n_layers) == (4096, 32)
    assert arm.n_params == 6_738_415_616
    assert arm.loss.central >= found.arms["C"].loss.central - 0.01
