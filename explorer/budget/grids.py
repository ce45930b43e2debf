"""The points of one axis of the design space. Imports nothing, so that checking a budget stays cheap."""

from __future__ import annotations

import math


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
    steps = math.ceil(per_octave * math.log2(high / low)) if high > low else 0
    rounded = {math.floor(low * 2 ** (k / per_octave) / multiple_of + 0.5) for k in range(steps + 1)}
    return tuple(m * multiple_of for m in sorted(rounded) if first <= m <= last)
