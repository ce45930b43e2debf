"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from program import explore


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs a study once for all processes that test, and gives each a copy of its folder, to do with as it likes."""
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def run(name: str, *arguments: str) -> Path:
        made = common / f"finished-{name}"
        with (common / f"finished-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # The summary is a run's last file.
            if not (made / "summary.json").is_file():
                done = explore("run", f"studies/{name}.yaml", "-o", str(made), *arguments)
                assert done.returncode == 0, done.stderr
        return shutil.copytree(made, tmp_path_factory.mktemp("runs") / name)

    return run


@pytest.fixture(scope="session")
def one_node(finished: Callable[..., Path]) -> Path:
    """Folder of a finished run of studies/one-node.yaml."""
    return finished("one-node")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; the test is skipped where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    return found
