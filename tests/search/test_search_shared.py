"""A study in a storage: lost trials come back, failures stay failures, nobody takes what is not theirs."""

import json
import subprocess
import sys
import threading
import time
from asyncio import CancelledError
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.trial import TrialState
from search_toy import Toy
from sqlalchemy.exc import OperationalError

from explorer.errors import ExplorerError
from explorer.search import shared
from explorer.search.auto import AutoSampler
from explorer.search.corrected import corrected
from explorer.search.front import Ruler, nondominated
from explorer.search.heartbeat import RETRIES, queue_again
from explorer.search.measured import LEAST_TOLD
from explorer.search.samplers import make_shared
from explorer.search.shared import SharedStudy, ended, open_storage, proposals
from explorer.search.storage import journal_file
from explorer.search.study import evaluate_for, explore
from explorer.search.surrogate import Features, Residual
from explorer.search.variables import Variables

optuna.logging.set_verbosity(optuna.logging.ERROR)
IDENTITY = {"problem": {"limit": 2e9, "compute": 3e20}, "sampler": "auto", "seed": 0}
NAMES = ["context_length", "d_model", "n_layers"]


def join(where, alone=False, heartbeat=1, evaluator=None):
    storage = open_storage(where, heartbeat)
    return SharedStudy(Toy(), AutoSampler(Toy(), seed=0), storage, IDENTITY, evaluator, where, alone)


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_a_trial_without_signs_of_life_is_run_again_with_its_design(tmp_path, kind):
    where = tmp_path / "a.log" if kind == "journal" else f"sqlite:///{tmp_path}/a.db"
    dead = join(where)
    lost = [dead.study.ask(dead.variables.distributions) for _ in range(2)]
    if kind == "sqlite":
        for trial in lost:
            dead.study._storage.record_heartbeat(trial._trial_id)
    join(where).work(6, lambda done, wanted: None)
    _, told = join(where).results(6)
    alone = explore(Toy(), trials=6, sampler="auto", seed=0)
    assert [[t.params[n] for n in NAMES] for t in told] == alone.trials[NAMES].astype(int).to_numpy().tolist()
    assert [t.params for t in told[:2]] == [t.params for t in lost]


def test_a_slow_worker_that_shows_signs_of_life_keeps_its_trial(tmp_path):
    calls = []

    def slow(design):
        calls.append((design["context_length"], design["d_model"], design["n_layers"]))
        time.sleep(4.5)
        return {"loss": design["loss"]}

    def work():
        # A storage of its own, as another process has.
        join(tmp_path / "a.log", evaluator=slow).work(2, lambda done, wanted: None)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(calls) == len(set(calls)) == 2


@pytest.mark.parametrize("words", ["table trials already exists", "database is locked"])
def test_workers_that_start_together_wait_for_the_tables(tmp_path, monkeypatch, words):
    real, asked = optuna.storages.RDBStorage, []

    def half_made(*args, **kwargs):
        asked.append(args)
        if len(asked) < 3:
            raise OperationalError("CREATE TABLE", None, Exception(words))
        return real(*args, **kwargs)

    monkeypatch.setattr(optuna.storages, "RDBStorage", half_made)
    monkeypatch.setattr(shared, "POLL_SECONDS", 0)
    assert isinstance(open_storage(f"sqlite:///{tmp_path}/a.db"), real)
    assert len(asked) == 3


def test_what_a_process_alone_left_behind_is_run_first_and_blames_nobody(tmp_path):
    for _ in range(RETRIES + 2):
        study = join(tmp_path / "a.log", alone=True)
        study._reap(study.study.get_trials(deepcopy=False))
        study.study.ask(study.variables.distributions)
    study.work(3, lambda done, wanted: None)
    trials = study.study.get_trials(deepcopy=False)
    assert len(ended(trials)) == len(proposals(trials)) == 3
    assert all(t.state == TrialState.COMPLETE for t in ended(trials).values())


