"""What comes of the idea for a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from explorer.claims.records.base import Record
from explorer.claims.records.estimate import Estimate
from explorer.claims.records.trade import AspectTrade, Factor, Value

Status: TypeAlias = Literal["holds", "fails", "undecided"]
"""What came of one statement of the verdict: called at P ≥ .9 or P ≤ .1."""
StatementName: TypeAlias = Literal["holds", "contexts_too_short", "staged_better"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement(Record):
    """One statement of the verdict."""

    name: StatementName
    text: str
    status: Status
    probability: Estimate
    """Central: the posterior probability; p05–p95: its Monte Carlo interval."""
    value: Value | None
    """The value it rests on."""
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict(Record):
    """Does the idea hold for this budget?"""

    sentence: str
    """One sentence a reader can quote."""
    status: Status
    """Of the idea itself (`holds` of the statements)."""
    with_interval: bool
    """False: central values only."""
    corpus: str
    statements: dict[str, Statement]
    """By name: holds, contexts_too_short, staged_better (where a staged schedule is possible)."""
    by_corpus: dict[str, dict[str, Any]]
    """Corpus → status, P(holds), P(contexts too short), c and d of arms A and C, one sentence."""
    nu_zero: dict[str, Any]
    """The same summary for the asked corpus with ν = 0."""
    by_aspect: dict[str, AspectTrade]
    """The same statements and values under each aspect choice, on the asked corpus."""
    factors: tuple[Factor, ...]
    undecided_because: str
    """What would decide it; empty when the verdict is called."""
    limited_by: str
    """Which limit made it: memory, compute, a parameter cap, the space's edge or a prior."""
    extrapolated: tuple[str, ...]
    blind_to: tuple[str, ...]
    caveats: tuple[str, ...]

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        """The sentence, and every statement with its probability and what it rests on, for notebooks."""
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(s.text)}</td><td>{escape(s.status)}</td>"
            f"<td>{s.probability.central:.0%} ({s.probability.p05:.0%} to {s.probability.p95:.0%})</td>"
            f"<td>{escape(s.reason)}</td></tr>"
            for s in self.statements.values()
        )
        head = (
            "<tr><th>statement</th><th>verdict</th><th>probability (90% interval)</th><th>because</th></tr>"
        )
        return f"<p>{escape(self.sentence)}</p><table><thead>{head}</thead><tbody>{rows}</tbody></table>"
