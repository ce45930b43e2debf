"""The program `explore`: its commands, each imported when it is asked for, and what leaves it."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

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
            return super().invoke(ctx)
        except ExplorerError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # The reader of our stdout went away (`explore list models | head`): not an error of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


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
