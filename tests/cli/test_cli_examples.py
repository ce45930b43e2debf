"""Every example in every help runs as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import typer.main

from explorer.cli.program import COMMANDS, app


def examples(name: str) -> list[str]:
    """The lines under "Examples:" in the help of a command, or of the program for ''."""
    for room in {room for room, _ in COMMANDS.values()}:
        import_module(f"explorer.cli.{room}")
    built = typer.main.get_group(app)
    told = (built.commands[name] if name else built).epilog or ""
    return [line.strip() for line in told.split("Examples:\n")[1].splitlines()]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_examples_of_a_help_run(name: str, workspace: Callable[[], Path]) -> None:
    folder = workspace()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    lines = examples(name)
    assert lines
    for line in lines:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=folder, capture_output=True, text=True, timeout=120, env=os.environ | {"PATH": path},
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout or done.stderr or ">" in line, line
