"""The best that any design of a block could reach, objective by objective, before a plan is looked for.

A block is given by two designs: `low`, which takes the least of everything that costs (width, depth, heads,
feed-forward part, vocabulary), and `high`, which takes the most; contexts and schedules are the same in both.
A block of one design has that design on both sides. Every metric below says which end it is best at:

    context, schedule                  the same at both ends
    parameters, KV cache, serving      rise from low to high
    seconds and FLOPs per token        rise; tokens fall with them
    hours, days, price                 rise with seconds per token
    energy                             rises with the seconds that GPUs are busy, and with all seconds
    training and lifetime FLOPs        rise with FLOPs per token, fall with seconds
    MFU                                rises with FLOPs (high), falls with seconds (low)
    memory on a GPU                    rises from low to high
    loss                               falls with parameters (high) and with tokens (low); depth against width
                                       stands at the best ratio between the ends

so the best of each is had at one end although no design of the block need have them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.cost import flops, kv_cache_bytes, parameters, serving_bytes
from explorer.cost.hardware import MATMUL_DTYPE
from explorer.cost.memory import RESERVED_PER_ALLOCATED, outside_allocator_bytes, stage_instants
from explorer.cost.time import WAITING_POWER, hardware_level, step_terms
from explorer.design import Design, arrays
from explorer.quality import lifetime_flops
from explorer.quality.terms import (
    aspect_factor,
    best_log_aspect,
    capacity_term,
    combine,
    context_scale,
    context_shape,
    data_term,
    recovery,
    window_term,
)
from explorer.units import FloatArray, Num

if TYPE_CHECKING:
    from explorer.search.problem import Problem

_WORK = ("matmul", "attention", "elementwise")
"""Parts of a layer's time that every plan has, however it spreads them."""
_FREE_OF_TIME = ("flops", "tokens")
"""Training limits that say how many tokens there are at most, however long these take."""
_ROUNDING = 1e-12
"""Sums in another order differ by less."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Least seconds per training token on all GPUs together, as `outside + per_layer · layers`."""

    outside: Num
    per_layer: Num
    host: Num
    """Of `outside`, what GPUs wait for the host."""

    def at(self, n_layers: Num) -> Num:
        """Seconds per token of that many layers."""
        return self.outside + self.per_layer * n_layers

    def busy(self, n_layers: Num) -> Num:
        """Of these, the seconds in which GPUs compute."""
        return self.at(n_layers) - self.host

    def taken(self, shape: tuple[int, ...], where: tuple[Any, ...]) -> Line:
        """Cells of an open grid of `shape`, as a table."""
        return Line(**{f.name: taken(getattr(self, f.name), shape, where) for f in fields(self)})


def fastest(problem: Problem, design: Design, *, aligned: bool = False) -> Line:
    """What a token takes at least under any plan, at `design`'s full context; its depth is left out.

    One GPU works off its share of the tokens at the widest micro-batch, with nothing recomputed, no launch
    waited for, no exchange, no bubble, and an optimizer sharded over all GPUs. That is below every plan: its
    rounds and its stages' layers are rounded up, t ranks of tensor parallelism share what a product's tokens
    take but for their own ramps (the least over t is taken), and more context ranks mean shorter products.
    `aligned` takes every width for a well aligned one, as a bound over several widths must.
    """
    setting, hardware = problem.setting, problem.hardware
    curve = hardware.efficiency
    if aligned:
        best = max(curve.matmul_alignment.values())
        curve = replace(curve, matmul_alignment=dict.fromkeys(curve.matmul_alignment, best))
    one = replace(hardware, n_gpus=1, curve=curve)
    ranks = np.unique(np.concatenate([np.ravel(p.tensor_parallel) for p in problem.plans]))
    widest = max(float(np.max(p.micro_batch)) for p in problem.plans)
    shape = design.with_(n_layers=1.0, staged_from=0, staged_share=0).expand()
    batch = setting.global_batch(shape)
    micro = np.minimum(batch, widest)
    plan = setting.plan.with_(recompute="none", tensor_parallel=ranks, micro_batch=micro, global_batch=micro)
    terms = step_terms(shape, plan, one)
    level = hardware_level(hardware, setting.plan)
    share = ranks * level / (micro * shape.context_length * hardware.n_gpus)
    step = level / (batch * shape.context_length)
    update = terms["optimizer"][1] * ranks * step / hardware.n_gpus
    per_layer = sum(terms[name][1] for name in _WORK) * share + update
    host = hardware.efficiency.step_host_seconds[plan.implementation] * step
    outside = terms["head and loss"][0] * share + host
    return Line(
        outside=np.min(outside, axis=-1) if np.ndim(outside) else outside,
        per_layer=np.min(per_layer, axis=-1),
        host=np.max(host, axis=-1) if np.ndim(host) else host,
    )


