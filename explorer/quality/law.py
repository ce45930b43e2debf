"""A law by its catalogue name or from a law file."""

from __future__ import annotations

from pathlib import Path

from explorer.catalog.laws import DEFAULT_LAW, Law, catalogue_law, laws, read_law


def law(name_or_path: str | Path | Law = DEFAULT_LAW) -> Law:
    """A law of the catalogue (`laws()` names them), or one that `explore fit` wrote, by its .json path.

    Raises UnknownName with the nearest names, ExplorerError when the file is not a law.
    """
    if isinstance(name_or_path, Law):
        return name_or_path
    if str(name_or_path) not in laws() and Path(name_or_path).suffix == ".json":
        return read_law(name_or_path)
    return catalogue_law(str(name_or_path))