def test_a_design_that_takes_every_worker_down_is_given_up(tmp_path):
    study = join(tmp_path / "a.log")
    for _ in range(RETRIES + 1):
        trial = study.study.ask(study.variables.distributions)
        frozen = study.study.tell(trial, state=TrialState.FAIL)
        queue_again(study.study, frozen)
    trials = study.study.get_trials(deepcopy=False)
    assert len(trials) == RETRIES + 1
    assert list(ended(trials)) == [0]
    study.work(1, lambda done, wanted: None)
    (failed,) = study.failures(1)
    assert "error" not in failed.user_attrs


def test_an_interrupt_queues_the_trial_again_and_the_end_is_the_same(tmp_path):
    interrupts = iter([False, False, True, False, True])

    def train(design):
        if next(interrupts, False):
            raise KeyboardInterrupt
        return {"loss": 1.1 * design["loss"]}

    def run():
        return explore(Toy(), trials=12, seed=0, evaluator=train, journal=tmp_path / "a.log")

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run()
    found = run()
    whole = explore(Toy(), trials=12, seed=0, evaluator=train)
    assert found.trials.drop(columns="number").equals(whole.trials.drop(columns="number"))
    assert found.front.to_csv() == whole.front.to_csv()


@pytest.mark.parametrize("name", ["random", "tpe", "nsga2"])
def test_two_workers_with_one_seed_do_not_draw_the_same_designs(name):
    storage = optuna.storages.InMemoryStorage()
    toy = Toy()
    study = optuna.create_study(storage=storage, directions=["minimize", "maximize"])
    samplers = [make_shared(name, toy, 0, True) for _ in range(2)]
    drawn = []
    for k in range(20):
        study.sampler = samplers[k % 2]
        trial = study.ask(samplers[0].variables.distributions)
        drawn.append(tuple(trial.params.values()))
        study.tell(trial, [1.0 + k, 2.0])
    assert len(set(drawn)) == 20


def test_the_study_says_what_it_is_and_how_many_trials_it_wants(tmp_path):
    where = str(tmp_path / "a.log")
    explore(Toy(), trials=7, seed=5, sampler="random", storage=where)
    # A worker takes sampler, seed and number of trials from the study.
    assert evaluate_for(Toy(), storage=where, trials=300) == 0
    (study,) = [optuna.load_study(study_name="toy", storage=JournalStorage(journal_file(tmp_path / "a.log")))]
    assert len(study.get_trials(deepcopy=False)) == 7
    assert study.metric_names == ["loss", "context_length"]
    assert study.user_attrs["units"] == {"loss": "nats/token", "context_length": "tokens"}
    with pytest.raises(ExplorerError, match=r"limit: 2000000000\.0 -> 1000000000\.0"):
        evaluate_for(Toy(limit=1e9), storage=where, trials=7)
    with pytest.raises(ExplorerError, match="evaluator: null -> "):
        evaluate_for(Toy(), storage=where, trials=7, evaluator=lambda design: {"loss": 1.0})


def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("first line\nno newline at the end")
    with pytest.raises(ExplorerError, match="must be a study's journal"):
        open_storage(notes)
    assert notes.read_text() == "first line\nno newline at the end"


