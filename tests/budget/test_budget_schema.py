"""One schema for editors and for the checker, made from the models."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from explorer.budget import dump, load, schema, starter
from explorer.budget.json_schema import made, stored
from explorer.catalog import accelerators, corpora, laws, models

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


def nodes(schema: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, value in schema.get("properties", {}).items():
        found += [(f"{path}.{name}", value), *nodes(value, f"{path}.{name}")]
    for form in schema.get("anyOf", ()):
        found += nodes(form, path)
    return found


def test_the_stored_schema_is_the_models() -> None:
    assert stored() == made(), "run: python -m explorer.budget.json_schema"


@pytest.mark.parametrize("text", [*(p.read_text() for p in STUDIES), starter()])
def test_it_accepts_the_studies_and_the_starter(text: str) -> None:
    validator = jsonschema.Draft7Validator(schema())
    assert [
        e.message for e in validator.iter_errors(YAML(typ="safe", pure=True).load(io.StringIO(text)))
    ] == []


@pytest.mark.parametrize("path", STUDIES)
def test_it_accepts_what_dump_writes(path: Path) -> None:
    data = YAML(typ="safe", pure=True).load(io.StringIO(dump(load(path))))
    jsonschema.Draft7Validator(schema()).validate(data)


def test_it_is_draft_07_without_references_or_own_keywords() -> None:
    public = schema()
    jsonschema.Draft7Validator.check_schema(public)
    text = repr(public)
    for word in ("$ref", "$defs", "prefixItems", "x-reader", "x-names", "x-hidden"):
        assert word not in text


def test_every_field_says_what_it_is() -> None:
    silent = [path for path, node in nodes(schema()) if not node.get("description")]
    assert silent == []


UNITS = re.compile(
    r"[Tt]okens|bytes|FLOP|GPU|seconds|hours|days|[Ss]hare|watts|[Bb]its|parameters|[Ss]equences|layers?|heads|elements"
    r"|[Dd]evices|units|[Dd]esigns|stages|Keys|Replicas|Price|[Rr]atio|over d_model|exponent|own unit|per doubling"
)
PURE = {".search.seed"}


def test_every_number_says_its_unit() -> None:
    silent = {
        path
        for path, node in nodes(schema())
        if numeric(node) and not UNITS.search(node.get("description", ""))
    }
    assert silent == PURE


def numeric(node: dict[str, Any]) -> bool:
    """Whether a number may stand there, alone or in a list."""
    forms = [node, *node.get("anyOf", ())]
    listed = (form["items"] for form in forms if isinstance(form.get("items"), dict))
    return any(form.get("type") in ("number", "integer") for form in forms) or any(map(numeric, listed))


@pytest.mark.parametrize(
    ("path", "names"),
    [("accelerator", accelerators), ("law", laws), ("corpus", corpora), ("baseline", models)],
)
def test_editors_complete_the_catalogues_names(path: str, names: Any) -> None:
    (node,) = [node for where, node in nodes(schema()) if where.split(".")[-1] == path]
    forms = [n for form in node["anyOf"] for n in form.get("anyOf", [form])]
    assert [form["enum"] for form in forms if "enum" in form] == [list(names())]


@pytest.mark.parametrize(
    "data",
    [{"name": "x"}, {"name": "x", "budget": {"parameters": "7GiB"}}, {"surprise": 1}],
)
def test_it_refuses_what_is_no_budget(data: Any) -> None:
    assert not jsonschema.Draft7Validator(schema()).is_valid(data)
