"""Commands that ask the model itself: claims, fit, validate, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from explorer.cli import completion
from explorer.cli.output import one_answer, print_json, print_table, print_text, say
from explorer.cli.program import app, examples
from explorer.cli.study import AsJson, Quiet, read
from explorer.errors import ExplorerError, UnknownName


@app.command("list", epilog=examples("explore list accelerators", "explore list models --json"))
def list_(
    shelf: Annotated[
        str,
        typer.Argument(
            metavar="|".join(completion.SHELVES),
            help="What to list.",
            autocompletion=completion.shelves,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """List what the catalogue holds, each with its source."""
    if shelf not in _SHELVES:
        raise UnknownName("list", shelf, _SHELVES)
    rows = _SHELVES[shelf]()
    if as_json:
        print_json(rows)
        return
    columns = list(rows[0])
    print_table(columns, ([_cell(row[c]) for c in columns] for row in rows))


def _models() -> list[dict[str, Any]]:
    from explorer.catalog import models
    from explorer.cost import parameters

    return [
        {
            "name": m.name,
            "n_params": parameters(m.design).total,
            "context_length": m.context_length_pretrain,
            "d_model": m.design.d_model,
            "n_layers": m.design.n_layers,
            "n_heads": m.design.n_heads,
            "n_kv_heads": m.design.n_kv_heads,
            "d_ff": m.design.d_ff,
            "vocab_size": m.design.vocab_size,
            "n_tokens": m.n_tokens,
            "source": m.source,
        }
        for m in models().values()
    ]


def _accelerators() -> list[dict[str, Any]]:
    from explorer.catalog import accelerators
    from explorer.units import GIB

    return [
        {
            "name": a.name,
            "memory_gib": round(a.memory_bytes / GIB, 1),
            "bf16_tflops": round(a.peak_flops["bf16"] / 1e12, 1) if "bf16" in a.peak_flops else None,
            "hbm_gb_per_s": round(a.hbm_bandwidth / 1e9),
            "link_gb_per_s": round(a.link_bandwidth / 1e9, 1),
            "gpus_per_node": a.gpus_per_node,
            "tdp_watts": a.tdp_watts,
            "efficiency": a.fitted_on,
            "source": "; ".join(dict.fromkeys(a.source.values())),
        }
        for a in accelerators().values()
    ]


def _laws() -> list[dict[str, Any]]:
    from explorer.catalog import laws
    from explorer.quality import law

    found = [law(name) for name in laws()]
    return [
        {
            "name": one.name,
            **{name: float(f"{value:.6g}") for name, value in one.constants.items()},
            "n_counts": one.n_counts,
            "description": one.description,
            "source": one.source,
        }
        for one in found
    ]


def _corpora() -> list[dict[str, Any]]:
    from explorer.catalog import corpora

    return [
        {
            "name": c.name,
            "amplitude_low": c.amplitude_low,
            "amplitude_high": c.amplitude_high,
            "description": c.description,
            "source": c.source,
        }
        for c in corpora().values()
    ]


_SHELVES = dict(zip(completion.SHELVES, (_models, _accelerators, _laws, _corpora), strict=True))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float) and abs(value) >= 1e6:
        from explorer.units import format_count

        return format_count(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


@app.command(epilog=examples("explore claims", "explore claims --number 3 --json"))
def claims(
    number: Annotated[
        str | None, typer.Option(metavar="N", help="Only this claim, 1 to 11, with every variant.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take the idea apart: eleven claims, each with a verdict.

    Each is told with the naive count beside the full one; --number shows all its figures and sources.
    """
    from explorer.claims import ledger

    known = [str(claim.number) for claim in ledger()]
    if number is not None and number not in known:
        raise ExplorerError(f"--number takes a claim from 1 to {known[-1]}, got '{number}'")
    found = [claim for claim in ledger() if number in (None, str(claim.number))]
    if as_json:
        print_json(found)
        return
    for claim in found:
        print_text(f"{claim.number}. {claim.statement}", style="bold")
        print_text(f"   {claim.verdict}: {claim.reason}")
        print_text(f"   naive: {claim.naive}")
        print_text(f"   full:  {claim.full}")
        print_text(f"   decided by: {claim.figure_name}: {claim.figure:.4g} {claim.unit}")
        if number is None:
            for line in claim.changes():
                print_text(f"   by {line}")
        else:
            for variant in claim.variants:
                note = f" ({variant.note})" if variant.note else ""
                print_text(
                    f"   - {variant.axis} {variant.setting}: {variant.figure:.3g} {variant.unit}, "
                    f"{variant.verdict}{note}"
                )
            for gap in claim.gaps:
                print_text(f"   gap: {gap}")
            for source in claim.sources:
                print_text(f"   source: {source}")


