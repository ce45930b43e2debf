"""What no single value can break: limits, sizes and names that do not go together.

Each rule reads what it needs and yields (path, requirement and what was got); a rule whose values could
not be read does not apply. All limits of a budget are upper bounds and combine, so two of them never
contradict each other by themselves: a limit contradicts the space, the plan or the hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from explorer.budget import rules_names, rules_plan, rules_space
from explorer.budget.nodes import Path
from explorer.budget.view import Skip, View

Rule: TypeAlias = Callable[[View], Iterator[tuple[Path, str]]]

RULES: tuple[Rule, ...] = (*rules_names.RULES, *rules_space.RULES, *rules_plan.RULES)


class Broken(NamedTuple):
    """A rule that does not hold."""

    path: Path
    text: str

    @property
    def where(self) -> str:
        """The path as it is written in error lines."""
        return dotted(self.path)


def findings(data: Mapping[str, Any]) -> list[Broken]:
    """Every rule that does not hold for parsed data in the forms of a file."""
    view, found = View(data), []
    for rule in RULES:
        try:
            found += [Broken(path, text) for path, text in rule(view)]
        except Skip:
            continue
    return found


def dotted(path: Path) -> str:
    """`space.schedule[1].staged.from`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part or "''"
    return text
