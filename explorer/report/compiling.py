"""Vega-Lite compiled to Vega, once per form of a chart: what a budget changes in it is put in afterwards.

Starting the compiler takes longer than all else a page is made of. What it makes of a chart depends on
neither the values of named parameters nor the entries of domains and orders: they stand where they stood.
So a chart is compiled with marks in their place, and the outcome is kept among the user's cached files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from typing import Any, TypeAlias

from explorer.kept import kept

Literal: TypeAlias = str | float
Lifted: TypeAlias = dict[Literal, Literal]
"""Mark → what stands in its place."""
LISTS = ("domain", "sort")
"""Lists whose entries come from data."""
FIRST = 9_000_000_000_000_000
"""Marks of numbers count from here, so that the compiler knows their kind; those of texts are like §7§."""


def compiled(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The Vega specification of a Vega-Lite one, from the kept form where there is one."""
    lifted: Lifted = {}
    given = {p["name"]: p["value"] for p in spec.get("params", ()) if "value" in p}
    form = _marked({k: v for k, v in spec.items() if k != "params"}, lifted)
    form["params"] = [{**p, "value": 0} if "value" in p else p for p in spec.get("params", ())]
    vega: dict[str, Any] = _filled(_form(json.dumps(form, ensure_ascii=False)), lifted)
    for signal in vega.get("signals", ()):
        if signal["name"] in given:
            signal["value"] = given[signal["name"]]
    return vega


def _form(text: str) -> dict[str, Any]:
    """Vega of a form; made anew where it is not kept or cannot be read."""

    def made() -> str:
        import vl_convert

        return json.dumps(vl_convert.vegalite_to_vega(text), ensure_ascii=False)

    name = sha256(text.encode()).hexdigest()[:24]
    found: dict[str, Any] = kept(f"vega-lite-{version('vl-convert-python')}/{name}.json", made, json.loads)
    return found


def _marked(value: Any, lifted: Lifted) -> Any:
    """A copy with marks for the entries of LISTS, which `lifted` learns."""
    if isinstance(value, list):
        return [_marked(v, lifted) for v in value]
    if not isinstance(value, dict):
        return value
    return {
        k: [_mark(v, lifted) for v in inner]
        if k in LISTS and isinstance(inner, list)
        else _marked(inner, lifted)
        for k, inner in value.items()
    }


def _mark(entry: Any, lifted: Lifted) -> Any:
    """The mark of an entry, one for all that are equal: the compiler unites equal domains.

    It looks whether a domain holds zero, so of numbers only positive ones are lifted.
    """
    text = isinstance(entry, str)
    if not text and (isinstance(entry, bool) or not isinstance(entry, int | float) or entry <= 0):
        return _marked(entry, lifted)
    known = next((mark for mark, kept in lifted.items() if kept == entry), None)
    mark = known or (f"§{len(lifted)}§" if text else FIRST + len(lifted))
    lifted[mark] = entry
    return mark


def _filled(value: Any, lifted: Lifted) -> Any:
    """A copy with everything lifted in its place again, also inside expressions."""
    if isinstance(value, dict):
        return {k: _filled(v, lifted) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, lifted) for v in value]
    if isinstance(value, str) and value not in lifted:
        return _MARKS.sub(lambda m: _written(lifted, m[0]), value)
    return lifted.get(value, value) if isinstance(value, str | float | int) else value


_MARKS = re.compile(f"§[0-9]+§|{FIRST // 1000}[0-9]{{3}}")


def _written(lifted: Lifted, mark: str) -> str:
    """What an expression has for a mark: a number, or a text without its quotes."""
    entry = lifted.get(mark if mark.startswith("§") else int(mark), mark)
    text = json.dumps(entry, ensure_ascii=False)
    return text[1:-1] if isinstance(entry, str) else text
