"""What a report draws beside the trials, against the search, the cost model and the writers themselves."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_fixture import make_budget

from explorer import evidence, quality
from explorer.claims.setting import Setting
from explorer.cost.parts import parts
from explorer.design import Design
from explorer.evidence import corpora, domain
from explorer.evidence.chosen import design_of, plan_of
from explorer.evidence.exports import written
from explorer.evidence.sensitivity import sensitivities
from explorer.report.sections import shown_rows
from explorer.result import Evidence
from explorer.search import Problem, explore
from explorer.search.exact import exact_front
from explorer.search.study import Search

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
def searched() -> Search:
    return explore(problem(), trials=30, sampler="auto", seed=0)


@cache
def gathered() -> tuple[Any, Evidence]:
    found = searched()
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
    assert corpora.fronts(other, Setting.of(other), corpora.MOST_EVALUATED + 1) == {}
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


def taken_along() -> Any:
    """The front and the others, as evidence numbers them."""
    front, found = gathered()
    return pd.concat([front, found.others], ignore_index=True)


def test_what_any_front_of_a_page_shows_is_taken_along() -> None:
    found, front = searched(), gathered()[0]
    keys = ["context_length", "d_model", "n_layers", "staged_from", "staged_share"]
    own = taken_along()
    numbers = {tuple(row): k for k, row in enumerate(own[keys].to_numpy(dtype=float).tolist())}
    assert len(numbers) == len(own)
    assert own["feasible"].all()
    # The exact front on every corpus.
    assert gathered()[1].corpus_fronts
    for rows in gathered()[1].corpus_fronts.values():
        assert {tuple(row) for row in rows[keys].to_numpy(dtype=float).tolist()} <= set(numbers)
    # Whatever was looked at, over any two axes and on any corpus, something taken along is as good in both.
    every = pd.concat([found.trials, found.exact_front, found.cloud])
    every = every[every["feasible"].astype(bool)]
    assert len(front) < len(own) < len(every)
    losses = ["loss_short", "loss_web", "loss_books", "loss_code"]
    up = {"context_length", "n_tokens", "tokens_per_second_per_gpu"}
    axes = [
        *losses,
        "context_length",
        "n_params",
        "peak_device_bytes",
        "kv_cache_bytes",
        "n_tokens",
        "tokens_per_second_per_gpu",
    ]
    for x, y in combinations(axes, 2):
        if {x, y} <= set(losses):
            continue
        here, there = (
            t[[x, y]].to_numpy(dtype=float) * [-1 if k in up else 1 for k in (x, y)] for t in (own, every)
        )
        beaten = (here[None] <= there[:, None] + 1e-9 * np.abs(there[:, None])).all(axis=2).any(axis=1)
        assert beaten.all(), (x, y)


def test_every_design_of_any_front_is_taken_apart_at_its_windows() -> None:
    front, found = taken_along(), gathered()[1]
    assert (front["staged_from"] > 0).any()
    table = found.anatomies.assign(
        held=found.anatomies.filter(like="memory: ").sum(axis=1), spent=found.anatomies.filter(like="flops: ").sum(axis=1),
        taken=found.anatomies.filter(like="time: ").sum(axis=1),
    ).set_index(["key", "stage"])  # fmt: skip
    for k, row in enumerate(front.to_dict("records")):
        full, share = table.loc[(k, "full")], 1.0
        assert full["context_length"] == row["context_length"]
        stages = [full]
        if row["staged_from"] > 0:
            stages.append(table.loc[(k, "short")])
            share = row["staged_share"]
            assert stages[1]["context_length"] == row["staged_from"]
        assert max(s["held"] for s in stages) == pytest.approx(row["peak_device_bytes"], rel=1e-9)
        taken = share * full["taken"] + (1 - share) * stages[-1]["taken"]
        assert taken * row["n_tokens"] / 86400 == pytest.approx(row["days"], rel=1e-9)
    # One at a time and many at once are the same.
    design = design_of(problem(), front.iloc[0])
    alone = parts(design.with_(staged_from=0, staged_share=0), plan_of(problem(), design), problem().hardware)  # type: ignore[arg-type]
    for quantity, by_part in alone.items():
        for part, value in by_part.items():
            assert float(value) == pytest.approx(table.loc[(0, "full")][f"{quantity}: {part}"], rel=1e-12)


def test_levers_of_many_designs_are_those_of_each() -> None:
    front, found = taken_along(), gathered()[1]
    assert found.sensitivities is not None
    for k, row in enumerate(front.to_dict("records")):
        alone = sensitivities(problem(), {k: design_of(problem(), row)}).reset_index(drop=True)
        own = found.sensitivities[found.sensitivities["row"] == k].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, own, rtol=1e-12)


def test_exports_are_what_the_writers_write() -> None:
    front, found = taken_along(), gathered()[1]
    for target, texts in found.exports["texts"].items():
        assert set(texts) == {str(k) for k in range(len(front))}
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
