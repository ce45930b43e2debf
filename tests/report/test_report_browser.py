"""The page in a browser without a network: drawn, linked, judged on other corpora, accessible, quick."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_fixture import make_budget, make_infeasible, make_result

from explorer import report
from explorer.report import words

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "report.html").write_text(report.render(make_result()), "utf-8")
    (folder / "large.html").write_text(report.render(make_result(n_trials=2_500, n_cloud=6_000)), "utf-8")
    named = make_result(name="a-name-without-an-end-" * 4 + "x")
    (folder / "named.html").write_text(report.render(named), "utf-8")
    (folder / "long-names.html").write_text(report.compare([named, make_result(name="b" * 80)]), "utf-8")
    (folder / "infeasible.html").write_text(report.render(make_infeasible()), "utf-8")
    objectives = [{"minimize": "loss"}, {"maximize": "context_length"}, {"minimize": "kv_cache_bytes"}]
    three = replace(make_result(), budget=make_budget(objectives=objectives))
    (folder / "three.html").write_text(report.render(three), "utf-8")
    many = replace(make_result(n_trials=900, long=True), budget=make_budget(objectives=objectives))
    (folder / "long.html").write_text(report.render(many), "utf-8")
    (folder / "compare.html").write_text(
        report.compare([make_result(), make_result(name="code-run", corpus="code")]), "utf-8"
    )
    return folder


class Opened:
    """A page with what it complained of and what it asked the network for."""

    def __init__(self, browser: Any, path: Path, **given: Any) -> None:
        # Without motion a scroll has ended when it returns, and what is pointed at stands still.
        self.context = browser.new_context(
            offline=True, viewport={"width": 1280, "height": 900}, reduced_motion="reduce", **given
        )
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on(
            "console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("request", lambda r: self.requests.append(r.url))
        began = time.perf_counter()
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready=yes]", timeout=60_000, state="attached")
        self.seconds = time.perf_counter() - began


@pytest.fixture
def opened(browser: Any, folder: Path) -> Iterator[Opened]:
    one = Opened(browser, folder / "report.html")
    yield one
    one.context.close()


def drag(page: Any, chart: str, x0: float, y0: float, x1: float, y1: float, moves: int = 5) -> float:
    """Drags over a chart between shares of its size; seconds the moves took."""
    page.locator(f"[data-chart={chart}]").scroll_into_view_if_needed()
    box = page.locator(f"[data-chart={chart}] canvas").bounding_box()
    at = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in ((x0, y0), (x1, y1))]
    page.mouse.move(*at[0])
    page.mouse.down()
    began = time.perf_counter()
    for k in range(1, moves + 1):
        page.mouse.move(*(a + (b - a) * k / moves for a, b in zip(*at, strict=True)))
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    seconds = time.perf_counter() - began
    page.mouse.up()
    return seconds


def test_every_chart_is_drawn_without_a_network(opened: Opened) -> None:
    holders = opened.page.locator("[data-chart]")
    assert holders.count() == 18
    for k in range(18):
        drawn = holders.nth(k).locator("canvas, svg").first
        assert drawn.bounding_box()["height"] > 80
    ink = opened.page.evaluate(
        """() => [...document.querySelectorAll('[data-chart] canvas')].map(c => {
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
            for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n / (c.width * c.height); })"""
    )
    assert min(ink) > 0.005
    assert opened.errors == []
    assert [u for u in opened.requests if not u.startswith(("file:", "data:"))] == []


def test_a_brush_links_front_plane_and_table(opened: Opened) -> None:
    page = opened.page
    drag(page, "front", 0.55, 0.1, 0.99, 0.95)
    status = page.locator("#selection").text_content()
    assert "of the front selected" in status
    chosen = int(status.split()[0])
    assert 0 < chosen <= 6
    assert page.locator("#front-table tr.picked").count() == chosen
    page.keyboard.press("Escape")
    assert page.locator("#selection").text_content() == "Nothing is selected."
    drag(page, "plane", 0.18, 0.15, 0.97, 0.85)
    assert page.locator("#front-table tr.picked").count() == 6


def test_a_chosen_design_is_taken_apart(opened: Opened) -> None:
    page = opened.page
    before = page.locator('[data-takeaway="anatomy-memory"]').text_content()
    page.locator("#front-table input[type=radio]").nth(3).focus()
    page.keyboard.press("Space")
    said = page.locator("#apart-design").text_content()
    context = page.locator("#front-table tbody tr").nth(3).locator("td").nth(1).text_content()
    assert f"c = {context} tokens" in said
    assert page.locator('[data-takeaway="anatomy-memory"]').text_content() != before
    page.select_option("#beside", "pythia-2.8b")
    assert (
        "pythia-2.8b at 2,048 tokens takes" in page.locator('[data-takeaway="anatomy-memory"]').text_content()
    )
    # The part's name, both stages of a staged design, and the model beside it.
    assert page.locator("#fig-anatomy-memory thead th").count() == 4


def test_levers_around_the_chosen_design(opened: Opened) -> None:
    page = opened.page
    assert "10% more changes it by −0.0020 nats" in page.locator('[data-takeaway="near-loss"]').text_content()
    page.locator("#front-table input[type=radio]").nth(2).check()
    said = page.locator('[data-takeaway="near-cost"]').text_content()
    assert "10% more layers L takes 12% more GPU-hours, width d 8% and context c 4%" in said
    rows = page.locator("#fig-near-cost tbody tr")
    assert rows.count() == 3
    assert rows.nth(1).locator("td").all_text_contents() == ["2,048 and 3,072", "8%", "4%"]
    assert opened.errors == []


def test_the_file_of_the_chosen_design_is_copied(browser: Any, folder: Path) -> None:
    one = Opened(browser, folder / "report.html", permissions=["clipboard-read", "clipboard-write"])
    page = one.page
    page.locator("#front-table input[type=radio]").nth(3).check()
    assert page.locator("#export-text").text_content() == '{\n  "n": 3\n}\n'
    page.click("#copy")
    page.wait_for_function("document.querySelector('#copied').textContent !== ''")
    assert "Copied: Hugging Face config.json, 3 lines." in page.locator("#copied").text_content()
    assert page.evaluate("navigator.clipboard.readText()") == '{\n  "n": 3\n}\n'
    page.select_option("#target", "nanogpt")
    assert "cannot express n_kv_heads = 8." in page.locator("#export-text").text_content()
    assert page.locator("#copy").is_disabled()
    one.context.close()


def test_another_corpus_moves_front_and_verdict(opened: Opened) -> None:
    page = opened.page
    before = page.locator('[data-takeaway="front"]').text_content()
    page.locator("input[name=corpus][value=code]").check(force=True)
    page.wait_for_function(
        "document.querySelector('[data-takeaway=front]').textContent.includes('Judged on code')"
    )
    found = make_result().evidence.corpus_fronts["code"]  # type: ignore[union-attr]
    best = found.loc[found["loss_code"].idxmin()]
    said = page.locator('[data-takeaway="front"]').text_content()
    assert "this is the exact front, proven over all 182,466 designs" in said
    assert (
        f"The lowest loss is {words.loss(best, of='loss_code')} at c = {best['context_length']:,.0f} tokens"
        in said
    )
    rows = page.locator("#front-table tbody tr")
    assert rows.count() == len(found)
    contexts = {
        int(text.replace(",", ""))
        for text in page.locator("#front-table tbody td:nth-child(2)").all_text_contents()
    }
    assert contexts == set(found["context_length"].astype(int))
    rows.first.locator("input").check()
    assert page.locator("#selection").text_content().startswith("1 of the front selected")
    assert page.locator("#verdict").get_attribute("data-status") == "undecided"
    assert "On code" in page.locator("#verdict [data-sentence]").text_content()
    assert page.locator('.nowrap[data-corpus="code"]').is_visible()
    assert not page.locator('.nowrap[data-corpus="books"]').is_visible()
    page.locator("input[name=corpus][value=books]").check(force=True)
    page.wait_for_function(
        "t => document.querySelector('[data-takeaway=front]').textContent === t", arg=before
    )
    assert page.locator("#front-table tbody tr").count() == 6
    assert opened.errors == []


@pytest.mark.parametrize("name", ["report.html", "long.html"])
def test_every_design_of_every_front_is_taken_apart_and_has_its_file(
    browser: Any, folder: Path, name: str
) -> None:
    one = Opened(browser, folder / name)
    page = one.page
    # What the page says of each design that its table lists, whichever front is drawn.
    listed = """() => { const more = document.querySelector('#more');
        while (!more.hidden) more.click();
        return [...document.querySelectorAll('#front-table tbody tr')].map((line) => { const input = line.querySelector('input');
            input.checked = false; input.click();
            return [+line.dataset.id, [...line.querySelectorAll('td.num')].slice(0, 3).map((td) => td.textContent).join(),
                document.querySelector('#apart-design').textContent.replaceAll('\u00a0', ' '), document.querySelector('#export-text').textContent,
                document.querySelector('#not-apart').hidden, document.querySelector('[data-takeaway="anatomy-memory"]').textContent,
                document.querySelector('[data-takeaway="near-cost"]').textContent.length > 20]; }); }"""
    seen = set()
    for corpus in ("books", "short", "web", "code"):
        page.locator(f"input[name=corpus][value={corpus}]").check(force=True)
        for x, y in (("context_length", "loss"), ("memory_gib", "loss"), ("n_params", "kv_gib")):
            page.select_option("#axis-x", x)
            page.select_option("#axis-y", y)
            page.wait_for_timeout(200)
            for number, shape, said, file, whole, memory, near in page.evaluate(listed):
                seen.add(number)
                c, d, layers = re.search(r"c = ([\d,]+) tokens, d = ([\d,]+), L = (\d+)", said).groups()  # type: ignore[union-attr]
                assert shape == f"{c},{d},{layers}"
                assert file == f'{{\n  "n": {number}\n}}\n'
                assert whole
                assert near
                assert re.search(r"largest part is .*% of [\d.,]+ GiB per GPU", memory)
    evidence = make_result().evidence
    assert evidence is not None
    assert evidence.others is not None
    if name == "report.html":
        assert max(seen) >= len(make_result().front)
    assert one.errors == []
    one.context.close()


def test_measured_designs_are_compared_with_measured_ones(browser: Any, tmp_path: Path) -> None:
    base = make_result()
    measured = replace(base, search=replace(base.search, evaluator="mine:train"))
    (tmp_path / "report.html").write_text(report.render(measured), "utf-8")
    one = Opened(browser, tmp_path / "report.html")
    page = one.page
    front = page.locator("#fig-front")
    assert "exact front" not in front.text_content()
    assert "domain, wholly" not in front.text_content()
    page.locator("input[name=corpus][value=code]").check(force=True)
    page.wait_for_function("document.querySelector('[data-takeaway=front]').textContent.includes('on code')")
    asked = base.trials[base.trials["feasible"]].drop_duplicates(["context_length", "d_model", "n_layers"])
    said = page.locator('[data-takeaway="front"]').text_content()
    assert f"Among the {len(asked)} measured designs on this page" in said
    shapes = {
        tuple(row) for row in asked[["context_length", "d_model", "n_layers"]].astype(int).to_numpy().tolist()
    }
    lines = page.locator("#front-table tbody tr").all()
    assert lines
    for line in lines:
        cells = line.locator("td.num").all_text_contents()[:3]
        assert tuple(int(cell.replace(",", "")) for cell in cells) in shapes
    assert one.errors == []
    one.context.close()


def test_other_axes_redraw_the_front(opened: Opened) -> None:
    page = opened.page
    page.select_option("#axis-x", "memory_gib")
    page.wait_for_function(
        "document.querySelector('[data-takeaway=front]').textContent.includes('was not searched')"
    )
    page.select_option("#axis-y", "n_params")
    page.wait_for_function(
        "document.querySelector('[data-takeaway=front]').textContent.includes('by parameters and')"
    )
    assert opened.errors == []


def test_a_third_objective_is_seen_by_choosing_axes(browser: Any, folder: Path) -> None:
    one = Opened(browser, folder / "three.html")
    page = one.page
    assert "in all 3 objectives" in page.locator("#fig-front").text_content()
    page.select_option("#axis-x", "kv_gib")
    page.wait_for_function(
        "document.querySelector('[data-takeaway=front]').textContent.includes('The front in all 3 objectives, seen along loss and')"
    )
    assert one.errors == []
    one.context.close()


def test_the_table_sorts_and_filters(opened: Opened) -> None:
    page = opened.page

    def losses() -> list[float]:
        shown = page.locator("#front-table tbody tr:not([hidden]) td:nth-child(5)")
        return [float(x) for x in shown.all_text_contents()]

    header = page.locator("#front-table button[data-key=loss]")
    header.click()
    assert losses() == sorted(losses())
    header.click()
    assert losses() == sorted(losses(), reverse=True)
    assert page.locator("#front-table th[aria-sort=descending]").count() == 1
    page.fill("#filter", "context >= 64k")
    assert "with context ≥ 65,536 tokens" in page.locator("#rows-shown").text_content()
    assert 0 < len(losses()) < 6


def test_every_design_of_a_long_front_is_at_hand(browser: Any, folder: Path) -> None:
    one = Opened(browser, folder / "long.html")
    page, front = one.page, make_result(n_trials=900, long=True).front
    rows = page.locator("#front-table tbody tr")
    came = rows.count()
    assert came < 80 < len(front)
    assert f"evenly taken from the {len(front)} of the front" in page.locator("#rows-shown").text_content()
    # Sorting looks at all of them, not at those that the page came with.
    header = page.locator("#front-table button[data-key=n_params]")
    header.click()
    assert page.locator("#rows-shown").text_content() == f"{len(front)} designs, 100 of them listed"
    least = front.sort_values("n_params").iloc[0]
    cells = rows.first.locator("td").all_text_contents()
    assert cells[1:4] == [f"{least[k]:,.0f}" for k in ("context_length", "d_model", "n_layers")]
    page.click("#more")
    assert rows.count() == 200
    page.fill("#filter", "context >= 64k")
    assert (
        page.locator("#rows-shown")
        .text_content()
        .startswith(f"{(front['context_length'] >= 65_536).sum()} designs with")
    )
    page.fill("#filter", "")
    # A design that the page did not list as it opened has its file and its parts.
    late = rows.nth(57)
    number = int(late.get_attribute("data-id"))
    late.locator("input").check()
    assert page.locator("#export-text").text_content() == f'{{\n  "n": {number}\n}}\n'
    assert page.locator("#not-apart").is_hidden()
    said = page.locator('[data-takeaway="anatomy-memory"]').text_content()
    assert f"of {front['peak_device_bytes'].iloc[number] / 2**30:.3g} GiB per GPU" in said
    assert page.locator("#front-table tr.chosen").get_attribute("data-id") == str(number)
    # Those selected in a chart come first.
    page.keyboard.press("Escape")
    drag(page, "front", 0.55, 0.1, 0.99, 0.95)
    page.wait_for_function(
        "document.querySelector('#selection').textContent.includes('of the front selected')"
    )
    selected = int(page.locator("#selection").text_content().split()[0])
    picked = page.locator("#front-table tr.picked").count()
    assert picked == min(selected, 100)
    assert "picked" in rows.first.get_attribute("class")
    assert one.errors == []
    one.context.close()


def test_paper_has_the_answer_on_its_first_sheet_in_readable_letters(browser: Any, folder: Path) -> None:
    # A4 less the page's margins, at 96 pixels an inch.
    width, height = round((210 - 26) / 25.4 * 96), (297 - 26) / 25.4 * 96
    one = Opened(browser, folder / "report.html")
    one.page.set_viewport_size({"width": width, "height": 900})
    one.page.emulate_media(media="print")
    assert (
        one.page.evaluate("document.querySelector('#answer .caution').getBoundingClientRect().bottom")
        < height
    )
    smallest, wide = one.page.evaluate(
        """() => { const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); let least = 99;
            while (walk.nextNode()) { const parent = walk.currentNode.parentElement;
                if (!walk.currentNode.textContent.trim() || !parent.checkVisibility() || parent.closest('.hidden, svg, .plot')) continue;
                least = Math.min(least, parseFloat(getComputedStyle(parent).fontSize)); }
            return [least * 0.75, Math.max(...[...document.querySelectorAll('table')].filter((t) => t.checkVisibility()).map((t) => t.getBoundingClientRect().right))]; }"""
    )
    assert smallest >= 6.99
    assert wide <= width + 1
    one.context.close()


def test_paper_has_charts_of_its_own_width_and_no_gap_in_a_row_of_three(browser: Any, folder: Path) -> None:
    one = Opened(browser, folder / "report.html")
    widths = one.page.evaluate(
        """async () => { dispatchEvent(new Event('beforeprint')); for (let k = 0; k < 999; k++) await 0;
            const width = (name) => { const drawn = document.querySelector(`[data-chart=${name}] :is(svg, canvas)`);
                return parseFloat(drawn.style.width || drawn.getAttribute('width')); };
            return Object.fromEntries(['front', 'near-loss', 'anatomy-memory', 'exchange'].map((name) => [name, width(name)])); }"""
    )
    one.page.set_viewport_size({"width": 695, "height": 900})
    one.page.emulate_media(media="print")
    # What was drawn for the paper is not shrunk on it.
    assert widths["front"] == widths["near-loss"] == widths["anatomy-memory"] == 336
    assert widths["exchange"] == 695
    first, second, third, text = one.page.evaluate(
        """() => ['#fig-anatomy-memory .plot', '#fig-anatomy-flops .plot', '#fig-anatomy-time .plot', '#fig-anatomy-time figcaption']
            .map((at) => document.querySelector(at).getBoundingClientRect().toJSON())"""
    )
    assert first["top"] == second["top"] < third["top"]
    assert third["left"] == first["left"]
    assert text["left"] >= max(third["right"], second["left"] - 1)
    assert abs(text["top"] - third["top"]) < 30
    one.context.close()


def test_a_dark_page_prints_light_charts(browser: Any, folder: Path) -> None:
    one = Opened(browser, folder / "report.html", color_scheme="dark")
    ink = "getComputedStyle(document.querySelector('#fig-search svg text')).fill"
    before = one.page.evaluate(ink)
    # What stands once the handler's promises are settled is what a browser prints.
    printed = one.page.evaluate(
        f"async () => {{ dispatchEvent(new Event('beforeprint')); for (let k = 0; k < 999; k++) await 0; return {ink}; }}"
    )
    after = one.page.evaluate(
        f"async () => {{ dispatchEvent(new Event('afterprint')); for (let k = 0; k < 999; k++) await 0; return {ink}; }}"
    )
    one.context.close()

    def bright(colour: str) -> int:
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert bright(printed) < 384 < bright(before) == bright(after)
    assert one.errors == []


@pytest.mark.parametrize(
    ("question", "read"),
    [
        ("best loss under 60 GiB with at least 16k context", "lowest loss with training memory < 60 GiB per GPU and context ≥ 16,384 tokens"),
        ("longest context with loss below 2.06", "highest context with loss < 2.06 nats/token"),
        ("fewest parameters with context at least 32k", "lowest parameters with context ≥ 32,768 tokens"),
        ("lowest loss with at most 3B parameters", "lowest loss with parameters ≤ 3,000,000,000 parameters"),
    ],
)  # fmt: skip
def test_a_question_is_read_and_answered(opened: Opened, question: str, read: str) -> None:
    page = opened.page
    page.fill("#ask", question)
    page.press("#ask", "Enter")
    said = page.locator("#found").text_content()
    assert f"Understood: {read}." in said
    assert "nats/token on books" in said


def test_a_question_without_an_answer_says_so(opened: Opened) -> None:
    page = opened.page
    page.fill("#ask", "best loss under 1 GiB")
    page.press("#ask", "Enter")
    assert "None of the" in page.locator("#found").text_content()
    page.fill("#ask", "what is the meaning of life")
    page.press("#ask", "Enter")
    assert "was not understood" in page.locator("#found").text_content()


def test_thousands_of_designs_open_and_brush(browser: Any, folder: Path) -> None:
    # How fast is tests/benchmarks/bench_report.py's to print: here the tests share their cores.
    one = Opened(browser, folder / "large.html")
    drag(one.page, "front", 0.3, 0.2, 0.98, 0.95, moves=10)
    status = one.page.locator("#selection").text_content()
    one.context.close()
    assert not one.errors
    assert "of the front selected" in status


@pytest.mark.parametrize("width", [390, 760])
@pytest.mark.parametrize(
    "name", ["report.html", "compare.html", "infeasible.html", "named.html", "long-names.html"]
)
def test_narrow_screens_do_not_scroll_sideways(browser: Any, folder: Path, width: int, name: str) -> None:
    one = Opened(browser, folder / name)
    one.page.set_viewport_size({"width": width, "height": 800})
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    one.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report.html", "infeasible.html", "compare.html"])
def test_no_serious_barrier(browser: Any, folder: Path, name: str, scheme: str) -> None:
    given = os.environ.get("EXPLORER_TEST_AXE")
    places = (
        [Path(given)]
        if given
        else [ROOT / "node_modules/axe-core/axe.min.js", ROOT / ".ci/node_modules/axe-core/axe.min.js"]
    )
    axe = next((p for p in places if p.is_file()), None)
    if axe is None:
        pytest.skip(
            "axe-core is not here; `npm install --no-save axe-core` or EXPLORER_TEST_AXE=/path/to/axe.min.js"
        )
    one = Opened(browser, folder / name, color_scheme=scheme)
    one.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    one.page.evaluate(axe.read_text("utf-8"))
    found = one.page.evaluate("async () => (await axe.run(document)).violations")
    one.context.close()
    serious = [
        (v["id"], [n["target"] for n in v["nodes"]][:3])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == []
