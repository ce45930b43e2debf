"""A figure with its interval."""

from __future__ import annotations

from dataclasses import dataclass

from explorer.claims.records.base import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate(Record):
    """A figure with its interval over the posterior; without draws the interval is None."""

    central: float
    """At the law's central values."""
    p05: float | None = None
    p50: float | None = None
    p95: float | None = None

    @property
    def has_interval(self) -> bool:
        """True when the figure rests on draws."""
        return self.p05 is not None and self.p95 is not None
