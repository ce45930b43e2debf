"""A study that lives in a storage: one process or many ask, evaluate and tell the same one.

Every trial is written when it is told. A worker that dies in mid-trial stops showing signs of life (see
`heartbeat`), and on its own machine its process is gone (see `presence`); another worker notices, and the
trial is run again. The design of proposal k depends on k
alone where the model decides (`auto`), so the workers together ask for what one process would have asked.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from numpy.typing import NDArray
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._heartbeat import BaseHeartbeat, get_heartbeat_thread
from optuna.trial import FrozenTrial, TrialState

from explorer.errors import ExplorerError
from explorer.search.attributes import set_attributes
from explorer.search.evaluators import Evaluator, measure, told
from explorer.search.heartbeat import (
    VARIABLES,
    WatchedJournal,
    WatchedProxy,
    give_up,
    is_again,
    is_lost,
    left_behind,
    origin,
    queue_again,
)
from explorer.search.outcome import SearchProblem
from explorer.search.presence import Presence
from explorer.search.space import IntArray
from explorer.search.storage import check_identity, describe, journal_file
from explorer.search.variables import Variables

HEARTBEAT_SECONDS = 20
SILENCE = 3
"""A worker that has shown no sign of life for so many heartbeats is taken for dead."""
POLL_SECONDS = 0.5
CONNECT_SECONDS = 10
WANTED = "trials"
"""Study attribute: how many trials the study is to have."""


def open_storage(where: str | Path, heartbeat: int | None = None) -> optuna.storages.BaseStorage:
    """A journal file by its path, or by URL: sqlite, postgresql+psycopg, grpc://host:port, …

    Workers show a sign of life every `heartbeat` seconds, else every `HEARTBEAT_SECONDS`. Raises ExplorerError
    for what cannot be opened.
    """
    heartbeat = heartbeat or HEARTBEAT_SECONDS
    text, grace = str(where), SILENCE * heartbeat
    if "://" not in text:
        journal = WatchedJournal(journal_file(Path(text)))
        journal.watch(heartbeat, grace)
        return journal
    return _proxy(text, heartbeat) if text.startswith("grpc://") else _database(text, heartbeat)


def _proxy(url: str, heartbeat: int) -> optuna.storages.BaseStorage:
    host, _, port = url.removeprefix("grpc://").rpartition(":")
    if not host or not port.isdigit():
        raise ExplorerError(f"a gRPC storage is grpc://host:port, got '{url}'")
    try:
        with _quiet():
            proxy = WatchedProxy(host=host, port=int(port))
            proxy.wait_server_ready(CONNECT_SECONDS)
    except ImportError as error:
        raise ExplorerError(f"storage {url} needs gRPC: pip install 'explorer[storage]'") from error
    except ConnectionError as error:
        raise ExplorerError(
            f"storage {url} must be reachable, and nothing answered for {CONNECT_SECONDS} s"
        ) from error
    proxy.watch(heartbeat, SILENCE * heartbeat)
    return proxy


def _database(url: str, heartbeat: int, tries: int = 8) -> optuna.storages.BaseStorage:
    try:
        with _quiet():
            return optuna.storages.RDBStorage(
                url,
                # A connection that was cut off between two long trials is made anew.
                engine_kwargs={"pool_pre_ping": True},
                heartbeat_interval=heartbeat,
                grace_period=SILENCE * heartbeat,
                heartbeat_stale_trial_callback=queue_again,
            )
    except ImportError as error:
        raise ExplorerError(
            f"storage {_hide(url)} needs its driver, which is not installed: pip install 'explorer[storage]' "
            "brings PostgreSQL's"
        ) from error
    except ValueError as error:
        raise ExplorerError(f"storage {_hide(url)} must be usable, got: {_line(error)}") from error
    except Exception as error:
        if type(error).__name__ == "NoSuchModuleError":
            raise ExplorerError(
                f"storage {_hide(url)} must be a journal's path or begin with sqlite://, postgresql+psycopg://, "
                f"grpc:// or another database of SQLAlchemy, got '{url.partition(':')[0]}://'"
            ) from error
        if not _is_storages(error):
            raise
        if tries > 1 and _half_made(error):
            time.sleep(POLL_SECONDS)
            return _database(url, heartbeat, tries - 1)
        raise ExplorerError(f"storage {_hide(url)} must be reachable, got: {_line(error)}") from error


def _half_made(error: Exception) -> bool:
    """Workers that start together make a database's tables together; all but one find them half made."""
    if type(error).__name__ in ("IntegrityError", "ProgrammingError"):
        return True
    # SQLite's words for the same.
    return any(words in str(error) for words in ("already exists", "database is locked"))


