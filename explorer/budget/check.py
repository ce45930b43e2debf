"""A YAML tree against the schema: plain data for the models, parsed data for the rules, and every mistake.

The schema says what is known where; the readers say what a value must be. Where several forms are
possible (a mapping, a list, a word), the one that was meant is chosen by the kind of node and the keys
it has, so that a mistake is told in the terms of that form.
"""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

from explorer.budget.json_schema import Json
from explorer.budget.names import is_file, suggestion
from explorer.budget.nodes import Finding, Leaf, Mapping, Node, Path, Place, Sequence
from explorer.budget.readers import READERS, shown
from explorer.budget.view import BROKEN

MOST_WORDS = 8
"""Allowed words that an error line lists."""


class Checker:
    """Collects findings, places and values while it walks one tree."""

    def __init__(self, schema: Json, folder: FilePath) -> None:
        self.findings: list[Finding] = []
        self.values: dict[Path, Place] = {}
        """Where each value starts."""
        self.keys: dict[Path, Place] = {}
        """Where each key stands."""
        self._schema = schema
        self._folder = folder

    def check(self, node: Node) -> tuple[Any, Any]:
        """(plain data as the models take it, data as the readers parsed it, BROKEN where they could not)."""
        return self._visit(node, self._schema, ())

    def place(self, path: Path) -> Place:
        """Where a path stands in the file: its value, else its key, else the nearest thing around it."""
        while path:
            if path in self.values:
                return self.values[path]
            path = path[:-1]
            if path in self.keys:
                return self.keys[path]
        return Place(1, 1)

    def _visit(self, node: Node, schema: Json, path: Path) -> tuple[Any, Any]:
        self.values[path] = node.place
        if "x-reader" in schema:
            return self._read(node, schema, path)
        if "anyOf" in schema:
            return self._choose(node, schema["anyOf"], path)
        if "enum" in schema or "const" in schema:
            return self._pick(node, schema.get("enum", [schema.get("const")]), path)
        if schema["type"] == "object":
            return self._mapping(node, schema, path)
        return self._sequence(node, schema, path)

    def _read(self, node: Node, schema: Json, path: Path) -> tuple[Any, Any]:
        reader = READERS[schema["x-reader"]]
        if isinstance(node, Leaf):
            try:
                parsed = reader(node.value)
            except ValueError as error:
                return self._wrong(node, path, str(error))
            if "x-names" in schema and is_file(parsed):
                # Files are named relative to the budget that names them.
                parsed = str((self._folder / parsed).absolute())
                return parsed, parsed
            return node.value, parsed
        return self._wrong(node, path, _wanted(schema))

    def _pick(self, node: Node, allowed: list[Any], path: Path) -> tuple[Any, Any]:
        value = node.value if isinstance(node, Leaf) else None
        for choice in allowed:
            if type(value) is type(choice) and value == choice:
                return value, value
        return self._wrong(node, path, _one_of(allowed), allowed)

    def _choose(self, node: Node, forms: list[Json], path: Path) -> tuple[Any, Any]:
        fitting = [form for form in forms if _kind(form) is type(node)]
        if isinstance(node, Mapping) and fitting:
            meant = max(fitting, key=lambda form: len(form["properties"].keys() & node.entries.keys()))
            if len(fitting) > 1 and not meant["properties"].keys() & node.entries.keys():
                # Several mappings are possible and no key tells which: say all their keys.
                keys = [key for form in fitting for key in form["properties"]]
                return self._unknown_only(node, keys, path)
            keys = list(node.entries)
            if all(any(key in form["properties"] for form in fitting) for key in keys) and not any(
                form["properties"].keys() >= node.entries.keys() for form in fitting
            ):
                # Each key is known, and no form has them all.
                text = f"{_wanted_of(forms, NO_SCALAR)}, got {' and '.join(keys)} in one"
                self.findings.append(Finding(node.place, path, text))
                return BROKEN, BROKEN
            return self._visit(node, meant, path)
        if isinstance(node, Leaf):
            if len(fitting) == 1 and "x-reader" in fitting[0] and not any(_kind(f) is Mapping for f in forms):
                # One value where a list of the same may stand: its reader says all there is to say.
                return self._visit(node, fitting[0], path)
            for form in fitting:
                trial = Checker(form, self._folder)
                plain, parsed = trial._visit(node, form, path)
                if not trial.findings:
                    return plain, parsed
        elif fitting:
            return self._visit(node, fitting[0], path)
        words = [w for form in forms for w in form.get("enum", [form["const"]] if "const" in form else [])]
        value = node.value if isinstance(node, Leaf) else NO_SCALAR
        return self._wrong(node, path, _wanted_of(forms, value), words)

    def _unknown_only(self, node: Mapping, known: list[str], path: Path) -> tuple[Any, Any]:
        for key, (place, _) in node.entries.items():
            self.findings.append(Finding(place, (*path, key), self._unknown(key, known)))
        if not node.entries:
            self._wrong(node, path, f"a mapping of {' or '.join(known)}")
        return BROKEN, BROKEN

    def _mapping(self, node: Node, schema: Json, path: Path) -> tuple[Any, Any]:
        if not isinstance(node, Mapping):
            return self._wrong(node, path, _wanted(schema))
        known: Json = schema["properties"]
        plain: dict[str, Any] = {}
        parsed: dict[str, Any] = {}
        misspelt: list[str] = []
        for key, value in node.repeats:
            # Mistakes in a value given twice count too; the first one is what holds.
            if key in known:
                self._visit(value, known[key], (*path, key))
        for key, (place, value) in node.entries.items():
            here = (*path, key)
            self.keys[here] = place
            if key not in known:
                text = self._unknown(key, known)
                self.findings.append(Finding(place, here, text))
                misspelt.append(text)
                continue
            plain[key], parsed[key] = self._visit(value, known[key], here)
        for key in schema.get("required", ()):
            # A misspelt key that was meant for this one has been told already.
            if key not in node.entries and not any(f"did you mean {key}" in text for text in misspelt):
                parsed[key] = BROKEN
                text = f"required ({_described(known[key])}), got nothing"
                self.findings.append(Finding(self._start(node, path), (*path, key), text))
            elif key not in node.entries:
                parsed[key] = BROKEN
        if len(node.entries) < schema.get("minProperties", 0):
            wanted = f"at least one of {', '.join(known)}, got none"
            self.findings.append(Finding(self._start(node, path), path, wanted))
        return plain, parsed

    def _sequence(self, node: Node, schema: Json, path: Path) -> tuple[Any, Any]:
        if not isinstance(node, Sequence):
            return self._wrong(node, path, _wanted(schema))
        least, most = schema.get("minItems", 0), schema.get("maxItems", len(node.items))
        if not least <= len(node.items) <= most:
            wanted = "at least one value" if not node.items and least == 1 else _wanted(schema)
            wanted += f", got {len(node.items) or 'an empty list'}"
            self.findings.append(Finding(node.place, path, wanted))
            return BROKEN, BROKEN
        each = schema.get("items")
        shapes = each if isinstance(each, list) else [each] * len(node.items)
        both = [
            self._visit(item, shape, (*path, i))
            for i, (item, shape) in enumerate(zip(node.items, shapes, strict=True))
        ]
        return [plain for plain, _ in both], [parsed for _, parsed in both]

    def _wrong(self, node: Node, path: Path, wanted: str, words: list[Any] | None = None) -> tuple[Any, Any]:
        hint = ""
        if isinstance(node, Leaf) and isinstance(node.value, str):
            hint = suggestion(node.value, [w for w in words or [] if isinstance(w, str)])
        self.findings.append(Finding(node.place, path, f"{wanted}, got {_got(node)}{hint}"))
        return BROKEN, BROKEN

    def _unknown(self, key: str, known: Json | list[str]) -> str:
        hint = suggestion(key, known)
        if not hint:
            homes = [home for home in _homes(self._schema, key, ()) if home]
            known_here = f"; known here: {', '.join(known)}"
            hint = f"; it belongs under {' or '.join(homes[:2])}" if homes else known_here
        return f"unknown key {shown(key)}{hint}"

    def _start(self, node: Node, path: Path) -> Place:
        """Where something missing is told: at the key of the mapping that lacks it."""
        return self.keys.get(path, node.place)


