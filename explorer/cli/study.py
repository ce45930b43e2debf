"""Commands around a study: init, schema, check, run, report, compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from explorer.cli.completion import formats, samplers
from explorer.cli.output import one_answer, only_answers, print_json, print_table, print_text, say
from explorer.cli.program import app, examples
from explorer.errors import ExplorerError, Interrupted

BudgetPath = Annotated[
    Path, typer.Argument(metavar="BUDGET", help="A budget.yaml; '-' reads standard input.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes on stderr.")]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where several processes share the study: a journal file's path, sqlite:///FILE, "
        "postgresql+psycopg://USER@HOST/DB, grpc://HOST:PORT. Default: a journal in the output folder, "
        "for this process alone.",
    ),
]
EvaluatorName = Annotated[
    str | None,
    typer.Option(
        "--evaluator",
        metavar="MODULE:FUNCTION",
        help="Measure designs with this Python function (or FILE.py:FUNCTION); it takes a design's row and "
        "returns measured figures by metric name. Default: the model alone.",
    ),
]
EvaluatorTimeout = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="A trial that takes the evaluator longer fails with that error, e.g. 90s, 30m, 12h or 2d; what never "
        "returns to Python is not interrupted. Default: the budget's, or else no limit.",
    ),
]
Heartbeat = Annotated[
    str,
    typer.Option(
        metavar="SECONDS",
        help="Sign of life of a process that shares a study; one silent for three of them is taken for dead, "
        "and its trial is run again.",
    ),
]
Formats = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="LIST",
        help="Also write every chart as a picture: svg, png or svg,png.",
        autocompletion=formats,
    ),
]


@app.command(epilog=examples("explore init budget.yaml", "explore init - > budget.yaml"))
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it; '-' prints it.")] = Path("budget.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a commented starter budget that `explore run` accepts."""
    from explorer.budget import starter
    from explorer.files import write_text

    one_answer(as_json, path)
    if str(path) == "-":
        print(starter(), end="")
        return
    if path.exists() and not force:
        raise ExplorerError(f"{path} exists; choose another name or pass --force")
    write_text(path, starter())
    if as_json:
        print_json({"budget": path})
    say(f"wrote {path}; next: explore run {path}", quiet)


@app.command(epilog=examples("explore schema > budget.schema.json"))
def schema(
    as_json: Annotated[bool, typer.Option("--json", help="Changes nothing: a schema is JSON.")] = False,
) -> None:
    """Print the JSON Schema of budget.yaml, for editors."""
    from explorer.budget import schema as budget_schema

    print_json(budget_schema())


@app.command(
    epilog=examples("explore check studies/one-node.yaml", "explore init - | explore check - --json")
)
def check(budget: BudgetPath, as_json: AsJson = False) -> None:
    """Read a budget without searching: size, limits, blind spots.

    Says how many designs the space holds, what each limit stops, and which levers the loss is blind to.

    Exits 3 when no design of the space meets every limit.
    """
    # Read first: a mistake in the file is told before anything heavy is imported.
    chosen = _load(budget)
    from explorer.checking import check as check_budget

    found = check_budget(chosen)
    if as_json:
        print_json(found)
    else:
        for line in found.lines():
            print_text(line)
    raise typer.Exit(0 if found.n_feasible else 3)


