"""What a report draws beside the trials, against the search, the cost model and the writers themselves."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from report_fixture import make_budget

from explorer import evidence, quality
from explorer.claims.setting import Setting
from explorer.design import Design
from explorer.evidence import corpora, domain
from explorer.evidence.exports import written
from explorer.evidence.sensitivity import sensitivities
from explorer.result import Evidence, shown_rows
from explorer.search import Problem, explore
from explorer.search.exact import exact_front

SPACE = {
    "context_length": {"from": 2048, "to": 65536, "per_octave": 1, "multiple_of": 256},
    "d_model": {"from": 2048, "to": 4096, "multiple_of": 1024},
    "n_layers": {"from": 24, "to": 48, "multiple_of": 4},
    "d_head": 128,
    "n_kv_heads": 8,
    "schedule": ["constant", {"staged": {"from": 4096, "share": 0.05}}],
}


@cache
def problem() -> Problem:
    return Problem(make_budget(space=SPACE, baseline="llama-2-7b"))


@cache
def setting() -> Setting:
    return Setting.of(problem())


@cache
def gathered() -> tuple[Any, Evidence]:
    found = explore(problem(), trials=30, sampler="auto", seed=0)
    best = int(np.argmin(found.front["loss"]))
    picks = {"best-loss": best, "longest": int(np.argmax(found.front["context_length"])), "knee": best}
    return found.front, evidence.gather(problem(), setting(), found, picks)


@pytest.mark.parametrize("corpus", ["short", "web", "books", "code"])
def test_fronts_from_landscapes_are_the_enumerated_ones(corpus: str) -> None:
    found = corpora._from_landscapes(problem(), setting(), corpus)
    asked = Problem(make_budget(space=SPACE, corpus=corpus))
    assert {tuple(p) for p in found} == {tuple(p) for p in exact_front(asked).points}


def test_a_front_that_needs_plans_is_enumerated_anew() -> None:
    objectives = [{"minimize": "loss"}, {"minimize": "peak_device_bytes"}]
    other = Problem(make_budget(space=SPACE, objectives=objectives))
    found = corpora.fronts(other, Setting.of(other))
    assert set(found) == {"short", "web", "code"}
    table = found["code"].sort_values("peak_device_bytes")
    assert (table["loss_code"].diff().dropna() <= 0).all()


def test_the_best_design_within_the_domain() -> None:
    found = domain.inside(problem(), setting())
    row = found["context"]
    low, high = problem().law.domain.context_length
    assert low <= row["context_length"] <= high
    assert row["feasible"]
    assert "context_length" not in row["outside"]
    # Brute force over the enumerated front of loss alone within the domain.
    inside = {**SPACE, "context_length": {**SPACE["context_length"], "to": int(high)}}  # type: ignore[dict-item]
    alone = Problem(make_budget(space=inside, objectives=[{"minimize": "loss"}]))
    assert row["loss"] == pytest.approx(exact_front(alone).figures[0, 0], rel=1e-12)


def test_outside_names_what_the_flags_name() -> None:
    front, found = gathered()
    for (_, row), names in zip(front.iterrows(), found.outside, strict=True):
        assert bool(row["extrapolated"]) == bool(names)
        assert ("context_length" in names) == (row["context_length"] > problem().law.domain.context_length[1])


def test_sensitivities_follow_closed_forms() -> None:
    # Of a constant design nothing but the layers' share of the step grows with depth, and without more
    # tokens the loss moves as the law's capacity term does.
    design = Design.of(4096, 3072, 36, n_kv_heads=8, d_ff=10752)
    table = sensitivities(problem(), {3: design}).set_index("lever")
    assert set(table["row"]) == {3}
    deep = table.loc["n_layers"]
    assert (deep["low"], deep["high"]) == (32, 40)
    n = [float(problem().law_params(design.with_(n_layers=float(k)))) for k in (32, 40)]
    k = problem().coefficients
    tokens = float(np.asarray(problem().evaluate(design).n_tokens))
    losses = [
        quality.loss(k, n_params=a, n_tokens=tokens, context_length=4096, aspect=3072 / b)
        for a, b in zip(n, (32, 40), strict=True)
    ]
    slope = (losses[1] - losses[0]) / np.log(40 / 32) * np.log(1.1)
    assert deep["loss_same_tokens"] == pytest.approx(slope, rel=1e-6)
    assert 0.08 < deep["hours"] < 0.1
    assert deep["tokens"] == pytest.approx(1 / (1 + deep["hours"]) - 1, rel=1e-6)
    wide = table.loc["d_model"]
    assert (wide["low"], wide["high"]) == (2048, 4096)
    assert deep["hours"] < wide["hours"] < 0.21
    assert table.loc["context_length", "hours"] < 0.03


def test_a_dearer_lever_is_worth_less_under_the_budget() -> None:
    _, found = gathered()
    assert found.sensitivities is not None
    table = found.sensitivities
    dearer = table["hours"] > 1e-6
    assert (table["loss"] > table["loss_same_tokens"])[dearer].all()
    assert np.allclose((1 + table["hours"]) * (1 + table["tokens"]), 1, rtol=1e-9)


def test_the_baseline_stands_beside_the_front_under_the_same_limits() -> None:
    _, found = gathered()
    own = found.baseline
    assert own is not None
    assert (own["name"], own["context_length"], own["d_model"], own["n_layers"]) == (
        "llama-2-7b",
        4096,
        4096,
        32,
    )
    assert own["n_params"] == 6_738_415_616
    assert own["gpu_hours"] == pytest.approx(20_000)
    assert own["same_vocabulary"]


def test_staged_designs_are_taken_apart_at_both_windows() -> None:
    front, found = gathered()
    staged = [k for k, (_, row) in enumerate(front.iterrows()) if row["staged_from"] > 0]
    assert staged
    for k in staged:
        full = found.anatomies[k]
        assert full["design"]["context_length"] == front["context_length"].iloc[k]
        assert full["short"]["design"]["context_length"] == 4096
        held = max(full["memory"]["peak_device_bytes"], full["short"]["memory"]["peak_device_bytes"])
        assert held == pytest.approx(front["peak_device_bytes"].iloc[k], rel=1e-9)


def test_exports_are_what_the_writers_write() -> None:
    front, found = gathered()
    for target, texts in found.exports["texts"].items():
        for k, lines in texts.items():
            if isinstance(lines, str):
                assert "cannot express" in lines
                continue
            text = "\n".join(found.exports["lines"][n] for n in lines) + "\n"
            assert text == written(problem(), front.iloc[int(k)], target)


def test_what_is_shown_of_a_long_front_keeps_the_picks() -> None:
    rows = shown_rows(1_000, [777, 999])
    assert {0, 777, 999} <= set(rows)
    assert len(rows) < 90
    assert shown_rows(3, [0, 2, 7]) == [0, 1, 2]
