"""What a shell may offer for a word: names of the catalogue and words of the columns, cheaply."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from explorer.search.columns import Column

Completer: TypeAlias = Callable[[str], list[str]]


SHELVES = ("models", "accelerators", "laws", "corpora")
"""What `list` can list."""
TARGETS = ("hf", "megatron", "torchtitan", "nanogpt")
"""What `export` can write."""


def _starting(words: Iterable[str], typed: str) -> list[str]:
    return [word for word in words if word.startswith(typed)]


def models(incomplete: str) -> list[str]:
    """Published models; where none starts so, the shell offers files."""
    return named("models")(incomplete)


def named(catalogue: str) -> Completer:
    """Names that one catalogue holds."""

    def complete(incomplete: str) -> list[str]:
        from explorer.budget.names import known

        return _starting(known(catalogue), incomplete)

    return complete


def samplers(incomplete: str) -> list[str]:
    """Samplers that a budget may name."""
    from explorer.budget.json_schema import stored

    return _starting(stored()["properties"]["search"]["properties"]["sampler"]["enum"], incomplete)


def picks(incomplete: str) -> list[str]:
    """Designs of a run that have a name."""
    return _starting(("best-loss", "knee", "longest"), incomplete)


def shelves(incomplete: str) -> list[str]:
    """What the catalogue can list."""
    return _starting(SHELVES, incomplete)


def targets(incomplete: str) -> list[str]:
    """Formats that a design can be written in."""
    return _starting(TARGETS, incomplete)


def formats(incomplete: str) -> list[str]:
    """Pictures that a run can write."""
    return _starting(("svg", "png", "svg,png"), incomplete)


def values(column: Column) -> Completer | None:
    """Words that a column of `evaluate` may hold; None where it holds numbers."""
    shelf = {"accelerator": "accelerators", "corpus": "corpora"}.get(column.name)
    if shelf is not None:
        return named(shelf)
    if not column.options:
        return None
    return lambda incomplete: _starting(column.options, incomplete)
