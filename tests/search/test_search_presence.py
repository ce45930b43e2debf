"""Whether a worker is still there: told of processes of this machine, left open of all others."""

import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from explorer.search.presence import Presence, is_dead, myself

LINUX = Path("/proc/self/ns/pid").exists()
pytestmark = pytest.mark.skipif(not LINUX, reason="only Linux tells which processes live")


def test_a_process_of_this_machine_is_dead_when_it_is_gone_or_its_number_is_anothers():
    assert not is_dead(myself())
    *machine, pid, began = myself()
    assert is_dead([*machine, pid, str(int(began) - 1)])
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    entry = [*machine, str(child.pid), _began(child.pid)]
    assert not is_dead(entry)
    child.kill()
    # Dead and not yet asked after: a zombie.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(entry)
    child.wait()
    assert is_dead(entry)


def _began(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def test_of_processes_elsewhere_nothing_is_known():
    name, boot, space, pid, began = myself()
    for entry in (["other", boot, space], [name, "other", space], [name, boot, "1"], ["", "", ""]):
        assert not is_dead([*entry, pid, str(int(began) - 1)])


def test_a_worker_is_alone_when_the_others_left_or_died():
    study = optuna.create_study()
    first = Presence(study)
    assert first.alone()
    second = Presence(study)
    assert not first.alone()
    second.leave()
    assert first.alone()
    storage, number = study._storage, study._study_id
    *machine, pid, began = myself()
    storage.set_study_system_attr(number, "explorer:worker:dead", [*machine, pid, str(int(began) - 1)])
    assert first.alone()
    storage.set_study_system_attr(number, "explorer:worker:far", ["far", *machine[1:], pid, began])
    assert not first.alone()
