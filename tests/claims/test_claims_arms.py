"""The vectorised arms against brute force over the public loss, draw by draw."""

import numpy as np
import pytest
from claims_fixture import small_landscape

from explorer import quality
from explorer.claims.arms import VALUES, groups, losses_at, solve
from explorer.errors import NothingFits

LAW = "besiroglu-2024"


def brute_loss(g, k):
    """(C, S) by the public loss, infeasible designs at infinity."""
    loss = quality.loss(
        k,
        n_params=g.n_law,
        n_tokens=g.n_tokens,
        context_length=g.contexts[:, None],
        aspect=(g.d_model / g.n_layers)[None, :],
        staged_from=g.staged_from,
        staged_share=g.staged_share,
    )
    return np.where(g.feasible, loss, np.inf)


@pytest.fixture(scope="module")
def grids():
    return [small_landscape(), small_landscape(staged=(4096.0, 0.1)), small_landscape(staged=(4096.0, 0.3))]


@pytest.mark.parametrize("corpus", ["short", "books", "code"])
@pytest.mark.parametrize("law", [LAW, "kaplan-2020"])
def test_every_arm_is_the_brute_force_optimum(grids, corpus, law):
    p = quality.posterior(law, corpus, 12, seed=3)
    found = solve(grids, 2048, {corpus: p.coefficients})[corpus]
    for i in range(p.n_draws):
        k = p.coefficients.take(i)
        constant, *staged = (brute_loss(g, k) for g in grids)
        a = constant[0].argmin()
        g = grids[0]
        size = np.abs(g.n_params[0] / g.n_params[0, a] - 1) <= 0.03
        expected = {
            "A": constant[0, a],
            "B": constant[:, a].min(),
            "C": constant.min(),
            "D": min(t.min() for t in staged),
            "D'": min(t[:, a].min() for t in staged),
            "depth": constant[:, g.d_model == g.d_model[a]].min(),
            "reshape": constant[:, size].min(),
        }
        for name, loss in expected.items():
            assert found.arms[name].loss[i] == pytest.approx(loss, abs=1e-12), name
    chosen = list(zip(*(getattr(found.arms["D"], n) for n in ("schedule", "context", "shape")), strict=True))
    again = losses_at(grids, chosen, p.coefficients)
    assert np.diag(again) == pytest.approx(found.arms["D"].loss, abs=1e-12)


def test_chunks_change_nothing(grids, monkeypatch):
    p = quality.posterior(LAW, "web", 9, seed=1)
    whole = solve(grids, 2048, {"web": p.coefficients})["web"]
    monkeypatch.setattr("explorer.claims.arms.CHUNK_BYTES", 1.0)
    single = solve(grids, 2048, {"web": p.coefficients})["web"]
    for name in whole.arms:
        assert np.array_equal(whole.arms[name].loss, single.arms[name].loss)
    for name in whole.compute:
        assert np.array_equal(whole.compute[name], single.compute[name])


def test_equivalent_compute_reaches_the_target_and_no_less_does(grids):
    p = quality.posterior(LAW, "code", 6, seed=2)
    found = solve(grids[:1], 2048, {"code": p.coefficients})["code"]
    for i in range(6):
        k = p.coefficients.take(i)
        extra = found.compute["context"][i]
        target = found.arms["A"].loss[i] - found.value("context")[i]

        def best_at(m, k=k):
            return brute_loss(small_landscape(compute=2e21 * m), k)[0].min()

        if np.isinf(extra):
            assert best_at(1e9) > target
        else:
            assert best_at(1 + extra) == pytest.approx(target, abs=1e-9)
            assert best_at((1 + extra) * 0.999) > target


def test_equivalent_compute_is_out_of_reach_when_data_run_out():
    g = small_landscape(data=2e10)
    p = quality.posterior(LAW, "code", 4, seed=2)
    found = solve([g], 2048, {"code": p.coefficients})["code"]
    assert np.isinf(found.compute["context"]).all()


def test_recovery_needed_is_where_the_lead_vanishes(grids):
    k = quality.central(quality.law(LAW), "code")
    found = solve(grids, 2048, {"code": k})["code"]
    (r,) = found.recovery_needed
    assert 0 < r < 1
    target = found.arms["C"].loss[0]

    def staged_best(recovery):
        """Brute force with the recovery held: half of the tokens at the half-recovery point."""
        least = np.inf
        for g in grids[1:]:
            full = brute_loss(g, k.with_(recovery_tokens=0.0))
            none = brute_loss(g, k.with_(recovery_tokens=1e99))
            with np.errstate(invalid="ignore"):
                least = min(least, np.nanmin(none + recovery * (full - none)))
        return least

    assert staged_best(r) == pytest.approx(target, abs=1e-9)
    assert staged_best(r * 0.99) > target


def test_values_chain_and_b_contains_a(grids):
    p = quality.posterior(LAW, "books", 20, seed=0)
    found = solve(grids, 2048, {"books": p.coefficients})["books"]
    assert (found.value("context") >= 0).all()
    assert (found.value("width") >= 0).all()
    assert (found.value("width") >= found.value("reshape") - 1e-12).all()
    total = found.arms["A"].loss - found.arms["D"].loss
    chain = sum(found.value(name) for name in ("context", "width", "waiting"))
    assert total == pytest.approx(chain, abs=1e-12)
    assert set(found.compute) == set(VALUES)


def test_corpora_with_the_same_draws_are_solved_together(grids):
    draws = {c: quality.posterior(LAW, c, 8, seed=0) for c in ("short", "web", "code")}
    together = [sorted(g) for g in groups(draws)]
    assert ["short", "web"] in [[n for n in g if n != "code"] for g in together]
    (shared,) = [g for g in groups(draws) if "web" in g]
    both = solve(grids, 2048, shared)
    alone = solve(grids, 2048, {"web": draws["web"].coefficients})
    assert np.array_equal(both["web"].arms["C"].loss, alone["web"].arms["C"].loss)


def test_nothing_at_the_reference_is_said(grids):
    with pytest.raises(NothingFits, match="reference context of 2,048"):
        solve([small_landscape(cap=1e6)], 2048, {"web": quality.central(quality.law(LAW), "web")})
