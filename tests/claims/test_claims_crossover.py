"""Crossovers against closed forms, and the idea's own algebra."""

import math

import pytest

from explorer.claims import naive
from explorer.claims.crossover import crossover


@pytest.mark.parametrize("d", [64, 4096, 14848])
def test_naive_count_is_even_at_c_equal_d(d):
    assert naive.attention(d, d) == 4 * d * d == naive.feed_forward(d, d)
    root = crossover(lambda c: naive.attention(c, d), lambda c: naive.feed_forward(c, d))
    assert root == pytest.approx(d, rel=1e-9)


def test_never_and_always():
    assert crossover(lambda c: 0.0, lambda c: 1.0) == math.inf
    assert crossover(lambda c: 2.0, lambda c: 1.0) == 1.0


@pytest.mark.parametrize("ratio", [3.0, 1e3, 7.7e7])
def test_linear_against_constant(ratio):
    assert crossover(lambda c: c, lambda c: ratio) == pytest.approx(ratio, rel=1e-10)
