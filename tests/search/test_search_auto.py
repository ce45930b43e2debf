"""What `auto` expects of designs it did not look at, and that it finds the front where memory is tight."""

import json

import numpy as np
import pytest
from search_toy import Toy

import explorer
from explorer.catalog.metrics import METRICS
from explorer.design import Design
from explorer.search.auto import AutoSampler
from explorer.search.exact import exact_front
from explorer.search.front import Objective, Ruler
from explorer.search.prior import NoPrior
from explorer.search.problem import Problem
from explorer.search.surrogate import NEIGHBOURS, Features, Nearest, Surrogate


def problem(memory="24GB", gpus=4, **objectives):
    return Problem(
        explorer.load(
            json.dumps(
                {
                    "name": "small",
                    "budget": {
                        "parameters": "2B", "gpu_memory": memory, "training": {"days": 14},
                        "serving": {"gpu_memory": "12GiB", "batch": 1, "tokens": "1T"},
                    },
                    "hardware": {"accelerator": "a100-sxm-40gb", "gpus": gpus, "price_per_gpu_hour": 2},
                    "space": {
                        "context_length": {"from": 1024, "to": 65536, "per_octave": 2, "multiple_of": 256},
                        "d_model": {"from": 512, "to": 4096, "multiple_of": 128},
                        "n_layers": {"from": 4, "to": 48}, "d_head": 64, "n_kv_heads": [4, "all"],
                        "ffn": {"kind": "swiglu", "ratio": 3.5},
                        "schedule": ["constant", {"staged": {"from": 4096, "share": 0.05}}],
                    },
                    "training": {"global_batch_tokens": "512k", "implementation": "megatron"},
                    "quality": {"law": "besiroglu-2024", "corpus": "books"},
                    "objectives": [{METRICS[n].direction: n} for n in objectives or ("loss", "context_length")],
                }
            )
        )
    )  # fmt: skip


def drawn(lattice, n, seed=0):
    points = (np.random.default_rng(seed).random((8 * n, 9)) * lattice.sizes).astype(np.int64)
    return points[lattice.valid(points)][:n]


def test_closed_forms_with_the_lessons_of_a_look_give_its_figures_of_every_metric():
    small = problem(**dict.fromkeys(METRICS))
    points = drawn(small.lattice, 300)
    outcome = small.outcome(points)
    forms = small.prior.forms(points)
    lessons = small.prior.lessons(points, outcome, forms)
    coordinates, violation = small.prior.expected(forms, lessons)
    runs = np.isfinite(outcome.coordinates).all(axis=1)
    assert runs.sum() > 200
    np.testing.assert_allclose(coordinates[runs], outcome.coordinates[runs], rtol=0, atol=1e-9)
    memory = outcome.constraints["gpu_memory"]
    assert 20 < (memory[runs] > 0).sum() < runs.sum() - 20
    np.testing.assert_array_equal((violation <= 0)[runs], (memory <= 0)[runs])


@pytest.mark.parametrize("gpus", [1, 4])
def test_what_a_plain_plan_fits_is_feasible(gpus):
    small = problem(memory="12GB", gpus=gpus)
    points = drawn(small.lattice, 300, seed=1)
    _, violation = small.prior.expected(small.prior.forms(points), None)
    memory = small.outcome(points).constraints["gpu_memory"]
    assert 0 < (violation <= 0).sum() < len(points)
    assert (memory[violation <= 0] <= 0).all()


def test_nearest_are_those_of_a_full_sort_however_the_known_grow():
    rng = np.random.default_rng(3)
    place, known = rng.random((500, 3)), rng.random((90, 3))
    nearest = Nearest()
    for n_rows, n_known in ((200, 20), (200, 60), (500, 90)):
        nearest.grow(place[:n_rows], known[:n_known])
    squared = ((place[:, None] - known) ** 2).sum(axis=2)
    expected = np.sort(squared, axis=1)[:, :NEIGHBOURS]
    np.testing.assert_allclose(np.sort(nearest.squared, axis=1), expected, atol=1e-12)
    found = np.take_along_axis(squared, nearest.index, axis=1)
    np.testing.assert_allclose(np.sort(found, axis=1), expected, atol=1e-12)


