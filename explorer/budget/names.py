"""What a budget may name from the catalogue, read from its data files alone.

The catalogue's own loaders check and type every row, which telling a mistake must not wait for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from explorer.errors import nearest

NOUNS = {"accelerators": "accelerator", "laws": "law", "corpora": "corpus", "models": "model"}

_CATALOG = Path(__file__).parents[1] / "catalog"


def known(catalogue: str) -> tuple[str, ...]:
    """The names one catalogue holds."""
    if catalogue == "laws":
        return tuple(sorted(path.stem for path in _CATALOG.glob("law_files/*.json")))
    if catalogue == "accelerators":
        return tuple(row["name"] for row in content("accelerators.json"))
    if catalogue == "corpora":
        return tuple(row["name"] for row in content("corpora.json")["corpora"])
    return tuple(content("models.json"))


def content(file: str) -> Any:
    """What one of the catalogue's data files says."""
    return json.loads((_CATALOG / file).read_text("utf-8"))


def is_file(value: str) -> bool:
    """Whether a value names a file instead of a row of the catalogue."""
    return value.lower().endswith((".json", ".yaml", ".yml"))


def suggestion(value: str, among: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing where no name is near."""
    near = nearest(value, among)
    return f"; did you mean {' or '.join(near)}?" if near else ""
