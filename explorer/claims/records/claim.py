"""What comes of one claim of the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from explorer.claims.records.base import Record

Finding: TypeAlias = Literal["holds", "fails", "depends"]
"""What came of one claim of the ledger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant(Record):
    """The deciding figure of a claim under one other convention or block."""

    axis: str
    """What is varied: kernel, recompute, counting, GQA, FFN, implementation, corpus, model, …"""
    setting: str
    figure: float
    unit: str
    verdict: Finding
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim(Record):
    """One statement of the idea, taken apart."""

    number: int
    key: str
    statement: str
    """The sentence as it is made."""
    naive: str
    """What the naive count says."""
    full: str
    """What the full model says."""
    verdict: Finding
    figure: float
    """The figure that decides it."""
    unit: str
    figure_name: str
    """What the figure is, in words."""
    reason: str
    """Why the verdict follows from the figure, in one sentence."""
    variants: tuple[Variant, ...] = ()
    """How figure and verdict change with kernel, recompute, counting, GQA, FFN kind, model, corpus."""
    table: tuple[dict[str, Any], ...] = ()
    """Rows behind the verdict (one model or one context length each), units in the keys."""
    gaps: tuple[str, ...] = ()
    """What could not be answered, and why."""
    sources: tuple[str, ...] = ()

    def changes(self) -> list[str]:
        """How the verdict changes, a line per axis of the variants: `kernel: holds in 1 of 2 settings; fails for flash`."""
        lines = []
        for axis in dict.fromkeys(v.axis for v in self.variants):
            own = [v for v in self.variants if v.axis == axis]
            counts = Counter(v.verdict for v in own).most_common()
            (usual, n), rare = counts[0], counts[1:]
            if len(own) == 1:
                said = f"{usual} for {own[0].setting}"
            elif not rare:
                said = f"{usual} in all {n} settings"
            else:
                said = f"{usual} in {n} of {len(own)} settings"
            for verdict, _ in rare:
                said += f"; {verdict} for {' / '.join(v.setting for v in own if v.verdict == verdict)}"
            lines.append(f"{axis}: {said}")
        return lines
