"""The lattice: what is on it, how it is counted, and that designs come out as listed."""

import numpy as np
import pytest
from search_toy import toy_lattice

from explorer.search.space import AXES, AttentionChoice, ScheduleChoice, feed_forward_width
from explorer.search.variables import Variables


def brute_count(lattice):
    points = lattice.points(np.arange(lattice.listed))
    return int(lattice.valid(points).sum())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n_kv_heads": np.array([8.0])},
        {"attention": (AttentionChoice(), AttentionChoice(4096, 6))},
        {"schedule": (ScheduleChoice(2048.0, 0.1),)},
        {"d_head": np.array([96.0]), "n_kv_heads": np.array([0.0])},
    ],
)
def test_size_counts_every_buildable_design(changes):
    lattice = toy_lattice(**changes)
    assert lattice.size == brute_count(lattice)
    assert lattice.size + lattice.dropped == lattice.listed


def test_designs_off_the_lattice_are_those_that_cannot_be_built():
    lattice = toy_lattice()
    points = lattice.points(np.arange(0, lattice.listed, 7))
    for rows, design in lattice.tables(points):
        whole = (design.n_heads == np.rint(design.n_heads)) & (
            np.rint(design.n_heads) % design.n_kv_heads == 0
        )
        leaves = (design.staged_from == 0) | (design.staged_from < design.context_length)
        np.testing.assert_array_equal(lattice.valid(points[rows]), whole & leaves)


def test_keys_and_points_are_each_others_inverse():
    lattice = toy_lattice()
    keys = np.arange(0, lattice.listed, 11)
    np.testing.assert_array_equal(lattice.keys(lattice.points(keys)), keys)


def test_out_of_range_is_not_on_the_lattice():
    lattice = toy_lattice()
    point = lattice.points(np.array([0]))
    for axis in range(len(AXES)):
        for value in (-1, lattice.sizes[axis]):
            moved = point.copy()
            moved[0, axis] = value
            assert not lattice.valid(moved)[0]


def test_a_box_holds_the_same_designs_as_a_table():
    lattice = toy_lattice()
    box = lattice.box(within={"d_model": [4, 5], "n_layers": [0, 3]})
    cells = np.arange(int(np.prod(box.shape)))
    points = box.points(cells)
    ((_, table),) = lattice.tables(points)
    for name in ("context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_ff", "staged_from"):
        grid = np.broadcast_to(getattr(box.design, name), box.shape).reshape(-1)
        np.testing.assert_array_equal(grid, np.broadcast_to(getattr(table, name), cells.shape), err_msg=name)
    inside = np.broadcast_to(lattice.box_valid(box), box.shape).reshape(-1)
    np.testing.assert_array_equal(inside, lattice.valid(points))


def test_feed_forward_width_is_the_nearest_multiple_of_128():
    assert feed_forward_width(np.array([4096.0]), np.array([8 / 3])) == 10_880
    assert feed_forward_width(np.array([128.0]), np.array([0.1])) == 128


def test_every_proposal_snaps_onto_the_lattice_and_designs_stay_where_they_are():
    lattice = toy_lattice()
    variables = Variables(lattice)
    rng = np.random.default_rng(0)
    on = lattice.points(rng.integers(0, lattice.listed, 400))
    on = on[lattice.valid(on)]
    np.testing.assert_array_equal(variables.points(variables.params(on)), on)
    anything = [
        {
            "context_length": int(rng.integers(1024, 65_536)),
            "d_model": int(rng.integers(4, 33)) * 128,
            "n_layers": int(rng.integers(4, 49)),
            "d_head": int(rng.choice([64, 128])),
            "n_kv_heads": rng.choice(["all", 8]) if rng.random() < 0.5 else "all",
            "schedule": str(rng.choice(["constant", "staged 4096 0.05"])),
        }
        for _ in range(200)
    ]
    for params in anything:
        if params["n_kv_heads"] != "all":
            params["n_kv_heads"] = 8
    assert lattice.valid(variables.points(anything)).all()


def test_a_staged_proposal_that_never_leaves_its_window_becomes_the_constant_design():
    variables = Variables(toy_lattice())
    params = {
        "context_length": 2048, "d_model": 1024, "n_layers": 8, "d_head": 128, "n_kv_heads": "all",
        "schedule": "staged 4096 0.05",
    }  # fmt: skip
    snapped = variables.params(variables.points([params]))[0]
    assert snapped == {**params, "schedule": "constant"}
