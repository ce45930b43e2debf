"""A result as one HTML file: charts, words and data put into the templates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2

from explorer.report import bundle, files, packing, palette, sections, story, words
from explorer.report.chart import Chart
from explorer.report.facts import Facts
from explorer.report.figures import (
    anatomy,
    axes,
    designs,
    doubts,
    exchange,
    front,
    measured,
    near,
    parallel,
    plane,
    search,
    sweep,
    trade,
)

if TYPE_CHECKING:
    import pandas as pd

    from explorer.result import Result


def render(result: Result) -> str:
    """The whole report; a page about how far off the nearest designs are where nothing is feasible."""
    facts = Facts(result)
    if not result.feasible:
        return fill(
            "infeasible.html",
            [],
            facts=facts,
            answer=story.nothing_fits(facts),
            nearest=sections.nearest(facts),
            reasons=_reasons(facts),
            failures=measured.failures(facts),
        )
    table = designs.designs(facts)
    found = every(facts, table)
    return fill(
        "report.html",
        found,
        facts=facts,
        charts={c.name: c for c in found},
        answer=story.answer(facts),
        extrapolation=story.extrapolation(facts),
        baseline=story.baseline_sentence(facts),
        targets=sections.targets(facts),
        cards=story.cards(facts),
        doubts=story.doubts(facts),
        first_doubts=story.first_doubts(facts),
        verdicts=sections.verdicts(facts),
        verdict_cards=sections.verdict_cards(facts),
        arms={k: sections.arms(facts, k) for k in result.trade.corpora} if result.trade else {},
        agreements=measured.agreements(facts),
        failures=measured.failures(facts),
        use=sections.use(facts),
        knees=sections.knees(facts),
        knee_sentence=sections.knee_sentence(facts),
        chosen=story.chosen(facts),
        front_rows=sections.front_rows(facts),
        front_columns=sections.columns(result.front),
        screen_only=sections.SCREEN_ONLY,
        question=sections.question(facts),
        claims=sections.claims(facts),
        beside=_beside(facts),
        page_state=_state(facts) | {"told": {"designs": front.told(table), "plane": plane.TOLD}},
    )


def charts(result: Result) -> dict[str, Chart]:
    """Every chart of a result by name; none where nothing is feasible."""
    facts = Facts(result)
    return {c.name: c for c in every(facts, designs.designs(facts))} if result.feasible else {}


def every(facts: Facts, table: pd.DataFrame) -> list[Chart]:
    """The charts that a result has data for, in the order of the page."""
    from altair.utils.schemapi import debug_mode

    # Checking every part of a chart against the schema takes longer than drawing it; tests check them.
    with debug_mode(False):
        return _every(facts, table)


def _every(facts: Facts, table: pd.DataFrame) -> list[Chart]:
    evidence = facts.result.evidence
    found: list[Chart | None] = [front.chart(facts, table)]
    if evidence is not None:
        if len(evidence.plane) and evidence.plane["feasible"].any():
            found.append(plane.chart(facts, table))
        found += anatomy.charts(facts)
        found += near.charts(facts)
        if len(evidence.sweep):
            found += sweep.charts(facts)
    found += measured.charts(facts) + trade.charts(facts) + exchange.charts(facts)
    found += [doubts.tornado(facts), parallel.chart(facts), doubts.importance(facts), search.chart(facts)]
    return [c for c in found if c is not None]


def fill(
    template: str, found: Iterable[Chart], beside: Mapping[str, pd.DataFrame] | None = None, **context: Any
) -> str:
    """A template with everything that pages share: style, scripts, specifications, and data of the charts and beside."""
    found = list(found)
    carried = {
        "specs": {c.name: c.compiled() for c in found},
        "data": embedded(found, beside or {}),
        "colours": {"light": palette.LIGHT, "dark": palette.DARK},
        "state": context.get("page_state", {}),
    }
    return (
        environment()
        .get_template(template)
        .render(
            carried=packing.deflated(_dumps(carried)),
            css=bundle.asset("style.css"),
            vega=bundle.vega() if found else "",
            js=bundle.asset("app.js"),
            **context,
        )
    )


def embedded(found: Iterable[Chart], beside: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Every table once, packed; equal names are one table."""
    tables = dict(beside)
    for chart in found:
        for name, frame in chart.data.items():
            kept = frame.drop(columns=designs.DERIVED, errors="ignore") if name == "designs" else frame
            tables.setdefault(name, kept)
    return {name: packing.packed(frame) for name, frame in tables.items()}


