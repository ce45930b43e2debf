"""Wherever a run shows the loss of a design, its 5, 50 and 95% stand beside it: files, terminal, JSON, pages."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from program import explore
from report_fixture import make_budget, make_result
from test_report_browser import Opened
from test_report_evidence import SPACE

import explorer
from explorer import pipeline, report
from explorer.result import Result
from explorer.units import QUANTILES, format_loss

COLUMNS = ["loss", *(f"loss_{q}" for q in QUANTILES)]
BESIDE = r"\d\.\d{3} to \d\.\d{3}, median \d\.\d{3}"
SAID = re.compile(rf"\d\.\d{{4}} \({BESIDE}\)")
ALONE = re.compile(
    r"(?<![\d.])\d\.\d{4} nats(?:/| per )token(?! \(\d\.\d{3} to )(?! on \w+(?: \(|, 90% interval )\d\.\d{3} to )"
)
"""A loss in a sentence that no interval follows; differences of losses are said in plain nats."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """A small run of the whole program, with a baseline and a page."""
    folder = tmp_path_factory.mktemp("loss") / "run"
    budget = make_budget(space=SPACE, baseline="llama-2-7b")
    result = explorer.run(budget, trials=40, seed=0)
    result.save(folder)
    (folder / "report.html").write_text(report.render(result), "utf-8")
    return result, folder


def visible(page: str) -> str:
    """A page's text without scripts and styles."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.S)
    return unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ")


def holds(row: Any) -> bool:
    """Whether a row has a loss with quantiles in order around what the draws say."""
    low, mid, high = (float(row[f"loss_{q}"]) for q in QUANTILES)
    return low < mid < high and low - 0.2 < float(row["loss"]) < high + 0.2


def test_files_and_json(run: tuple[Result, Path]) -> None:
    result, folder = run
    for table in (
        pd.read_csv(folder / "front.csv"),
        pd.read_parquet(folder / "trials.parquet"),
        result.exact_front,
        result.cloud,
    ):
        assert len(table)
        assert all(holds(row) for _, row in table.iterrows())
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert all(holds(row) for row in summary["picks"].values())
    evidence = json.loads((folder / "evidence.json").read_text("utf-8"))["evidence"]
    plane = pd.DataFrame(evidence["plane"])
    assert all(holds(row) for _, row in plane[plane["feasible"]].iterrows())
    assert all(holds(row) for row in evidence["inside"].values())
    assert holds(evidence["baseline"])
    for arm in summary["verdict"]["by_corpus"].values():
        assert "loss" not in arm
    trade = json.loads((folder / "evidence.json").read_text("utf-8"))["trade"]
    for judged in trade["corpora"].values():
        for place in (*judged["arms"].values(), *judged["curve"], *judged["exchange"], *judged["by_context"]):
            assert place["loss"]["p05"] < place["loss"]["p50"] < place["loss"]["p95"]


def test_intervals_on_another_corpus_are_its_own(run: tuple[Result, Path]) -> None:
    result, _ = run
    front = result.front
    for q in QUANTILES:
        assert (front[f"loss_{q}"] == front[f"loss_books_{q}"]).all()
        assert (front[f"loss_code_{q}"] < front[f"loss_short_{q}"]).all()
    wider = front["loss_code_p95"] - front["loss_code_p05"] > front["loss_p95"] - front["loss_p05"]
    assert wider.mean() > 0.5


def test_terminal_and_notebook(run: tuple[Result, Path]) -> None:
    result, folder = run
    picked = result.picked()
    assert picked["loss, 5 to 95%"].str.fullmatch(r"\d\.\d{3} to \d\.\d{3}").all()
    assert picked["loss, median"].str.fullmatch(r"\d\.\d{3}").all()
    assert all(f"<td>{one}</td>" in result._repr_html_() for one in picked["loss, 5 to 95%"])
    for target in ("hf", "megatron", "torchtitan"):
        assert SAID.search(pipeline.export(str(folder), target, "best-loss"))
    page, rows = pipeline.compare([folder, folder])
    assert all(set(COLUMNS) <= set(row) for row in rows)
    assert ALONE.findall(visible(page)) == []
    assert len(SAID.findall(visible(page))) >= 2 + 2 * len(result.front)


def test_commands_that_ask_for_one_design(tmp_path: Path) -> None:
    said = explore("inspect", "llama-2-7b").stdout
    assert len(SAID.findall(said)) == 1
    assert holds(json.loads(explore("inspect", "llama-2-7b", "--json").stdout)["loss"])
    table = tmp_path / "designs.csv"
    table.write_text("context_length,d_model,n_layers\n8192,4096,32\n", "utf-8")
    (row,) = json.loads(explore("evaluate", str(table), "--json").stdout)
    assert holds(row)
    text = explore("evaluate", str(table), "-o", "-").stdout
    heads, *_ = text.splitlines()
    assert [h for h in heads.split(",") if h.startswith("loss")] == COLUMNS


