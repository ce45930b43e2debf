"""Where names stand in a chart: beside their marks, off each other, off other marks, inside the plot.

Names are placed at the narrowest plot that shows them: on a wider one marks move apart and names do not grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from explorer.units import FloatArray

CHARACTER, LINE = 0.56, 1.15
"""Mean width of a character and height of a line of a sans-serif face, in font sizes."""
NARROWEST = 300.0
"""Width of a plot on a narrow screen, in pixels."""

NEAR, AWAY, MOST_HIDDEN = 22.0, 150.0, 60.0
"""A name farther off than so many pixels could be another mark's: that costs more than covering whatever marks."""

Align = Literal["left", "right", "center"]


class Offset(NamedTuple):
    """A place of a name beside its point, in pixels; `dy` is of its middle, downwards."""

    dx: float
    dy: float
    align: Align


AROUND = (
    Offset(2, 17, "right"), Offset(-2, 17, "left"), Offset(2, -16, "right"), Offset(-2, -16, "left"),
    Offset(0, 17, "center"), Offset(0, -16, "center"), Offset(-11, 0, "right"), Offset(11, 0, "left"),
    Offset(2, 34, "right"), Offset(-2, 34, "left"), Offset(2, -33, "right"), Offset(-2, -33, "left"),
)  # fmt: skip
"""Places of a name around a mark, the more natural ones first."""
BESIDE = (Offset(-9, 0, "right"), Offset(9, 0, "left"))


@dataclass(frozen=True, kw_only=True)
class Name:
    """A text that wants a place: at one of the points (pixels from the plot's upper left corner), the first that is free."""

    text: str
    points: tuple[tuple[float, float], ...]
    offsets: tuple[Offset, ...]
    size: float = 12.5
    optional: bool = False
    """Better left out than on top of anything."""


class Place(NamedTuple):
    """Which of a name's points it stands at, and how."""

    point: int
    offset: Offset
    box: tuple[float, float, float, float]
    """Left, top, right and bottom, pixels."""


def place(
    names: Sequence[Name],
    marks: FloatArray,
    width: float,
    height: float,
    taken: Sequence[tuple[float, float, float, float]] = (),
    faint: FloatArray | None = None,
) -> list[Place | None]:
    """A place for each name in turn, earlier names first; None for an optional one without a free place.

    `marks` (n, 2) are points that names had better not cover, `faint` ones that matter less, `taken` boxes that
    they must not. Of places that are not free, a name that must be there takes the least bad one.
    """
    boxes = list(taken)
    # Over another's mark a name would be taken for that one's.
    named = np.array([name.points[0] for name in names if len(name.points) == 1]).reshape(-1, 2)
    found: list[Place | None] = []
    for name in names:
        best: tuple[float, Place] | None = None
        for at, (x, y) in enumerate(name.points):
            for rank, offset in enumerate(name.offsets):
                own = box(name, x, y, offset)
                over, covered = _over(own, boxes, width, height), _covered(own, marks)
                mistaken = _covered(own, named)
                if name.optional and (over > 0 or covered or mistaken):
                    continue
                hidden = min(20 * covered, MOST_HIDDEN) + min(2 * _covered(own, faint), MOST_HIDDEN)
                far = AWAY if abs(offset.dy) > NEAR else 0
                cost = 1000 * over + AWAY * mistaken + hidden + far + at * len(name.offsets) + rank
                if best is None or cost < best[0]:
                    best = cost, Place(at, offset, own)
        found.append(best[1] if best else None)
        if best:
            boxes.append(best[1].box)
    return found


def box(name: Name, x: float, y: float, offset: Offset) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a name at such an offset from a point."""
    wide, high = CHARACTER * name.size * len(name.text), LINE * name.size
    left = x + offset.dx - {"left": 0.0, "center": wide / 2, "right": wide}[offset.align]
    return left, y + offset.dy - high / 2, left + wide, y + offset.dy + high / 2


def _over(box: tuple[float, ...], boxes: Sequence[tuple[float, ...]], width: float, height: float) -> float:
    """Square pixels of a box outside the plot or over other boxes."""

    def shared(a: tuple[float, ...], b: tuple[float, ...]) -> float:
        wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        return max(wide, 0.0) * max(high, 0.0)

    inside = shared(box, (0.0, 0.0, width, height))
    return (box[2] - box[0]) * (box[3] - box[1]) - inside + sum(shared(box, other) for other in boxes)


def _covered(box: tuple[float, ...], marks: FloatArray | None) -> int:
    """Marks under a box, whose centres lie in it or so near that they show at its edge."""
    if marks is None or not len(marks):
        return 0
    near = 4.0
    x, y = np.asarray(marks, dtype=float).T
    under = (x > box[0] - near) & (x < box[2] + near) & (y > box[1] - near) & (y < box[3] + near)
    return int(under.sum())


def columns(places: Sequence[Place]) -> dict[str, list[Any]]:
    """Columns of a table of names, which MARK reads."""
    return {k: [getattr(p.offset, k) for p in places] for k in ("dx", "dy", "align")}


MARK: dict[str, Any] = {k: {"expr": f"datum.{k}"} for k in ("dx", "dy", "align")}
"""Arguments of a text mark over a table with such columns."""