@cache
def environment() -> jinja2.Environment:
    """Templates with autoescape; whatever a user wrote is text, never markup."""
    loaded = jinja2.Environment(
        loader=jinja2.PackageLoader("explorer.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loaded.filters |= {
        "percent": words.percent, "probability": words.probability, "whole": words.whole, "number": words.number,
        "sentence": words.sentence, "plainly": words.plainly, "tidy": words.tidy, "slug": lambda text: "".join(ch if ch.isalnum() else "-" for ch in text.lower()),
    }  # fmt: skip
    loaded.globals["marks"] = story.STATUS_MARKS
    return loaded


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=float)


def _state(facts: Facts) -> dict[str, Any]:
    """What the page's script needs besides the tables."""
    evidence = facts.result.evidence
    apart: dict[str, Any] = {"models": [], "order": {}, "best": facts.best_number}
    exports: dict[str, Any] = {}
    if evidence is not None and len(evidence.anatomies):
        apart |= {
            "order": anatomy.order_of(facts),
            "most": anatomy.MOST_PARTS,
            "models": anatomy.embedded(facts)[1],
            "taken": len(facts.result.front) + len(facts.others),
        }
        exports = files.packed(evidence.exports)
    return {
        "corpus": facts.corpus, "corpora": list(facts.corpora), "x": axes.column(facts.x), "y": axes.column(facts.y),
        "xBetter": facts.direction(facts.x), "yBetter": facts.direction(facts.y), "steps": list(plane.STEPS),
        "axes": _axes(facts), "apart": apart, "exports": exports, "objectives": [axes.column(m) for m, _ in facts.objectives],
        "lattice": facts.result.search.n_lattice, "proven": list(facts.proven), "measured": facts.measured, "name": facts.name, "verdicts": sections.verdict_cards(facts),
        "picks": sections.pick_names(facts),
    }  # fmt: skip


def _beside(facts: Facts) -> dict[str, pd.DataFrame]:
    """Tables of the page that no chart is drawn from as it opens: every design of any front taken apart."""
    evidence = facts.result.evidence
    found: dict[str, pd.DataFrame] = {}
    if evidence is not None and len(evidence.anatomies):
        found["apart"] = anatomy.embedded(facts)[0]
        if evidence.sensitivities is not None and len(evidence.sensitivities):
            found["near"] = near.embedded(facts)
    return found


def _axes(facts: Facts) -> list[dict[str, Any]]:
    """Axes a reader may choose for the front: every objective, and the figures that people ask about."""
    from explorer.catalog.metrics import AXES, METRICS

    names = dict.fromkeys([facts.x.name, facts.y.name, *(m.name for m, _ in facts.objectives), *AXES])
    table = facts.result.front
    return [
        {"column": axes.column(METRICS[n]), "title": axes.title(METRICS[n]), "label": METRICS[n].label,
         "better": facts.direction(METRICS[n]), "log": METRICS[n].scale == "log2"}
        for n in names
        if n in table and table[n].notna().all() and ((table[n] > 0).all() or METRICS[n].scale != "log2")
    ]  # fmt: skip


def _reasons(facts: Facts) -> list[str]:
    """Limit → how often it is broken among the trials, and the smallest excess."""
    trials = facts.result.trials
    found = []
    for column in [c for c in trials.columns if str(c).startswith("excess_")]:
        broken = trials[trials[column] > 0]
        if len(broken):
            least = float(broken[column].min())
            found.append(
                f"{words.sentence(facts.limit(str(column).removeprefix('excess_')))[:-1]} is broken by {words.whole(len(broken))} of "
                f"{words.whole(len(trials))} trials, at least by {words.percent(least)}."
            )  # fmt: skip
    return found
