"""The trade as a whole: what it says of small, code and short cases, and that nothing is lost on the way."""

import json
from dataclasses import replace

import numpy as np
import pytest
from claims_fixture import SmallProblem

from explorer import quality
from explorer.claims import Trade
from explorer.claims.landscape import design_at
from explorer.claims.setting import Setting, pays, too_short
from explorer.claims.survey import landscapes
from explorer.claims.trade import trade
from explorer.claims.verdict import verdict


@pytest.fixture(scope="module")
def made():
    return trade(SmallProblem(), n_draws=120, seed=0)


def test_round_trip(made):
    assert Trade.from_dict(json.loads(json.dumps(made.to_dict(), allow_nan=False))) == made


def test_same_seed_same_trade(made):
    assert trade(SmallProblem(), n_draws=120, seed=0) == made


def test_central_form_has_no_interval():
    plain = trade(SmallProblem(), n_draws=0)
    assert not plain.asked.width.nats.has_interval
    assert plain.asked.width.pays in (0.0, 1.0)
    assert plain.factors == ()


def test_landscape_designs_are_the_problem_s_own():
    problem = SmallProblem()
    for g in landscapes(problem, 3072.0, "total"):
        assert 3072.0 in g.contexts
        for row, column in [(0, 0), (3, 17), (8, g.shape[1] - 1)]:
            if not g.exists[row, column]:
                continue
            design = design_at(problem.lattice, g, row, column)
            found = problem.evaluate(design)
            assert found.n_tokens == pytest.approx(g.n_tokens[row, column], rel=1e-12)
            assert found.n_params == pytest.approx(g.n_params[0, column], rel=1e-12)


def test_levers_held_are_the_columns_of_the_whole_landscape():
    problem = SmallProblem(kv=(2, 8))
    whole = landscapes(problem, 3072.0, "total")
    held = landscapes(problem, 3072.0, "total", {"ffn": 0, "n_kv_heads": 1})
    for g, h in zip(whole, held, strict=True):
        part = g.take(g.choices["n_kv_heads"] == 1)
        assert 0 < len(h.d_model) < len(g.d_model)
        for name in ("d_model", "n_layers", "n_params", "n_tokens", "exists"):
            np.testing.assert_array_equal(getattr(h, name), getattr(part, name))
        assert (h.choices["n_kv_heads"] == 1).all()


def test_arm_losses_are_the_public_loss_of_their_designs(made):
    law = quality.law("besiroglu-2024")
    for name, corpus in made.corpora.items():
        k = quality.central(law, name)
        for arm in corpus.arms.values():
            loss = quality.loss(
                k,
                n_params=arm.n_params,
                n_tokens=arm.n_tokens,
                context_length=arm.context_length,
                aspect=arm.d_model / arm.n_layers,
                staged_from=arm.staged_from,
                staged_share=arm.staged_share,
            )
            assert arm.loss.central == pytest.approx(float(loss), abs=1e-12)


def test_without_nu_trading_width_is_worth_nothing():
    # A fine lattice: on a coarse one, or at its edge, arm C also gains by reshaping.
    fine = SmallProblem(widths=range(1024, 3073, 128), depths=range(8, 129, 2), schedule=((0.0, 0.0),))
    for corpus in trade(fine, n_draws=60).nu_zero.values():
        assert corpus.width.nats.central < 0.001
        assert corpus.width.nats.p50 < 0.001


def test_corpora_answer_differently(made):
    short, books, code = (made.corpora[c] for c in ("short", "books", "code"))
    assert not short.models_context
    assert any("models no benefit" in n for n in short.notes)
    assert short.holds.central == 0
    assert books.arms["B"].context_length < code.arms["B"].context_length
    assert books.context.nats.central < code.context.nats.central
    assert code.context.beyond_reach > 0


def test_a_memory_limit_that_stops_b_is_named_and_priced():
    # Room for 2,048 x 2,560 x 48 and not for a longer context at arm A's shape.
    tight = trade(SmallProblem(activation_bytes=34 * 2.6e8, corpus="code"), n_draws=0).asked
    assert tight.arms["B"].context_length == tight.arms["A"].context_length
    (stop,) = [s for s in tight.stopped_by if s.limit == "gpu_memory"]
    assert stop.context_length_lifted > tight.arms["B"].context_length
    assert 0 < stop.vanishing_share <= 1
    assert tight.width.nats.central > 0.01
    assert "gpu_memory" in tight.arms["B"].binds


def test_a_parameter_limit_that_binds_is_said():
    capped = trade(SmallProblem(cap=8e8, compute=5e21), n_draws=0).asked
    assert "parameters" in capped.arms["A"].binds
    assert any("no other arm can grow N" in n for n in capped.notes)


