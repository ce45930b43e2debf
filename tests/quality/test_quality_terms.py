"""The loss, its terms and its broadcasting."""

import math

import numpy as np
import pytest

from explorer import quality
from explorer.errors import UnknownName

LAW = quality.law()
AT_7B = {"n_params": 7e9, "n_tokens": 1.4e11, "context_length": 2048.0, "aspect": None}


def test_besiroglu_by_hand():
    expected = 1.8172 + 482.01 / 7e9**0.3478 + 2085.43 / 1.4e11**0.3658
    k = quality.central(LAW, "books", delta=0)
    assert quality.loss(k, **AT_7B) == pytest.approx(expected, rel=1e-12)


def test_hoffmann_at_chinchilla():
    k = quality.central(quality.law("hoffmann-2022"), "short", aspect="none", delta=0)
    value = quality.loss(k, n_params=70e9, n_tokens=1.4e12, context_length=2048.0, aspect=None)
    assert value == pytest.approx(1.6934 + 406.4 / 70e9**0.3392 + 410.7 / 1.4e12**0.2849, rel=1e-12)
    # Equation 10 as printed, with its rounded constants.
    assert value == pytest.approx(1.69 + 406.4 / 70e9**0.34 + 410.7 / 1.4e12**0.28, abs=0.02)


def test_kaplan_is_equation_1_5():
    n, d = 3e8, 1e10
    expected = ((6.4e13 / n) ** (0.076 / 0.103) + 1.8e13 / d) ** 0.103
    law = quality.law("kaplan-2020")
    assert law.n_counts == "non_embedding"
    k = quality.central(law, "web", aspect="none", delta=0)
    value = quality.loss(k, n_params=n, n_tokens=d, context_length=1024.0, aspect=None)
    assert value == pytest.approx(expected, rel=1e-9)


def test_context_term_is_zero_at_the_laws_own_window():
    for name in quality.laws():
        law = quality.law(name)
        k = quality.central(law, "code")
        assert quality.context_term(k, 7e9, law.reference_context) == pytest.approx(0, abs=1e-15)


def test_context_term_by_hand():
    k = quality.central(LAW, "books")
    scale = 0.9 * 0.129 * (1e9 / 7e9) ** -0.12
    assert quality.context_term(k, 1e9, 8192.0) == pytest.approx(scale * (4**-0.48 - 1), rel=1e-12)


def test_constant_schedule_is_what_is_left_of_a_staged_one():
    k = quality.central(LAW, "books")
    constant = quality.loss(k, **{**AT_7B, "context_length": 4096.0})
    for short in (4096, 8192):  # a short window not below c: the constant design
        staged = quality.loss(k, **{**AT_7B, "context_length": 4096.0}, staged_from=short, staged_share=0.2)
        assert staged == constant


def test_staged_schedule_by_hand():
    k = quality.central(LAW, "books")
    r = 0.2 * 1.4e11 / (0.2 * 1.4e11 + k.recovery_tokens)
    shape = [2.0**-0.48 - 1, 16.0**-0.48 - 1]
    expected = 0.9 * 0.129 * (shape[0] + r * (shape[1] - shape[0]))
    given = {"staged_from": 4096, "staged_share": 0.2}
    assert quality.context_term(k, 7e9, 32768.0, n_tokens=1.4e11, **given) == pytest.approx(expected)
    window = k.delta * (0.8 * math.log(2) + 0.2 * math.log(16))
    assert quality.window_term(k, 32768.0, **given) == pytest.approx(window)


def test_scalars_arrays_and_draws_agree():
    p = quality.posterior(LAW, "code", 7, seed=3)
    c = np.array([2048.0, 8192, 65536])[:, None, None]
    d = np.array([1024.0, 4096, 8192, 12288])[:, None]
    layers = np.array([8.0, 80])
    n = 12 * d**2 * layers
    staged_from = np.array([0.0, 4096])  # along the last axis: one constant, one staged
    given = {"n_params": n, "n_tokens": 20 * n, "context_length": c, "aspect": d / layers}
    grid = quality.loss(p.coefficients, **given, staged_from=staged_from, staged_share=0.1)
    assert grid.shape == (7, 3, 4, 2)
    one = quality.loss(
        p.coefficients.take(5), n_params=n[2, 1], n_tokens=20 * n[2, 1], context_length=65536.0,
        aspect=8192 / 80, staged_from=4096, staged_share=0.1,
    )  # fmt: skip
    assert one == pytest.approx(grid[5, 2, 2, 1], rel=1e-12)
    assert np.ndim(one) == 0


def test_separable_terms_make_the_loss():
    p = quality.posterior(LAW, "books", 5, seed=1).coefficients
    n, tokens, c = np.array([[1e9, 7e9]]), np.array([[2e10, 1e11]]), np.array([[2048.0], [32768.0]])
    parts = quality.combine(
        p, quality.capacity_term(p, n), quality.data_term(p, tokens),
        quality.context_term(p, n, c), quality.window_term(p, c), quality.aspect_factor(p, 60.0, n),
    )  # fmt: skip
    whole = quality.loss(p, n_params=n, n_tokens=tokens, context_length=c, aspect=60.0)
    np.testing.assert_allclose(parts, whole, rtol=1e-13)
    assert whole.shape == (5, 2, 2)


def test_names_are_checked():
    with pytest.raises(UnknownName, match="besiroglu-2024"):
        quality.law("besiroglu")
    with pytest.raises(UnknownName, match="books"):
        quality.central(LAW, "bookz")
    with pytest.raises(UnknownName, match="levine"):
        quality.central(LAW, "books", aspect="levin")
