"""What comes out of the claims room: frozen records, written to JSON and read back without loss.

Shares and probabilities lie in [0, 1]; losses and values are nats per token; "equivalent compute" is
the extra training compute the short-context arm would need for the same gain, as a fraction (.05 =
5% more). An infinite one means that no amount of compute reaches it; JSON writes it as "inf".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

Finding: TypeAlias = Literal["holds", "fails", "depends"]
"""What came of one claim of the ledger."""
Status: TypeAlias = Literal["holds", "fails", "undecided"]
"""What came of one statement of the verdict: called at P ≥ .9 or P ≤ .1."""
ArmName: TypeAlias = Literal["A", "B", "C", "D", "D'", "depth", "reshape", "baseline"]
ValueName: TypeAlias = Literal["context", "width", "waiting", "depth", "reshape"]
StatementName: TypeAlias = Literal["holds", "contexts_too_short", "staged_better"]

_Record = TypeVar("_Record", bound="Record")


class Record:
    """Shared by all records of this room: `to_dict` for JSON, `from_dict` to read it back."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The record as plain dicts, lists, numbers and text; NaN becomes null, infinity "inf"."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls: type[_Record], data: Mapping[str, Any]) -> _Record:
        """The record that `to_dict` wrote; keys that it does not know are ignored."""
        hints = get_type_hints(cls)
        names = [f.name for f in fields(cls) if f.name in data]  # type: ignore[arg-type]
        return cls(**{name: _typed(hints[name], data[name]) for name in names})


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm(Record):
    """One arm of the trade: the best design under the budget with some freedoms taken away."""

    name: ArmName
    label: str
    """The arm in words, e.g. "context only"."""
    context_length: float
    d_model: float
    n_layers: float
    schedule: Literal["constant", "staged"]
    staged_from: float = 0
    staged_share: float = 0
    n_params: float
    n_tokens: float
    loss: Estimate
    train_flops: float | None = None
    peak_device_bytes: float | None = None
    levers: dict[str, float | str]
    """Further design levers that the space leaves open, at this arm's choice."""
    limits: dict[str, float]
    """Each limit of the budget → the share of it that the arm uses (1 = all)."""
    binds: tuple[str, ...]
    """Limits that stop the arm: a neighbour that breaks only this limit would have had a lower loss."""
    edges: tuple[str, ...]
    """Axes on which the optimum sits on the space's edge, written as "context_length ≥" or "d_model ≤"."""
    extrapolated: tuple[str, ...]
    """Quantities of the law (N, D, c, aspect, …) that lie outside its domain here."""
    context_spread: Estimate | None = None
    """The context re-optimised in every draw."""
    width_spread: Estimate | None = None
    depth_spread: Estimate | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Value(Record):
    """What one freedom is worth."""

    name: ValueName
    label: str
    """In words, e.g. "value of trading width"."""
    nats: Estimate
    compute: Estimate
    """Extra training compute, as a fraction, that arm A would need to gain as much."""
    pays: float
    """Probability that it is worth at least `min_gain`; 0 or 1 without draws."""
    beyond_reach: float = 0.0
    """Share of draws in which no amount of compute would let arm A gain as much."""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint(Record):
    """A design on a curve between width and context."""

    d_model: float
    context_length: float
    longest_context: float
    """The longest feasible context at this width (at the best depth for it)."""
    n_layers: float
    n_params: float
    n_tokens: float
    loss: Estimate
    gain: Estimate
    """loss(A) − loss(this design), paired draw by draw: its interval is far narrower than the loss' own."""
    extrapolated: bool = False
    """Outside the law's domain in any dimension."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextPoint(Record):
    """The best design at one context length (over width and depth)."""

    context_length: float
    d_model: float
    n_layers: float
    n_params: float
    n_tokens: float
    loss: Estimate
    gain: Estimate
    """loss(A) − loss(this design), paired draw by draw."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitEffect(Record):
    """A limit that stops an arm, and what happens to the value of trading width when it is lifted."""

    limit: str
    arm: ArmName
    context_length_lifted: float
    """The context the arm would choose without the limit."""
    vanishing_nats: float
    """The part of the value of trading width that vanishes."""
    vanishing_share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusTrade(Record):
    """The trade on one corpus."""

    corpus: str
    models_context: bool
    """False when the corpus' amplitude is 0: the law models no benefit of context on it."""
    arms: dict[str, Arm]
    """By arm name: A, B, C, depth, reshape; D, D' where a schedule can be staged; baseline where named."""
    context: Value
    """Value of context: loss(A) − loss(B)."""
    width: Value
    """Value of trading width: loss(B) − loss(C)."""
    waiting: Value | None
    """Value of waiting: loss(C) − loss(D); None where no staged schedule is possible."""
    depth: Value | None = None
    """Cutting depth instead of width: loss(B) − loss(best at arm A's width)."""
    reshape: Value | None = None
    """Reshaping at the same N: loss(B) − loss(best within a few percent of arm A's N)."""
    holds: Estimate
    """Probability that the idea holds, with its Monte Carlo interval; 0 or 1 without draws."""
    contexts_too_short: Estimate
    """Probability that a context longer than the reference pays at arm A's shape; 0 where none is modelled."""
    staged_better: Estimate | None = None
    recovery_needed: Estimate | None = None
    """Recovery r at which the lead of the staged schedule vanishes (0: it always leads, inf: never)."""
    rejected_share: float = 0.0
    """Draws thrown away because the loss rose with N or D inside the law's domain."""
    stopped_by: tuple[LimitEffect, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    """The best design of each width, widest first."""
    exchange: tuple[CurvePoint, ...] = ()
    """The iso-budget line, shortest context first: at arm A's depth, tokens and limits, the width that
    the budget still pays for at each context (between lattice points)."""
    by_context: tuple[ContextPoint, ...] = ()
    """The best loss per context length."""
    width_per_doubling: float | None = None
    """Factor on d that a doubling of c costs along the iso-budget line, from the reference on."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AspectTrade(Record):
    """What the trade says under one aspect-ratio law, on the asked corpus."""

    holds: Estimate
    contexts_too_short: Estimate
    staged_better: Estimate | None
    context: Estimate
    """Value of context, nats."""
    width: Estimate
    """Value of trading width, nats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trade(Record):
    """The trade experiment for one budget."""

    reference_context: float
    min_gain: float
    corpus: str
    """The corpus the budget asks about."""
    law: str
    n_draws: int
    """Posterior draws; 0 means central values, without interval."""
    seed: int
    corpora: dict[str, CorpusTrade]
    nu_zero: dict[str, CorpusTrade]
    """The same with ν = 0: the benefit of context does not depend on the model's size."""
    by_aspect: dict[str, AspectTrade]
    """By aspect choice, on the asked corpus."""
    factors: tuple[Factor, ...]
    """The tornado: which prior moves the value of trading width on the asked corpus."""
    limits: dict[str, float]
    """The budget's limits, by the names that arms use."""
    blind_to: tuple[str, ...]
    """Levers that the space leaves open and the law is blind to."""
    n_designs: int
    """Designs that were enumerated."""
    assumptions: tuple[str, ...] = ()
    deciders: dict[str, str] = field(default_factory=dict)
    """Statement → the prior that its value varies most with, and the measurement that would settle it."""

    @property
    def asked(self) -> CorpusTrade:
        """The trade on the corpus the budget asks about."""
        return self.corpora[self.corpus]


@dataclass(frozen=True, kw_only=True, slots=True)
class Factor(Record):
    """One bar of the tornado: a prior, and what the answer becomes at its low and high end."""

    name: str
    label: str
    low: float | None
    """The prior's 10th percentile (None for a categorical one)."""
    high: float | None
    value_low: float
    """Mean value of trading width (nats) over the fifth of the draws with the lowest values of the prior."""
    value_high: float
    holds_low: float
    """P(holds) over the same draws."""
    holds_high: float
    variance_share: float
    """Share of the variance of the value of trading width that the prior explains by itself."""
    decided_by: str
    """The measurement that would settle it."""


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


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, str | bool | NoneType):
        return value
    if hasattr(value, "item"):  # numpy scalars
        value = value.item()
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else str(value)
    return value


def _typed(hint: Any, value: Any) -> Any:
    """`value` read from JSON as the type that `hint` names."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in args:
            return None
        inner = [a for a in args if a is not NoneType]
        return _typed(inner[0], value) if len(inner) == 1 else value
    if origin is tuple:
        return tuple(_typed(args[0], v) for v in value)
    if origin is dict:
        return {k: _typed(args[1], v) for k, v in value.items()}
    if hint is float:
        return float("nan") if value is None else float(value)
    if isinstance(hint, type) and is_dataclass(hint) and issubclass(hint, Record):
        return hint.from_dict(value)
    return value
