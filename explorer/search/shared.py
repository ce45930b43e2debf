"""A study that lives in a storage: several machines ask, evaluate and tell the same one.

Every trial is written when it is told. A worker that dies in mid-trial leaves a stale heartbeat; another
worker notices, and the trial is run again. The design of proposal k depends on k alone (`auto`), so the
workers together ask for what one process would have asked for.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import FrozenTrial, TrialState

from explorer.errors import ExplorerError
from explorer.search.evaluators import Evaluator, measure
from explorer.search.outcome import SearchProblem
from explorer.search.space import IntArray
from explorer.search.storage import check_identity, journal_storage, name_metrics
from explorer.search.variables import Variables

HEARTBEAT_SECONDS = 20
GRACE_SECONDS = 60
RETRIES = 3
POLL_SECONDS = 0.5


def open_storage(
    where: str | Path, heartbeat: int = HEARTBEAT_SECONDS, grace: int = GRACE_SECONDS
) -> optuna.storages.BaseStorage:
    """A journal file by its path, or by URL: sqlite, postgresql+psycopg, grpc://host:port, …

    Databases keep heartbeats, by which a dead worker's trial is noticed and run again.
    """
    text = str(where)
    if "://" not in text:
        path = Path(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        return journal_storage(path)
    if text.startswith("grpc://"):
        host, _, port = text.removeprefix("grpc://").partition(":")
        if not port.isdigit():
            raise ExplorerError(f"a gRPC storage is grpc://host:port, got '{text}'")
        with _quiet():
            return optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    with _quiet():
        again = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)
        try:
            return optuna.storages.RDBStorage(
                text,
                heartbeat_interval=heartbeat,
                grace_period=grace,
                heartbeat_stale_trial_callback=again,
            )
        except (ImportError, ValueError) as error:
            raise ExplorerError(f"storage {_hide(text)} must be usable, got: {error}") from error
        except Exception as error:
            if type(error).__module__.split(".")[0] != "sqlalchemy":
                raise
            reason = str(error).splitlines()[0]
            raise ExplorerError(f"storage {_hide(text)} must be reachable, got: {reason}") from error


class SharedStudy:
    """One worker's hold on a study in a storage."""

    def __init__(
        self,
        problem: SearchProblem,
        sampler: optuna.samplers.BaseSampler,
        storage: optuna.storages.BaseStorage,
        identity: dict[str, Any],
        evaluator: Evaluator | None,
    ) -> None:
        self.problem, self.evaluator = problem, evaluator
        self.grace = getattr(getattr(storage, "_backend", storage), "grace_period", None) or GRACE_SECONDS
        self.variables = Variables(problem.lattice)
        self.study = optuna.create_study(
            study_name=problem.name,
            storage=storage,
            sampler=sampler,
            directions=[o.direction for o in problem.objectives],
            load_if_exists=True,
        )
        check_identity(self.study, identity, "the storage")
        names = [o.name for o in problem.objectives]
        if self.study.metric_names != names:
            name_metrics(self.study, names)

    def work(self, wanted: int, on_told: Callable[[int], Any]) -> None:
        """Take part until `wanted` proposals have come to an end, here or elsewhere."""
        while True:
            trials = self.study.get_trials(deepcopy=False)
            done = finished(trials)
            on_told(min(len(done), wanted))
            if len(done) >= wanted:
                return
            waiting = any(t.state == TrialState.WAITING for t in trials)
            if len(proposals(trials)) >= wanted and not waiting:
                # The rest is running elsewhere; a dead worker's trial comes back as a waiting one.
                time.sleep(POLL_SECONDS)
                with _quiet():
                    optuna.storages.fail_stale_trials(self.study)
                    self._give_up_silent(trials)
                continue
            with _quiet():
                self.study.optimize(self._objective, n_trials=1, catch=(Exception,))

    def _give_up_silent(self, trials: Sequence[FrozenTrial]) -> None:
        """Run again what a worker began and left before its first heartbeat, which no heartbeat tells."""
        storage = self.study._storage
        if not isinstance(storage, BaseHeartbeat):
            return
        again = storage.get_heartbeat_stale_trial_callback()
        began_before = datetime.now() - timedelta(seconds=self.grace)
        for trial in trials:
            began = trial.datetime_start
            silent = trial.state == TrialState.RUNNING and not trial.params and self.variables.distributions
            if not silent or began is None or began > began_before:
                continue
            try:
                storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
            except optuna.exceptions.UpdateFinishedTrialError:
                continue
            if again is not None:
                again(self.study, storage.get_trial(trial._trial_id))

    def _objective(self, trial: optuna.Trial) -> Sequence[float]:
        params = {
            name: trial._suggest(name, distribution)
            for name, distribution in self.variables.distributions.items()
        }
        point = self.variables.points([params])[0]
        try:
            found = measure(self.problem, self.evaluator, point)
        except Exception as error:
            trial.set_user_attr("error", f"{type(error).__name__}: {error}")
            raise
        for name, value in found.columns.items():
            trial.set_user_attr(name, value)
        for name, excess in found.constraints.items():
            trial.set_constraint(name, excess)
        return found.figures

    def results(self, wanted: int) -> tuple[IntArray, list[FrozenTrial]]:
        """The completed trials of the first `wanted` proposals, in order of proposal, with their points."""
        trials = [t for k, t in sorted(finished(self.study.get_trials(deepcopy=False)).items()) if k < wanted]
        complete = [t for t in trials if t.state == TrialState.COMPLETE]
        return self.variables.points([t.params for t in complete]), complete