def test_tokens_only_charges_nothing_for_flops():
    free = trade(SmallProblem(compute=None, tokens=2e10), n_draws=0)
    assert any("nothing charges for FLOPs" in a for a in free.assumptions)
    assert "parameters" in free.asked.arms["A"].binds
    lean = free.asked.arms["A"].n_tokens
    assert lean == 2e10


def test_exchange_line_keeps_tokens_and_narrows(made):
    line = made.asked.exchange
    a = made.asked.arms["A"]
    widths = np.array([p.d_model for p in line])
    assert (np.diff(widths) <= 0).all()
    assert (np.diff(widths)[1:] < 0).all()
    assert {p.n_tokens for p in line} == {a.n_tokens}
    (at_reference,) = [p for p in line if p.context_length == made.reference_context]
    assert at_reference.d_model == pytest.approx(a.d_model, rel=1e-9)
    assert at_reference.gain.central == pytest.approx(0, abs=1e-12)
    assert 0.9 < made.asked.width_per_doubling < 1


def test_curve_goes_from_widest_to_narrowest_and_holds_arm_c(made):
    widths = [p.d_model for p in made.asked.curve]
    assert widths == sorted(widths, reverse=True)
    best = min(made.asked.curve, key=lambda p: p.loss.central)
    assert best.loss.central == pytest.approx(made.asked.arms["C"].loss.central, abs=1e-12)
    assert best.context_length == made.asked.arms["C"].context_length


def test_probabilities_agree_with_the_parts(made):
    mixed = np.mean([row.contexts_too_short.central for row in made.by_aspect.values()])
    assert mixed == pytest.approx(made.asked.contexts_too_short.central, abs=0.1)
    for row in made.by_aspect.values():
        assert row.context.p05 <= row.context.p95
        assert row.width.p05 >= 0
    assert all(0 <= f.variance_share <= 1 for f in made.factors)
    assert [f.variance_share for f in made.factors] == sorted(
        (f.variance_share for f in made.factors), reverse=True
    )


def test_a_shorter_context_that_pays_is_no_sign_of_short_contexts():
    setting = Setting.of(SmallProblem(corpus="web"))
    found = setting.solve_central(corpora=("web",))["web"]
    g = setting.grids[0]
    shorter = replace(found.arms["B"], context=np.array([g.row(1024.0)]))
    paid = replace(
        found, arms={**found.arms, "B": shorter}, compute={**found.compute, "context": np.array([1.0])}
    )
    assert pays(setting, paid, "context").all()
    assert not too_short(setting, paid).any()
    longer = replace(paid, arms={**found.arms, "B": replace(shorter, context=np.array([g.row(4096.0)]))})
    assert too_short(setting, longer).all()


def test_no_benefit_modelled_is_no_finding(made):
    short = made.corpora["short"]
    assert not short.models_context
    assert short.contexts_too_short.central == 0
    assert verdict(made).by_corpus["short"]["contexts_too_short"] == 0


def test_blind_levers_are_listed():
    found = trade(SmallProblem(kv=(2, 8)), n_draws=0)
    assert any(b.startswith("n_kv_heads") for b in found.blind_to)
    assert found.asked.arms["C"].levers["n_kv_heads"] in (2.0, 8.0)


def test_central_edges_are_named():
    narrow = SmallProblem(contexts=(1024, 2048, 4096), corpus="code")
    found = trade(narrow, n_draws=0).asked
    assert "context_length ≥" in found.arms["C"].edges
    assert Setting.of(narrow).reference_context == 2048


def test_a_law_fitted_with_an_outer_power_is_traded_under(tmp_path):
    rng = np.random.default_rng(0)
    n, d = (np.repeat(np.geomspace(1e8, 3e9, 8), 6), np.tile(np.geomspace(2e9, 2e11, 6), 8))
    loss = 1.8 + (26000 / n**0.54 + 1.4e6 / d**0.62) ** 0.6 + rng.normal(0, 0.002, len(n))
    report = quality.fit_runs({"N": n, "D": d, "loss": loss}, terms=("power",), name="powered", bootstraps=20)
    report.write(tmp_path / "powered.json")
    made = trade(SmallProblem(law=str(tmp_path / "powered.json")), n_draws=20)
    assert made.law == "powered"
    assert all(np.isfinite(a.loss.central) for a in made.asked.arms.values())
    # More compute for arm A buys what the longer context buys, so the two agree on what is better.
    assert (made.asked.context.compute.central > 0) == (made.asked.context.nats.central > 0)
