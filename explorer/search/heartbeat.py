"""Signs of life: how the workers of one study notice that one of them died, and who runs its trial again.

Databases keep Optuna's own heartbeats. A journal file and a gRPC proxy have none; here they get one: a
worker counts up an attribute of its trial, and who waits for the trial watches the count. It compares what
it saw with its own clock, so machines whose clocks differ agree.

A lost trial is one that its worker left behind: running without a sign of life, or failed without an
error of its own. It is queued again with its own design, as often as its worker was told to stop, and
`RETRIES` times where the design itself may have taken the worker down.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import GrpcStorageProxy, JournalStorage
from optuna.storages._base import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from collections.abc import Callable

RETRIES = 3
"""A design that takes its worker down every time is given up after so many tries more."""
VARIABLES = "variables"
"""Study attribute: the parameters that a whole design has."""
BEAT, BLAMED = "explorer:beat", "explorer:blamed"
ORIGIN, HISTORY = "failed_trial", "retry_history"
"""Optuna's own names for what a repeated trial repeats (`RetryHeartbeatStaleTrialCallback`)."""


class Watched(BaseHeartbeat):
    """Heartbeats for a storage that keeps none (mixed into its class)."""

    def watch(self, interval: int, grace: int) -> None:
        """Show a sign of life every `interval` seconds; who shows none for `grace` seconds is dead."""
        self._interval, self.grace_period = interval, grace
        self._seen: dict[int, tuple[Any, float]] = {}

    def record_heartbeat(self, trial_id: int) -> None:
        """Count up."""
        storage: Any = self
        try:
            beats = storage.get_trial(trial_id).system_attrs.get(BEAT, 0)
            storage.set_trial_system_attr(trial_id, BEAT, beats + 1)
        except UpdateFinishedTrialError:
            # Others took this worker for dead; it hears of that when it tells.
            pass

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        storage: Any = self
        now = time.monotonic()
        running = storage.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        known = {t._trial_id: t.system_attrs.get(BEAT) for t in running}
        self._seen = {
            k: self._seen[k] if k in self._seen and self._seen[k][0] == beat else (beat, now)
            for k, beat in known.items()
        }
        return [k for k, (_, since) in self._seen.items() if now - since > self.grace_period]

    def get_heartbeat_interval(self) -> int | None:
        """Seconds between two signs of life."""
        return self._interval

    def get_heartbeat_stale_trial_callback(self) -> Callable[[optuna.Study, FrozenTrial], None]:
        """What becomes of a dead worker's trial."""
        return queue_again


class WatchedJournal(Watched, JournalStorage):
    """A journal file with heartbeats."""


class WatchedProxy(Watched, GrpcStorageProxy):
    """A gRPC proxy with heartbeats."""


def origin(trial: FrozenTrial) -> int:
    """Number of the trial that first asked for this one's design."""
    return int(trial.system_attrs.get(ORIGIN, trial.number))


def is_again(trial: FrozenTrial) -> bool:
    """Whether a trial repeats a lost one."""
    return ORIGIN in trial.system_attrs


def history(trial: FrozenTrial) -> list[int]:
    """Numbers of the lost trials that this one repeats, the first one first."""
    return list(trial.system_attrs.get(HISTORY, []))


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial ended without being told, and is due to be run again."""
    untold = trial.state == TrialState.FAIL and "error" not in trial.user_attrs
    return untold and int(trial.system_attrs.get(BLAMED, 0)) < RETRIES


def queue_again(study: optuna.Study, trial: FrozenTrial, blamed: bool = True) -> None:
    """Queue a lost trial's design again, unless it was to blame too often."""
    if not is_lost(trial):
        return
    # A worker may have died while it wrote a design down: half of one is none, and it is drawn again.
    whole = set(study.user_attrs.get(VARIABLES, ())) <= set(trial.params)
    attributes = {
        ORIGIN: origin(trial),
        HISTORY: [*history(trial), trial.number],
        BLAMED: int(trial.system_attrs.get(BLAMED, 0)) + blamed,
    }
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.WAITING,
            params=trial.params if whole else {},
            distributions=trial.distributions if whole else {},
            system_attrs=attributes,
        )
    )


def give_up(study: optuna.Study, trial: FrozenTrial, blamed: bool = True) -> None:
    """Take a running trial for lost, and queue it again."""
    storage: BaseStorage = study._storage
    try:
        storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
    except UpdateFinishedTrialError:
        return
    queue_again(study, storage.get_trial(trial._trial_id), blamed)


def left_behind(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Lost trials that nobody has queued again: whoever was about to died in between."""
    repeated = {number for t in trials for number in history(t)}
    return [t for t in trials if is_lost(t) and t.number not in repeated]
