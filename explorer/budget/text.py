"""Budgets as text: the canonical form, a fingerprint, what differs between two, and a starter."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.budget.names import is_file

if TYPE_CHECKING:
    from explorer.budget.models import Budget

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_NOT_TEXT = {"null", "true", "false", "y", "n", "yes", "no", "on", "off"}
_FILES = (("quality", "law"), ("quality", "corpus"), ("baseline",), ("hardware", "accelerator"))
"""Keys whose value may name a file."""
_WIDTH = 110


def starter() -> str:
    """A commented budget to start from, which runs as it stands."""
    return Path(__file__).with_name("starter.yaml").read_text("utf-8")


def plain(budget: Budget) -> dict[str, Any]:
    """The budget as plain data, in the forms a file may use; every default is written out."""
    data: dict[str, Any] = budget.model_dump(mode="json", by_alias=True, exclude_none=True)
    return data


def dump(budget: Budget) -> str:
    """The budget as canonical YAML, every default written out; `load` gives an equal budget back."""
    lines: list[str] = []
    for key, value in plain(budget).items():
        if isinstance(value, Mapping):
            lines.append(f"{key}:")
            for inner, item in value.items():
                lines += _entry(inner, item, "  ")
        else:
            lines += _entry(key, value, "")
    return "\n".join(lines) + "\n"


def fingerprint(budget: Budget) -> str:
    """Sixteen hexadecimal digits that change with anything the budget says and the files it names hold."""
    from hashlib import sha256

    text = json.dumps(_with_contents(plain(budget)), sort_keys=True, ensure_ascii=True)
    return sha256(text.encode("ascii")).hexdigest()[:16]


def difference(old: Budget, new: Budget) -> list[str]:
    """What changed from one budget to another, a line per key: `budget.gpu_memory: 80GiB → 40GiB`."""
    before, after = _flat(plain(old)), _flat(plain(new))
    lines = []
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key, "not set"), after.get(key, "not set")
        if was != now:
            lines.append(f"{key}: {was} → {now}")
    return lines


def _entry(key: str, value: Any, indent: str) -> list[str]:
    """One key with its value on its line, or a long list as one item a line."""
    line = f"{indent}{key}: {_flow(value)}"
    if len(line) <= _WIDTH or not isinstance(value, list) or not value:
        return [line]
    return [f"{indent}{key}:", *(f"{indent}  - {_flow(item)}" for item in value)]


def _flow(value: Any) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str):
        plain_text = _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT
        return (
            value if plain_text or re.fullmatch(r"[0-9]+([A-Z]i?B(/s)?|[smhd])", value) else json.dumps(value)
        )
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value)


def _number(value: float) -> str:
    """A float in a short form that reads back exactly: `8e9`, `0.05`, `20000`."""
    if abs(value) < 1e6:
        return str(int(value)) if value.is_integer() else repr(value)
    from decimal import Decimal

    return f"{Decimal(repr(value)).normalize():e}".replace("e+", "e")


def _with_contents(data: dict[str, Any]) -> dict[str, Any]:
    """The same data with a digest in place of each file's name: a moved file changes nothing."""
    from hashlib import sha256

    copied: dict[str, Any] = json.loads(json.dumps(data))
    for *sections, key in _FILES:
        holder = copied
        for section in sections:
            holder = holder.get(section, {})
        value = holder.get(key)
        if isinstance(value, str) and is_file(value) and Path(value).is_file():
            holder[key] = f"sha256:{sha256(Path(value).read_bytes()).hexdigest()}"
    return copied


def _flat(data: Mapping[str, Any]) -> dict[str, str]:
    """Every key's dotted path with its value as text; a file with its contents' digest."""
    digests = _with_contents(dict(data))
    flat: dict[str, str] = {}

    def walk(value: Any, digest: Any, path: str) -> None:
        if isinstance(value, Mapping) and value:
            for key, item in value.items():
                walk(
                    item,
                    digest[key] if isinstance(digest, Mapping) else digest,
                    f"{path}.{key}" if path else key,
                )
        else:
            named = isinstance(digest, str) and digest.startswith("sha256:")
            flat[path] = f"{_flow(value)} ({digest[7:15]})" if named else _flow(value)

    walk(data, digests, "")
    return flat
