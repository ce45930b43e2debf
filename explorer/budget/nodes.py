"""YAML 1.2 text as a tree in which every key and value knows its line and column.

Plain scalars follow the core schema of YAML 1.2: `on` and `yes` are text, `1e22` is a number, `0o17` is
octal, and `1_000` is text (which the readers of counts take for a thousand, as Python does). Anchors,
aliases and merge keys work; tags that would build objects are refused. Nothing is ever constructed.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]


class Place(NamedTuple):
    """Line and column, both counted from 1."""

    line: int
    column: int


class Finding(NamedTuple):
    """Something wrong: where in the file, at which path, and the rest of the line."""

    place: Place
    path: Path
    text: str


@dataclass(slots=True)
class Leaf:
    """A scalar: its value by the core schema, and how it was written."""

    place: Place
    value: Any
    written: str


@dataclass(slots=True)
class Mapping:
    """Keys in order, each with its place and node; a key given twice is kept once, the first time."""

    place: Place
    entries: dict[str, tuple[Place, Node]] = field(default_factory=dict)
    repeats: list[tuple[str, Node]] = field(default_factory=list)
    """What stands at the second and later times."""


@dataclass(slots=True)
class Sequence:
    """Items in order."""

    place: Place
    items: list[Node] = field(default_factory=list)


Node: TypeAlias = Leaf | Mapping | Sequence


class Malformed(Exception):
    """The text is not YAML: where it stops being so, and why."""

    def __init__(self, place: Place, text: str) -> None:
        self.finding = Finding(place, (), text)
        super().__init__(text)


def compose(text: str) -> tuple[Node | None, list[Finding]]:
    """The tree of one document (None where it is empty), and what is wrong with keys and tags.

    Raises Malformed where the text is not YAML at all.
    """
    from ruamel.yaml import YAML

    try:
        with warnings.catch_warnings():
            # An anchor defined twice is legal; the later one holds from there on.
            warnings.simplefilter("ignore")
            root = YAML(typ="safe", pure=True).compose(text)
    except RecursionError:
        raise Malformed(Place(1, 1), "not readable YAML: nested too deeply") from None
    # The parser raises assertion, index and value errors too when a document is malformed in rare ways.
    except Exception as error:
        raise _malformed(error, text) from None
    if root is None:
        return None, []
    converter = _Converter()
    try:
        return converter.node(root, ()), converter.findings
    except RecursionError:
        raise Malformed(Place(1, 1), "not readable YAML: nested too deeply") from None


class _Converter:
    """Turns the parser's nodes into ours once each, so that aliases cost nothing however often used."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._done: dict[int, Node] = {}

    def node(self, raw: Any, path: Path) -> Node:
        if id(raw) in self._done:
            return self._done[id(raw)]
        place = _place(raw.start_mark)
        self._check_tag(raw, place, path)
        if raw.id == "scalar":
            leaf = self._done[id(raw)] = Leaf(place, _scalar(raw), raw.value)
            return leaf
        if raw.id == "sequence":
            # Registered before its items, so that a list containing itself ends.
            sequence = self._done[id(raw)] = Sequence(place)
            sequence.items += [self.node(item, (*path, i)) for i, item in enumerate(raw.value)]
            return sequence
        mapping = self._done[id(raw)] = Mapping(place)
        merged: list[Mapping] = []
        for raw_key, raw_value in raw.value:
            where = _place(raw_key.start_mark)
            if raw_key.id != "scalar":
                self.findings.append(Finding(where, path, "a key, got a collection"))
                continue
            key = raw_key.value
            if key == "<<" and raw_key.style is None:
                merged += self._merged(raw_value, path)
                continue
            node = self.node(raw_value, (*path, key))
            if isinstance(node, Leaf) and node.value is None and not node.written:
                # The parser places nothing where the next token starts, often a line further down.
                node = Leaf(where, None, "")
            if key in mapping.entries:
                first = mapping.entries[key][0]
                self.findings.append(Finding(where, (*path, key), f"given twice, first on line {first.line}"))
                mapping.repeats.append((key, node))
                continue
            mapping.entries[key] = (where, node)
        for source in merged:
            for key, entry in source.entries.items():
                mapping.entries.setdefault(key, entry)
        return mapping

    def _merged(self, raw: Any, path: Path) -> list[Mapping]:
        sources = raw.value if raw.id == "sequence" else [raw]
        nodes = [self.node(source, path) for source in sources]
        found = [node for node in nodes if isinstance(node, Mapping)]
        if len(found) < len(nodes):
            self.findings.append(
                Finding(
                    _place(raw.start_mark),
                    (*path, "<<"),
                    f"a mapping to merge, or a list of them, got {'a list' if raw.id == 'sequence' else repr(raw.value)}",
                )
            )
        return found

    def _check_tag(self, raw: Any, place: Place, path: Path) -> None:
        tag = str(raw.ctag) if raw.ctag is not None else ""
        if tag and tag not in ("!", *_CORE_TAGS):
            short = tag.replace("tag:yaml.org,2002:", "!!")
            self.findings.append(Finding(place, path, f"a plain value, got the tag {short!r}"))


_CORE_TAGS = tuple(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge", "timestamp")
)
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# Python refuses to turn longer texts into integers; they are far beyond every count.
_LONGEST_INTEGER = 4_000


def _scalar(raw: Any) -> Any:
    text = str(raw.value)
    if raw.style is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) < _LONGEST_INTEGER else float(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _malformed(error: Exception, text: str) -> Malformed:
    """The parser's complaint as one line at one place."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    if mark is not None:
        place = _place(mark)
    elif isinstance(getattr(error, "position", None), int):
        before = text[: error.position]  # type: ignore[attr-defined]
        place = Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    else:
        place = Place(1, 1)
    said = " ".join(str(problem or error or type(error).__name__).split())
    opened = getattr(error, "context_mark", None)
    context = str(getattr(error, "context", None) or "")
    if said.startswith("but "):
        said = f"{context}, {said}"
    if opened is not None and "flow" in context and _place(opened) != place:
        said += f" (the bracket on line {opened.line + 1} is still open)"
    if opened is not None and "quoted" in context and _place(opened) != place:
        said += f" (the quote on line {opened.line + 1} is still open)"
    if isinstance(character := getattr(error, "character", None), str | int):
        said += f", got {chr(character) if isinstance(character, int) else character!r}"
    if "\\t" in said:
        said += "; indent with spaces, not tabs"
    return Malformed(place, f"not valid YAML: {said}")