def is_again(trial: FrozenTrial) -> bool:
    """Whether a trial repeats one whose worker died."""
    return "failed_trial" in trial.system_attrs


def proposals(trials: Sequence[FrozenTrial]) -> dict[int, int]:
    """Trial number → proposal, leaving out repeats, which take numbers but propose nothing new."""
    fresh = sorted(t.number for t in trials if not is_again(t))
    return {number: k for k, number in enumerate(fresh)}


def finished(trials: Sequence[FrozenTrial]) -> dict[int, FrozenTrial]:
    """Proposal → the trial that brought it to an end: told, or failed for a reason of its own."""
    of = proposals(trials)
    retried = {t.system_attrs["failed_trial"] for t in trials if is_again(t)}
    ended: dict[int, FrozenTrial] = {}
    for trial in trials:
        origin = trial.system_attrs.get("failed_trial", trial.number)
        if trial.state == TrialState.COMPLETE:
            ended[of[origin]] = trial
        elif trial.state == TrialState.FAIL and (trial.number not in retried or "error" in trial.user_attrs):
            stale_again = is_again(trial) and "error" not in trial.user_attrs
            last = max(
                (t.number for t in trials if t.system_attrs.get("failed_trial") == origin), default=origin
            )
            if not stale_again or trial.number == last:
                ended.setdefault(of[origin], trial)
    return ended


def proposal_number(study: optuna.Study, trial: FrozenTrial) -> int:
    """The proposal that a new trial asks for: its number, less the repeats before it."""
    # Studies that nobody shares have no repeats; asking them would cost a pass over all trials.
    if isinstance(study._storage, optuna.storages.InMemoryStorage):
        return trial.number
    before = study.get_trials(deepcopy=False) if trial.number else []
    # A worker that died before its trial had a design leaves a repeat that must draw the same one.
    number = int(trial.system_attrs.get("failed_trial", trial.number))
    return number - sum(1 for t in before if t.number < number and is_again(t))


def errors(trials: Sequence[FrozenTrial]) -> list[str]:
    """What failed trials died of."""
    return [
        f"trial {t.number}: {t.user_attrs.get('error', 'its worker stopped')}"
        for t in trials
        if t.state == TrialState.FAIL
    ]


def column_table(trials: Sequence[FrozenTrial]) -> dict[str, NDArray[Any]]:
    """The user attributes of trials as columns."""
    names = dict.fromkeys(name for t in trials for name in t.user_attrs)
    return {n: np.array([t.user_attrs.get(n) for t in trials], dtype=object) for n in names}


def _hide(url: str) -> str:
    """A storage URL without its password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rsplit('@', 1)[-1]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna marks heartbeats and gRPC as experimental with warnings; using them is a choice made here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
