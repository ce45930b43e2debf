"""The page as text: self-contained, escaped, bounded, and every number from the result."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from jsonschema.exceptions import ValidationError
from report_fixture import make_budget, make_infeasible, make_result

from explorer import report
from explorer.errors import ExplorerError
from explorer.report import bundle, compiling, packing, story, words
from explorer.report.facts import Facts
from explorer.report.figures.plane import marks_of
from explorer.report.files import packed
from explorer.report.page import charts
from explorer.result import Result
from explorer.units import format_count

ATTACK = '</script><img src=x onerror="boom()">'


@cache
def result() -> Result:
    return make_result()


@cache
def page() -> str:
    return report.render(result())


class Outline(HTMLParser):
    """Tags and attributes of a page, scripts' content left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_page_asks_nothing_of_a_network() -> None:
    outline = Outline(page())
    for tag, attrs in outline.tags:
        for name in ("src", "href", "action", "data", "poster"):
            value = attrs.get(name)
            if value is None or (tag == "a" and value.startswith("#")) or value == "data:,":
                continue
            pytest.fail(f"<{tag} {name}={value}>")
    style = page().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def inflated(text: str, name: str) -> str:
    """What an element of a page carries, as the page's script reads it."""
    found = re.search(rf'id="{name}">([^<]*)</script>', text)
    assert found is not None
    return zlib.decompress(base64.b64decode(found[1], validate=True)).decode()


def carried(text: str) -> dict[str, Any]:
    """The specifications, tables, colours and state of a page."""
    found: dict[str, Any] = json.loads(inflated(text, "page-carried"))
    return found


def test_one_library_and_one_script() -> None:
    scripts = Outline(page()).of("script")
    assert [s.get("id") for s in scripts if s.get("type") == "text/plain"] == ["page-carried", "page-vega"]
    assert len([s for s in scripts if not s.get("type")]) == 1
    assert set(carried(page())) == {"specs", "data", "colours", "state"}
    assert "window.vega" in inflated(page(), "page-vega")


def test_five_thousand_designs_stay_under_two_megabytes() -> None:
    few = report.render(make_result(n_trials=2_500, n_cloud=6_000))
    assert len(few.encode()) < 1.1e6
    assert 3_000 < carried(few)["data"]["designs"]["rows"] <= 5_001
    # Every one of them on the front, taken apart and with its files.
    every = make_result(n_trials=12_500, n_cloud=0, long=True)
    assert len(every.front) == 5_000
    text = report.render(every)
    assert len(text.encode()) < 2e6
    found = carried(text)
    apart = found["data"]["apart"]
    assert set(range(5_000)) <= set(unfolded(apart["columns"]["design"], apart["rows"]))
    assert sum(g["count"] for g in found["state"]["exports"]["files"]["hf"]) >= 5_000


def test_what_a_user_wrote_is_text() -> None:
    base = result()
    assert base.evidence is not None
    models = base.evidence.models.assign(name=[ATTACK, *base.evidence.models["name"][1:]])
    evil = replace(
        base, notes=(ATTACK,), assumptions=(ATTACK,), evidence=replace(base.evidence, models=models),
        provenance={**base.provenance, ATTACK: ATTACK},
    )  # fmt: skip
    text = report.render(evil)
    assert ATTACK not in text
    assert Outline(text).of("img") == []
    assert len(Outline(text).of("script")) == len(Outline(page()).of("script"))


def test_the_same_result_gives_the_same_page() -> None:
    assert report.render(make_result()) == page()


def test_the_first_screen_answers_in_two_sentences() -> None:
    facts = Facts(result())
    first, second = story.answer(facts)
    best = facts.best
    for said in (
        words.whole(best["context_length"]),
        words.whole(best["d_model"]),
        f"{best['loss']:.4f} nats/token",
        "GPU-hours",
        "days",
    ):
        assert said in first
    assert f"{story.IDEA} fails for this budget on books" in second
    assert "4%" in second
    assert "0.0016 nats" in second
    figures = page().split('class="cards"')[1].split("</section>")[0]
    for question in ("Which c, d and L?", "What does it cost?", "Does it fit?", "How is it run?"):
        assert question in figures
    for unit in ("GiB per GPU", "GPU-hours", "days", "tokens/s per GPU", "DP 8"):
        assert unit in figures


