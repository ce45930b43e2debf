"""A budget's data as rules read it: defaults filled in, one value or a list alike, broken values skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from explorer.budget.grids import LARGEST_AXIS, grid, length
from explorer.budget.json_schema import Json, stored
from explorer.budget.nodes import Path


class Broken:
    """Stands where a value could not be read; rules that need it do not apply."""

    def __repr__(self) -> str:
        return "BROKEN"


BROKEN = Broken()


class Skip(Exception):
    """A rule needs a value that could not be read, which has been told already."""


class Item(NamedTuple):
    """One of the values of a lever, with its path."""

    path: Path
    value: Any


class View:
    """Parsed data of a budget, in the forms a file may use."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def get(self, *path: str) -> Any:
        """The value at a path, or its default; None where neither is. Raises Skip for a broken one."""
        value: Any = self._data
        for key in path:
            if value is BROKEN:
                raise Skip
            if not isinstance(value, Mapping):
                return None
            if key not in value:
                return _default(stored(), path)
            value = value[key]
        if value is BROKEN:
            raise Skip
        return value

    def get_or_none(self, *path: str) -> Any:
        """The value at a path, None for a broken one too."""
        try:
            return self.get(*path)
        except Skip:
            return None

    def given(self, *path: str) -> bool:
        """Whether the file says anything there."""
        value: Any = self._data
        for key in path:
            if not isinstance(value, Mapping) or key not in value:
                return False
            value = value[key]
        return True

    def items(self, *path: str) -> list[Item]:
        """The values of a lever: its list, or the one value it has. Raises Skip if any is broken."""
        value = self.get(*path)
        if not isinstance(value, list | tuple):
            return [Item(path, value)]
        if any(item is BROKEN for item in value):
            raise Skip
        return [Item((*path, i), item) for i, item in enumerate(value)]

    def points(self, axis: str) -> tuple[int, ...]:
        """The values of one of the three sizes, ascending. Raises Skip where it has none."""
        value = self.get("space", axis)
        if isinstance(value, Mapping):
            parts = [value.get(key, default) for key, default in AXIS.items()]
            if any(part is BROKEN for part in parts):
                raise Skip
            low, high, multiple_of, per_octave = parts
            # The axis's own rule tells of a range that is empty or far too long.
            if not 0 < length(low, high, multiple_of, per_octave) <= LARGEST_AXIS:
                raise Skip
            return grid(low, high, multiple_of, per_octave)
        return tuple(sorted(item.value for item in self.items("space", axis)))

    def schedules(self) -> Iterator[tuple[Item, Item]]:
        """The (short window, share) of every staged schedule."""
        for path, schedule in self.items("space", "schedule"):
            if not isinstance(schedule, Mapping):
                continue
            staged = schedule.get("staged", BROKEN)
            if not isinstance(staged, Mapping):
                raise Skip
            starts, shares = (
                _listed((*path, "staged", key), staged.get(key, BROKEN)) for key in ("from", "share")
            )
            yield from ((start, share) for start in starts for share in shares)


AXIS = {"from": BROKEN, "to": BROKEN, "multiple_of": 1, "per_octave": None}


def _listed(path: Path, value: Any) -> list[Item]:
    items = (
        [Item((*path, i), v) for i, v in enumerate(value)] if isinstance(value, list) else [Item(path, value)]
    )
    return [item for item in items if item.value is not BROKEN]


def _default(schema: Json, path: Path) -> Any:
    """The schema's default for a path."""
    node = schema
    for key in path:
        node = node.get("properties", {}).get(key, {})
    return node.get("default")