@dataclass(frozen=True, kw_only=True)
class Ends:
    """A block between two designs, and the least seconds per token at its low end."""

    low: Design
    high: Design
    line: Line
    """At full context."""
    short: Line | None
    """At the short window of staged designs; None where none is staged."""

    @classmethod
    def of(cls, problem: Problem, low: Design, high: Design | None = None, *, aligned: bool = False) -> Ends:
        """The block between two designs; of one, the block that it is alone."""
        staged = np.asarray(low.staged_from)
        line = fastest(problem, low, aligned=aligned)
        short = None
        if np.any(staged):
            window = np.where(staged > 0, staged, low.context_length)
            short = fastest(problem, low.with_(context_length=window), aligned=aligned)
        return cls(low=low, high=high or low, line=line, short=short)


class Best:
    """The best figures in a block, each computed when it is asked for; shapes broadcast from the ends."""

    def __init__(self, problem: Problem, ends: Ends) -> None:
        self.problem, self.low, self.high = problem, ends.low, ends.high
        low = ends.low
        start = np.asarray(low.staged_from)
        self._staged = (start > 0) & (start < low.context_length)
        self.full_seconds = ends.line.at(low.n_layers)
        self.seconds = self.full_seconds
        self.busy_seconds = ends.line.busy(low.n_layers)
        self.flops = flops(low).train_per_token("causal")
        self._most_flops = self.flops if ends.high is low else flops(ends.high).train_per_token("causal")
        if ends.short is not None and np.any(self._staged):
            share = np.where(self._staged, low.staged_share, 1.0)
            self.seconds = share * self.full_seconds + (1 - share) * ends.short.at(low.n_layers)
            self.busy_seconds = share * self.busy_seconds + (1 - share) * ends.short.busy(low.n_layers)
            self.flops = self._mixed(low, self.flops, share)
            self._most_flops = self._mixed(ends.high, self._most_flops, share)
        allowed = problem.tokens_by_limit(self.seconds, self.flops)
        most: Num = np.inf
        for value in allowed.values():
            most = np.minimum(most, value)
        self.n_tokens: Num = np.maximum(most, 1.0)
        """The most training tokens."""

    def _mixed(self, design: Design, full: Num, share: Num) -> Num:
        window = np.where(self._staged, design.staged_from, design.context_length)
        short = flops(design.with_(context_length=window)).train_per_token("causal")
        return share * full + (1 - share) * short

    def days(self) -> Num:
        """The fewest days of training: its tokens are fewer the slower they are, their time is not."""
        by_limit = self.problem.tokens_by_limit(self.seconds, self._most_flops)
        least: Num = np.inf
        for tokens in by_limit.values():
            least = np.minimum(least, tokens * self.seconds)
        return least / (86400 * self.problem.hardware.goodput)

    def train_flops(self) -> Num:
        """The fewest FLOPs of training under limits of FLOPs (all are used) and of tokens."""
        return self.n_tokens * self.flops

    def lifetime_flops(self) -> Num:
        """The fewest FLOPs of training and serving."""
        serving = self.problem.budget.limits.serving
        served = serving.tokens if serving is not None and serving.tokens is not None else np.nan
        forward = flops(self.low).forward_per_token("causal")
        return lifetime_flops(
            train_flops=self.train_flops(), forward_flops_per_token=forward, served_tokens=served
        )

    def mfu(self) -> Num:
        """The most model FLOPs over what the GPUs promise."""
        hardware = self.problem.hardware
        peak = hardware.accelerator.peak(MATMUL_DTYPE[self.problem.setting.plan.precision])
        return self._most_flops * self.throughput() / peak

    def energy_kwh(self) -> Num:
        """The least energy: that of the busy seconds of the tokens, and of waiting for the rest."""
        hardware = self.problem.hardware
        watts = hardware.n_gpus * (hardware.accelerator.tdp_watts or np.nan)
        by_limit = self.problem.tokens_by_limit(self.seconds, self._most_flops)
        least: Num = np.inf
        for name, tokens in by_limit.items():
            # All of a time limit is used, by a design however slow, and so perhaps hardly ever busy.
            busy = tokens * self.busy_seconds if name in _FREE_OF_TIME else 0.0
            least = np.minimum(least, WAITING_POWER * tokens * self.seconds + (1 - WAITING_POWER) * busy)
        return watts * least / (3.6e6 * hardware.goodput)

    def peak_device_bytes(self) -> Num:
        """The least memory on a GPU."""
        return least_device_bytes(self.problem, self.low)

    def gpu_hours(self) -> Num:
        """The fewest hours of all GPUs together."""
        return self.days() * 24 * self.problem.hardware.n_gpus

    def price(self) -> Num:
        """The least price of those."""
        return self.gpu_hours() * (self.problem.hardware.price_per_gpu_hour or 0.0)

    def throughput(self) -> Num:
        """The most tokens per second and GPU."""
        return 1 / (self.seconds * self.problem.hardware.n_gpus)

    def step_seconds(self) -> Num:
        """The least seconds of one step at full context."""
        batch = self.problem.setting.global_batch(self.low)
        return self.full_seconds * batch * self.low.context_length

    def loss(self) -> Num:
        """The least loss."""
        problem, low, high = self.problem, self.low, self.high
        k = problem.coefficients
        few = problem.law_params(low)
        many = few if high is low else problem.law_params(high)
        # Within the budget no design has more than its limit.
        many = np.maximum(np.minimum(many, problem.budget.limits.parameters), few)
        shape = context_shape(k, low.context_length)
        staging = {"staged_from": low.staged_from, "staged_share": low.staged_share}
        if np.any(self._staged):
            short = context_shape(k, np.where(self._staged, low.staged_from, low.context_length))
            recovered = recovery(k, np.multiply(low.staged_share, self.n_tokens))
            shape = short + np.where(self._staged, recovered, 1.0) * (shape - short)
        # What a longer context gains shrinks with parameters.
        context = context_scale(k, many) * shape
        if many is not few:
            context = np.minimum(context, context_scale(k, few) * shape)
        return combine(
            k,
            capacity_term(k, many),
            data_term(k, self.n_tokens),
            context,
            window_term(k, low.context_length, **staging),
            self._aspect(few, many),
        )

    def _aspect(self, few: Num, many: Num) -> Num:
        """The least factor for depth against width over the block's ratios and sizes."""
        k = self.problem.coefficients
        if not np.any(k.kappa):
            return 1.0
        if self.high is self.low:
            return aspect_factor(k, self.low.d_model / self.low.n_layers, many)
        if np.any(k.levine):
            # Its optimum neither rises nor falls throughout; no factor is below one.
            return 1.0
        narrow = np.log(self.low.d_model / self.high.n_layers)
        wide = np.log(self.high.d_model / self.low.n_layers)
        ends = [best_log_aspect(k, n) for n in (few, many)]
        first, last = np.minimum(ends[0], ends[1]), np.maximum(ends[0], ends[1])
        away = np.maximum(np.maximum(narrow - last, first - wide), 0.0)
        factor: Num = np.exp(k.kappa * np.square(away))
        return factor