def test_every_chart_has_words_a_table_and_units() -> None:
    found = report.charts(result())
    assert {
        "front", "plane", "anatomy-memory", "anatomy-flops", "anatomy-time", "sweep-memory", "sweep-flops",
        "sweep-seconds", "trade-nats", "trade-compute", "exchange", "widths", "near-loss", "near-cost", "tornado", "parallel", "importance", "search",
    } == set(found)  # fmt: skip
    for chart in found.values():
        assert re.search(r"\d", chart.takeaway), chart.name
        assert chart.takeaway.endswith(".")
        assert len(chart.description) > 60
        assert chart.table.caption
        assert chart.table.rows
        assert all(len(r) == len(chart.table.columns) for r in chart.table.rows), chart.name
        assert f'data-chart="{chart.name}"' in page()


def test_specifications_hold_no_data_of_their_own() -> None:
    for name, chart in report.charts(result()).items():
        assert '"values": [{' not in json.dumps(chart.spec), name
        assert "datasets" not in chart.spec


def test_an_extrapolated_answer_says_so_at_once() -> None:
    facts = Facts(result())
    said = story.extrapolation(facts)
    best, inside = facts.best, facts.inside["context"]
    assert f"context length c ({words.whole(best['context_length'])}; fitted on 512 to 2,048)" in said
    assert f"c = {words.whole(inside['context_length'])} tokens" in said
    assert words.nats(inside["loss"] - best["loss"]) + " more" in said
    assert "still outside: training tokens D" in said
    first = page().split('class="cards"')[0]
    assert "This design is extrapolated" in first
    assert "extrapolated in context length c and training tokens D" in page()
    base = result()
    assert base.evidence is not None
    within = replace(base, evidence=replace(base.evidence, outside=((),) * len(base.front)))
    assert story.extrapolation(Facts(within)) == ""
    assert "This design is extrapolated" not in report.render(within)


def test_a_corpus_without_benefit_of_context_says_so_first() -> None:
    base = result()
    assert base.trade is not None
    assert base.verdict is not None
    silent = replace(base, trade=replace(base.trade, corpus="short"))
    facts = Facts(silent)
    assert not silent.trade.asked.models_context
    best, trade = story.answer(facts)
    assert best.startswith(f"On {facts.corpus} documents the law models no benefit of context")
    assert "The best design under this budget has c" not in best
    assert "nothing to gain on them" in trade
    assert "no benefit of context" not in trade
    values = charts(silent)["trade-nats"]
    assert "short" not in set(values.data["trade-nats"]["corpus"])
    assert "models no benefit of context" in values.takeaway


def test_a_baseline_is_placed_against_the_front() -> None:
    facts = Facts(result())
    assert facts.result.evidence is not None
    own, best = facts.result.evidence.baseline, facts.best
    assert own is not None
    said = story.baseline_sentence(facts)
    assert (
        f"llama-2-7b itself (c = 4,096 tokens, d = 4,096, L = 32, {words.count(own['n_params'])} parameters)"
        in said
    )
    assert f"{words.number(best['context_length'] / own['context_length'], 2)} times the context" in said
    assert words.nats(abs(own["loss"] - best["loss"])) in said
    designs = report.charts(result())["front"].data["designs"]
    assert list(designs.loc[designs["kind"] == "baseline", "context_length"]) == [4096]
    assert designs.loc[designs["kind"] == "baseline", "front"].sum() == 0


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(1.001, "the same"), (1.04, "nearly the same"), (2.13, "2.1 times the"), (0.46, "0.46 times the"), (0.016, "1/62 of the")],
)  # fmt: skip
def test_a_ratio_reads_as_people_say_it(ratio: float, said: str) -> None:
    facts = Facts(result())
    assert facts.result.evidence is not None
    own, best = facts.result.evidence.baseline, facts.best
    assert own is not None
    like = {**own, "peak_device_bytes": best["peak_device_bytes"] / ratio, "loss": best["loss"]}
    evidence = replace(facts.result.evidence, baseline=like)
    told = story.baseline_sentence(Facts(replace(facts.result, evidence=evidence)))
    assert f"the best design has {said} memory per GPU, " in told
    assert " and the same loss." in told


