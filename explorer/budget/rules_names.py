"""Rules on names: what the catalogue holds, files that are there, figures that objectives need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath

from explorer.budget.json_schema import stored_needs
from explorer.budget.names import NOUNS, is_file, known, suggestion
from explorer.budget.nodes import Path
from explorer.budget.readers import shown
from explorer.budget.view import BROKEN, View

Found = Iterator[tuple[Path, str]]

NAMED = (
    (("hardware", "accelerator"), "accelerators"),
    (("quality", "law"), "laws"),
    (("quality", "corpus"), "corpora"),
    (("baseline",), "models"),
)


def names(view: View) -> Found:
    """Every name is one of the catalogue's, or that of a file which is there."""
    for path, catalogue in NAMED:
        value = view.get_or_none(*path) if view.given(*path) else None
        if not isinstance(value, str):
            continue
        if is_file(value):
            if not FilePath(value).is_file():
                yield path, f"a {NOUNS[catalogue]} file that is there, got {shown(value)}"
            continue
        names_known = known(catalogue)
        if value not in names_known:
            hint = suggestion(value, names_known) or f"; `explore list {catalogue}` shows them all"
            yield path, f"a known {NOUNS[catalogue]} or a file, got {shown(value)}{hint}"


def own_accelerator(view: View) -> Found:
    """A device described in the budget takes a known generation's efficiency curves."""
    spec = view.get("hardware", "accelerator")
    if isinstance(spec, Mapping) and "generation" in spec and spec["generation"] is not BROKEN:
        from explorer.catalog.accelerators import generations

        if spec["generation"] not in generations():
            value = spec["generation"]
            hint = suggestion(value, generations()) or f"; known: {', '.join(generations())}"
            yield ("hardware", "accelerator", "generation"), f"a known generation, got {shown(value)}{hint}"


def own_corpus(view: View) -> Found:
    """A corpus of one's own has a name of its own and an amplitude range."""
    spec = view.get("quality", "corpus")
    if not isinstance(spec, Mapping):
        return
    path = ("quality", "corpus")
    name, amplitude = spec.get("name", BROKEN), spec.get("amplitude", BROKEN)
    if name is not BROKEN and name in known("corpora"):
        yield (*path, "name"), f"a name that the catalogue does not use, got {shown(name)}"
    if amplitude is not BROKEN and BROKEN not in amplitude and amplitude[0] > amplitude[1]:
        low, high = amplitude
        yield (*path, "amplitude"), f"[low, high] with low at most high, got [{low:g}, {high:g}]"


def objectives(view: View) -> Found:
    """Each figure is asked for once, in a sensible direction, with what it needs."""
    told: set[str] = set()
    value = view.get("objectives")
    listed = value if isinstance(value, list | tuple) else [value]
    for i, objective in enumerate(listed):
        path: Path = ("objectives", i) if isinstance(value, list | tuple) else ("objectives",)
        if isinstance(objective, Mapping):
            ((direction, metric),) = objective.items()
            path = (*path, direction)
        elif isinstance(objective, str):
            direction, metric = "", objective
        else:
            continue
        if metric is BROKEN:
            continue
        if metric in told:
            yield path, f"each figure once, got {shown(metric)} again"
        told.add(metric)
        if (metric, direction) == ("loss", "maximize"):
            yield path, "a figure that is better when larger; loss is better when smaller, got 'loss'"
        needs = stored_needs().get(metric)
        if needs and view.get(*needs.split(".")) is None:
            yield path, f"a figure that can be given; {metric} needs {needs}, got no {needs}"


RULES = (names, own_accelerator, own_corpus, objectives)