def least_device_bytes(problem: Problem, design: Design) -> Num:
    """Less memory than any plan can do with: one GPU's share of what one alone would need.

    Alone, it would run one sequence at a time under the recompute mode that keeps least, and accumulate
    nothing. Ranks share weights, states and activations at best evenly.
    """
    modes: list[Num] = []
    setting = problem.setting
    for plans in problem.plans:
        plan = setting.plan.with_(recompute=plans.recompute, micro_batch=1, global_batch=1)
        shape = design.with_(staged_from=0, staged_share=0)
        held: Num = 0.0
        for instant in stage_instants(shape, plan).values():
            held = np.maximum(held, instant.at(design.n_layers))
        modes.append(held)
    held = np.minimum.reduce(np.broadcast_arrays(*modes)) / problem.hardware.n_gpus
    laid_out = setting.plan.with_(data_parallel=problem.hardware.n_gpus)
    outside = outside_allocator_bytes(laid_out, problem.hardware.accelerator)
    return RESERVED_PER_ALLOCATED * held * (1 - _ROUNDING) + outside


def coordinates(problem: Problem, ends: Ends) -> list[FloatArray]:
    """For each objective, coordinates that nothing in the block beats; -inf where there is no such bound."""
    best = Best(problem, ends)
    unknown = unbounded(problem)
    return [
        np.asarray(-np.inf) if o.name in unknown else o.coordinates(_BOUNDS[o.name, o.direction](best))
        for o in problem.objectives
    ]


