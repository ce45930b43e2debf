"""Samplers and the driver: on the lattice, without repeats, the same again, taken up where it stopped."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from search_toy import Toy, toy_lattice

from explorer.errors import ExplorerError, UnknownName
from explorer.search.archive import LOOKED_AT_SHARE
from explorer.search.auto import AutoSampler
from explorer.search.front import Objective
from explorer.search.samplers import make
from explorer.search.shared import open_storage
from explorer.search.storage import journal_file
from explorer.search.study import evaluate_for, explore

optuna.logging.set_verbosity(optuna.logging.ERROR)


def three():
    toy = Toy()
    toy.objectives = (*toy.objectives, Objective("kv_cache_bytes", "minimize"))
    return toy


@pytest.mark.parametrize("name", ["auto", "tpe", "tpe-independent", "nsga2", "nsga3", "qmc", "random"])
def test_every_sampler_asks_for_buildable_designs_and_repeats_itself(name):
    runs = [explore(three(), trials=60, sampler=name, seed=3) for _ in range(2)]
    assert runs[0].front.equals(runs[1].front)
    assert runs[0].trials.equals(runs[1].trials)
    assert len(runs[0].trials) == 60
    assert 0 < runs[0].hypervolume_share <= 1
    shares = [s for _, s in runs[0].curve]
    assert shares == sorted(shares)
    np.testing.assert_allclose(shares[-1], runs[0].hypervolume_share)


def test_an_unknown_sampler_is_named_with_what_there_is():
    with pytest.raises(UnknownName, match="nsga2"):
        make("nsga", Toy(), 0)


def test_auto_proposes_without_repeats_and_by_number_alone():
    toy = three()
    first, second = AutoSampler(toy, seed=1), AutoSampler(toy, seed=1)
    sequence = [first.point(k) for k in range(200)]
    for k in (150, 3, 199, 0):
        np.testing.assert_array_equal(second.point(k), sequence[k])
    keys = toy.lattice.keys(np.array(sequence))
    assert len(set(keys.tolist())) == 200
    assert toy.lattice.valid(np.array(sequence)).all()
    seeded = AutoSampler(toy, seed=2)
    other = [seeded.point(k) for k in range(20)]
    assert not np.array_equal(other, sequence[:20])


def test_auto_looks_at_no_more_than_its_share_and_comes_close():
    toy = three()
    toy.n_calls = 0
    sampler = AutoSampler(toy, seed=0)
    sampler.point(0)
    assert sampler.model_evaluations == toy.n_calls <= toy.lattice.size * LOOKED_AT_SHARE
    found = explore(three(), trials=100, sampler="auto", seed=0)
    assert found.hypervolume_share > 0.99
    assert found.model_evaluations <= toy.lattice.size * LOOKED_AT_SHARE


def test_auto_proposes_every_design_of_a_small_lattice_once():
    lattice = toy_lattice(
        context_length=np.array([1024.0, 8192.0]), d_model=np.array([512.0, 1024.0]),
        n_layers=np.array([4.0, 8.0, 12.0]),
    )  # fmt: skip
    toy = Toy(lattice=lattice)
    sampler = AutoSampler(toy, seed=0)
    points = np.array([sampler.point(k) for k in range(lattice.size)])
    assert len(set(lattice.keys(points).tolist())) == lattice.size


def test_exact_asks_for_the_whole_front():
    found = explore(three(), trials=5, sampler="exact")
    assert found.hypervolume_share == 1
    assert found.front["on_exact_front"].all()
    assert len(found.front) == len(found.exact.points)


def test_nothing_feasible_is_an_empty_front_not_an_error():
    found = explore(Toy(limit=1.0), trials=10, sampler="random")
    assert len(found.front) == 0
    assert found.hypervolume_share == 0


@cache
def undisturbed(name):
    """A whole run by a sampler, and its journal."""
    with TemporaryDirectory() as folder:
        journal = Path(folder) / "a.log"
        return explore(three(), trials=60, sampler=name, seed=4, journal=journal), journal.read_bytes()


@pytest.mark.parametrize("name", ["auto", "nsga2", "tpe"])
@pytest.mark.parametrize("cut", ["line", "middle of a line", "everything"])
def test_a_journal_cut_short_is_taken_up_to_the_same_end(tmp_path, name, cut):
    whole, text = undisturbed(name)
    lines = text.splitlines(keepends=True)
    short = {"line": b"".join(lines[:30]), "middle of a line": text[: len(text) * 2 // 3], "everything": b""}
    (tmp_path / "b.log").write_bytes(short[cut])
    again = explore(three(), trials=60, sampler=name, seed=4, journal=tmp_path / "b.log")
    assert again.front.to_csv() == whole.front.to_csv()
    (kept,) = optuna.get_all_study_names(JournalStorage(journal_file(tmp_path / "b.log")))
    study = optuna.load_study(study_name=kept, storage=JournalStorage(journal_file(tmp_path / "b.log")))
    told = study.get_trials(deepcopy=False)
    assert [t.number for t in told] == list(range(60))
    figures = np.array([list(t.values) for t in told])
    names = [o.name for o in three().objectives]
    np.testing.assert_array_equal(figures, whole.trials[names].to_numpy())
    assert study.metric_names == names
    assert set(told[0].constraints) == {"parameters"}


@pytest.mark.parametrize("where", ["its own journal", "a shared journal", "sqlite", "postgres", "proxy"])
def test_another_budget_does_not_continue_a_study_and_says_what_changed(tmp_path, where, request):
    if where == "its own journal":
        kept = {"journal": tmp_path / "a.log"}
    elif where in ("postgres", "proxy"):
        kept = {"storage": request.getfixturevalue(where)}
    else:
        kept = {"storage": f"sqlite:///{tmp_path}/a.db" if where == "sqlite" else str(tmp_path / "a.log")}

    # A database holds the studies of other tests as well.
    def run(problem=None, trials=5, sampler="random", **given):
        named = replace(problem or Toy(), name=f"changed-{where}")
        return explore(named, trials=trials, sampler=sampler, **kept, **given)

    first = run()
    with pytest.raises(ExplorerError, match=r"limit: 2000000000.0 -> 1000000000.0"):
        run(Toy(limit=1e9))
    with pytest.raises(ExplorerError, match="seed: 0 -> 1"):
        run(seed=1)
    with pytest.raises(ExplorerError, match='sampler: "random" -> "auto"'):
        run(sampler="auto")
    with pytest.raises(ExplorerError, match=r"evaluator: null -> .*slower"):
        run(evaluator=slower)
    if "storage" in kept:
        with pytest.raises(ExplorerError, match=r"limit: 2000000000.0 -> 1000000000.0") as error:
            evaluate_for(Toy(limit=1e9, name=f"changed-{where}"), **kept, trials=5, sampler="random")
        assert "\n" not in str(error.value)
    # More trials are the same study, continued; the first ones stay.
    more = run(trials=8)
    assert len(more.trials) == 8
    assert more.trials.head(5).equals(first.trials)


def slower(design):
    """An evaluator that disagrees with the model by a known factor, and fails on one width."""
    if design["d_model"] == 1024:
        raise RuntimeError("out of memory")
    return {"loss": design["loss"] * 1.1}


@pytest.mark.parametrize("where", ["journal", "sqlite"])
def test_measured_trials_replace_modelled_ones_and_failures_are_recorded(tmp_path, where):
    storage = None if where == "journal" else f"sqlite:///{tmp_path}/a.db"
    runs = [
        explore(Toy(), trials=25, sampler="auto", seed=0, evaluator=slower, storage=storage,
                journal=tmp_path / "a.log")
        for _ in range(2)
    ]  # fmt: skip
    found = runs[0]
    np.testing.assert_allclose(found.trials["loss"], 1.1 * found.trials["modelled_loss"])
    assert len(found.trials) + len(found.failures) == 25
    assert all("out of memory" in f.error for f in found.failures)
    assert runs[1].front.to_csv() == found.front.to_csv()


def test_two_workers_ask_for_what_one_would(tmp_path):
    alone = explore(Toy(), trials=20, sampler="auto", seed=0)
    for wanted in (8, 20):
        shared = explore(Toy(), trials=wanted, sampler="auto", seed=0, storage=f"sqlite:///{tmp_path}/a.db")
    assert shared.front.to_csv() == alone.front.to_csv()
    assert json.dumps(shared.study.user_attrs["budget"]["sampler"]) == '"auto"'


def test_a_storage_that_is_none_is_one_line_without_the_password():
    with pytest.raises(ExplorerError, match="must be") as caught:
        open_storage("postgresql+nothing://me:secret@localhost/x")
    assert "secret" not in str(caught.value)
    with pytest.raises(ExplorerError, match="grpc://host:port"):
        open_storage("grpc://localhost")
