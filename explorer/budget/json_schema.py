"""JSON Schema of budget.yaml: made from the models once, kept as data, read without them.

`schema.json` lies beside this file because the file checker needs it and must not pay for importing the
models. `python -m explorer.budget.json_schema` writes it anew; a test keeps it current. It is draft-07 without
references, which every YAML language server understands, with keywords of its own: `x-reader` names the
reader of a value (`explorer.budget.readers`), `x-names` the catalogue that a name comes from, `x-needs` the
keys without which some of the words mean nothing.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

FILE = Path(__file__).with_name("schema.json")
OWN_KEYWORDS = ("x-reader", "x-names", "x-needs")
FILE_NAME = r"\.(json|yaml|yml)$"
"""What a value looks like that names a file instead of a row of the catalogue."""


@cache
def stored() -> Json:
    """The schema with its own keywords, as the file checker reads it."""
    loaded: Json = json.loads(FILE.read_text("utf-8"))
    return loaded


def stored_needs() -> dict[str, str]:
    """Objective → the key of the budget without which it cannot be given."""
    needs: dict[str, str] = stored()["properties"]["objectives"]["anyOf"][0]["x-needs"]
    return needs


def schema() -> Json:
    """JSON Schema (draft-07) for editors, with the names that the catalogue holds today."""
    public: Json = _public(stored())
    return public


def made() -> Json:
    """The schema made from the models: what `schema.json` must hold."""
    from explorer.budget.models import Budget

    _describe()
    raw = Budget.model_json_schema(mode="validation", by_alias=True)
    body: Json = _tidy(raw, raw.get("$defs", {}))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "budget.yaml",
        **body,
    }


def _describe() -> None:
    """The docstring below each field of a section as its description."""
    import ast
    import inspect
    import textwrap
    from itertools import pairwise

    from explorer.budget.fields import Section

    # A section comes after those it holds.
    for section in Section.__subclasses__():
        body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in pairwise(body.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    if name in section.model_fields:
                        section.model_fields[name].description = inspect.cleandoc(text)
        section.model_rebuild(force=True)


def _tidy(node: Any, definitions: Json) -> Any:
    """References written out, no titles, nothing nullable, dictionaries with known keys as mappings."""
    if isinstance(node, list):
        return [_tidy(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        beside = {k: v for k, v in node.items() if k != "$ref"}
        return _tidy({**target, **beside}, definitions)
    kept = {k: v for k, v in node.items() if k not in ("title", "$defs", "propertyNames")}
    if "anyOf" in kept:
        branches = [b for b in kept.pop("anyOf") if b != {"type": "null"}]
        kept = {**branches[0], **kept} if len(branches) == 1 else {**kept, "anyOf": branches}
        if "$ref" in kept:
            return _tidy(kept, definitions)
    if "anyOf" in kept:
        kept["anyOf"] = _flat(kept["anyOf"], definitions)
    if kept.get("default", 0) is None:
        del kept["default"]
    if "prefixItems" in kept:
        # Draft-07 has no prefixItems: a list of schemas under items is its tuple.
        kept["items"] = kept.pop("prefixItems")
    if "propertyNames" in node:
        values = kept.pop("additionalProperties")
        kept |= {
            "properties": {
                name: values | {"description": f"{name}: {kept.get('description', '')}".rstrip(": ")}
                for name in node["propertyNames"]["enum"]
            },
            "additionalProperties": False,
        }
    return {
        k: _properties(v, definitions) if k == "properties" else _kept(k, v, definitions)
        for k, v in kept.items()
    }


def _flat(branches: list[Json], definitions: Json) -> list[Json]:
    """Alternatives of alternatives as one list; those of one reader stay together."""
    flat: list[Json] = []
    for branch in (_tidy(b, definitions) for b in branches):
        nested = "anyOf" in branch and "x-reader" not in branch
        flat += branch["anyOf"] if nested else [branch]
    return flat


def _properties(properties: Json, definitions: Json) -> Json:
    shown = {k: v for k, v in properties.items() if not v.get("x-hidden")}
    return {k: _tidy(v, definitions) for k, v in shown.items()}


def _kept(keyword: str, value: Any, definitions: Json) -> Any:
    if keyword == "default":
        return _without_nothing(value)
    return _tidy(value, definitions) if isinstance(value, dict | list) and keyword != "enum" else value


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nothing(v) for k, v in value.items() if v is not None}
    return value


def _public(node: Any) -> Any:
    if isinstance(node, list):
        return [_public(item) for item in node]
    if not isinstance(node, dict):
        return node
    shown = {k: _public(v) for k, v in node.items() if k not in OWN_KEYWORDS}
    if "description" in node and "anyOf" in node:
        # Editors show the form that a value has in place of the field, which says more.
        shown["anyOf"] = [{k: v for k, v in form.items() if k != "description"} for form in shown["anyOf"]]
    if "x-names" in node:
        from explorer.budget.names import known

        forms = [{"enum": list(known(node["x-names"]))}, {"type": "string", "pattern": FILE_NAME}]
        return {k: v for k, v in shown.items() if k not in ("type", "minLength")} | {"anyOf": forms}
    return shown


def _write() -> None:
    FILE.write_text(json.dumps(made(), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    _write()
