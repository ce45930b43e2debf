"""The names one import away: documented, typed, and cheap until they are used."""

from __future__ import annotations

import inspect
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

import pytest

import explorer
from explorer.pipeline import Options
from explorer.result import Result, load
from explorer.units import format_loss

ONE_GPU = Path(__file__).parents[2] / "studies" / "one-gpu.yaml"


@pytest.mark.parametrize("name", explorer.__all__)
def test_every_public_name_is_documented_and_typed(name: str) -> None:
    value: Any = getattr(explorer, name)
    assert inspect.getdoc(value), name
    members = [value] if inspect.isfunction(value) else [
        member
        for key, member in vars(value).items()
        if not key.startswith("_") and inspect.isfunction(getattr(member, "__func__", member))
        and getattr(member, "__module__", "").startswith("explorer")
    ]  # fmt: skip
    for member in members:
        function = getattr(member, "__func__", member)
        assert inspect.getdoc(function), f"{name}.{function.__name__}"
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, f"{name}.{function.__name__}"
        untyped = [
            p.name
            for p in signature.parameters.values()
            if p.annotation is inspect.Parameter.empty and p.name not in ("self", "cls")
        ]
        assert untyped == [], f"{name}.{function.__name__}"


def test_the_import_alone_costs_nothing() -> None:
    code = "import sys, explorer; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert not {"numpy", "pandas", "optuna", "pydantic", "typer", "altair"} & set(done.stdout.split())
    assert set(explorer.__all__) <= set(dir(explorer))


@pytest.fixture(scope="module")
def result(one_node: Path) -> Result:
    return load(one_node)


def test_a_result_shows_its_verdict_and_its_picks_with_units(result: Result) -> None:
    html = result._repr_html_()
    assert result.verdict is not None
    assert escape(str(result.verdict)) in html
    table = result.picked()
    assert list(table.index) == list(result.picks)
    for heading in ("c (tokens)", "loss (nats/token)", "loss, 5 to 95%", "memory (GiB/GPU)", "tokens/s/GPU"):
        assert heading in html
    best = result.front.iloc[result.picks["best-loss"]]
    assert table.loc["best-loss", "c (tokens)"] == f"{best['context_length']:,.0f}"
    columns = ["loss (nats/token)", "loss, 5 to 95%", "loss, median"]
    loss, spread, median = table.loc["best-loss", columns]
    assert f"{loss} ({spread}, median {median})" == format_loss(best)


def test_a_verdict_shows_every_statement_and_its_interval(result: Result) -> None:
    assert result.verdict is not None
    html = result.verdict._repr_html_()
    assert html.count("<tr>") == 1 + len(result.verdict.statements)
    assert "probability (90% interval)" in html


def test_a_result_escapes_what_a_user_wrote(result: Result) -> None:
    from dataclasses import replace

    named = replace(result, budget=result.budget.model_copy(update={"name": "<script>"}))
    assert "<script>" not in named._repr_html_()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"trials": 0}, "trials must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"sampler": "nsga"}, "unknown sampler 'nsga'; did you mean nsga3 or nsga2?"),
        ({"within": 2.0}, "within must be a share above 0 and up to 1, such as 0.05 or 5%, got 2.0"),
        ({"most_evaluated": 1.5}, "most_evaluated must be a whole number of at least 1, got 1.5"),
        ({"heartbeat": 0}, "heartbeat must be at least 1 (second), got 0"),
        (
            {"evaluator_timeout": "soon"},
            "evaluator_timeout must be a time such as 90s, 30m, 12h or 2d, got 'soon'",
        ),
        ({"evaluator": "train"}, "an evaluator is module:function or file.py:function, got 'train'"),
    ],
)
def test_what_a_run_cannot_be_asked_is_one_line(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(explorer.ExplorerError) as error:
        explorer.run(explorer.load(ONE_GPU), **asked)
    assert str(error.value) == told


def test_what_a_caller_asks_replaces_the_budgets_own_search() -> None:
    budget = explorer.load(ONE_GPU)
    asked = Options(trials=7, sampler="qmc", within=0.01)
    assert asked.of(budget).search == budget.search.model_copy(
        update={"trials": 7, "sampler": "qmc", "within": 0.01}
    )
    assert Options().of(budget) == budget
