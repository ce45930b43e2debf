"""Every command of the documents runs, or at least is one that the program takes."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer.main
from program import ROOT
from record_notebook import NOTEBOOKS, execute
from record_readme import SHOWN

from explorer.cli.program import COMMANDS, app

README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = ("README.md", "CHANGELOG.md", "explorer/budget/starter.yaml")
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
ELSEWHERE = re.compile(r"://|sbatch|optuna-dashboard|pip install")
"""What `test_cli_machines` runs with servers of its own, and the two set-ups, which `.ci/run` runs."""


def blocks(language: str) -> list[str]:
    """The code blocks of the README in one language."""
    return [text for found, text in BLOCK.findall(README) if found == language]


def lines(block: str) -> list[str]:
    """The commands of a block, without comments."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def run(command: list[str], folder: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, env=os.environ | {"PATH": path}
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_the_first_two_blocks_set_up_and_run_the_main_job_and_the_tests() -> None:
    first, second = (lines(block) for block in blocks("sh")[:2])
    assert len(first) == len(second) == 1
    assert first[0].startswith("python3 -m venv .venv && ")
    assert first[0].endswith(".venv/bin/explore run studies/one-node.yaml")
    assert "pytest" in second[0]
    # Both run as they stand on a clean clone.
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    assert all(f'bash -euo pipefail -c "${name}"' in ci for name in ("main_command", "test_command"))


@pytest.mark.parametrize("number", range(len(blocks("sh"))))
def test_the_shell_blocks_of_the_readme_run(number: int, workspace: Callable[[], Path]) -> None:
    here = [line for line in lines(blocks("sh")[number]) if not ELSEWHERE.search(line)]
    if not here:
        pytest.skip("run by test_cli_machines or by .ci/run")
    folder = workspace()
    for line in here:
        line = line.replace("measure_cpu.py:train", "measure_cpu.py:train --trials 2")
        run(["bash", "-euo", "pipefail", "-c", line], folder)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_python_blocks_of_the_readme_run(number: int, workspace: Callable[[], Path]) -> None:
    run([sys.executable, "-c", blocks("python")[number].replace("trials=300", "trials=30")], workspace())


def commands() -> Iterator[tuple[str, str]]:
    """Every call of the program in the documents: in blocks, in running text, in studies' comments."""
    texts = {name: (ROOT / name).read_text("utf-8") for name in DOCUMENTS}
    texts |= {
        p.name: p.read_text("utf-8") for p in sorted((ROOT / "studies").iterdir()) if p.suffix != ".pyc"
    }
    for name, text in texts.items():
        found = [line for _, block in BLOCK.findall(text) for line in lines(block)]
        found += SPAN.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        found += [shown["command"] for shown in SHOWN.finditer(text)]
        for line in found:
            for part in re.split(r"\||&&|;", line.split("  #")[0]):
                words = part.strip()
                if words.startswith(("explore ", ".venv/bin/explore ")):
                    yield name, words


@pytest.mark.parametrize(("document", "line"), sorted(set(commands())))
def test_the_program_takes_what_the_documents_say(document: str, line: str) -> None:
    for room in {room for room, _ in COMMANDS.values()}:
        import_module(f"explorer.cli.{room}")
    words = shlex.split(re.sub(r"\s[<>]\s*\S+", "", line))[1:]
    built = typer.main.get_command(app)
    if words[0].startswith("--"):
        assert words[0] in {flag for param in built.params for flag in param.opts}
        return
    assert words[0] in COMMANDS, f"{document}: {line}"
    command = typer.main.get_group(app).commands[words[0]]
    flags = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    for word in words[1:]:
        if word.startswith("-") and word != "-":
            assert word.split("=")[0] in flags | {"--help"}, f"{document}: {line}"


def test_the_shown_output_is_there() -> None:
    shown = list(SHOWN.finditer(README))
    assert len(shown) >= 4
    for one in shown:
        assert one["output"].startswith(f"$ {one['command']}\n"), "python tests/cli/record_readme.py"
        assert len(one["output"].splitlines()) > 2


def test_the_links_and_the_picture_are_there() -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target
    pictures = re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", README)
    assert len(pictures) == 1
    assert (ROOT / pictures[0]).stat().st_size < 200_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebooks_run_and_show_what_they_show(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    stored = json.loads(path.read_text("utf-8"))
    # The figures are the model's and may move; that every cell runs and shows the same kind of thing may not.
    assert [kinds(cell) for cell in execute(copy.deepcopy(stored))["cells"]] == [
        kinds(cell) for cell in stored["cells"]
    ], "python tests/cli/record_notebook.py"
    shown = "".join(
        "".join(o["data"].get("text/html", ())) for c in stored["cells"] for o in c.get("outputs", ())
    )
    assert "loss (nats/token)" in shown
    assert "probability (90% interval)" in shown


def kinds(cell: dict[str, Any]) -> list[str]:
    """What a cell's outputs are, without their content."""
    return [f"{o['output_type']} {' '.join(o.get('data', ()))}" for o in cell.get("outputs", ())]