def test_fronts_of_other_corpora_travel_as_bits() -> None:
    facts = Facts(result())
    assert facts.result.evidence is not None
    designs = report.charts(result())["front"].data["designs"]
    for bit, corpus in enumerate(facts.proven):
        on = designs[(designs["proof"].astype(int) // 2**bit) % 2 == 1]
        exact = facts.result.evidence.corpus_fronts.get(corpus, facts.result.exact_front)
        assert sorted(zip(on["context_length"], on["d_model"], strict=True)) == sorted(
            zip(exact["context_length"], exact["d_model"], strict=True)
        )


def test_exported_files_unfold_to_themselves() -> None:
    files = [
        f'{{\n  "n": {k},\n  "loss": {2 + k / 1e4:.4f},\n  "n_params": {775_208_960 + k},\n  "rate": "{k * 611:,}"\n}}'
        for k in range(12)
    ]
    files[7] = "# staged from 4096\n" + files[7]
    lines = list(dict.fromkeys(line for file in files for line in file.splitlines()))
    texts: dict[str, dict[str, list[int] | str]] = {
        "hf": {str(k): [lines.index(line) for line in file.splitlines()] for k, file in enumerate(files)},
        "nanogpt": {str(k): f"nanogpt cannot express n_kv_heads = {8 + k % 2}" for k in range(12)},
    }
    found = packed({"lines": lines, "texts": texts})

    def text(target: str, row: int) -> str:
        for group in found["files"][target]:
            rows = unfolded(group["rows"], group["count"])
            if row in rows:
                place = rows.index(row)
                return "".join(
                    p if isinstance(p, str) else written(p, place, len(rows)) for p in group["text"]
                )
        raise KeyError(row)

    def written(which: int, place: int, count: int) -> str:
        form = found["columns"][which]
        value = unfolded(form, count)[place]
        return (
            f"{value:{',' if form['grouped'] else ''}.{form['decimals']}f}"
            if "decimals" in form
            else str(value)
        )

    assert [text("hf", k) for k in range(12)] == files
    assert [text("nanogpt", k) for k in range(12)] == list(texts["nanogpt"].values())
    assert [g["refused"] for g in found["files"]["nanogpt"]] == [1]


def test_results_and_verdicts_show_in_notebooks() -> None:
    base = result()
    assert base.verdict is not None
    text = replace(base, verdict=replace(base.verdict, sentence="<b>evil</b>"))._repr_html_()
    assert "<b>evil" not in text
    assert "&lt;b&gt;evil" in text
    assert all(head in text for head in ("loss (nats/token)", "loss, 5 to 95%", "loss, median"))
    assert len(Outline(base.verdict._repr_html_()).of("tr")) == 1 + len(base.verdict.statements)
    assert make_infeasible()._repr_html_().count("<table") == 0


def test_takeaways_follow_the_data() -> None:
    base = result()
    moved = replace(base, front=base.front.assign(loss=base.front["loss"] + 1))
    assert report.charts(moved)["front"].takeaway != report.charts(base)["front"].takeaway
    assert base.trade is not None
    doubled = replace(base, search=replace(base.search, hypervolume_share=0.5))
    assert "50.00%" in report.charts(doubled)["search"].takeaway


def test_doubts_are_named() -> None:
    section = page().split('id="doubts"')[1]
    for said in (
        "outside the domain",
        "ν = 0",
        "blind to KV heads",
        "rejected",
        "staged schedule is conditional",
    ):
        assert words.tidy(said) in section


def test_without_draws_the_page_says_so() -> None:
    base = result()
    assert base.verdict is not None
    bare = replace(base, verdict=replace(base.verdict, with_interval=False))
    text = report.render(bare)
    assert "without interval" in text


@pytest.mark.parametrize(
    ("outside", "said"),
    [(0, ""), (0.5, "Slanted strokes mark cells"), (1, "Nearly every cell lies outside the law's domain")],
)
def test_the_planes_words_name_the_strokes_that_it_has(outside: float, said: str) -> None:
    cells = pd.DataFrame({"far": [0, int(outside > 0)], "mixed": int(outside < 0.9)})
    assert marks_of(cells)[: len(said) or None] == said


def test_a_run_without_evidence_or_trade_still_reads() -> None:
    text = report.render(replace(result(), evidence=None, trade=None, verdict=None, claims=()))
    assert 'data-chart="front"' in text
    assert 'data-chart="plane"' not in text


def test_a_front_of_one_design() -> None:
    base = result()
    assert base.evidence is not None
    one = replace(
        base, front=base.front.iloc[:1], picks={"best-loss": 0, "longest": 0, "knee": 0},
        evidence=replace(base.evidence, anatomies=base.evidence.anatomies.query('key == 0')),
    )  # fmt: skip
    assert "One design is best" in report.render(one)


def test_other_objectives_move_the_axes() -> None:
    budget = make_budget().model_copy(
        update={"objectives": type(make_budget()).model_fields["objectives"].default[::-1]}
    )
    facts = Facts(replace(result(), budget=budget))
    assert (facts.y.name, facts.x.name) == ("loss", "context_length")


def test_an_infeasible_budget_has_a_page_of_its_own() -> None:
    base = make_infeasible()
    text = report.render(base)
    assert "None of the 182,466 designs of the space meets every limit" in text
    excess = base.nearest.filter(like="excess_").iloc[0]
    assert f"{words.percent(float(excess.max()))} over" in story.nothing_fits(Facts(base))
    assert "How far off the nearest designs are" in text
    assert report.charts(base) == {}
    assert len(text) < 200_000


def test_runs_side_by_side() -> None:
    text = report.compare([result(), make_result(name="code-run", corpus="code"), make_infeasible()])
    assert "quality.corpus" in text
    assert re.search(r"quality\.corpus</th><td>books</td><td>code</td>", text)
    assert "nothing fits" in text
    assert 'data-chart="fronts"' in text
    with pytest.raises(ExplorerError, match="at least two runs"):
        report.compare([result()])


def test_pictures(tmp_path: Any) -> None:
    base = result()
    assert base.evidence is not None
    small = replace(base, evidence=None, trade=None)
    paths = report.save_charts(small, tmp_path, ("svg", "png"))
    assert {p.suffix for p in paths} == {".svg", ".png"}
    drawn = (tmp_path / "front.svg").read_text("utf-8")
    assert "What can be had" in drawn
    assert "@" not in re.sub(r"[\w.]+@[\w.]+", "", " ".join(re.findall(r'(?:fill|stroke)="([^"]*)"', drawn)))
    with pytest.raises(ExplorerError, match="svg or png"):
        report.save_charts(small, tmp_path, ("gif",))


def unfolded(column: dict[str, Any], rows: int) -> list[Any]:
    """What the page's script makes of a packed column."""
    width, text = column["width"], column["text"]
    assert len(text) == width * rows
    values: list[Any] = []
    for row in range(rows):
        code = 0 if width else 1
        for digit in text[row * width : (row + 1) * width]:
            code = code * len(packing.DIGITS) + packing.DIGITS.index(digit)
        if not code:
            values.append(None)
        elif "levels" in column:
            values.append(column["levels"][code - 1])
        else:
            number, places = column["low"] + code - 1, column["places"]
            values.append(number / 10**places if places >= 0 else number * 10**-places)
    return values


def test_packed_tables_unfold_to_themselves() -> None:
    frame = report.charts(result())["front"].data["designs"]
    found = packing.packed(frame)
    assert found["rows"] == len(frame)
    for name in frame.columns:
        values = unfolded(found["columns"][name], len(frame))
        if isinstance(values[0], str):
            assert values == frame[name].tolist()
        else:
            assert values == [float(f"{v:.7g}") for v in frame[name]], name
    assert not set("\"&<>\\'") & set(packing.DIGITS)


def test_a_packed_column_keeps_what_is_missing_or_wide() -> None:
    nan = float("nan")
    frame = pd.DataFrame(
        {"few": [1.5, nan, 1.5], "wide": [1.234567e-9, nan, 1.234567e9], "same": [7.0, 7.0, 7.0], "none": [nan] * 3,
         "endless": [1.0, float("inf"), 2.0], "text": ["a", None, "</script>"]}
    )  # fmt: skip
    found = packing.packed(frame)["columns"]
    assert unfolded(found["few"], 3) == [1.5, None, 1.5]
    assert unfolded(found["wide"], 3) == [1.234567e-9, None, 1.234567e9]
    assert found["same"]["text"] == ""
    assert unfolded(found["same"], 3) == [7.0] * 3
    assert unfolded(found["none"], 3) == [None] * 3
    assert unfolded(found["endless"], 3) == [1.0, None, 2.0]
    assert unfolded(found["text"], 3) == ["a", None, "</script>"]
    assert packing.packed(frame.iloc[:0]) == {"rows": 0, "columns": {}}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.percent(0.0163), "1.6%"), (words.percent(2.24), "224%"), (words.probability(0.0), "<1%"),
        (words.probability(0.999), ">99%"), (words.nats(-0.00004), ">−0.0001 nats"), (words.nats(0.00004), "<0.0001 nats"), (words.nats(0.0), "0 nats"), (words.nats(-0.0123), "−0.0123 nats"),
        (words.number(1.6e22), "1.60 × 10²²"), (words.number(float("inf")), "unbounded"), (words.days(0.25), "6.0 hours"),
        (words.compute(0.26), "26% more compute"), (words.compute(2.24), "3.2 times the compute"), (words.tokens(27648), "27,648 tokens"),
        (words.listed(["a", "b", "c"]), "a, b and c"), (words.limit("my_limit"), "my limit"), (words.memory(2**30 * 71.2), "71.2 GiB"),
    ],
)  # fmt: skip
def test_numbers_read_as_people_write_them(said: str, expected: str) -> None:
    assert said == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [(999, "999"), (6_738_415_616, "6.74B"), (999.6e9, "1T"), (9.996e14, "1,000T"), (1.2e18, "1,200,000T")],
)
def test_counts_read_as_people_write_them(value: float, said: str) -> None:
    assert format_count(value) == said


