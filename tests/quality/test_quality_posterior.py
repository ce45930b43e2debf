"""Draws: seeded, joint, monotone where they are kept, and comparable between corpora."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer import quality
from explorer.catalog.laws import Domain
from explorer.errors import ExplorerError, UnknownName

CORPORA = ("short", "web", "books", "code")
unit = st.floats(0, 1)
DRAWS = {
    (law, corpus): quality.posterior(law, corpus, 60, seed=7) for law in quality.laws() for corpus in CORPORA
}


def within(bounds, u):
    return float(np.exp(np.log(bounds[0]) + u * (np.log(bounds[1]) - np.log(bounds[0]))))


def point(law, u_n, u_d, u_c, u_a):
    """A point of the law's domain, tokens per parameter included."""
    domain = law.domain
    n = within(domain.n_params, u_n)
    low = max(domain.n_tokens[0], n * domain.tokens_per_param[0])
    high = min(domain.n_tokens[1], n * domain.tokens_per_param[1])
    d = within((low, max(low, high)), u_d)
    return n, d, within(domain.context_length, u_c), within((3.2, 256), u_a)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(DRAWS)), unit, unit, unit, unit, st.floats(1.001, 3), st.booleans())
def test_no_loss_rises_with_size_data_or_context(which, u_n, u_d, u_c, u_a, factor, staged):
    draws = DRAWS[which]
    law, domain = draws.law, draws.law.domain
    n, d, c, aspect = point(law, u_n, u_d, u_c, u_a)
    schedule = {"staged_from": 1024, "staged_share": 0.1} if staged else {}
    centre = quality.central(law, draws.corpus)
    for k in (draws.coefficients, centre.with_(delta=0.0), draws.coefficients.with_(delta=0.0)):

        def loss(n, d, c, k=k):
            given = {"n_params": n, "n_tokens": d, "context_length": c, "aspect": aspect}
            return np.asarray(quality.loss(k, **given, **schedule))

        here = loss(n, d, c)
        # A law whose domain has one window or size moves nowhere: the comparison is then of equals.
        more_n = min(n * factor, domain.n_params[1], d / domain.tokens_per_param[0])
        more_d = min(d * factor, domain.n_tokens[1], n * domain.tokens_per_param[1])
        if k is not centre and (k is draws.coefficients or which[0] != "kaplan-2020"):
            assert np.all(loss(max(n, more_n), d, c) <= here + 1e-12)
        assert np.all(loss(n, max(d, more_d), c) <= here + 1e-12)
        if not np.any(k.delta):
            assert np.all(loss(n, d, min(c * factor, domain.context_length[1])) <= here + 1e-12)


def test_central_values_are_monotone_too():
    for name in ("besiroglu-2024", "hoffmann-2022", "explorer-2026"):
        law = quality.law(name)
        n = np.geomspace(*law.domain.n_params, 50)[:, None, None]
        for corpus in CORPORA:
            k = quality.central(law, corpus, aspect="none")
            c = np.array(law.domain.context_length)[:, None]
            loss = quality.loss(k, n_params=n, n_tokens=np.array([1e9, 3e11]), context_length=c, aspect=None)
            assert np.all(np.diff(loss, axis=0) < 0)


def test_a_corpus_that_gains_very_much_has_a_central_value_that_falls():
    law = quality.law("besiroglu-2024")
    greedy = quality.Corpus(
        name="greedy", amplitude_low=3.0, amplitude_high=12.0, exponent=(0.65, 0.1), source="a test"
    )
    k = quality.central(law, greedy, aspect="none")
    own = quality.central(law, "books").nu
    assert 0 < k.nu < own
    n = np.geomspace(*law.domain.n_params, 200)
    for c in law.domain.context_length:
        given = {"n_tokens": law.domain.n_tokens[1], "context_length": c, "aspect": None}
        assert np.all(np.diff(quality.loss(k, n_params=n, **given)) < 0)
    higher = quality.loss(k.with_(nu=own), n_params=n, **given)
    assert np.any(np.diff(higher) > 0)
    said = quality.posterior(law, greedy, 10).assumptions
    assert any("would rise with N" in line for line in said)
    assert quality.central(law, greedy, nu=own).nu == own


def test_same_seed_same_draws_and_longer_runs_begin_with_shorter_ones():
    a, b = (quality.posterior("besiroglu-2024", "code", n, seed=5) for n in (50, 80))
    np.testing.assert_array_equal(a.coefficients.s, b.coefficients.s[:50])
    np.testing.assert_array_equal(a.rows, b.rows[:50])
    other = quality.posterior("besiroglu-2024", "code", 50, seed=6)
    assert not np.array_equal(a.coefficients.s, other.coefficients.s)


def test_fixing_one_term_leaves_the_others():
    a = quality.posterior("besiroglu-2024", "books", 40, seed=1)
    b = quality.posterior("besiroglu-2024", "books", 40, seed=1, nu=0.0, aspect="levine")
    np.testing.assert_array_equal(a.rows, b.rows)
    assert np.all(b.coefficients.nu == 0)
    assert np.all(b.coefficients.levine == 1)
    for name in ("s", "b", "delta", "log_A", "alpha", "recovery_tokens"):
        np.testing.assert_array_equal(getattr(a.coefficients, name), getattr(b.coefficients, name))


def test_corpora_share_their_proposals():
    a, b = (quality.posterior("besiroglu-2024", name, 40, seed=1) for name in ("web", "books"))
    np.testing.assert_array_equal(a.rows, b.rows)  # no draw of either is rejected
    np.testing.assert_array_equal(a.coefficients.log_A, b.coefficients.log_A)


def test_constants_come_as_whole_rows():
    k = quality.posterior("besiroglu-2024", "short", 1000, seed=0).coefficients
    assert np.corrcoef(k.log_A, k.alpha)[0, 1] > 0.99
    assert np.corrcoef(k.log_B, k.beta)[0, 1] > 0.99
    # Besiroglu et al. 2024, Table 1: standard errors .0154 and .0206, .0257.
    assert k.alpha.std() == pytest.approx(0.0154, rel=0.1)
    assert k.beta.std() == pytest.approx(0.0206, rel=0.1)
    assert k.E.std() == pytest.approx(0.0257, rel=0.1)
    assert np.median(k.alpha) == pytest.approx(0.3478, abs=0.004)


def test_priors_have_the_stated_ranges():
    k = quality.posterior("besiroglu-2024", "books", 2000, seed=0).coefficients
    assert k.s.min() >= 0.6
    assert k.s.max() <= 1.2
    assert k.nu.min() >= 0.05
    assert k.nu.max() <= 0.19
    assert k.b.min() >= 0.25
    assert k.b.max() <= 0.8
    assert k.b.mean() == pytest.approx(0.48, abs=0.01)
    assert k.b.std() == pytest.approx(0.08, abs=0.01)
    assert k.delta.min() >= 0
    assert k.delta.max() <= 0.02
    assert np.mean(k.kappa == 0) == pytest.approx(1 / 3, abs=0.04)
    assert np.mean(k.levine == 1) == pytest.approx(1 / 3, abs=0.04)


def test_rejection_is_counted_and_kept_draws_fall_with_size():
    p = quality.posterior("besiroglu-2024", "code", 300, seed=0)
    assert 0 < p.rejected_share < 0.5
    assert p.n_draws == 300
    wide = Domain(
        n_params=(5.7e7, 7e10),
        n_tokens=(8e8, 2e12),
        tokens_per_param=(0.4, 400),
        context_length=(512, 131072),
    )
    q = quality.posterior("besiroglu-2024", "code", 300, seed=0, region=wide)
    assert q.rejected_share > p.rejected_share
    n = np.geomspace(5.7e7, 7e10, 40)
    loss = quality.loss(q.coefficients, n_params=n, n_tokens=1e12, context_length=131072.0, aspect=100.0)
    assert np.all(np.diff(loss, axis=1) <= 0)


def test_hopeless_priors_are_refused():
    corpus = quality.Corpus(name="absurd", amplitude_low=50, amplitude_high=60)
    with pytest.raises(ExplorerError, match="absurd"):
        quality.posterior("besiroglu-2024", corpus, 20)


def test_interval_orders_and_covers_the_centre():
    p = quality.posterior("besiroglu-2024", "books", 400, seed=0)
    n, c = np.array([1e9, 7e9])[:, None], np.array([2048.0, 8192, 32768])
    design = {"n_params": n, "n_tokens": 20 * n, "context_length": c, "aspect": 60.0}
    low, middle, high = quality.loss_interval(p, **design)
    assert low.shape == (2, 3)
    assert np.all((low < middle) & (middle < high))
    centre = quality.loss(quality.central(p.law, "books"), **design)
    assert np.all((low <= centre) & (centre <= high))
    chunked = quality.loss_interval(p, chunk=2, **design)
    np.testing.assert_array_equal(chunked[1], middle)


def test_aspect_names():
    with pytest.raises(UnknownName, match="gemstones"):
        quality.posterior("besiroglu-2024", "books", 5, aspect="gemstone")
