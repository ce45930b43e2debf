"""The exact front against plain brute force: toy problems, random problems, a real budget."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_toy import Toy, toy_lattice

from explorer import budget, checking
from explorer.pipeline import study
from explorer.report import render
from explorer.search import blocks, bounds, sweep
from explorer.search import exact as exact_module
from explorer.search.archive import ArchiveSearch
from explorer.search.blocks import dominated
from explorer.search.crew import Crew
from explorer.search.exact import Exact, exact_front
from explorer.search.front import Objective, hypervolume, nondominated
from explorer.search.outcome import Outcome
from explorer.search.problem import Problem
from explorer.search.space import AXES

SMALL = """
name: small
budget: {{parameters: 2B, gpu_memory: 24GB, training: {training}, serving: {{gpu_memory: 12GiB, tokens: 1e12}}}}
hardware: {{accelerator: rtx-4090, gpus: {gpus}}}
space:
  context_length: {{from: 1024, to: 32768, per_octave: 1}}
  d_model: {{from: 512, to: 3072, multiple_of: 256}}
  n_layers: [4, 8, 12, 20, 32, 48]
  d_head: {d_head}
  n_kv_heads: {kv}
  ffn: {ffn}
  vocab_size: {vocab}
  attention: {attention}
  schedule: [constant, {{staged: {{from: 4096, share: 0.05}}}}]
