"""Known answers of the law's optimum, and the condition any optimum at fixed size has to obey."""

import numpy as np
import pytest

from explorer import quality
from explorer.claims.arms import solve
from explorer.claims.blocks import plain, published
from explorer.claims.crossings import bytes_equal, quadratic_share
from explorer.claims.judged import judge
from explorer.claims.unlimited import ASPECT, REFERENCE, budget, landscape, width_of
from explorer.cost.flops import flops
from explorer.design import Plan

LAW = quality.law("besiroglu-2024")


def coefficients(nu):
    k = quality.central(LAW, "books", aspect="none", nu=nu, delta=0.0)
    return k.with_(s=1.0, b=0.48)


@pytest.mark.parametrize(
    ("nu", "n_params", "context", "n_best"),
    [
        (0.12, 1e9, 9.3e3, 0.85e9),
        (0.12, 7e9, 20.3e3, 5.4e9),
        (0.12, 70e9, 52.9e3, 43e9),
        (0.183, 1e9, 10.5e3, None),
        (0.183, 7e9, 21.3e3, None),
        (0.183, 70e9, 50.7e3, None),
    ],
)
def test_free_optimum(nu, n_params, context, n_best):
    g = landscape(n_params)
    c = solve([g], REFERENCE, {"x": coefficients(nu)})["x"].arms["C"]
    assert g.contexts[c.context[0]] == pytest.approx(context, rel=0.015)
    if n_best is not None:
        assert g.n_law[0, c.shape[0]] == pytest.approx(n_best, rel=0.015)


@pytest.mark.parametrize(("n_params", "context"), [(1e9, 9.0e3), (7e9, 19.5e3), (70e9, 48.6e3)])
def test_optimum_at_fixed_size(n_params, context):
    g = landscape(n_params)
    own = int(np.abs(g.d_model - width_of(n_params)).argmin())
    b = solve([g], REFERENCE, {"x": coefficients(0.12)}, shapes_of_a={"x": own})["x"].arms["B"]
    assert g.contexts[b.context[0]] == pytest.approx(context, rel=0.015)


@pytest.mark.parametrize("delta", [0.0, 0.01])
@pytest.mark.parametrize("corpus", ["web", "books", "code"])
def test_first_order_condition(corpus, delta):
    """s·K·b·(c/2048)^(−b) = β·(B/D^β)·x/(1+x) + δ with x = c/(12d), between the optimum's neighbours."""
    n = 7e9
    d = width_of(n)
    k = quality.central(LAW, corpus, aspect="none", delta=delta)
    g = landscape(n)
    own = int(np.abs(g.d_model - d).argmin())
    c = g.contexts
    tokens = budget(n) / np.array([float(flops(plain(float(x), d, d / ASPECT)).train_per_token()) for x in c])
    x = c / (12 * d)
    gain = float(quality.context_scale(k, n)) * k.b * (c / 2048) ** (-k.b)
    cost = k.beta * np.asarray(quality.data_term(k, tokens)) * x / (1 + x) + np.where(c > 2048, delta, 0.0)
    crossing = c[np.flatnonzero(gain < cost)[0]]
    found = solve([g], REFERENCE, {"x": k}, shapes_of_a={"x": own})["x"].arms["B"]
    assert abs(np.log2(g.contexts[found.context[0]] / crossing)) <= 1.01 / 48


def test_without_nu_trading_width_is_worth_less_than_a_thousandth():
    for n_params in (1e9, 7e9, 70e9):
        g = landscape(n_params, per_octave=12)
        k = {
            name: quality.central(LAW, name, aspect="none", nu=0.0)
            for name in ("short", "web", "books", "code")
        }
        for found in solve([g], REFERENCE, k).values():
            assert 0 <= found.value("width")[0] < 0.001


def test_shares_at_the_training_contexts():
    assert quadratic_share(published("llama-2-70b")) == pytest.approx(0.038, abs=0.0005)
    assert quadratic_share(published("falcon-180b")) == pytest.approx(0.013, abs=0.0005)


@pytest.mark.parametrize("d", [1024, 8192])
def test_saved_bytes_of_the_fused_block(d):
    naive = Plan(implementation="megatron", attention_kernel="naive", dropout=True)
    assert bytes_equal(lambda c: plain(c, d), naive) / 128 == pytest.approx(6.8, abs=0.005)
    assert bytes_equal(lambda c: plain(c, d), naive.with_(attention_kernel="flash")) == np.inf


@pytest.mark.parametrize(("model", "multiple"), [("gpt2", 16), ("llama-7b", 7.6), ("gpt-neox-20b", 5)])
def test_saved_bytes_of_published_blocks(model, multiple):
    design = published(model)
    naive = Plan(attention_kernel="naive", precision="bf16")
    crossing = bytes_equal(lambda c: design.with_(context_length=c), naive)
    assert crossing / design.d_head == pytest.approx(multiple, abs=0.05)


def test_published_models_are_judged_in_order_of_their_corpus():
    found = {c: judge("llama-2-70b", c, LAW, 60) for c in ("short", "web", "books", "code")}
    best = [j.best_context.central for j in found.values()]
    assert best == sorted(best)
    assert found["code"].gain.central > found["books"].gain.central > 0
    assert found["books"].gain.p05 >= 0
    assert "n_params" in found["books"].extrapolated
