"""How far an enumeration is, in time: bounds decide millions of designs while a thousand are evaluated."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Progress(NamedTuple):
    """How far an enumeration is."""

    share: float
    """Of its work; never falls."""
    n_decided: int
    """Designs of the lattice."""
    gap: float | None
    """How close to the best possible the front is, where it matters."""


class Pace:
    """The share of the work that is done, from what was done so far and how long that took."""

    def __init__(self, n_designs: int, within: float) -> None:
        self._n, self._within = n_designs, within
        self._bounding = self._evaluating = 0.0
        self._n_evaluated, self._share = 0, 0.0
        self._first_gap: float | None = None
        self.gap: float | None = None

    @contextmanager
    def bounding(self) -> Iterator[None]:
        """Around what bounds and opens parts."""
        began = time.perf_counter()
        yield
        self._bounding += time.perf_counter() - began

    @contextmanager
    def evaluating(self, n: int) -> Iterator[None]:
        """Around the evaluation of `n` candidates."""
        began = time.perf_counter()
        yield
        self._evaluating += time.perf_counter() - began
        self._n_evaluated += n

    def at(self, n_waiting: int, n_candidates: int) -> Progress:
        """With so many designs in parts that wait, and so many candidates."""
        looked_at = max(self._n - n_waiting, 1)
        each = self._evaluating / max(self._n_evaluated, 1)
        # What waits is taken to yield candidates as what was looked at did.
        coming = n_candidates + n_waiting / looked_at * (n_candidates + self._n_evaluated)
        left = n_waiting / looked_at * self._bounding + coming * each
        spent = self._bounding + self._evaluating
        share = spent / (spent + left) if left else float(not n_waiting and not n_candidates)
        self._share = min(1.0, max(self._share, share, self._closed()))
        return Progress(self._share, self._n - n_waiting - n_candidates, self.gap)

    def _closed(self) -> float:
        """How much of the way to the gap that is close enough lies behind, each halving as long as the next."""
        if not self._within or self.gap is None or not 0 < self.gap < 1:
            return 0.0
        self._first_gap = self._first_gap or self.gap
        if self._first_gap <= self._within:
            return 1.0
        return max(0.0, math.log(self._first_gap / self.gap) / math.log(self._first_gap / self._within))