training: {how}
quality: {{law: besiroglu-2024, corpus: books}}
objectives: {objectives}
"""


def small(**changes):
    text = SMALL.format(
        **{
            "training": "{days: 14}", "gpus": 1, "d_head": "64", "kv": "all", "vocab": 32000, "attention": "full",
            "ffn": "{kind: swiglu, ratio: 3.5}", "how": "{global_batch_tokens: 512k}",
            "objectives": "[{minimize: loss}, {maximize: context_length}]",
        } | changes
    )  # fmt: skip
    return Problem(budget.load(text))


def brute(problem):
    points = problem.lattice.points(np.arange(problem.lattice.listed))
    points = points[problem.lattice.valid(points)]
    outcome = problem.outcome(points)
    good = np.flatnonzero(outcome.feasible)
    return outcome.coordinates[good[nondominated(outcome.coordinates[good])]]


def same(found, expected):
    assert sorted(map(tuple, found)) == sorted(map(tuple, expected))


def test_toy_front_equals_brute_force_with_three_objectives():
    toy = Toy(lattice=toy_lattice(n_layers=np.arange(4.0, 25.0, 4)))
    toy.objectives = (*toy.objectives, Objective("kv_cache_bytes", "minimize"))
    exact = exact_front(toy)
    assert exact.n_proved == toy.lattice.size
    same(exact.coordinates, brute(toy))
    for name, row in exact.optima.items():
        k = [o.name for o in toy.objectives].index(name)
        assert exact.coordinates[row, k] == exact.coordinates[:, k].min()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_random_problems_equal_brute_force(seed, m):
    """Figures drawn at random per design: no structure that enumeration could lean on."""

    class Noise(Toy):
        def outcome(self, points):
            draw = np.random.default_rng(seed).integers(0, 40, (self.lattice.listed, m + 1)).astype(float)
            rows = draw[self.lattice.keys(points)]
            return Outcome(self.objectives, rows[:, :m] + 1, {"drawn": rows[:, m] - 20})

        def screen(self, points):
            return np.full(len(points), -np.inf)

    lattice = toy_lattice(
        context_length=np.array([1024.0, 4096.0, 8192.0]), d_model=np.arange(512.0, 2049.0, 512),
        n_layers=np.arange(4.0, 9.0),
    )  # fmt: skip
    names = ("loss", "context_length", "n_params", "kv_cache_bytes")[:m]
    problem = Noise(lattice=lattice, objectives=tuple(Objective(n, "minimize") for n in names))
    same(exact_front(problem).coordinates, brute(problem))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": "{gpu_hours: 2k, tokens: 30B}", "gpus": 4, "kv": "[all, 4]", "d_head": "[64, 128]"},
        {"training": "{flops: 1e21}", "ffn": "[{kind: gelu, ratio: 4}, {kind: swiglu, ratio: 2.6667}]"},
        {"objectives": "[{minimize: loss}, {maximize: context_length}, {minimize: n_params}]"},
        {"objectives": "[{minimize: loss}, {minimize: kv_cache_bytes}, {minimize: gpu_hours}]"},
        {"objectives": "[{minimize: loss}, {maximize: tokens_per_second_per_gpu}]"},
        {"objectives": "[{minimize: loss}]"},
    ],
)
def test_the_factorised_sweep_equals_brute_force(changes):
    problem = small(**changes)
    exact = exact_front(problem)
    assert exact.n_proved == problem.lattice.size
    assert exact.n_evaluated < problem.lattice.size
    expected = brute(problem)
    assert len(expected)
    np.testing.assert_allclose(
        np.sort(exact.coordinates, axis=0), np.sort(expected, axis=0), rtol=1e-12
    )  # grids and tables add up in different orders


def test_an_infeasible_budget_has_an_empty_front():
    problem = small()
    problem.memory_limit_bytes = 1e9
    exact = exact_front(problem)
    assert len(exact.points) == 0
    assert exact.n_proved == problem.lattice.size
    assert exact.optima == {}


def test_a_metric_whose_bound_rules_nothing_out_is_enumerated_whole_and_said():
    bounded = exact_front(small())
    assert bounded.notes == ()
    for metric, told in (("energy_kwh", "same for all designs"), ("train_flops", "no bound is known")):
        exact = exact_front(small(objectives=f"[{{minimize: loss}}, {{minimize: {metric}}}]"))
        assert exact.n_evaluated > bounded.n_evaluated
        assert any(metric in note and told in note and "evaluated" in note for note in exact.notes)
    assert any("one by one" in note for note in exact_front(Toy()).notes)


def test_a_lattice_too_large_to_weigh_keeps_the_best_design_s_levers(monkeypatch):
    problem = small(kv="[all, 4]", d_head="[64, 128]")
    monkeypatch.setattr(study, "MOST_WEIGHED", 100)
    result = study.run(problem.budget, trials=20, n_draws=0)
    best = result.exact_front.iloc[result.exact_front["loss"].argmin()]
    kept = f"d_head {best['d_head']:g}"
    assert any(kept in note and "the trade keeps" in note for note in result.notes)
    assert result.trade.n_designs < problem.lattice.size / 3


BOUNDED = (
    "[{minimize: loss}, {minimize: gpu_hours}, {minimize: days}, {minimize: step_seconds}, "
    "{maximize: tokens_per_second_per_gpu}, {maximize: n_tokens}, {minimize: n_params}, {minimize: serving_bytes}, "
    "{minimize: energy_kwh}, {maximize: mfu}, {minimize: peak_device_bytes}, {minimize: price}]"
)
FLOPS = "{minimize: train_flops}, {minimize: lifetime_flops}, "


def test_of_a_lattice_too_large_to_weigh_whose_best_design_has_a_window_there_is_a_page(monkeypatch):
    problem = small(attention="[full, {window: 2048, global_every: 4}]")
    monkeypatch.setattr(study, "MOST_WEIGHED", 100)
    result = study.run(problem.budget, trials=20, n_draws=0)
    best = result.exact_front.iloc[result.exact_front["loss"].argmin()]
    assert best["attention"] != "full"
    # Contexts no longer than the window are on the lattice under full attention alone, which the trade lets go.
    assert problem.lattice.context_length[0] < result.evidence.plane["context_length"].min()
    assert "</html>" in render(result)
    # What is called exact on another corpus is so over the whole lattice.
    for corpus, front in result.evidence.corpus_fronts.items():
        elsewhere = problem.budget.quality.model_copy(update={"corpus": corpus})
        asked = Problem(problem.budget.model_copy(update={"quality": elsewhere}))
        np.testing.assert_allclose(
            np.sort(front[f"loss_{corpus}"]), np.sort(exact_front(asked).figures[:, 0]), rtol=1e-9
        )
    limited = problem.budget.search.model_copy(update={"most_evaluated": 1})
    few = study.run(problem.budget.model_copy(update={"search": limited}), trials=20, n_draws=0)
    assert few.search.n_undecided
    assert not few.evidence.corpus_fronts


@st.composite
def spaces(draw):
    """Changes to the small budget: other levers, limits, machines and ways to train."""
    several = lambda *values, n=2: "[" + ", ".join(  # noqa: E731
        draw(st.lists(st.sampled_from(values), min_size=1, max_size=n, unique=True))
    ) + "]"  # fmt: skip
    gpus, implementation = draw(st.sampled_from([1, 2, 8])), draw(st.sampled_from(["torch", "megatron"]))
    limits = draw(
        st.lists(
            st.sampled_from(["days: 14", "gpu_hours: 2k", "flops: 1e21", "tokens: 30B"]),
            min_size=1, max_size=2, unique=True,
        )
    )  # fmt: skip
    timed = any(limit.split(":")[0] in ("days", "gpu_hours") for limit in limits)
    training = {
        "implementation": implementation,
        "precision": draw(st.sampled_from(["bf16-mixed", "amp", "bf16"])),
        "optimizer": draw(st.sampled_from(["adamw", "adamw-foreach", "sgd", "muon", "adamw-8bit"])),
        "attention_kernel": draw(st.sampled_from(["flash", "naive"])),
        "global_batch_tokens": draw(st.sampled_from(["64k", "512k"])),
        "cross_entropy": draw(st.sampled_from(["full", "chunked"])),
    }
    return {
        "training": "{" + ", ".join(limits) + "}",
        "gpus": f"{gpus}, price_per_gpu_hour: 2"
        + draw(st.sampled_from(["", ", mfu: 0.2", ", mfu: 0.75", ", goodput: 0.8"])),
        "d_head": several("32", "64", "128"),
        "kv": several("all", "1", "2", "4", n=3),
        "ffn": several("{kind: gelu, ratio: 4}", "{kind: swiglu, ratio: 2.6667}", "{kind: swiglu, ratio: 3.5}"),
        "vocab": several("32000", "50257", "128256"),
        "attention": several("full", "{window: 1024, global_every: 4}", "{window: 4096, global_every: 2}"),
        "how": "{" + ", ".join(f"{k}: {v}" for k, v in training.items()) + "}",
        "objectives": BOUNDED.replace("[", "[" + FLOPS) if not timed else BOUNDED,
    }  # fmt: skip


@settings(max_examples=25, deadline=None, derandomize=True)
@given(spaces(), st.integers(0, 10**6))
def test_no_design_is_better_than_its_bound_or_that_of_a_part_it_lies_in(changes, seed):
    problem = small(**changes)
    lattice, rng = problem.lattice, np.random.default_rng(seed)
    points = lattice.points(rng.choice(lattice.listed, min(1000, lattice.listed), replace=False))
    points = points[lattice.valid(points)]
    outcome = problem.outcome(points)
    for rows, design in lattice.tables(points):
        alone = _table(bounds.coordinates(problem, bounds.Ends.of(problem, design)), len(rows))
        good = outcome.feasible[rows]
        assert np.isfinite(alone).all()
        assert (alone[good] <= outcome.coordinates[rows][good]).all()
    # Of parts: each feasible design is no better than one of the corners of each part that it lies in.
    swept, waiting = sweep.Sweep(problem), []
    waiting.extend(swept.whole())
    feasible, found = points[outcome.feasible], outcome.coordinates[outcome.feasible]
    for _ in range(30):
        if not waiting:
            break
        part = waiting.pop(int(rng.integers(len(waiting))))
        block = swept.bounded(part, found[:0])
        held = np.all([np.isin(feasible[:, AXES.index(n)], part.axes[n]) for n in AXES[2:]], axis=0)
        held &= (feasible[:, 0] == part.ffn) & (feasible[:, 1] == part.attention)
        inside = found[held]
        assert not len(inside) or block.n_designs
        assert (block.best[None] <= inside[:, None]).all(axis=2).any(axis=1).all()
        if block.n_designs and block.within.n_cells > 50:
            waiting += _halved(swept, block)


def _table(columns, n):
    return np.stack([np.broadcast_to(c, n) for c in columns], axis=1)


def _halved(swept, block):
    limit, sweep.MOST_CELLS = sweep.MOST_CELLS, 50
    try:
        return swept.cut(block)
    finally:
        sweep.MOST_CELLS = limit


@pytest.mark.parametrize("objectives", ["[{minimize: loss}, {maximize: context_length}]",
                                        "[{minimize: loss}, {maximize: context_length}, {minimize: n_params}]",
                                        "[{minimize: loss}, {minimize: energy_kwh}]"])  # fmt: skip
def test_stopped_early_the_bound_holds_and_tightens_to_nothing(monkeypatch, objectives):
    monkeypatch.setattr(sweep, "MOST_CELLS", 100)
    monkeypatch.setattr(exact_module, "FIRST", 16)
    problem = small(objectives=objectives)
    truth = exact_front(problem)
    assert truth.complete
    assert truth.gap == 0
    gaps = []
    for share in (0.03, 0.1, 0.3, 0.7, 1.0):
        some = exact_front(problem, most=int(share * truth.n_evaluated))
        assert some.n_proved + some.n_undecided == problem.lattice.size
        assert some.n_evaluated <= share * truth.n_evaluated
        reference = some.ruler.reference
        best, own = (hypervolume(e.coordinates, reference) for e in (truth, some))
        assert own <= best <= some.ruler.hypervolume * (1 + 1e-12)
        assert some.gap >= 1 - own / best - 1e-12 if best else some.gap == 1
        gaps.append(some.gap)
    assert gaps[0] > 0.01
    assert gaps[-1] == 0
    # Stopped at a gap, it is that close, and it did less.
    for within in (0.5, 0.05, 0.001):
        some = exact_front(problem, within=within)
        assert some.gap <= within
        assert some.n_evaluated <= truth.n_evaluated
        assert 1 - some.ruler.share(some.coordinates) == pytest.approx(some.gap, abs=1e-12)


def test_where_a_bound_beats_all_that_was_found_the_gap_is_still_a_share_of_it():
    coordinates = np.array([[0.0, 1.0], [1.0, 0.0]])
    stopped = Exact(
        points=np.zeros((2, 9), dtype=np.int64), figures=coordinates, coordinates=coordinates, optima={},
        n_proved=2, n_evaluated=2, n_undecided=1, undecided=np.zeros((1, 2)),
    )  # fmt: skip
    # Of the square from 0 to 1.1, what was found has two strips of a tenth.
    assert stopped.gap == pytest.approx(1 - (2 * 0.11 - 0.01) / 1.1**2)


@pytest.mark.parametrize("goals", ["", ", {minimize: n_params}"])
def test_a_good_front_from_the_start_changes_nothing_but_the_work(monkeypatch, goals):
    problem = small(kv="[all, 4]", objectives=f"[{{minimize: loss}}, {{maximize: context_length}}{goals}]")
    monkeypatch.setattr(sweep, "MOST_CELLS", 300)
    plain = exact_front(problem)
    monkeypatch.setattr(exact_module, "LARGE", 0)
    seeded = exact_front(problem)
    np.testing.assert_array_equal(seeded.points, plain.points)
    np.testing.assert_array_equal(seeded.coordinates, plain.coordinates)
    assert seeded.complete
    few = exact_front(problem, most=7)
    assert few.n_evaluated == 7
    assert few.n_proved + few.n_undecided == problem.lattice.size


def test_of_hundreds_of_billions_a_stop_comes_soon_and_says_how_far_off_it_may_be():
    text = (Path(__file__).parents[1] / "benchmarks" / "billion.yaml").read_text("utf-8")
    for coarse, fine in (
        ("per_octave: 4, multiple_of: 256", "per_octave: 32, multiple_of: 16"),
        ("to: 12288, multiple_of: 128", "to: 12288, multiple_of: 16"),
        ("d_head: [64, 96, 128]", "d_head: [32, 64, 80, 96, 128, 160, 192]"),
        (
            "vocab_size: [32000,",
            "vocab_size: [32000, 40000, 48000, 64000, 80000, 96000, 112000, 144000, 160000,",
        ),
    ):
        assert coarse in text
        text = text.replace(coarse, fine)
    problem = Problem(budget.load(text))
    assert problem.lattice.size > 10**11
    began = time.process_time()
    stopped = exact_front(problem, most=2000, workers=1)
    assert time.process_time() - began < 60
    assert stopped.n_evaluated == 2000
    assert stopped.n_proved + stopped.n_undecided == problem.lattice.size
    assert 0 < stopped.gap < 1
    # What was found is no less than what `auto` proposes first.
    auto = ArchiveSearch(problem, seed=0)
    proposed = problem.outcome(np.array([auto.proposal(k) for k in range(20)]))
    first = hypervolume(proposed.coordinates[proposed.feasible], stopped.ruler.reference)
    assert hypervolume(stopped.coordinates, stopped.ruler.reference) >= first > 0


def test_what_has_no_bound_has_none_when_stopped_early():
    toy = Toy(
        lattice=toy_lattice(d_model=np.arange(256.0, 4097.0, 64.0), vocab_size=np.arange(1.0, 5.0) * 32e3)
    )
    some = exact_front(toy, most=1000)
    assert not some.complete
    assert some.undecided is None
    assert some.gap == np.inf
    assert some.ruler.share(some.coordinates) == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 12))
def test_beaten_is_as_good_in_all_and_better_in_one(seed, m, group):
    rng = np.random.default_rng(seed)
    rows, front = rng.integers(0, 6, (60, m)).astype(float), rng.integers(0, 6, (9, m)).astype(float)
    # Zeros of either sign, and equal rows.
    rows[rng.random(rows.shape) < 0.1] *= -0.0
    rows[:3] = front[:3]
    plain = ((front[None] <= rows[:, None]).all(axis=2) & (front[None] < rows[:, None]).any(axis=2)).any(
        axis=1
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(blocks, "GROUP", group)
        np.testing.assert_array_equal(dominated(rows, front), plain)


def test_many_rows_of_four_coordinates_are_held_against_a_long_front_at_once():
    rng = np.random.default_rng(0)
    ball = rng.random((6000, 4))
    front = 1 - ball / np.linalg.norm(ball, axis=1, keepdims=True)
    rows = 0.9 * rng.random((60_000, 4)) - 0.1
    began = time.process_time()
    beaten = dominated(rows, front)
    # Point by point it takes twenty seconds.
    assert time.process_time() - began < 4
    assert 0.01 < beaten.mean() < 0.2


def test_a_check_of_a_large_lattice_estimates_what_a_small_one_s_counts(monkeypatch):
    problem = small(kv="[all, 4]", d_head="[64, 128]")
    counted = checking.check(problem.budget)
    monkeypatch.setattr(checking, "MOST_COUNTED", 10)
    estimated = checking.check(problem.budget)
    assert (counted.n_sampled, estimated.n_sampled) == (0, checking.N_SAMPLED)
    for name in ("n_lattice", "n_listed", "n_plans", "blind_to"):
        assert getattr(counted, name) == getattr(estimated, name)
    assert abs(counted.n_feasible - estimated.n_feasible) < 0.03 * problem.lattice.size
    assert set(counted.stopped_by) == set(estimated.stopped_by)
    for name, n in counted.stopped_by.items():
        assert abs(n - estimated.stopped_by[name]) < 0.03 * problem.lattice.size
    assert any("drawn at random" in note for note in estimated.notes)


def test_workers_change_nothing(monkeypatch):
    monkeypatch.setattr("explorer.search.crew.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(sweep, "MOST_CELLS", 300)
    problem = small(kv="[all, 4]", d_head="[64, 128]")
    alone, together = (exact_front(problem, workers=n) for n in (1, 3))
    assert alone.n_evaluated == together.n_evaluated
    np.testing.assert_array_equal(alone.points, together.points)
    np.testing.assert_array_equal(alone.coordinates, together.coordinates)


def test_a_killed_worker_s_task_is_done_by_another():
    first = os.getpid()

    def work(task):
        if task == 3 and os.getpid() != first:
            os.kill(os.getpid(), signal.SIGKILL)
        return task * task

    with Crew(work, 2, patience=0.0) as crew:
        assert crew.map(range(8)) == [k * k for k in range(8)]
        assert crew.map(range(5)) == [k * k for k in range(5)]


@pytest.mark.parametrize("n_dead", [1, 2])
def test_workers_killed_between_two_waves_are_missed_by_nobody(n_dead):
    with Crew(lambda task: task * task, 2, patience=0.0) as crew:
        assert crew.map(range(4)) == [0, 1, 4, 9]
        for process in list(crew._workers.values())[:n_dead]:
            process.kill()
            process.join()
        assert crew.map(range(2)) == [0, 1]
        assert crew.map(range(5)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("n_forks", [0, 1])
def test_where_no_more_processes_can_be_had_those_there_do_the_work(monkeypatch, n_forks):
    fork, left = os.fork, [n_forks]

    def few():
        if not left[0]:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        left[0] -= 1
        return fork()

    monkeypatch.setattr(os, "fork", few)
    with Crew(lambda task: task * task, 3, patience=0.0) as crew:
        for n in (4, 6):
            assert crew.map(range(n)) == [k * k for k in range(n)]
        assert len(crew._workers) == n_forks


def test_what_a_task_raises_is_raised():
    def work(task):
        raise ValueError(f"task {task}")

    with Crew(work, 2, patience=0.0) as crew, pytest.raises(ValueError, match="task"):
        crew.map(range(4))