def test_scores_as_a_page() -> None:
    from explorer.validation import read, score

    scores = score(read(None))
    text = report.validation_page(scores)
    assert 'data-chart="groups"' in text
    assert 'data-chart="rows"' in text
    assert f"{len(scores.groups)} groups" in text


def test_a_fit_as_a_page() -> None:
    import numpy as np

    from explorer.quality.fitting.runs import fit_runs

    rng = np.random.default_rng(0)
    n, d = 10 ** rng.uniform(8, 9.5, 60), 10 ** rng.uniform(9.5, 11, 60)
    loss = 1.8 + 480 / n**0.35 + 2100 / d**0.37 + rng.normal(0, 0.004, 60)
    found = fit_runs({"N": n, "D": d, "loss": loss}, name="mine", bootstraps=20)
    text = report.fit_page(found)
    assert 'data-chart="residuals"' in text
    assert "Fit of law mine" in text
    assert "Condition number of the fit" in text


def test_names_and_symbols_keep_their_case() -> None:
    assert words.sentence("ν makes it so") == "ν makes it so."
    assert words.sentence("budget.gpu_memory is clipped") == "budget.gpu_memory is clipped."
    assert words.sentence("loss rises") == "Loss rises."


def test_every_chart_is_valid_vega_lite() -> None:
    # Pages are drawn without this check, which takes longer than drawing.
    import altair as alt

    drawn = charts(result())
    assert len(drawn) > 10
    for chart in drawn.values():
        spec = {k: v for k, v in chart.static().items() if k != "config"}
        kind = alt.LayerChart if "layer" in spec else alt.Chart
        kind.from_dict(spec, validate=True)
        spec["mark" if "mark" in spec else "layer"] = 7
        with pytest.raises(ValidationError):
            kind.from_dict(spec, validate=True)


