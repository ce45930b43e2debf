"""Who works on a study, so that a process that comes after a dead one need not wait for its silence.

Every worker enters itself in the study before it asks for its first trial, and strikes itself out when it
ends. Whether an entry's process is still there can be told on its own machine alone; elsewhere, and where
the system does not tell, only heartbeats do (see `heartbeat`).
"""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

import optuna

PREFIX = "explorer:worker:"
Entry = list[str]
"""Machine (its name, its boot, its process namespace), process number, when it began."""


class Presence:
    """One worker's entry in a study."""

    def __init__(self, study: optuna.Study) -> None:
        self._study, self._name = study, f"{PREFIX}{uuid.uuid4().hex[:12]}"
        self._set(myself())

    def leave(self) -> None:
        """Strike the entry out: nothing of this worker's is running any more."""
        self._set([])

    def alone(self) -> bool:
        """Whether every other worker that entered is known to be dead.

        Ask after trials were read: who asked for one of those had entered before.
        """
        entries = self._study._storage.get_study_system_attrs(self._study._study_id)
        others = [v for k, v in entries.items() if k.startswith(PREFIX) and k != self._name and v]
        return all(is_dead(entry) for entry in others)

    def _set(self, entry: Entry) -> None:
        self._study._storage.set_study_system_attr(self._study._study_id, self._name, entry)


def myself() -> Entry:
    """This process' entry; without a machine where the system does not tell enough."""
    machine = _machine()
    return [*machine, str(os.getpid()), _began(os.getpid())] if machine else ["", "", "", "", ""]


def is_dead(entry: Entry) -> bool:
    """Whether an entry's process is known to be gone."""
    *machine, pid, began = entry
    return bool(machine[0]) and machine == _machine() and _began(int(pid)) != began


def _machine() -> Entry:
    """What process numbers are unique in, as Linux tells it; empty elsewhere."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return [socket.gethostname(), boot, str(os.stat("/proc/self/ns/pid").st_ino)]
    except OSError:
        return []


def _began(pid: int) -> str:
    """When a process began, in clock ticks since boot (proc(5), /proc/pid/stat, field 22); empty for none."""
    try:
        # The second field, the program's name in brackets, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    # A zombie has died; nobody has asked how.
    return "" if fields[0] == "Z" else fields[19]