def test_a_measured_loss_has_no_draws_around_it() -> None:
    row = {"loss": 2.5, **{f"loss_{q}": math.nan for q in QUANTILES}}
    assert format_loss(row) == "2.5000"


def test_the_page_as_text(run: tuple[Result, Path]) -> None:
    _, folder = run
    page = (folder / "report.html").read_text("utf-8")
    assert ALONE.findall(visible(page)) == []
    # Each table with a column of losses has their quantiles in it, or in columns beside it.
    tables = re.findall(r"<table.*?</table>", page, flags=re.S)
    checked = 0
    for table in tables:
        heads = [
            unescape(re.sub(r"<[^>]+>", "", h))
            for h in re.findall(r"<th scope=\"col\".*?</th>", table, flags=re.S)
        ]
        places = [k for k, h in enumerate(heads) if h.startswith("Loss")]
        if not places or {"Loss, 5%", "Loss, 50%", "Loss, 95%"} <= set(heads):
            checked += bool(places)
            continue
        for row in re.findall(r"<tr>(.*?)</tr>", table.split("<tbody>")[1], flags=re.S):
            cells = [
                unescape(re.sub(r"<[^>]+>", "", c)) for c in re.findall(r"<t[hd].*?</t[hd]>", row, flags=re.S)
            ]
            for k in places:
                assert re.search(BESIDE, cells[k]), (heads, cells)
                checked += 1
    assert checked > 20
    assert "Loss, 50%" in page


@pytest.fixture
def opened(browser: Any, run: tuple[Result, Path]) -> Iterator[Opened]:
    one = Opened(browser, run[1] / "report.html")
    yield one
    one.context.close()


def tips(page: Any, chart: str) -> Iterator[str]:
    """What stands over the marks of a chart, as the pointer meets them."""
    shown = page.locator(".tip:not([hidden])")
    holder = page.locator(f"[data-chart={chart}]")
    holder.scroll_into_view_if_needed()
    box = holder.bounding_box()
    marks = [m.bounding_box() for m in holder.locator("svg .mark-symbol path").all()[-20:]]
    places = [(m["x"] + m["width"] / 2, m["y"] + m["height"] / 2) for m in marks if m] or [
        (box["x"] + box["width"] * across / 100, box["y"] + box["height"] * down / 100)
        for across in range(8, 96, 2)
        for down in range(6, 96, 3)
    ]
    for place in places:
        page.mouse.move(*place)
        if shown.count():
            yield shown.inner_text()


@pytest.mark.browser
def test_tooltips(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(report.render(make_result()), "utf-8")
    one = Opened(browser, page)
    for chart in ("front", "plane", "parallel", "exchange", "widths"):
        said = next((text for text in tips(one.page, chart) if "Loss" in text), "none")
        assert re.search(BESIDE, said), (chart, said)
    one.context.close()


@pytest.mark.browser
def test_what_the_page_says_when_it_is_asked(opened: Opened, run: tuple[Result, Path]) -> None:
    page = opened.page
    front = run[0].front

    def everything() -> None:
        for place in (
            "#found",
            "#selection",
            "#apart-design",
            "[data-takeaway=front]",
            "[data-takeaway=plane]",
        ):
            text = page.locator(place).inner_text().replace("\u00a0", " ")
            assert ALONE.findall(text) == [], (place, text)

    page.fill("#ask", "best loss with at least 16k context")
    page.press("#ask", "Enter")
    assert re.search(rf"nats/token on books \({BESIDE}\)", page.locator("#found").inner_text())
    assert re.search(rf"1 of the front selected.*\({BESIDE}\)", page.locator("#selection").inner_text())
    assert re.search(BESIDE, page.locator("#apart-design").inner_text())
    everything()
    page.locator("input[name=corpus][value=code]").check(force=True)
    page.wait_for_function(
        "document.querySelector('[data-takeaway=front]').textContent.includes('Judged on code')"
    )
    everything()
    row = page.locator("#front-table tbody tr").first
    keys = page.locator("#front-table [data-key]").evaluate_all("all => all.map(b => b.dataset.key)")
    texts = row.locator("td").all_text_contents()[1:]
    found = dict(zip(keys, texts, strict=False))
    assert all(re.fullmatch(r"\d\.\d{3}", found[f"loss_{q}"]) for q in QUANTILES)
    same = front[
        (front["context_length"] == float(found["context_length"].replace(",", "")))
        & (front["d_model"] == float(found["d_model"].replace(",", "")))
    ]
    for _, one in same.iterrows():
        if f"{one['loss_code']:.4f}" == found["loss"]:
            assert found["loss_p05"] == f"{one['loss_code_p05']:.3f}"
    page.fill("#ask", "longest context")
    page.press("#ask", "Enter")
    assert re.search(rf"nats/token on code \({BESIDE}\)", page.locator("#found").inner_text())
    assert opened.errors == []