def test_without_closed_forms_the_lessons_are_the_figures():
    toy = Toy()
    points = drawn(toy.lattice, 50)
    outcome, prior = toy.outcome(points), NoPrior(toy)
    coordinates, violation = prior.expected(
        prior.forms(points), prior.lessons(points, outcome, prior.forms(points))
    )
    np.testing.assert_array_equal(coordinates, outcome.coordinates)
    np.testing.assert_array_equal(violation <= 0, outcome.violation <= 0)


@pytest.mark.parametrize("memory", ["5GB", "24GB"])
def test_auto_comes_close_where_memory_is_tight_and_where_it_is_not(memory):
    small = problem(memory=memory)
    small.objectives = (*small.objectives, Objective("n_params", "minimize"))
    ruler = Ruler.of(exact_front(small).coordinates)
    sampler = AutoSampler(small, seed=0)
    outcome = small.outcome(np.array([sampler.point(k) for k in range(150)]))
    assert ruler.share(outcome.coordinates[outcome.feasible]) > 0.99
    assert sampler.model_evaluations <= 0.01 * small.lattice.size


def test_a_figure_that_jumps_is_told_by_neighbours_and_hope_is_the_least_of_them():
    small = problem()
    features = Features(small)
    place = features.place(drawn(small.lattice, 400, seed=5))
    nearest = Nearest()
    nearest.grow(place, place[:300])
    smooth = place[:, 0] + place[:, 1] ** 2
    values = np.column_stack([smooth, np.where(place[:, 1] > 0, 5.0, 2.0)])
    model = Surrogate(features, place[:300], values[:300], nearest.index[:300], nearest.squared[:300])
    found = model.predict(place[300:], nearest.index[300:], nearest.squared[300:])
    np.testing.assert_allclose(found[:, 0], smooth[300:], atol=1e-3)
    assert found[:, 1].min() >= 2 - 1e-9
    assert found[:, 1].max() <= 5 + 1e-9
    hoped = model.predict(place[300:], nearest.index[300:], nearest.squared[300:], hopeful=True)
    assert set(np.round(hoped[:, 1], 9)) == {2.0, 5.0}
    assert (hoped <= found + 1e-9).all()


def test_halves_of_heads_depth_and_batch_are_told_as_far_as_plans_cut_them():
    small = problem()
    memory = small.prior._memory
    # Four GPUs: tensor and pipeline up to 4, data up to 4 of micro-batches up to 64.
    assert memory.largest == {"heads": 2, "depth": 2, "batch": 8}
    design = Design(context_length=1024, d_model=512, n_layers=np.array([5.0, 6.0, 8.0, 16.0]), n_heads=8, n_kv_heads=4,
                    d_head=64, d_ff=1792, vocab_size=32000)  # fmt: skip
    heads, depth, batch = memory.parts(design)
    np.testing.assert_array_equal(depth, [-1, 0, 1, 1])
    assert float(np.max(heads)) == 1
    assert float(np.max(batch)) == -0.5  # 500 sequences: halved twice, of eight times


def test_what_was_weighed_and_what_was_looked_at_are_counted_apart():
    small = problem()
    weighed, looked = set(), set()
    forms, outcome = small.prior.forms, small.outcome
    small.prior.forms = lambda p: (weighed.update(small.lattice.keys(p).tolist()), forms(p))[1]
    small.outcome = lambda p: (looked.update(small.lattice.keys(p).tolist()), outcome(p))[1]
    sampler = AutoSampler(small, seed=0)
    for k in range(200):
        sampler.point(k)
    assert sampler.model_evaluations == len(looked)
    assert sampler.model_weighed == len(weighed | looked) - len(looked)
