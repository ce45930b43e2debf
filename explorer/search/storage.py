"""Where studies are kept: a journal file that survives being killed, or any of Optuna's storages."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.trial import FrozenTrial

from explorer.catalog.metrics import METRICS
from explorer.errors import ExplorerError

IDENTITY = "budget"
"""Study attribute that says what the study is of."""


class KernelLock(BaseJournalFileLock):
    """A lock that the kernel lets go of when its process dies, however it dies.

    Whoever takes it cuts off a last line that was torn when its writer died, so that nothing is ever
    appended to half a line.
    """

    def __init__(self, path: Path) -> None:
        self._journal = path
        self._path = path.with_name(path.name + ".lock")
        self._file: Any = None

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        import fcntl

        self._file = self._path.open("ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        if self._journal.exists():
            _cut_torn_line(self._journal)
        return True

    def release(self) -> None:
        """Give it back."""
        self._file.close()


class JournalFile(JournalFileBackend):
    """A journal whose records may be written together: locked, and forced to the disk, once for all."""

    def __init__(self, path: Path) -> None:
        self._path, self._kernel_lock = path, KernelLock(path)
        self._stream: Any = None
        super().__init__(str(path), lock_obj=self._kernel_lock)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is appended within is one write to the disk; each record is whole as soon as it is appended."""
        self._kernel_lock.acquire()
        try:
            with self._path.open("ab") as self._stream:
                yield
                os.fsync(self._stream.fileno())
        finally:
            self._stream = None
            self._kernel_lock.release()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Optuna's own, but for records that are written together."""
        if self._stream is None:
            super().append_logs(logs)
            return
        self._stream.write("".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode())
        self._stream.flush()


_FIRST = b'{"op_code"'
"""What every line of a journal begins with."""


def journal_file(path: Path) -> JournalFile:
    """The journal at `path`, made where there is none. ExplorerError for a file that is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            with path.open("rb") as file:
                first = file.readline(1 << 20)
            # A line that was cut short is as much of it as there is.
            if not first.startswith(_FIRST[: len(first)]):
                raise ExplorerError(f"{path} must be a study's journal, and is another file; name a new one")
        lock = KernelLock(path)
        lock.acquire()
        lock.release()
        return JournalFile(path)
    except OSError as error:
        raise ExplorerError(f"the journal {path} must be a writable file, got: {error.strerror}") from error


def _cut_torn_line(path: Path) -> None:
    """Cut off what stands behind the last newline."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        if size:
            file.seek(size - 1)
            if file.read(1) == b"\n":
                return
        # Records are at most a few kilobytes; reading back from the end finds the last newline soon.
        step, kept = 1 << 16, 0
        for end in range(size, 0, -step):
            start = max(0, end - step)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                kept = start + at + 1
                break
        if kept < size:
            file.truncate(kept)


class Journal:
    """The file that keeps a study which runs in memory."""

    def __init__(self, path: Path, study: optuna.Study, identity: Mapping[str, Any]) -> None:
        self._file = journal_file(path)
        self._kept = optuna.create_study(
            study_name=study.study_name,
            storage=JournalStorage(self._file),
            directions=study.directions,
            load_if_exists=True,
        )
        check_identity(self._kept, identity, str(path))
        describe(self._kept, study.metric_names or [])
        self._n_kept = len(self._kept.get_trials(deepcopy=False))

    def add(self, trials: Sequence[FrozenTrial], columns: Mapping[str, NDArray[Any]]) -> None:
        """Append finished trials with their figures as user attributes; those already kept are left alone."""
        if not trials or trials[-1].number < self._n_kept:
            return
        with self._file.together():
            for row, trial in enumerate(trials):
                if trial.number < self._n_kept:
                    continue
                attributes = {name: plain(values[row]) for name, values in columns.items()}
                self._kept.add_trial(
                    optuna.trial.create_trial(
                        state=trial.state,
                        values=trial.values,
                        params=trial.params,
                        distributions=trial.distributions,
                        user_attrs=attributes,
                        system_attrs=trial.system_attrs,
                    )
                )


def describe(study: optuna.Study, names: Sequence[str]) -> None:
    """Name a study's objectives and their units, for dashboards and whoever reads the storage alone."""
    if study.metric_names == list(names):
        return
    study.set_user_attr("units", {name: METRICS[name].unit for name in names if name in METRICS})
    study.set_user_attr("constraints", "excess_<limit>: excess over the limit as a share of it, met at <= 0")
    # Last: a study whose metrics have names is described whole.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(names))


def check_identity(
    study: optuna.Study, identity: Mapping[str, Any], where: str, fix: str = "start over with --force"
) -> None:
    """Write what the study is of, or compare; a study of something else is refused, saying what changed."""
    wanted = json.loads(json.dumps(identity, sort_keys=True, default=str))
    known = study.user_attrs.get(IDENTITY)
    if known is None:
        study.set_user_attr(IDENTITY, wanted)
    elif known != wanted:
        lines = "; ".join(changes(known, wanted))
        raise ExplorerError(
            f"{where} holds a study of another budget, so it cannot be continued: {lines}. "
            f"Undo the change, choose another output, or {fix}"
        )


def changes(old: Any, new: Any, path: str = "") -> list[str]:
    """Every difference between two plain structures, as `path: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[str] = []
        for key in sorted({*old, *new}):
            found += changes(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
        return found
    return [] if old == new else [f"{path}: {json.dumps(old)} -> {json.dumps(new)}"]


def plain(value: Any) -> Any:
    """A NumPy value as JSON has it."""
    return value.item() if isinstance(value, np.generic) else value
