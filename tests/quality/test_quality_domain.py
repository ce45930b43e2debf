"""Where laws are extrapolated, the aspect factor's choices, schedules' recovery, lifetime compute."""

import numpy as np
import pytest

from explorer import quality
from explorer.quality.terms import levine_log_aspect

LAW = quality.law()


def test_flags_name_the_dimension():
    inside = {"n_params": 1e9, "n_tokens": 2e10, "context_length": 4096.0, "aspect": 50.0}
    assert not quality.outside(quality.domain_flags(LAW, **inside))
    for change, name in (
        ({"n_params": 7e10, "n_tokens": 3e11}, "n_params"),
        ({"n_tokens": 1e12}, "n_tokens"),
        ({"n_params": 6e7, "n_tokens": 1e11}, "tokens_per_param"),
        ({"context_length": 131072.0}, "context_length"),
        ({"n_params": 7e9, "n_tokens": 1e11}, "aspect"),
        ({"aspect": 500.0}, "aspect"),
    ):
        flags = quality.domain_flags(LAW, **{**inside, **change})
        assert flags[name], change
        assert quality.outside(flags)


def test_flags_broadcast_on_their_own_axes():
    n, c = np.array([1e9, 1e11])[:, None], np.array([2048.0, 65536.0])
    flags = quality.domain_flags(LAW, n_params=n, n_tokens=2e10, context_length=c)
    assert flags["n_params"].shape == (2, 1)
    assert flags["context_length"].tolist() == [False, True]
    assert quality.outside(flags).tolist() == [[False, True], [True, True]]


def test_staged_shares_outside_their_sources_are_flagged():
    low, high = quality.staged_share_range()
    given = {"n_params": 1e9, "n_tokens": 2e10, "context_length": 4096.0}
    shares = np.array([0.0, low / 2, low, high, (1 + high) / 2])
    flagged = quality.domain_flags(LAW, **given, staged_share=shares)["staged_share"]
    assert flagged.tolist() == [False, True, False, False, True]


def test_gemstones_factor_by_hand():
    k = quality.central(LAW, "books", aspect="gemstones")
    factor = quality.aspect_factor(k, 100.0, 8e9)
    assert factor == pytest.approx(np.exp(0.00412 * np.log(100 / 19.2) ** 2))
    assert quality.aspect_factor(k, 19.2, 8e9) == pytest.approx(1)
    # More than most effects under test: about .02 nats at a loss of 2.
    assert 2 * (factor - 1) == pytest.approx(0.02, abs=0.004)


def test_no_aspect_factor():
    k = quality.central(LAW, "books", aspect="none")
    assert quality.aspect_factor(k, 100.0, 8e9) == 1.0
    with_it = quality.central(LAW, "books", aspect="levine")
    assert quality.aspect_factor(with_it, None, 8e9) == 1.0


@pytest.mark.parametrize("n_layers", [12, 48, 96])
def test_levine_optimum_is_on_its_line(n_layers):
    # Levine et al. 2020: d = exp(5.039 + .0555 L), N = 12·L·d².
    d = np.exp(5.039 + 0.0555 * n_layers)
    n_params = 12 * n_layers * d**2
    assert levine_log_aspect(n_params) == pytest.approx(np.log(d / n_layers), rel=1e-9)
    k = quality.central(LAW, "books", aspect="levine")
    assert quality.aspect_factor(k, d / n_layers, n_params) == pytest.approx(1)


def test_recovery_rises_with_extension_tokens():
    k = quality.central(LAW, "books")
    r = quality.recovery(k, np.array([0.0, 1e9, 1e10, 1e11, 1e13]))
    assert np.all(np.diff(r) > 0)
    assert r[0] == 0
    assert r[-1] > 0.99
    assert quality.recovery(k, k.recovery_tokens) == pytest.approx(0.5)


def test_staged_is_between_its_windows():
    k = quality.central(LAW, "books", delta=0)
    given = {"n_params": 7e9, "n_tokens": 1.4e11, "aspect": None}
    short = quality.loss(k, context_length=4096.0, **given)
    long = quality.loss(k, context_length=32768.0, **given)
    staged = quality.loss(k, context_length=32768.0, staged_from=4096, staged_share=0.2, **given)
    assert long < staged < short


def test_a_fifth_of_the_tokens_regains_most_of_the_gain():
    """Xiong et al. 2023, Table 11: 4k, then 32k for the last fifth of 410B tokens, against 32k throughout."""
    draws = quality.posterior(LAW, "books", 500, seed=0, aspect="none").coefficients
    given = {"n_params": 6.7e9, "n_tokens": 4.1e11, "context_length": 32768.0, "aspect": None}
    lead = quality.loss(draws, **given) - quality.loss(draws, **given, staged_from=4096, staged_share=0.2)
    low, high = np.quantile(lead, (0.05, 0.95))
    assert low < np.log(6.52 / 6.49) < high  # books: perplexity 6.49 against 6.52


def test_lifetime_compute_is_sardana_s():
    # Sardana et al. 2024, equation 2: 6·N·D + 2·N·D_inference.
    n, d, served = 7e9, 1.4e11, np.array([0.0, 2e12])
    lifetime = quality.lifetime_flops(
        train_flops=6 * n * d, forward_flops_per_token=2 * n, served_tokens=served
    )
    np.testing.assert_allclose(lifetime, 6 * n * d + 2 * n * served)


def test_blind_levers_say_why():
    assert {"n_kv_heads", "window", "vocab_size"} <= set(quality.BLIND_LEVERS)
    assert all(quality.BLIND_LEVERS.values())
