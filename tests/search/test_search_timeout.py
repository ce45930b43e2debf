"""An evaluator that hangs costs its trial; whoever uses the system's timer besides keeps it."""

import signal
import subprocess
import sys
import threading
import time

import pytest
from search_toy import Toy

from explorer.errors import ExplorerError
from explorer.search import timeout
from explorer.search.study import evaluate_for, explore
from explorer.search.timeout import timed

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
LIMIT = 0.2


@pytest.fixture(autouse=True)
def _as_found():
    before = signal.getsignal(signal.SIGALRM)
    yield
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) == before


def spin(design):
    while True:
        pass


def retry(design):
    while True:
        try:
            time.sleep(60)
        except Exception:
            continue


def stubborn(design, times=3):
    for _ in range(times):
        try:
            time.sleep(60)
        except BaseException:
            continue
    return {"loss": 1.0}


def converting(design):
    try:
        time.sleep(60)
    except BaseException:
        sys.exit("failed")


def child(design):
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], check=True)


def locked(design):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@pytest.mark.parametrize(
    ("evaluator", "said"),
    [
        (spin, ""), (retry, ""), (child, ""), (locked, ""), (stubborn, "; it went on and answered"),
        (converting, "; it ended with SystemExit: failed"),
    ],
)  # fmt: skip
def test_a_trial_that_takes_too_long_fails_and_the_study_goes_on(monkeypatch, tmp_path, evaluator, said):
    monkeypatch.setattr(timeout, "AGAIN_SECONDS", 0.1)
    calls = []

    def train(design):
        calls.append(design)
        return evaluator(design) if len(calls) == 2 else {"loss": 2.0}

    began = time.monotonic()
    found = explore(Toy(), trials=4, evaluator=train, journal=tmp_path / "a.log", timeout=LIMIT)
    assert time.monotonic() - began < 30
    (failure,) = found.failures
    assert failure.error == f"the evaluator took longer than 0.2s, its timeout{said}"
    assert failure.number == 1
    assert len(found.trials) == 3
    # Another limit is the same study, and so is none.
    assert len(explore(Toy(), trials=4, evaluator=train, journal=tmp_path / "a.log").failures) == 1


def test_a_worker_limits_its_trials_too(tmp_path):
    told = evaluate_for(Toy(), storage=str(tmp_path / "a.log"), trials=2, evaluator=retry, timeout=LIMIT)
    assert told == 2


def test_what_ends_in_time_is_as_it_is():
    call = timed(lambda design: {"loss": design["loss"]}, 60)
    assert call({"loss": 2.0}) == {"loss": 2.0}
    with pytest.raises(ZeroDivisionError):
        timed(lambda design: 1 / 0, 60)({})
    with pytest.raises(KeyboardInterrupt):
        timed(lambda design: signal.raise_signal(signal.SIGINT), 60)({})
    assert timed(retry, None) is retry


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_a_timeout_that_is_none_is_refused(seconds):
    with pytest.raises(ExplorerError, match="above 0 and up to"):
        timed(retry, seconds)


def test_outside_of_the_main_thread_it_is_refused_in_one_line_before_anything_runs():
    errors = []

    def run():
        try:
            explore(Toy(), trials=2, evaluator=retry, timeout=LIMIT)
        except ExplorerError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    (error,) = errors
    assert error.startswith("an evaluator's timeout needs the main thread of a process on Linux or macOS")
    assert "\n" not in error


@pytest.mark.parametrize("due", [0.1, 0.6])
def test_a_timer_that_was_set_before_rings_when_it_is_due_and_leaves_the_limit_as_it_is(due):
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(time.monotonic()))
    try:
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, due, 0.05)
        with pytest.raises(ExplorerError, match="its timeout"):
            timed(retry, 0.3)({})
        took = time.monotonic() - began
        assert took == pytest.approx(0.3, abs=0.08)
        time.sleep(max(0.0, 0.8 - took))
        first, again = rung[0] - began, rung[1] - began
        assert first == pytest.approx(due, abs=0.05)
        assert again == pytest.approx(due + 0.05, abs=0.05)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_watchdog_that_was_set_before_ends_the_process():
    code = (
        "import signal, time; from explorer.search.timeout import timed; signal.alarm(1);"
        "timed(lambda design: time.sleep(60), 30)({})"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=50)
    assert done.returncode == -signal.SIGALRM