@app.command(
    epilog=examples(
        "explore fit runs.csv --map N=n_params --map D=tokens -o my-law.json",
        "explore fit --context losses.csv --name my-corpus -o my-corpus.json",
    )
)
def fit(
    runs: Annotated[
        Path | None,
        typer.Argument(metavar="RUNS.csv", help="Columns N, D, loss and optionally c, d, L; '-' is stdin."),
    ] = None,
    context: Annotated[
        Path | None,
        typer.Option(
            "--context",
            metavar="LOSSES.csv",
            help="Loss against context: columns series, c, nll, protocol; '-' is stdin.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the law or corpus.")] = "fitted",
    mapping: Annotated[
        list[str] | None, typer.Option("--map", metavar="COLUMN=NAME", help="What the file calls a column.")
    ] = None,
    drop_highest: Annotated[
        str, typer.Option(metavar="N", help="Leave out this many runs with the highest losses.")
    ] = "0",
    bootstraps: Annotated[
        str, typer.Option(metavar="N", help="Bootstrap resamples for intervals; 0 does without.")
    ] = "200",
    seed: Annotated[str, typer.Option(metavar="N", help="Seed of the resamples, from 0.")] = "0",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Law or corpus file to write; '-' is stdout.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit a law, or a corpus' context term, to your own runs.

    Writes a file that `quality.law` or `quality.corpus` accepts; for runs, a page with the residuals beside it.
    """
    from explorer.budget import readers
    from explorer.files import write_text
    from explorer.quality import fit_context, fit_runs

    one_answer(as_json, output)
    if (runs is None) == (context is None):
        raise ExplorerError("fit takes either RUNS.csv or --context LOSSES.csv")
    names: dict[str, str] = {}
    for pair in mapping or []:
        column, found, theirs = pair.partition("=")
        if not found or not column or not theirs:
            raise ExplorerError(f"--map takes COLUMN=NAME, e.g. N=n_params, got '{pair}'")
        names[column] = theirs
    dropped = read("--drop-highest", drop_highest, readers.index)
    asked: dict[str, Any] = {
        "name": name,
        "mapping": names,
        "seed": read("--seed", seed, readers.index),
        "bootstraps": read("--bootstraps", bootstraps, readers.index),
    }
    fitted: Any
    if context is not None:
        fitted = fit_context(context, **asked)
    else:
        assert runs is not None
        fitted = fit_runs(runs, **asked, drop_highest=dropped)
    target = output or Path(f"{name}.json")
    if str(target) == "-":
        print(fitted.text(), end="")
        return
    write_text(target, fitted.text())
    wrote = str(target)
    if runs is not None:
        from explorer.report import fit_page

        page = target.with_suffix(".html")
        write_text(page, fit_page(fitted))
        wrote += f" and {page}"
    if as_json:
        print_json(fitted.summary())
    else:
        for line in fitted.lines():
            print_text(line)
    say(f"wrote {wrote}", quiet)


@app.command(
    epilog=examples("explore validate", "explore validate measurements.jsonl --report validation.html --json")
)
def validate(
    measurements: Annotated[
        Path | None,
        typer.Argument(
            help="JSONL or CSV of {what, config, value, unit}, '-' is stdin; default: the cited set that ships."
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--report", metavar="PAGE.html", help="Draw predicted against measured.")
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Print every row, not only the groups.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the groups as the README's table.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score the cost model against measurements.

    Exits 3 when a group's error is above the budget that the catalogue states for it.
    """
    from explorer.files import write_text
    from explorer.validation import read, score

    if as_json and markdown:
        raise ExplorerError("--json and --markdown are two forms of one answer; leave one of them out")
    scores = score(read(measurements))
    if page is not None:
        from explorer.report import validation_page

        write_text(page, validation_page(scores))
        say(f"wrote {page}", quiet)
    if as_json:
        print_json(scores)
    else:
        for line in scores.markdown() if markdown else scores.lines(rows=rows):
            print(line)
    raise typer.Exit(0 if scores.within_budget else 3)
