"""The program answers help and mistakes at once: what it imports, and that its table of commands is true."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer.main
from program import ROOT, explore

from explorer import __version__
from explorer.cli.program import COMMANDS, app

HEAVY = {"numpy", "scipy", "pandas", "optuna", "altair", "pydantic", "rich.console"}


def imported(*arguments: str) -> tuple[set[str], str]:
    """The modules that one call of the program imports, and what it says on stderr."""
    code = (
        "import atexit, sys\n"
        "from explorer.cli import main\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n'))\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return set(done.stdout.splitlines()), done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["rnu"], ["run", "--nope"]]
)
def test_help_and_bad_usage_import_nothing_heavy(arguments: list[str]) -> None:
    modules, _ = imported(*arguments)
    assert "typer" in modules
    assert not HEAVY & modules


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_mistake_in_a_budget_is_told_before_anything_is_imported(command: str, tmp_path: Path) -> None:
    budget = tmp_path / "budget.yaml"
    budget.write_text(
        (ROOT / "studies/one-node.yaml").read_text("utf-8").replace("gpus: 8", "gpus: x"), "utf-8"
    )
    modules, told = imported(command, str(budget))
    assert "explorer.budget.loading" in modules
    assert not ({"typer", "explorer.catalog"} | HEAVY) & modules
    # The same line that the whole path tells.
    (line,) = json.loads(explore(command, "--json", str(budget)).stderr)["errors"]
    assert told == f"{line}\n"
    assert told.startswith(f"{budget}:11:46: hardware.gpus: ")


def test_help_after_a_bad_budget_is_still_help(tmp_path: Path) -> None:
    done = explore("run", str(tmp_path / "none.yaml"), "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage:")


def test_the_table_of_commands_says_what_the_commands_say() -> None:
    for room in {room for room, _ in COMMANDS.values()}:
        import_module(f"explorer.cli.{room}")
    built = typer.main.get_group(app)
    assert set(built.commands) == set(COMMANDS)
    for name, command in built.commands.items():
        assert inspect.cleandoc(command.help or "").splitlines()[0] == COMMANDS[name][1], name


def test_the_module_runs_as_the_program_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "explorer", "--version"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == explore("--version").stdout == f"explorer {__version__}\n"


def test_an_unknown_command_is_told_with_the_nearest() -> None:
    done = explore("rnu")
    assert done.returncode == 2
    assert "unknown command 'rnu'; did you mean run?" in done.stderr
