"""How a person asks: commands that parse, call and print, with no arithmetic of their own.

stdout carries the answer, stderr progress and messages. Exit codes: 0 done; 1 a bug, with its
traceback; 2 bad usage or invalid input; 3 ran, and the answer is no; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from explorer.errors import ExplorerError


class Commands(TyperGroup):
    """Turns expected outcomes into one line and an exit code; bugs keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except ExplorerError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            # The reader of our stdout went away (`explore list models | head`): not an error of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


app = typer.Typer(
    name="explore",
    cls=Commands,
    help="Choose the shape of a transformer - context length, width, depth - before anyone pays to train it.",
    epilog="Start with: explore init budget.yaml, then explore run budget.yaml",
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


def main() -> None:
    """The `explore` program."""
    from explorer.cli import design, model, study  # noqa: F401  (each registers its commands)

    app()
