"""The points of one axis of the design space. Imports next to nothing, so that checking stays cheap."""

from __future__ import annotations

import math

LARGEST_AXIS = 1_000_000
"""More values than this on one axis is a slip, not a question."""


def length(low: int, high: int, multiple_of: int = 1, per_octave: int | None = None) -> int:
    """An upper bound on the points of `grid`, exact without `per_octave`; 0 exactly where there are none."""
    first, last = -(-low // multiple_of), high // multiple_of
    every = max(0, last - first + 1)
    if per_octave is None or not every:
        return every
    if per_octave * _octaves(low, high) + 1 < 1_000:
        return len(grid(low, high, multiple_of, per_octave))
    return min(every, per_octave * _octaves(low, high) + 1)


def grid(low: int, high: int, multiple_of: int = 1, per_octave: int | None = None) -> tuple[int, ...]:
    """Whole values in [low, high] that are multiples of `multiple_of`, ascending; possibly none.

    Every multiple, or with `per_octave` the geometric grid `low · 2^(k / per_octave)`, each point
    rounded to the nearest multiple (halves up) and kept if it lies in the range.
    """
    first, last = -(-low // multiple_of), high // multiple_of
    if last < first:
        return ()
    if per_octave is None:
        return tuple(range(first * multiple_of, last * multiple_of + 1, multiple_of))
    exponents = (k / per_octave for k in range(per_octave * _octaves(low, high) + 1))
    rounded = {math.floor(low * 2.0**x / multiple_of + 0.5) for x in exponents}
    return tuple(m * multiple_of for m in sorted(rounded) if first <= m <= last)


def _octaves(low: int, high: int) -> int:
    """Doublings that lead from `low` to `high` or just beyond."""
    return max(0, (high - 1).bit_length() - (low - 1).bit_length() + 1) if high > low else 0
