"""From a file or text to a Budget, or to every mistake in it, one line each.

Reading has two halves: the checker (no models imported, so that a mistake is told at once) and the
models. What passes the first passes the second; should they ever disagree, the models' complaint is told
in the same form.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.budget.check import Checker
from explorer.budget.json_schema import stored
from explorer.budget.nodes import Finding, Malformed, Mapping, Place, compose
from explorer.budget.rules import dotted, findings
from explorer.errors import ExplorerError, InputErrors, nearest

if TYPE_CHECKING:
    from explorer.budget.models import Budget


def load(source: str | Path) -> Budget:
    """The budget in a file, on standard input (`-`), or in YAML text.

    Text has a line break or starts with `{`; all else is a path.

    Raises InputErrors with every mistake as a line `file:line:column: path: requirement, got value`,
    ExplorerError for a file that cannot be read. Files that the budget names are relative to its own.
    """
    if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{") or not source.strip()):
        return parse(source)
    if str(source) == "-":
        return parse(_decoded(sys.stdin.buffer.read(_MOST_BYTES + 1), "<stdin>"), label="<stdin>")
    path = Path(source)
    return parse(read(path), label=str(source), folder=path.parent)


def parse(text: str, label: str = "<budget>", folder: Path = Path()) -> Budget:
    """The budget in YAML text; `label` names it in error lines, `folder` is where its files lie."""
    plain, checker = check(text, label, folder)
    from explorer.budget.models import Budget

    try:
        return Budget.model_validate(plain)
    except ValueError as error:
        raise InputErrors(_lines(list(_from_models(error, checker)), label)) from None


def read(path: Path) -> str:
    """The text of a budget file. Raises ExplorerError, one line, where there is none."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        near = nearest(path.name, _budgets_in(path.parent))
        hint = (
            f"; did you mean {path.with_name(near[0])}?"
            if near
            else "; `explore init` writes one to start from"
        )
        raise ExplorerError(f"{path}: a budget file, got no such file{hint}") from None
    except IsADirectoryError:
        held = _budgets_in(path)
        hint = f"; it holds {', '.join(held[:5])}" if held else ""
        raise ExplorerError(f"{path}: a budget file, got a directory{hint}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ExplorerError(f"{path}: a readable budget file, got: {reason}") from None
    return _decoded(content, str(path))


_MOST_BYTES = 1 << 20
"""Of a budget file: hundreds of times what one needs, and read in seconds."""


def _decoded(content: bytes, label: str) -> str:
    if len(content) > _MOST_BYTES:
        raise ExplorerError(f"{label}: a budget file of at most 1 MiB, got more")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", "replace")
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        found = Finding(place, (), f"UTF-8 text, got byte 0x{content[error.start]:02x}")
        raise InputErrors(_lines([found], label)) from None


def check(text: str, label: str, folder: Path) -> tuple[dict[str, Any], Checker]:
    """The data of a budget that has no mistakes, and where everything stands; raises InputErrors."""
    schema = stored()
    checker = Checker(schema, folder)
    try:
        root, found = compose(text.removeprefix("\ufeff"))
    except Malformed as error:
        raise InputErrors(_lines([error.finding], label)) from None
    if not isinstance(root, Mapping):
        got = "nothing" if root is None else "a single value" if not hasattr(root, "items") else "a list"
        wanted = "a mapping with at least name, budget and hardware (`explore init` writes one to start from)"
        place = Place(1, 1) if root is None else root.place
        raise InputErrors(_lines([Finding(place, (), f"{wanted}, got {got}")], label))
    plain, parsed = checker.check(root)
    found += checker.findings
    found += [Finding(checker.place(rule.path), rule.path, rule.text) for rule in findings(parsed)]
    if found:
        raise InputErrors(_lines(found, label))
    return plain, checker


def _lines(found: list[Finding], label: str) -> list[str]:
    """Error lines in the order of the file, each once."""
    ordered = sorted(found, key=lambda finding: finding.place)
    lines = (
        f"{label}:{place.line}:{place.column}: {dotted(path)}{': ' if path else ''}{text}"
        for place, path, text in ordered
    )
    return list(dict.fromkeys(_one_line(line) for line in lines))


def _one_line(text: str) -> str:
    """Line breaks and control characters of the user's text would tear a line apart."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _from_models(error: ValueError, checker: Checker) -> list[Finding]:
    """What pydantic has to say, with places as near as its paths lead."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return [Finding(Place(1, 1), (), str(error))]
    found = []
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"])
        text = re.sub(r"^Value error, ", "", detail["msg"])
        found += [Finding(checker.place(path), path, line) for line in text.split("\n")]
    return found


def _budgets_in(folder: Path) -> list[str]:
    try:
        return sorted(p.name for p in folder.iterdir() if p.suffix in (".yaml", ".yml"))
    except OSError:
        return []
