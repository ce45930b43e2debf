"""The verdict's calls and sentences: structure from the records alone, wording that fits the figures."""

import json
from dataclasses import replace

import pytest
from claims_fixture import SmallProblem

from explorer.claims import Estimate, Verdict, trade, verdict
from explorer.claims.verdict import call


@pytest.fixture(scope="module")
def made():
    return trade(SmallProblem(), n_draws=100, seed=0)


def test_calls():
    assert [call(p) for p in (0.0, 0.1, 0.11, 0.89, 0.9, 1.0)] == [
        "fails", "fails", "undecided", "undecided", "holds", "holds",
    ]  # fmt: skip


def test_round_trip_and_one_sentence(made):
    v = verdict(made)
    assert Verdict.from_dict(json.loads(json.dumps(v.to_dict(), allow_nan=False))) == v
    assert str(v) == v.sentence
    assert v.sentence.endswith(".")
    assert ". " not in v.sentence.removesuffix(".")


def test_corpora_have_different_explicable_sentences(made):
    v = verdict(made)
    said = {name: s["sentence"] for name, s in v.by_corpus.items()}
    assert len(set(said.values())) == 4
    assert "models no benefit of context" in said["short"]
    assert "c =" not in said["short"]
    assert v.by_corpus["short"]["contexts_too_short"] == 0.0


def test_asked_corpus_without_benefit_is_not_given_an_optimum():
    v = verdict(trade(SmallProblem(corpus="short"), n_draws=40))
    assert v.status == "fails"
    assert "models no benefit" in v.sentence
    assert "edge" not in v.limited_by
    assert v.statements["contexts_too_short"].probability.central == 0


def test_central_verdict_is_marked():
    v = verdict(trade(SmallProblem(), n_draws=0))
    assert not v.with_interval
    assert "without interval" in v.sentence
    assert "P =" not in v.sentence


def test_undecided_says_what_would_decide_it(made):
    asked = replace(made.asked, holds=Estimate(central=0.45, p05=0.37, p50=0.45, p95=0.53))
    v = verdict(replace(made, corpora={**made.corpora, made.corpus: asked}))
    assert v.status == "undecided"
    assert "it is undecided whether" in v.sentence
    assert "37% to 53%" in v.sentence
    assert "whether trading width pays hangs most on " in v.undecided_because
    assert "what would settle it: " in v.undecided_because


def test_a_small_budget_answers_otherwise(made):
    small = SmallProblem(
        compute=1e19, cap=1.5e8, widths=range(256, 1025, 128), depths=range(4, 33, 2), corpus="books"
    )
    v = verdict(trade(small, n_draws=40))
    assert v.sentence != verdict(made).sentence
    assert "parameter limit binds" in v.limited_by


def test_memory_that_made_the_answer_is_named():
    tight = SmallProblem(activation_bytes=34 * 2.6e8, corpus="code")
    v = verdict(trade(tight, n_draws=0))
    assert "training memory per GPU stops the context-only arm" in v.limited_by
    assert "of the value of trading width vanishes" in v.limited_by


def test_nu_zero_and_aspects_stand_beside(made):
    v = verdict(made)
    assert v.nu_zero["holds"] <= v.by_corpus["books"]["holds"] + 0.1
    assert set(v.by_aspect) == {"none", "gemstones", "levine"}
    assert any("ν = 0" in c for c in v.caveats)
    assert any("recovery r" in c for c in v.caveats)


def test_the_best_of_constant_context_is_not_called_the_best_of_all(made):
    assert "D" in made.asked.arms
    assert "the best design of constant context" in verdict(made).sentence
    constant = verdict(trade(SmallProblem(schedule=((0.0, 0.0),)), n_draws=0))
    assert "the best design of constant context" not in constant.sentence
    assert "the best design" in constant.sentence
