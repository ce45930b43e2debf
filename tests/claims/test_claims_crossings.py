"""Known crossovers of the idea's block, solved from the cost functions."""

import pytest

from explorer.claims.blocks import gated, plain
from explorer.claims.crossings import flops_by_part, flops_equal, quadratic_share


@pytest.mark.parametrize("d", [512, 4096, 14848])
def test_model_flops_cross_at_6d_and_12d(d):
    def block(c):
        return plain(c, d)

    assert flops_equal(block, "full") / d == pytest.approx(6, rel=1e-9)
    assert flops_equal(block, "causal") / d == pytest.approx(12, rel=1e-9)


def test_with_flash_backward_counted():
    def block(c):
        return plain(c, 4096)

    assert flops_equal(block, "full", kernel="flash") / 4096 == pytest.approx(5.1, abs=0.05)
    assert flops_equal(block, "causal", kernel="flash") / 4096 == pytest.approx(10.3, abs=0.05)
    assert flops_equal(block, "full", kernel="naive") / 4096 == pytest.approx(6, rel=1e-9)


def test_quadratic_share_at_c_equal_d():
    assert quadratic_share(plain(4096, 4096), "full") == pytest.approx(1 / 7, rel=1e-12)
    assert quadratic_share(plain(4096, 4096), "causal") == pytest.approx(1 / 13, rel=1e-12)


def test_attention_part_against_feed_forward():
    # 8d² + 4cd = 16d² (full) and 8d² + 2cd = 16d² (causal).
    assert flops_equal(lambda c: plain(c, 4096), "full", against="feed-forward") == pytest.approx(2 * 4096)
    assert flops_equal(lambda c: plain(c, 4096), "causal", against="feed-forward") == pytest.approx(4 * 4096)


def test_parts_are_shares():
    assert sum(flops_by_part(gated(2048)).values()) == pytest.approx(1.0)
