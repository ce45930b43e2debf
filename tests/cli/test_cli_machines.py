"""The README's lines for many machines, run on this one: Slurm's programs and the database's address are replaced."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from budgets import small
from program import ROOT
from ruamel.yaml import YAML

README = (ROOT / "README.md").read_text("utf-8")
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
    script, n = re.subn(r"postgresql\+psycopg://\S+", "sqlite:///study.db", block("postgresql+psycopg"))
    assert n == 2
    assert "the study has all it wants" in run(script, here)
    assert (here / "reports/shared/report.html").is_file()


def test_the_extras_that_the_readme_installs_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = set(re.findall(r"pip\s+install\s+(?:-e\s+)?'(?:explorer|\.)\[(\w+)\]'", README))
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
