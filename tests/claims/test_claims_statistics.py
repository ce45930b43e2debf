"""Quantiles, Monte Carlo intervals and variance shares against cases with known answers."""

import numpy as np
import pytest

from explorer.claims.statistics import estimate, probability, variance_share


def test_estimate_orders_infinities():
    found = estimate(1.0, np.array([1.0, 2.0, np.inf, np.inf]))
    assert (found.p05, found.p50, found.p95) == (1.0, 2.0, np.inf)
    assert not estimate(1.0).has_interval


def test_probability_interval_covers_and_closes_at_the_ends():
    half = probability(True, np.arange(400) % 2 == 0)
    assert half.central == 0.5
    assert half.p05 == pytest.approx(0.459, abs=0.003)
    assert half.p95 == pytest.approx(0.541, abs=0.003)
    assert probability(False, np.zeros(50, bool)).p05 == 0.0
    assert probability(True, np.ones(50, bool)).p95 == 1.0


def test_variance_share_of_a_linear_sum_and_of_noise():
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(3, 20_000))
    answer = 2 * x + y
    # Five equal-probability classes of a normal keep 90% of its variance.
    assert variance_share(x, answer) == pytest.approx(0.8 * 0.9, abs=0.02)
    assert variance_share(y, answer) == pytest.approx(0.2 * 0.9, abs=0.02)
    assert variance_share(z, answer) < 0.005
    category = rng.integers(0, 3, 20_000).astype(float)
    assert variance_share(category, category) == pytest.approx(1.0)
    assert variance_share(x, np.full(20_000, 2.0)) == 0.0