def test_the_library_is_kept_among_cached_files_and_made_anew_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vl_convert

    made: list[str] = []

    def bundled(snippet: str) -> str:
        made.append(snippet)
        return "draw('</script>')"

    monkeypatch.setattr(vl_convert, "javascript_bundle", bundled)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    script = bundle.vega.__wrapped__()
    assert zlib.decompress(base64.b64decode(script)) == b"draw('</script>')"
    assert bundle.vega.__wrapped__() == script
    assert len(made) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert bundle.vega.__wrapped__() == script
    assert len(made) == 2


def test_a_chart_is_compiled_once_whatever_its_domains_orders_and_parameters_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vl_convert

    drawn = charts(result())
    known = {name: vl_convert.vegalite_to_vega(chart.spec) for name, chart in drawn.items()}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, chart in drawn.items():
        assert compiling.compiled(chart.spec) == known[name], name

    def other(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: other(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [other(v, f"{key}/") for v in value]
        if key in ("domain/", "sort/") and isinstance(value, str):
            return f'{value} é \\ "§0§"'
        if key in ("domain/", "sort/") and isinstance(value, float) and value > 0:
            return value + 7
        return value

    def refused(text: str) -> None:
        raise AssertionError("compiled again")

    changed = {name: other(chart.spec) for name, chart in drawn.items()}
    for spec in changed.values():
        for param in spec["params"]:
            param["value"] = 3.5
    assert sum(changed[name] != chart.spec for name, chart in drawn.items()) > 5
    afresh = {name: vl_convert.vegalite_to_vega(spec) for name, spec in changed.items()}
    monkeypatch.setattr(vl_convert, "vegalite_to_vega", refused)
    for name, spec in changed.items():
        assert compiling.compiled(spec) == afresh[name], name


def test_a_kept_form_that_cannot_be_read_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = charts(result())["search"].spec
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = compiling.compiled(spec)
    (kept,) = tmp_path.rglob("*.json")
    kept.write_text("{", encoding="utf-8")
    assert compiling.compiled(spec) == found
    assert json.loads(kept.read_text(encoding="utf-8"))
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert compiling.compiled(spec) == found


def test_a_corpus_has_one_colour_in_every_chart() -> None:
    def colours(name: str) -> dict[str, str]:
        layers = charts(result())[name].spec["layer"]
        scale = next(e["color"]["scale"] for x in layers if "scale" in (e := x["encoding"]).get("color", {}))
        return dict(zip(scale["domain"], scale["range"], strict=True))

    line, widths = colours("exchange"), colours("widths")
    assert "short" in line
    assert "short" not in widths
    assert all(line[corpus] == colour for corpus, colour in widths.items())


def test_a_measured_study_says_which_dots_are_the_models() -> None:
    base = result()
    said = charts(base)["front"].how_to_read
    assert "Small dots are feasible and beaten" in said
    measured = replace(base, search=replace(base.search, evaluator="mine:train"))
    told = charts(measured)["front"].how_to_read
    assert "nothing feasible that was measured beats them" in told
    assert "not measured and drawn with the model’s figures" in told


def test_runs_with_another_training_limit_do_not_use_up_the_same_one() -> None:
    hours = result()
    limits = {**hours.budget.model_dump(mode="json", by_alias=True)["budget"], "training": {"days": 104}}
    days = replace(hours, budget=make_budget("other", budget=limits))
    assert hours.budget.limits.training.days is None
    assert "No longer used up: GPU-hours; used up now: training days." in report.compare([hours, days])
    assert "The same limits are used up" in report.compare(
        [hours, replace(hours, budget=make_budget("other"))]
    )
