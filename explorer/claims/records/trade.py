"""What comes of the trade experiment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from explorer.claims.records.base import Record
from explorer.claims.records.estimate import Estimate

ArmName: TypeAlias = Literal["A", "B", "C", "D", "D'", "depth", "reshape", "baseline"]
ValueName: TypeAlias = Literal["context", "width", "waiting", "depth", "reshape"]


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
