"""The program `explore`: its commands, each imported when it is asked for, and what leaves it."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from explorer.cli import fail
from explorer.errors import ExplorerError, nearest

COMMANDS = {
    "init": ("study", "Write a commented starter budget that `explore run` accepts."),
    "check": ("study", "Read a budget without searching: size, limits, blind spots."),
    "run": ("study", "Search the designs a budget allows and write a Pareto report."),
    "worker": ("study", "Evaluate trials of a shared study, and nothing else."),
    "report": ("study", "Draw the report of a finished run again, from its files."),
    "compare": ("study", "Put runs side by side: what changed, and which limit moved it."),
    "inspect": ("design", "Take designs apart: parameters, FLOPs, memory, time, loss."),
    "evaluate": ("design", "Cost and loss of every design in a table; a table comes back."),
    "limits": ("design", "Find the largest context and micro-batch that fit."),
    "export": ("design", "Write a design and its plan in another program's format."),
    "claims": ("model", "Take the idea apart: eleven claims, each with a verdict."),
    "fit": ("model", "Fit a law, or a corpus' context term, to your own runs."),
    "validate": ("model", "Score the cost model against measurements."),
    "list": ("model", "List what the catalogue holds, each with its source."),
    "schema": ("study", "Print the JSON Schema of budget.yaml, for editors."),
}
"""Command → the module that holds it, and its line in `explore --help`, which imports none of them."""


def examples(*lines: str) -> str:
    """The end of a command's help: lines to copy, which the tests run."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


class Commands(TyperGroup):
    """Finds a command's module by its name; turns expected outcomes into one line and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command, in the order a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One command, its module imported now."""
        if cmd_name not in COMMANDS:
            return None
        import_module(f"explorer.cli.{COMMANDS[cmd_name][0]}")
        built = typer.main.get_command(app)
        assert isinstance(built, TyperGroup)
        return built.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` start with, or what may have been meant."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            near = nearest(args[0], COMMANDS)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(COMMANDS)}"
            ctx.fail(f"unknown command '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The table above, in help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command; where there are none, Typer shall not convert their defaults.

        It would import pydantic for that, which takes longer than telling that a flag is not known.
        """
        if args and not args[0].startswith("-"):
            self.add_help_option = False
            self.params = [p for p in self.params if p.name == "version"]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; bugs keep their traceback."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                # What cannot be written shall be told here, not by Python as it ends.
                sys.stdout.flush()
        except ExplorerError as error:
            raise typer.Exit(fail(error.lines, error.exit_code)) from None
        except KeyboardInterrupt:
            raise typer.Exit(fail(["interrupted"], 130)) from None
        except BrokenPipeError:
            # The reader of our stdout went away (`explore list models | head`): not an error of ours.
            _silence_stdout()
            raise typer.Exit(0) from None
        except OSError as error:
            if error.errno not in _FULL:
                raise
            _silence_stdout()
            what = f"cannot write{f' {error.filename}' if error.filename else ''}: {error.strerror}"
            raise typer.Exit(fail([f"{what}; make room and run again"], 2)) from None
        except Exception as error:
            # Typer tells bad usage to a person, with the line on usage that the command has.
            if "--json" not in sys.argv[1:] or not hasattr(error, "format_message"):
                raise
            raise typer.Exit(fail([error.format_message()], 2)) from None


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _silence_stdout() -> None:
    """Nothing more reaches stdout, not even what Python still holds of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    name="explore",
    cls=Commands,
    help="Choose the shape of a transformer - context length, width, depth - before anyone pays to train it.",
    epilog=examples("explore init budget.yaml", "explore check budget.yaml", "explore run budget.yaml"),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from explorer import __version__

        print(f"explorer {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    pass
