"""Fronts and indicators against brute force and hand-worked cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from explorer.search.front import Archive, Objective, Ruler, greedily, greedy, hypervolume, knee, nondominated

clouds = arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.integers(0, 9))


def beaten(points, row):
    return any((other <= points[row]).all() and (other < points[row]).any() for other in points)


@settings(deadline=None)
@given(clouds)
def test_nondominated_is_what_nothing_beats(points):
    rows = nondominated(points, keep_equal=True)
    assert rows.tolist() == [k for k in range(len(points)) if not beaten(points, k)]
    kept = nondominated(points)
    assert len(np.unique(points[kept], axis=0)) == len(kept)
    assert {p.tobytes() for p in points[kept]} == {p.tobytes() for p in points[rows]}


def test_rows_that_are_not_finite_are_on_no_front():
    points = np.array([[1.0, 2.0], [np.nan, 0.0], [0.0, np.inf], [2.0, 1.0]])
    assert nondominated(points).tolist() == [0, 3]
    assert hypervolume(points, np.array([3.0, 3.0])) == 3.0
    assert len(nondominated(np.full((2, 2), np.nan))) == 0


def test_coordinates_are_minimised_and_ratios_are_doublings():
    assert Objective("context_length", "maximize").coordinates(np.array([1024.0, 2048.0])).tolist() == [
        -10,
        -11,
    ]
    assert Objective("loss", "minimize").coordinates(np.array([2.5])).tolist() == [2.5]


def test_ruler_of_a_known_front():
    ruler = Ruler.of(np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]))
    # The worst corner (2, 2) and a tenth of the range of 2.
    np.testing.assert_allclose(ruler.reference, [2.2, 2.2])
    np.testing.assert_allclose(ruler.hypervolume, 2.2**2 - 1 - 2)
    assert ruler.share(ruler.front) == 1
    assert ruler.epsilon(ruler.front) == 0
    np.testing.assert_allclose(ruler.epsilon(np.array([[1.0, 1.0]])), 0.5)
    assert ruler.igd_plus(np.empty((0, 2))) == np.inf


@settings(max_examples=40)
@given(arrays(np.float64, st.tuples(st.integers(1, 25), st.just(3)), elements=st.integers(0, 9)))
def test_an_archive_grows_to_the_front_and_its_hypervolume(points):
    reference = np.array([10.0, 10.0, 10.0])
    archive = Archive(reference)
    for point in points:
        archive.add(point)
    np.testing.assert_allclose(archive.hypervolume, hypervolume(points, reference))
    front = points[nondominated(points)]
    assert sorted(map(tuple, archive.front)) == sorted(map(tuple, front))


@pytest.mark.parametrize("m", [2, 3])
def test_with_slack_every_pick_gains_nearly_as_much_as_the_best_would(m):
    rng = np.random.default_rng(m)
    front = rng.random((200, m))
    front = front[nondominated(front)]
    reference = np.full(m, 1.1)
    taken: list[int] = []
    for k in greedily(front, reference, slack=0.2):
        before = hypervolume(front[taken], reference)
        gains = [hypervolume(front[[*taken, j]], reference) - before for j in range(len(front))]
        assert gains[k] >= 0.8 * max(gains) - 1e-12
        taken.append(k)
    assert len(set(taken)) == len(taken)
    assert hypervolume(front[taken], reference) == pytest.approx(hypervolume(front, reference))


@pytest.mark.parametrize("m", [2, 3])
def test_greedy_takes_the_most_valuable_point_first(m):
    rng = np.random.default_rng(m)
    front = rng.random((60, m))
    front = front[nondominated(front)]
    reference = np.full(m, 1.1)
    order = greedy(front, reference)
    chosen = []
    for k in order[:6]:
        gains = [hypervolume(front[[*chosen, j]], reference) for j in range(len(front))]
        assert np.isclose(gains[k], max(gains))
        chosen.append(k)
    np.testing.assert_allclose(hypervolume(front[order], reference), hypervolume(front, reference))
    enough = greedy(front, reference, 0.9)
    assert enough == order[: len(enough)]
    assert hypervolume(front[enough], reference) >= 0.9 * hypervolume(front, reference)


def test_the_curve_ends_at_the_share_and_never_falls():
    rng = np.random.default_rng(0)
    points = rng.random((40, 2))
    feasible = rng.random(40) < 0.6
    ruler = Ruler.of(points[feasible][nondominated(points[feasible])])
    curve = ruler.curve(points, feasible)
    assert (np.diff(curve) >= 0).all()
    np.testing.assert_allclose(curve[-1], 1.0)


def test_the_knee_is_nearest_to_the_ideal_corner():
    assert knee(np.array([[0.0, 10.0], [1.0, 2.0], [5.0, 1.5], [10.0, 0.0]])) == 1