@app.command(
    epilog=examples(
        "explore run studies/one-node.yaml --trials 100 --seed 1 --output runs/one-node --format svg",
        "explore run studies/one-node.yaml --sampler exact --within 0.1% --output runs/close",
        "explore init - | explore run - --sampler exact --trials 20 --quiet --json",
    )
)
def run(
    budget: BudgetPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write; default: reports/NAME.")
    ] = None,
    trials: Annotated[
        str | None, typer.Option(metavar="N", help="Designs to ask for, e.g. 300; default: the budget's.")
    ] = None,
    seed: Annotated[
        str | None, typer.Option(metavar="N", help="Seed, from 0; default: the budget's.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="auto, exact, tpe, nsga2, nsga3, gp, qmc or random; default: the budget's.",
            autocompletion=samplers,
        ),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="End the enumeration of the front once it is proved to be this close to the best possible "
            "hypervolume, e.g. 0.1%; default: the budget's, or else when the front is proved exact.",
        ),
    ] = None,
    most_evaluated: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="End it once it has evaluated so many designs, e.g. 100k, and say how close it is by then.",
        ),
    ] = None,
    storage: Storage = None,
    evaluator: EvaluatorName = None,
    evaluator_timeout: EvaluatorTimeout = None,
    heartbeat: Heartbeat = "20",
    formats: Formats = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing run in the folder.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Search the designs a budget allows and write a Pareto report.

    A run that was interrupted continues where it stopped. With --storage, runs and workers on several
    machines join one study; together they ask for what one process would have asked, unless an --evaluator
    teaches 'auto' on the way: then what is asked next depends on which trials were told first. Exits 3 when no
    design meets every limit.
    """
    # Read first: a mistake in the file is told before anything heavy is imported.
    chosen = _load(budget)
    from explorer.budget import readers
    from explorer.cli.progress import Progress
    from explorer.pipeline import Options, run_in

    options = Options(
        trials=read("--trials", trials, readers.whole),
        seed=read("--seed", seed, readers.index),
        sampler=sampler,
        within=read("--within", within, readers.share),
        most_evaluated=read("--most-evaluated", most_evaluated, readers.whole),
        storage=storage,
        evaluator=evaluator,
        evaluator_timeout=_patience(evaluator, evaluator_timeout),
        heartbeat=read("--heartbeat", heartbeat, readers.whole),
    )
    _own_the_terminal()
    _small_tables()
    for note in chosen.notes:
        say(f"note: {note}", quiet)
    folder = output or Path("reports") / chosen.name
    try:
        with only_answers(), Progress(quiet) as progress:
            result = run_in(
                folder,
                chosen,
                options,
                formats=_formats(formats),
                force=force,
                on_progress=progress.update,
            )
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; the same command continues the run in {folder}") from None
    if as_json:
        print_json(result.summary())
    else:
        _print(result)
        say(f"report: {folder / 'report.html'}", quiet)
    raise typer.Exit(0 if result.feasible else 3)


@app.command(
    epilog=examples("explore worker studies/one-node.yaml --storage sqlite:///shared.db --trials 10 --quiet")
)
def worker(
    budget: BudgetPath,
    storage: Annotated[
        str, typer.Option(metavar="URL", help="The study's storage, as `explore run --storage` has it.")
    ],
    evaluator: EvaluatorName = None,
    evaluator_timeout: EvaluatorTimeout = None,
    trials: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Trials of a study that `explore run` has not joined; default: the budget's."
        ),
    ] = None,
    heartbeat: Heartbeat = "20",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate trials of a shared study, and nothing else.

    Takes new and waiting trials and those that dead workers left, and ends when the study has all it wants.
    How many, by which sampler and seed, is what `explore run` on the same storage asked for, else what the
    budget says.
    """
    chosen = _load(budget)
    from explorer.budget import readers
    from explorer.cli.progress import Progress
    from explorer.pipeline import Options, work

    options = Options(
        trials=read("--trials", trials, readers.whole),
        evaluator=evaluator,
        evaluator_timeout=_patience(evaluator, evaluator_timeout),
        heartbeat=read("--heartbeat", heartbeat, readers.whole),
    )
    _own_the_terminal()
    try:
        with only_answers(), Progress(quiet) as progress:
            told = work(chosen, options, storage=storage, on_progress=progress.update)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the trial it was at is queued again") from None
    if as_json:
        print_json({"study": chosen.name, "trials_told": told})
    else:
        print(f"{chosen.name}: told {told} trials; the study has all it wants")


@app.command(epilog=examples("explore report reports/one-node --format svg,png"))
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    formats: Formats = "",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw the report of a finished run again, from its files."""
    from explorer.pipeline import redraw

    _small_tables()
    page, *charts = redraw(folder, _formats(formats))
    if as_json:
        print_json({"report": page, "charts": charts})
    say(f"wrote {page}" + (f" and {len(charts)} charts beside it" if charts else ""), quiet)


@app.command(
    epilog=examples(
        "explore compare reports/one-gpu reports/one-node",
        "explore compare reports/one-gpu reports/one-node -o limits.html --json",
    )
)
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of finished runs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write; '-' is stdout.")] = Path(
        "compare.html"
    ),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Put runs side by side: what changed, and which limit moved it."""
    from explorer.files import write_text
    from explorer.pipeline import compare as compare_runs

    if len(folders) < 2:
        raise ExplorerError(f"compare needs at least two runs, got {len(folders)}")
    one_answer(as_json, output)
    page, rows = compare_runs(folders)
    if str(output) == "-":
        print(page, end="")
        return
    write_text(output, page)
    if as_json:
        print_json(rows)
    else:
        columns = list(rows[0])
        print_table(columns, ([str(row[c]) for c in columns] for row in rows))
    say(f"wrote {output}", quiet)


def _print(result: Any) -> None:
    """The verdict, the designs a reader asks for first side by side, and how good the search was."""
    lines = result.lines()
    if result.verdict is not None:
        print_text(lines.pop(0))
    if result.feasible:
        picked = result.picked().T
        print_table(
            ["", *picked.columns],
            ([name, *row] for name, row in zip(picked.index, picked.to_numpy(), strict=True)),
        )
    for line in lines:
        print_text(line)


def _own_the_terminal() -> None:
    """Progress and answers are ours to tell, not Optuna's; a termination (a scheduler's) is an interrupt."""
    import signal

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _small_tables() -> None:
    """Texts in tables as Python's own: a run has a few thousand, and Arrow's take longer to make and read."""
    import pandas

    pandas.set_option("mode.string_storage", "python")


def _load(path: Path) -> Any:
    """The budget in a file, or on standard input for '-'."""
    from explorer.budget import load

    return load(path)


def read(option: str, text: str | None, reader: Callable[[Any], Any]) -> Any:
    """An option's value as a budget would have it; None where it was not given."""
    if text is None:
        return None
    try:
        return reader(text)
    except ValueError as error:
        raise ExplorerError(f"{option} takes {error}, got '{text}'") from None


def _patience(evaluator: str | None, text: str | None) -> float | None:
    """Seconds that the evaluator has for a trial, where the option was given."""
    from explorer.budget import readers

    if text is not None and evaluator is None:
        raise ExplorerError("--evaluator-timeout limits an --evaluator, and none is given")
    found: float | None = read("--evaluator-timeout", text, readers.duration)
    return found


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in chosen:
        if name not in ("svg", "png"):
            raise ExplorerError(f"--format takes svg, png or svg,png, got '{name}'")
    return chosen
