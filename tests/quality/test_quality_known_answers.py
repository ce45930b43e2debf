"""Answers of the law that can be derived by hand or were computed independently."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from explorer import quality

LAW = quality.law()


def coefficients(**changes):
    # The stated setting: Besiroglu's constants, s = 1, delta = 0, b = .48, no aspect factor.
    base = quality.central(LAW, "books", aspect="none", delta=0.0)
    return base.with_(**{"s": 1.0, "b": 0.48, **changes})


def width(n_params):
    """d of a design with N = 12·d²·L and d / L = 100."""
    return (100 * n_params / 12) ** (1 / 3)


def flops_per_token(n_params, context_length):
    """Causal model FLOPs without vocabulary: 6N (1 + c / 12d)."""
    return 6 * n_params * (1 + context_length / (12 * width(n_params)))


def loss_at(k, n_params, context_length, flops):
    tokens = flops / flops_per_token(n_params, context_length)
    given = {"n_params": n_params, "n_tokens": tokens, "context_length": context_length, "aspect": None}
    return float(quality.loss(k, **given))


def best_context(k, n_params, flops):
    found = minimize_scalar(
        lambda log_c: loss_at(k, n_params, np.exp(log_c), flops),
        bounds=(np.log(2048), np.log(1e6)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(np.exp(found.x)), float(found.fun)


def best(k, flops):
    found = minimize_scalar(
        lambda log_n: best_context(k, np.exp(log_n), flops)[1],
        bounds=(np.log(1e8), np.log(1e12)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    n_params = float(np.exp(found.x))
    return n_params, best_context(k, n_params, flops)[0]


def budget(n_params):
    """20 tokens per parameter at c = 2048."""
    return 20 * n_params * flops_per_token(n_params, 2048)


@pytest.mark.parametrize(
    ("nu", "n_params", "context", "optimum"),
    [
        (0.12, 1e9, 9.3e3, 0.85e9),
        (0.12, 7e9, 20.3e3, 5.4e9),
        (0.12, 70e9, 52.9e3, 43e9),
        (0.183, 1e9, 10.5e3, None),
        (0.183, 7e9, 21.3e3, None),
        (0.183, 70e9, 50.7e3, None),
    ],
)
def test_best_context_with_free_size(nu, n_params, context, optimum):
    n_found, c_found = best(coefficients(nu=nu), budget(n_params))
    assert c_found == pytest.approx(context, rel=0.01)
    if optimum is not None:
        assert n_found == pytest.approx(optimum, rel=0.015)


@pytest.mark.parametrize(("n_params", "context"), [(1e9, 9.0e3), (7e9, 19.5e3), (70e9, 48.6e3)])
def test_best_context_at_fixed_size(n_params, context):
    found, _ = best_context(coefficients(nu=0.12), n_params, budget(n_params))
    assert found == pytest.approx(context, rel=0.01)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("delta", [0.0, 0.01])
def test_optimum_condition_at_fixed_size_and_compute(full, delta):
    """s·K·b·(c/2048)^-b = beta·(B/D^beta)·x/(1+x) + delta, with x = c/12d causal or c/6d full."""
    k, n, d = coefficients(nu=0.12, delta=delta), 7e9, width(7e9)
    per = (6 if full else 12) * d
    flops = 20 * n * 6 * n * (1 + 2048 / per)

    def tokens(c):
        return flops / (6 * n * (1 + c / per))

    def condition(log_c):
        c = np.exp(log_c)
        x = c / per
        gain = quality.context_scale(k, n) * k.b * (c / 2048) ** -k.b
        return gain - k.beta * quality.data_term(k, tokens(c)) * x / (1 + x) - delta

    solved = np.exp(brentq(condition, np.log(2048), np.log(1e6)))
    lattice = 2048 * 2 ** (np.arange(0, 33) / 4)  # four steps per octave, as budgets search
    losses = quality.loss(k, n_params=n, n_tokens=tokens(lattice), context_length=lattice, aspect=None)
    searched = lattice[np.argmin(losses)]
    assert abs(np.log2(searched / solved)) <= 0.25


def test_width_is_not_worth_trading_without_nu():
    """With nu = 0 the context term does not depend on N: freeing N there gains next to nothing."""
    for corpus in ("short", "web", "books", "code"):
        k = quality.central(LAW, corpus, aspect="none", nu=0.0, delta=0.0)
        for n_params in (1e9, 7e9, 70e9):
            flops = budget(n_params)
            at_2048 = minimize_scalar(
                lambda log_n, k=k, flops=flops: loss_at(k, np.exp(log_n), 2048, flops),
                bounds=(np.log(1e8), np.log(1e12)),
                method="bounded",
            )
            kept = best_context(k, float(np.exp(at_2048.x)), flops)[1]
            n_free, c_free = best(k, flops)
            assert 0 <= kept - loss_at(k, n_free, c_free, flops) + 1e-7 < 0.001