def unbounded(problem: Problem) -> tuple[str, ...]:
    """Objectives that no bound is known for: with one of them nothing is ruled out as dominated."""
    timed = bool(set(problem.training_limits) - set(_FREE_OF_TIME))
    # In a given time the slowest design does the fewest FLOPs, and how slow a plan can be has no closed form.
    none = ("train_flops", "lifetime_flops") if timed else ()
    return tuple(o.name for o in problem.objectives if o.name in none or (o.name, o.direction) not in _BOUNDS)


def loose(problem: Problem) -> tuple[str, ...]:
    """Objectives whose bound is the same for all designs, so that it rules nothing out either."""
    timed = bool(set(problem.training_limits) - set(_FREE_OF_TIME))
    return tuple(o.name for o in problem.objectives if timed and o.name == "energy_kwh")


def excess(problem: Problem, low: Design) -> Num:
    """The least excess in a block over the limits that need no plan: above zero nothing in it is feasible."""
    return problem.screen_designs(low)


def taken(values: Any, shape: tuple[int, ...], where: tuple[Any, ...]) -> Any:
    """Cells of what broadcasts to `shape`, as a table."""
    values = np.asarray(values)
    if not values.ndim:
        return values
    own = where[len(shape) - values.ndim :]
    return values[tuple(w if n > 1 else 0 for w, n in zip(own, values.shape, strict=True))]


def table(design: Design, shape: tuple[int, ...], where: tuple[Any, ...]) -> Design:
    """Cells of an open grid of designs of `shape`, as a table."""
    return design.with_(**{name: taken(v, shape, where) for name, v in arrays(design).items()})


def _kv(best: Best, design: Design) -> Num:
    serving = best.problem.budget.limits.serving
    return kv_cache_bytes(design, 1, serving.kv_bits if serving else 16)


def _served(best: Best, design: Design) -> Num:
    s = best.problem.budget.limits.serving
    return serving_bytes(design, s.batch if s else 1, s.weight_bits if s else 16, s.kv_bits if s else 16)


_Figure = Callable[[Best], Num]
# What grows from the low end to the high one.
_RISING: dict[str, Callable[[Best, Design], Num]] = {
    "context_length": lambda best, design: design.context_length,
    "n_params": lambda best, design: parameters(design).total,
    "n_params_non_embedding": lambda best, design: parameters(design).non_embedding,
    "n_params_active": lambda best, design: parameters(design).active,
    "kv_cache_bytes": _kv,
    "serving_bytes": _served,
}


def _at(end: str, figure: Callable[[Best, Design], Num]) -> _Figure:
    return lambda best: figure(best, getattr(best, end))


_BOUNDS: dict[tuple[str, str], _Figure] = {
    **{(name, "minimize"): _at("low", figure) for name, figure in _RISING.items()},
    **{(name, "maximize"): _at("high", figure) for name, figure in _RISING.items()},
    ("n_tokens", "maximize"): lambda best: best.n_tokens,
    ("loss", "minimize"): Best.loss,
    ("days", "minimize"): Best.days,
    ("gpu_hours", "minimize"): Best.gpu_hours,
    ("train_flops", "minimize"): Best.train_flops,
    ("lifetime_flops", "minimize"): Best.lifetime_flops,
    ("mfu", "maximize"): Best.mfu,
    ("energy_kwh", "minimize"): Best.energy_kwh,
    ("peak_device_bytes", "minimize"): Best.peak_device_bytes,
    ("price", "minimize"): Best.price,
    ("step_seconds", "minimize"): Best.step_seconds,
    ("tokens_per_second_per_gpu", "maximize"): Best.throughput,
}