class SharedStudy:
    """One worker's hold on a study in a storage."""

    def __init__(
        self,
        problem: SearchProblem,
        sampler: optuna.samplers.BaseSampler,
        storage: optuna.storages.BaseStorage,
        identity: dict[str, Any],
        evaluator: Evaluator | None,
        where: str | Path = "the storage",
        alone: bool = False,
    ) -> None:
        """`alone`: no other process works on this study, so whatever is running was left behind."""
        self.problem, self.evaluator, self.where, self.alone = problem, evaluator, _hide(str(where)), alone
        beats: Any = storage if isinstance(storage, BaseHeartbeat) else None
        self.grace = SILENCE * (beats.get_heartbeat_interval() or 0) if beats else 0
        self.variables = Variables(problem.lattice)
        self._silent_since: dict[int, float] = {}
        self._presence: Presence | None = None
        with self._reachable():
            self.study = optuna.create_study(
                study_name=problem.name,
                storage=storage,
                sampler=sampler,
                directions=[o.direction for o in problem.objectives],
                load_if_exists=True,
            )
            fix = (
                "start over with --force" if alone else
                f"delete it: optuna delete-study --storage URL --study-name {problem.name}"
            )  # fmt: skip
            check_identity(self.study, identity, self.where, fix)
            describe(self.study, [o.name for o in problem.objectives])
            if VARIABLES not in self.study.user_attrs:
                self.study.set_user_attr(VARIABLES, list(self.variables.distributions))

    def want(self, trials: int) -> None:
        """Say how many trials the study is to have; workers end with them."""
        with self._reachable():
            if self.study.user_attrs.get(WANTED) != trials:
                self.study.set_user_attr(WANTED, trials)

    def work(self, trials: int, on_told: Callable[[int, int], Any]) -> int:
        """Take part until as many proposals as wanted have come to an end, here or elsewhere.

        `trials` counts where the study does not say. Returns how many trials were told here.
        """
        here = 0
        with self._reachable(), self._present():
            while True:
                found = self.study.get_trials(deepcopy=False)
                if self._reap(found):
                    continue
                wanted = int(self.study.user_attrs.get(WANTED, trials))
                done = sum(k < wanted for k in ended(found))
                on_told(done, wanted)
                if done >= wanted:
                    return here
                asked = proposals(found)
                due = any(t.state == TrialState.WAITING and asked[origin(t)] < wanted for t in found)
                if len(asked) >= wanted and not due:
                    # The rest is running elsewhere; a dead worker's trial comes back as a waiting one.
                    time.sleep(POLL_SECONDS)
                else:
                    here += self._one(wanted)

    def _reap(self, trials: Sequence[FrozenTrial]) -> bool:
        """Queue again what dead workers left behind; True where that was something."""
        running = [t for t in trials if t.state == TrialState.RUNNING]
        lost = left_behind(trials)
        if (running or lost) and (self.alone or (self._presence and self._presence.alone())):
            for trial in running:
                give_up(self.study, trial, blamed=False)
            for trial in lost:
                queue_again(self.study, trial, blamed=False)
            return True
        with _quiet():
            optuna.storages.fail_stale_trials(self.study)
        # Two moments that no heartbeat tells of: a worker died before its trial had a design and a first
        # heartbeat, or while it queued another's trial again.
        now = time.monotonic()
        silent = [t for t in running if len(t.params) < len(self.variables.distributions)]
        since = {t.number: self._silent_since.get(t.number, now) for t in (*silent, *lost)}
        self._silent_since = since
        overdue = [t for t in (*silent, *lost) if now - since[t.number] > self.grace]
        for trial in overdue:
            if trial.state == TrialState.RUNNING:
                give_up(self.study, trial)
            else:
                queue_again(self.study, trial)
        return bool(overdue)

    def _one(self, wanted: int) -> bool:
        """Ask for a trial, evaluate it and tell it; False where it turned out not to be needed."""
        with _quiet():
            trial = self.study.ask()
        frozen = self.study._storage.get_trial(trial._trial_id)
        if proposal_number(self.study, frozen) >= wanted:
            # Another worker asked for the last one at the same moment.
            give_up(self.study, frozen, blamed=False)
            return False
        try:
            with get_heartbeat_thread(trial._trial_id, self.study._storage):
                try:
                    values = self._evaluated(trial)
                except UpdateFinishedTrialError:
                    raise
                except Exception as error:
                    trial.set_user_attr("error", told(error))
                    self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
                else:
                    self.study.tell(trial, values, skip_if_finished=True)
        except UpdateFinishedTrialError:
            # Others took this worker for dead and run its trial again.
            return False
        except BaseException:
            give_up(self.study, self.study._storage.get_trial(trial._trial_id), blamed=False)
            raise
        return True

    def _evaluated(self, trial: optuna.Trial) -> list[float]:
        params = {
            name: trial._suggest(name, distribution)
            for name, distribution in self.variables.distributions.items()
        }
        point = self.variables.points([params])[0]
        found = measure(self.problem, self.evaluator, point)
        for objective, figure in zip(self.problem.objectives, found.figures, strict=True):
            if math.isnan(figure):
                raise ExplorerError(f"a design must have a figure for {objective.name}, got none")
        set_attributes(self.study._storage, trial._trial_id, found.columns, found.constraints)
        return found.figures

    def results(self, wanted: int) -> tuple[IntArray, list[FrozenTrial]]:
        """The completed trials of the first `wanted` proposals, in order of proposal, with their points."""
        trials = [t for k, t in sorted(ended(self.study.get_trials(deepcopy=False)).items()) if k < wanted]
        complete = [t for t in trials if t.state == TrialState.COMPLETE]
        return self.variables.points([t.params for t in complete]), complete

    def failures(self, wanted: int) -> list[FrozenTrial]:
        """The trials of the first `wanted` proposals that failed for good, in order of proposal."""
        trials = sorted(ended(self.study.get_trials(deepcopy=False)).items())
        return [t for k, t in trials if k < wanted and t.state == TrialState.FAIL]

    @contextmanager
    def _present(self) -> Iterator[None]:
        """Be known as one of the study's workers."""
        if self.alone:
            yield
            return
        self._presence = Presence(self.study)
        try:
            yield
        except BaseException:
            # Whatever went wrong is what is told.
            with suppress(Exception):
                self._presence.leave()
            raise
        self._presence.leave()

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        """A storage that goes away is one line, and no bug."""
        try:
            yield
        except Exception as error:
            if not _is_storages(error):
                raise
            raise ExplorerError(
                f"the storage {self.where} must stay reachable, got: {_line(error)}; nothing told is lost, "
                "the same command continues"
            ) from error


