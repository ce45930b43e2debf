"""Commands about single designs and tables of them: inspect, evaluate, limits, export."""

from __future__ import annotations

import inspect as reflection
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from explorer.cli import completion
from explorer.cli.output import print_json, print_table, say
from explorer.cli.program import app, examples
from explorer.cli.study import AsJson, Quiet
from explorer.errors import ExplorerError, UnknownName
from explorer.search.columns import COLUMNS, Column


def _with_columns(command: Callable[..., None]) -> Callable[..., None]:
    """`command(…, given)` with one flag per input column of `evaluate`, collected in `given`."""

    def call(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in COLUMNS}
        command(**arguments, given={k: v for k, v in given.items() if v is not None})

    own = [p for p in reflection.signature(command, eval_str=True).parameters.values() if p.name != "given"]
    flags = [
        reflection.Parameter(
            name=column.name,
            kind=reflection.Parameter.KEYWORD_ONLY,
            default=_option(column),
            annotation=_type(column),
        )
        for column in COLUMNS.values()
    ]
    own = [p.replace(kind=reflection.Parameter.KEYWORD_ONLY) for p in own]
    call.__signature__ = reflection.Signature([*own, *flags])  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in [*own, *flags]}
    call.__doc__, call.__name__ = command.__doc__, command.__name__
    return call


def _type(column: Column) -> Any:
    # A new-style union is no type that Typer 0.29 reads from a signature made at run time.
    return Optional[bool] if column.kind == "flag" else Optional[str]  # noqa: UP045


def _option(column: Column) -> Any:
    flag = "--" + column.name.replace("_", "-")
    what = column.description
    if column.kind == "choice":
        what += f" One of {', '.join(column.options)}."
    if column.default:
        what += f" Default: {column.default}."
    if column.kind == "flag":
        return typer.Option(None, f"{flag}/--no-{flag[2:]}", help=what)
    metavar = (column.unit or column.kind).upper()
    return typer.Option(None, flag, help=what, metavar=metavar, autocompletion=completion.values(column))


@app.command(
    epilog=examples(
        "explore inspect llama-2-7b",
        "explore inspect llama-2-7b --context-length 32768 --micro-batch 1 --recompute full",
        "explore inspect --context-length 8192 --d-model 4096 --n-layers 32 --json",
        "explore export mistral-7b --to hf | explore inspect -",
    )
)
@_with_columns
def inspect(
    targets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[MODEL|config.json...]",
            help="Catalogue names, or files of any format that `export` writes; '-' is stdin.",
            autocompletion=completion.models,
        ),
    ] = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Take designs apart: parameters, FLOPs, memory, time, loss.

    Memory is given by operation and by instant of a step. Every input column of `evaluate` is a flag;
    flags change a named model or describe a design by themselves.
    """
    from explorer.search.inspection import inspect as take_apart
    from explorer.search.inspection import lines

    named: list[str | None] = [*targets] if targets else [None]
    found = [take_apart(target, given) for target in named]
    if as_json:
        print_json(found if len(found) > 1 else found[0])
        return
    for index, anatomy in enumerate(found):
        if index:
            print()
        for line in lines(anatomy):
            print(line)


@app.command(
    epilog=examples(
        "explore evaluate designs.csv -o costs.csv",
        "cat designs.csv | explore evaluate - --json",
    )
)
def evaluate(
    table: Annotated[
        Path, typer.Argument(metavar="DESIGNS.csv", help="CSV or Parquet, one design per row; '-' is stdin.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="CSV or Parquet to write; '-' is stdout.")
    ] = Path("-"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Cost and loss of every design in a table; a table comes back.

    Its columns are the flags of `explore inspect`, with underscores; context_length, d_model and n_layers
    are needed. They come back with the answers added.
    """
    from explorer.search.table import evaluate_file

    to_file = str(output) != "-"
    found = evaluate_file(table, None if as_json and not to_file else output)
    if as_json:
        print_json(found.to_dict(orient="records"))
    if to_file:
        say(f"wrote {len(found)} row{'' if len(found) == 1 else 's'} to {output}", quiet)


@app.command(
    epilog=examples(
        "explore limits llama-3-8b --accelerator h100-sxm-80gb --n-gpus 8",
        "explore limits mistral-7b --accelerator rtx-4090 --gpu-memory 20GiB --json",
    )
)
@_with_columns
def limits(
    target: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="[MODEL|config.json]",
            help="A catalogue name, or a file of any format that `export` writes; '-' is stdin.",
            autocompletion=completion.models,
        ),
    ] = None,
    memory: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--gpu-memory", metavar="BYTES", help="Memory per GPU, e.g. 80GiB; default: the accelerator's."
        ),
    ] = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Find the largest context and micro-batch that fit.

    In training under each recompute mode, and in serving. Exits 3 when nothing fits.
    """
    from explorer.search.inspection import limits as find_limits

    found = find_limits(target, given, memory)
    if as_json:
        print_json(found)
    else:
        rows = found["rows"]
        columns = list(rows[0])
        cells = ([_cell(name, row[name]) for name in columns] for row in rows)
        headings = [name.replace("tokens_per_second", "tokens/s") for name in columns]
        print_table(headings, cells, title=found["title"], left=3)
        for note in found["notes"]:
            say(note)
    raise typer.Exit(0 if found["anything_fits"] else 3)


def _cell(name: str, value: Any) -> str:
    """A limit as text: no end, no speed and whole numbers in words people read."""
    if value is None:
        return "-" if name.endswith("per_second") else "no limit"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


@app.command(
    epilog=examples(
        "explore export reports/one-node --to hf --pick best-loss -o config.json",
        "explore export reports/one-node --to megatron --pick knee",
        "explore export llama-3-8b --to torchtitan -o llama.py",
        "explore export gpt2 --to nanogpt",
    )
)
def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Folder of a run, a catalogue model or a file of another format; '-' is stdin.",
            autocompletion=completion.models,
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=f"{', '.join(completion.TARGETS)}.",
            autocompletion=completion.targets,
        ),
    ],
    pick: Annotated[
        str,
        typer.Option(
            help="Design of the run: best-loss, longest, knee, or a row number of its front, from 0.",
            autocompletion=completion.picks,
        ),
    ] = "best-loss",
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; '-' is stdout.")] = Path("-"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a design and its plan in another program's format.

    What the format cannot express is refused by name.
    """
    from explorer.files import write_text
    from explorer.pipeline import export as exported

    if to not in completion.TARGETS:
        raise UnknownName("format", to, completion.TARGETS)
    if not pick.isdigit() and pick not in ("best-loss", "longest", "knee"):
        raise ExplorerError(f"--pick takes best-loss, longest, knee or a row number, got '{pick}'")
    text = exported(source, to, pick)
    to_file = str(output) != "-"
    if to_file:
        write_text(output, text)
    if as_json:
        print_json({"source": source, "format": to, **({"file": output} if to_file else {"text": text})})
    elif not to_file:
        print(text, end="")
    if to_file:
        say(f"wrote {output}", quiet)
