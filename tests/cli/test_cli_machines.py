"""The README's lines for many machines, run on this one: Slurm's programs and the database's address are replaced."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from budgets import small
from program import ROOT
from ruamel.yaml import YAML
from storages import free_port

README = (ROOT / "README.md").read_text("utf-8")
BENCHMARKS = (ROOT / "tests/benchmarks/README.md").read_text("utf-8")
# As Slurm does: a job array runs the wrapped script once per task, its number in the environment. Two tasks will do.
SBATCH = """\
#!/bin/bash
set -eu
tasks=0
for word; do
    case "$word" in --array=1-*) tasks="1 2" ;; esac
    script="$word"
done
for task in $tasks; do
    echo "task $task: $script" >> "$HERE/jobs"
    SLURM_ARRAY_TASK_ID=$task bash -eu -c "$script" >> "$HERE/out" 2>&1 & echo $! >> "$HERE/pids"
done
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "budget.yaml").write_text(small("shared"), "utf-8")
    (tmp_path / "my_module.py").write_text(
        "def train(design):\n    return {'step_seconds': 1.25 * design['step_seconds']}\n", "utf-8"
    )
    programs = {"sbatch": SBATCH, "srun": '#!/bin/bash\nexec "$@"\n'}
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text, "utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def run(script: str, here: Path) -> str:
    path = os.pathsep.join([str(here / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=here, capture_output=True, text=True, timeout=200, env=os.environ | {"PATH": path, "HERE": str(here)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def block(holding: str) -> str:
    """The one shell block of the README that holds some words."""
    (found,) = (text for text in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if holding in text)
    return str(found)


def test_a_slurm_array_works_on_one_study(here: Path) -> None:
    script = block("sbatch").replace("/shared/study.log", str(here / "study.log"))
    run(script + 'for job in $(cat "$HERE/pids"); do tail --pid=$job -f /dev/null; done', here)
    jobs = (here / "jobs").read_text("utf-8").splitlines()
    assert [line[:7] for line in jobs] == ["task 1:", "task 2:", "task 0:"]
    assert (here / "out").read_text("utf-8").count("the study has all it wants") == 2
    assert (here / "reports/shared/report.html").is_file(), (here / "out").read_text("utf-8")


def test_a_database_is_shared_by_a_run_and_a_worker(here: Path) -> None:
    script, n = re.subn(
        r"postgresql\+psycopg://\S+", "sqlite:///study.db", block("--storage postgresql+psycopg")
    )
    assert n == 2
    assert "the study has all it wants" in run(script, here)
    assert (here / "reports/shared/report.html").is_file()


def test_a_proxy_stands_before_the_database(here: Path) -> None:
    port = free_port()
    text = block("run_grpc_proxy_server").replace(
        "postgresql+psycopg://me@host/studies", "sqlite:///study.db"
    )
    serve, work = text.replace("13000", str(port)).replace("0.0.0.0", "localhost").split('"\n')
    with started(serve + '"', here) as server:
        reached(port, server)
        said = run(work.replace("grpc://host", "grpc://localhost"), here)
    assert "told 8 trials; the study has all it wants" in said


def test_the_dashboard_shows_a_run(one_node: Path, here: Path) -> None:
    if find_spec("optuna_dashboard") is None:
        pytest.skip("optuna-dashboard is not installed")
    shutil.copytree(one_node, here / "reports" / "one-node")
    port = free_port()
    line = block("optuna-dashboard").replace("&& optuna-dashboard", f"&& optuna-dashboard --port {port}")
    with started(line, here) as server:
        reached(port, server)
        # No proxy stands between this machine and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/api/studies", timeout=60) as answer:
            (study,) = json.load(answer)["study_summaries"]
    assert study["study_name"] == "one-node"
    assert study["directions"] == ["minimize", "maximize"]


@contextmanager
def started(script: str, here: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server of a README's line, in a process group of its own that ends with the test."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (here / "server.log").open("wb") as log:
        server = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=here, stdout=log, stderr=log, env=os.environ | {"PATH": path}, start_new_session=True,
        )  # fmt: skip
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def reached(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens on a port of this machine."""
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if not probe.connect_ex(("localhost", port)):
                return
        time.sleep(0.1)
    pytest.fail(f"nobody listens on {port}")


def test_the_extras_that_the_docs_install_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = set(re.findall(r"pip\s+install\s+(?:-e\s+)?'(?:explorer|\.)\[(\w+)\]'", README + BENCHMARKS))
    assert named == set(extras)


def test_the_citation_has_what_the_citation_file_format_requires() -> None:
    cited = YAML(typ="safe", pure=True).load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    # Citation File Format 1.2.0: the required keys, and among the others only ones that it defines.
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert set(cited) <= {
        "abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords",
        "license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact",
        "repository-code", "title", "type", "url", "version",
    }  # fmt: skip
    assert (cited["cff-version"], cited["type"]) == ("1.2.0", "software")
    assert all("name" in author or "family-names" in author for author in cited["authors"])
    assert (cited["title"], str(cited["version"]), cited["license"]) == (
        project["name"],
        project["version"],
        project["license"],
    )