def proposals(trials: Sequence[FrozenTrial]) -> dict[int, int]:
    """Trial number → proposal, leaving out repeats, which take numbers but propose nothing new."""
    fresh = sorted(t.number for t in trials if not is_again(t))
    return {number: k for k, number in enumerate(fresh)}


def ended(trials: Sequence[FrozenTrial]) -> dict[int, FrozenTrial]:
    """Proposal → the trial that brought it to an end: told, or failed for good."""
    asked = proposals(trials)
    found: dict[int, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda t: t.number):
        k = asked[origin(trial)]
        told = trial.state == TrialState.COMPLETE
        if (told and (k not in found or found[k].state == TrialState.FAIL)) or (
            trial.state == TrialState.FAIL and not is_lost(trial) and k not in found
        ):
            found[k] = trial
    return found


def proposal_number(study: optuna.Study, trial: FrozenTrial) -> int:
    """The proposal that a new trial asks for: its number, less the repeats before it."""
    # Studies that nobody shares have no repeats; asking them would cost a pass over all trials.
    if isinstance(study._storage, optuna.storages.InMemoryStorage):
        return trial.number
    before = study.get_trials(deepcopy=False) if trial.number else []
    # A worker that died before its trial had a design leaves a repeat that must draw the same one.
    number = origin(trial)
    return number - sum(1 for t in before if t.number < number and is_again(t))


def column_table(trials: Sequence[FrozenTrial], first: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The user attributes of trials as columns; NaN where a trial has none of a number.

    Storages keep attributes in orders of their own; here `first` come first, then the others by name.
    """
    import pandas as pd

    frame = pd.DataFrame([t.user_attrs for t in trials])
    ahead = [name for name in first if name in frame.columns]
    others = sorted(str(name) for name in frame.columns if name not in ahead)
    return {name: frame[name].to_numpy() for name in (*ahead, *others)}


def _is_storages(error: Exception) -> bool:
    """Whether an error comes from the storage's client, not from us."""
    return type(error).__module__.split(".")[0] in ("sqlalchemy", "grpc") or isinstance(
        error, optuna.exceptions.StorageInternalError
    )


def _line(error: BaseException) -> str:
    """The first line of what a library says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _hide(url: str) -> str:
    """A storage URL without its password."""
    scheme, found, rest = url.partition("://")
    return f"{scheme}://{rest.rsplit('@', 1)[-1]}" if found else url


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna marks heartbeats and gRPC as experimental, and expects heartbeats from its own loop alone, with
    warnings; both are choices made here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used with")
        yield
