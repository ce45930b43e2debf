"""Names that a budget takes from the catalogue, looked up as late and as cheaply as can be."""

from __future__ import annotations

from collections.abc import Iterable

from explorer.errors import nearest

NOUNS = {"accelerators": "accelerator", "laws": "law", "corpora": "corpus", "models": "model"}


def known(catalogue: str) -> tuple[str, ...]:
    """The names one catalogue holds, in its order."""
    if catalogue == "accelerators":
        from explorer.catalog.accelerators import accelerators

        return tuple(accelerators())
    if catalogue == "laws":
        from explorer.catalog.laws import laws

        return laws()
    if catalogue == "corpora":
        from explorer.catalog.corpora import corpora

        return tuple(corpora())
    from explorer.catalog.models import models

    return tuple(models())


def is_file(value: str) -> bool:
    """Whether a value names a file instead of a row of the catalogue."""
    return value.lower().endswith((".json", ".yaml", ".yml"))


def suggestion(value: str, among: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing where no name is near."""
    near = nearest(value, among)
    return f"; did you mean {' or '.join(near)}?" if near else ""