def _kind(form: Json) -> type[Node]:
    if "x-reader" in form or "enum" in form or "const" in form:
        return Leaf
    return Mapping if form.get("type") == "object" else Sequence


NO_SCALAR = object()
"""Stands for a collection where a scalar was wanted: every reader refuses it."""


def _wanted(form: Json, value: Any = NO_SCALAR) -> str:
    """The requirement of one form, in words; a reader knows best what is wrong with `value`."""
    if "x-names" in form:
        return "a name or a file"
    if "x-reader" in form:
        try:
            READERS[form["x-reader"]](value)
        except ValueError as error:
            return str(error)
    if "const" in form:
        return f"'{form['const']}'"
    if "enum" in form:
        return _one_of(form["enum"])
    if "anyOf" in form:
        return _wanted_of(form["anyOf"], value)
    if form["type"] == "object":
        keys = list(form["properties"])
        return f"a mapping of {', '.join(keys[:6])}{', …' if len(keys) > 6 else ''}"
    least, most = form.get("minItems", 0), form.get("maxItems")
    return f"a list of {least} numbers" if most is not None and least == most else "a list"


def _wanted_of(forms: list[Json], value: Any) -> str:
    """The requirement of several forms: words and numbers first, then mappings, then a list of them."""
    order = {Leaf: 0, Mapping: 1, Sequence: 2}
    ordered = sorted(forms, key=lambda form: order[_kind(form)])
    mappings = [form["properties"] for form in ordered if _kind(form) is Mapping]
    phrases = [_wanted(form, value) for form in ordered if _kind(form) is not Mapping]
    if mappings:
        shapes = " or ".join(f"{{{', '.join(f'{key}: …' for key in keys)}}}" for keys in mappings)
        phrases.insert(len([f for f in forms if _kind(f) is Leaf]), shapes)
    return " or ".join(dict.fromkeys(phrases))


def _one_of(allowed: list[Any]) -> str:
    """The allowed words; of a long list the first few, since a suggestion or the schema has the rest."""
    words = [str(choice) for choice in allowed]
    if len(words) == 1:
        return words[0]
    rest = f", … ({len(words)} in all)" if len(words) > MOST_WORDS else ""
    return f"one of {', '.join(words[:MOST_WORDS])}{rest}"


def _described(schema: Json) -> str:
    text = str(schema.get("description", _wanted(schema))).split(";")[0].rstrip(".")
    return text[:1].lower() + text[1:]


def _got(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node.value, str) or node.value is None:
        return shown(node.value)
    return node.written if len(node.written) <= 60 else node.written[:57] + "…"


def _homes(schema: Json, key: str, path: tuple[str, ...]) -> list[str]:
    """Every path of the schema where a key is known, for one that stands in the wrong place."""
    found: list[str] = []
    for form in [schema, *schema.get("anyOf", ())]:
        properties = form.get("properties", {})
        if key in properties:
            found.append(".".join(path) or "the top level")
        for name, inner in properties.items():
            found += _homes(inner, key, (*path, name))
    return found
