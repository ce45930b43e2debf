"""From a file or text to a Budget."""

from __future__ import annotations

from pathlib import Path

from explorer.budget.models import Budget


def load(source: str | Path) -> Budget:
    """The budget in a file (a path) or in YAML text (anything with a line break)."""
    from ruamel.yaml import YAML

    text = source if isinstance(source, str) and "\n" in source else Path(source).read_text("utf-8")
    return Budget.model_validate(YAML(typ="safe", pure=True).load(text))