def test_half_a_line_of_a_writer_that_died_is_cut_off_before_others_append(tmp_path):
    path = tmp_path / "a.log"
    explore(Toy(), trials=3, sampler="random", storage=str(path))
    living = open_storage(path)
    with path.open("a") as file:
        file.write('{"op_code":')
    study = optuna.load_study(study_name="toy", storage=living)
    study.set_user_attr("after", 1)
    assert all(json.loads(line) for line in path.read_text().splitlines())
    assert optuna.load_study(study_name="toy", storage=open_storage(path)).user_attrs["after"] == 1


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"speed": 1.0}, "unknown metric"), ({"step_seconds": float("nan")}, "finite step_seconds"),
        ({}, "metric names and values"), (None, "metric names and values"), ({"loss": "low"}, "finite loss"),
        ({"loss": True}, "finite loss"), ({"loss": np.array([2.0])}, "finite loss"), (2.5, "names and values"),
        ({"loss": np.bool_(True)}, "finite loss"), ({"loss": np.array(False)}, "finite loss"),
        ({"loss": 1 + 0j}, "finite loss"), ({"loss": np.complex128(1)}, "finite loss"), ({"loss": "2.5"}, "finite loss"),
        ({"loss": np.timedelta64(3, "s")}, "finite loss"), ({"loss": Decimal("NaN")}, "finite loss"),
        ({"loss": Decimal("sNaN")}, "finite loss"), ({"loss": float("-inf")}, "finite loss"),
        ({"loss": 5e-324}, "1e-60 to 1e+60, got 5e-324"), ({"loss": -1e308}, "1e-60 to 1e+60, got -1e+308"),
        ({"loss": np.longdouble("1e4000")}, "finite loss"), ({"loss": 10**400}, "finite loss"),
        ({"loss": 10**5000}, "a value of type int that cannot be shown"),
        ({"step_seconds": 5e-324}, "positive, finite step_seconds"), ({"step_seconds": 1e308}, "1e-60 to 1e+60"),
        ({"step_seconds": -1.0}, "positive, finite step_seconds"), ({"step_seconds": 0}, "positive, finite"),
        ({"context_length": 4096}, "unknown metric"), (Unspeakable(), "Unspeakable: an error that cannot be put"),
        (CancelledError(), "CancelledError: "), (GeneratorExit(), "GeneratorExit: "),
        (ValueError("bytes \udcff\0"), r"ValueError: bytes \udcff"), (MemoryError(), "MemoryError"),
        (SystemExit("no GPU"), "sys.exit('no GPU')"), (SystemExit(), "sys.exit(None)"),
        (RuntimeError("x" * 100_000), "x …"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_measurement_fails_its_trial_and_not_the_study(answer, said):
    def train(design):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    found = explore(Toy(), trials=2, evaluator=train)
    assert len(found.failures) == 2
    assert all(said in f.error for f in found.failures)
    assert len(found.trials) == len(found.front) == 0


@pytest.mark.parametrize(
    "value",
    [2.5, 3, np.float64(2.5), np.float32(2.5), np.float16(2.5), np.int8(3), np.array(2.5), Decimal("2.5"), Fraction(5, 2),
     np.longdouble(2.5), 1e-60, 1e60, 0, -1.0],
)  # fmt: skip
def test_a_number_of_any_kind_is_a_measurement(value):
    found = explore(Toy(), trials=2, evaluator=lambda design: {"loss": value})
    assert not found.failures
    assert found.trials["loss"].tolist() == [float(value)] * 2


def test_the_residual_is_learned_as_far_as_it_is_real():
    toy, rng = Toy(), np.random.default_rng(0)
    features = Features(toy)
    sampler = AutoSampler(toy, seed=0)
    points = np.array([sampler.point(k) for k in range(160)])
    place = features.place(points)
    real = 0.3 + 0.5 * place[:, 1] - 0.2 * place[:, 2] * place[:, 1]
    noise = rng.normal(0, 0.05, len(points))
    seen, unseen = slice(0, 40), slice(40, 160)
    found = Residual(features, place[seen], (real + noise)[seen, None]).predict(place[unseen])[:, 0]
    plain = np.abs(real[unseen] - (real + noise)[seen].mean()).mean()
    assert np.abs(found - real[unseen]).mean() < 0.5 * plain
    # Of noise alone nothing is learned but its mean.
    nothing = Residual(features, place[seen], noise[seen, None]).predict(place[unseen])[:, 0]
    assert np.abs(nothing - noise[seen].mean()).max() < 0.05


def test_measurements_correct_what_is_proposed():
    toy = Toy()

    def true_loss(row):
        # The model thinks far too well of long contexts: none of its best designs is short.
        return row["loss"] + 0.05 * np.log2(row["context_length"] / 1024)

    def coordinates(table):
        found = np.stack([true_loss(table), -np.log2(table["context_length"])], axis=1)
        return found[np.asarray(table["feasible"])]

    grids = np.meshgrid(*(np.arange(size) for size in toy.lattice.sizes), indexing="ij")
    points = np.stack([g.ravel() for g in grids], axis=1)
    whole = coordinates(toy.columns(points[toy.lattice.valid(points)]))
    ruler = Ruler.of(whole[nondominated(whole)])
    learned = explore(
        toy, trials=30, sampler="auto", seed=0, evaluator=lambda row: {"loss": float(true_loss(row))}
    ).trials
    modelled = explore(toy, trials=30, sampler="auto", seed=0).trials
    by_measurement = ruler.share(coordinates(learned.assign(loss=learned["modelled_loss"])))
    by_model = ruler.share(coordinates(modelled))
    assert by_measurement > 0.9 > 0.3 > by_model


def test_a_trial_is_corrected_by_those_before_it_alone():
    rng = np.random.default_rng(0)
    points = np.array([AutoSampler(Toy(), seed=0).point(k) for k in range(30)])
    columns = Toy().columns(points)
    modelled = columns["loss"]
    measured = 1.3 * modelled * np.exp(rng.normal(0, 0.01, 30))

    def learned(loss):
        return corrected(Toy(), points, {**columns, "loss": loss, "modelled_loss": modelled})[
            "corrected_loss"
        ]

    found = learned(measured)
    assert np.isnan(found[:LEAST_TOLD]).all()
    assert np.median(np.abs(found[LEAST_TOLD:] / measured[LEAST_TOLD:] - 1)) < 0.02
    for k in (LEAST_TOLD, 20, 29):
        other = measured.copy()
        other[k] *= 2
        np.testing.assert_array_equal(learned(other)[: k + 1], found[: k + 1])
        assert k == 29 or (learned(other)[k + 1 :] != found[k + 1 :]).all()


def test_every_storage_gives_the_same_tables(tmp_path):
    def found(where):
        def biased(design):
            return {"loss": 1.1 * design["loss"]}

        return explore(Toy(), trials=6, seed=0, evaluator=biased, storage=where)

    journal, database = found(str(tmp_path / "a.log")), found(f"sqlite:///{tmp_path}/a.db")
    assert journal.trials.to_csv() == database.trials.to_csv()
    assert journal.front.to_csv() == database.front.to_csv()


def told_by_two_processes(where, kind, trials):
    line = [sys.executable, str(Path(__file__).with_name("search_worker.py")), kind, str(where), str(trials)]
    workers = [subprocess.Popen(line) for _ in range(2)]
    assert [worker.wait(timeout=300) for worker in workers] == [0, 0]
    study = optuna.load_study(study_name="toy", storage=open_storage(where))
    told = study.trials
    assert [t.state.name for t in told] == ["COMPLETE"] * trials
    assert len({tuple(t.params.values()) for t in told}) == trials
    return told


def test_two_processes_without_an_evaluator_ask_for_what_one_would_have_asked(tmp_path):
    told = told_by_two_processes(tmp_path / "a.log", "modelled", 40)
    toy = Toy()
    alone = AutoSampler(toy, seed=0)
    expected = Variables(toy.lattice).params(np.array([alone.point(k) for k in range(40)]))
    assert [t.params for t in told] == expected


def test_two_processes_with_an_evaluator_repeat_nothing_and_find_as_good_a_front(tmp_path):
    told = told_by_two_processes(tmp_path / "a.log", "measured", 40)
    toy = Toy()
    alone = explore(
        toy, trials=40, seed=0, evaluator=lambda design: {"loss": design["loss"] + 0.01 * design["n_layers"]}
    )
    # Every figure is the evaluator's own, whoever asked for it and when.
    table = toy.columns(Variables(toy.lattice).points([t.params for t in told]))
    measured = table["loss"] + 0.01 * table["n_layers"]
    np.testing.assert_allclose([t.values[0] for t in told], measured)
    # What the two learned, one process learned too, though it was told in another order.
    coordinates = np.stack([measured, -np.log2(table["context_length"])], axis=1)[table["feasible"]]
    rows = alone.trials[alone.trials["feasible"]]
    others = np.stack([rows["loss"], -np.log2(rows["context_length"])], axis=1)
    ruler = Ruler.of(others[nondominated(others)])
    assert ruler.share(coordinates) > 0.98
