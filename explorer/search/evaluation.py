"""The figures of designs under a budget. What search does not need is computed when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer import cost, quality
from explorer.cost.hardware import MATMUL_DTYPE
from explorer.design import Design, arrays
from explorer.units import FloatArray, Num

if TYPE_CHECKING:
    from explorer.cost import Planned
    from explorer.search.problem import Problem


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Figures of the designs asked about; every array broadcasts to their shape."""

    design: Design
    problem: Problem
    planned: Planned
    """The best plan at context_length."""
    planned_short: Planned | None
    """The best plan at the short window of staged designs; None where none is staged."""
    seconds_per_token: Num
    """Wall time per training token on all accelerators, lost time not included."""
    flops_per_token: Num
    """Model FLOPs per training token, averaged over the schedule."""
    n_params: Num
    n_params_non_embedding: Num
    n_params_active: Num
    n_tokens: Num
    loss: Num
    peak_device_bytes: Num
    """The larger of a staged schedule's two parts."""
    serving_bytes: Num
    n_tokens_by_limit: Mapping[str, Num]
    """Training tokens that each training limit alone would allow; the least is n_tokens."""
    constraints: Mapping[str, Num]
    """Relative excess over each limit; feasible at or below zero."""

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """Whether every constraint holds."""
        worst: Num = -np.inf
        for value in self.constraints.values():
            worst = np.maximum(worst, value)
        return np.asarray(np.asarray(worst) <= 0)

    @cached_property
    def used(self) -> dict[str, Num]:
        """Share of each limit that is used; 1 at the limit."""
        shares = {name: value + 1 for name, value in self.constraints.items() if name != "plan"}
        for name, allowed in self.n_tokens_by_limit.items():
            # Where no plan runs nothing is used.
            shares[name] = np.where(np.asarray(allowed) > 1, self.n_tokens / np.maximum(allowed, 1.0), 0.0)
        return shares

    @property
    def context_length(self) -> Num:
        """Tokens in one training sequence."""
        return self.design.context_length

    @property
    def step_seconds(self) -> Num:
        """Seconds for one global batch at full context."""
        return self._shaped(self.planned.step_seconds)

    @property
    def train_flops(self) -> Num:
        """Model FLOPs of the whole training, causal, no recompute."""
        return self.n_tokens * self.flops_per_token

    @property
    def days(self) -> Num:
        """Calendar days, lost time included."""
        return self.n_tokens * self.seconds_per_token / (86400 * self.problem.hardware.goodput)

    @property
    def gpu_hours(self) -> Num:
        """Accelerator hours, lost time included."""
        return self.days * 24 * self.problem.hardware.n_gpus

    @property
    def tokens_per_second_per_gpu(self) -> Num:
        """Throughput of one accelerator, averaged over the schedule."""
        return 1 / (self.seconds_per_token * self.problem.hardware.n_gpus)

    @property
    def mfu(self) -> Num:
        """Model FLOPs over what the accelerators promise in the products' own type."""
        hardware = self.problem.hardware
        peak = hardware.accelerator.peak(MATMUL_DTYPE[self.problem.setting.plan.precision])
        return self.flops_per_token * self.tokens_per_second_per_gpu / peak

    @property
    def kv_cache_bytes(self) -> Num:
        """Keys and values of one sequence at full context."""
        serving = self.problem.budget.limits.serving
        return cost.kv_cache_bytes(self.design, 1, serving.kv_bits if serving else 16)

    @property
    def price(self) -> Num | None:
        """GPU-hours times the price of one; None without a price."""
        per_hour = self.problem.hardware.price_per_gpu_hour
        return None if per_hour is None else self.gpu_hours * per_hour

    @property
    def lifetime_flops(self) -> Num | None:
        """Training FLOPs and those of serving; None where the budget expects no tokens to be served."""
        serving = self.problem.budget.limits.serving
        if serving is None or serving.tokens is None:
            return None
        forward = cost.flops(self.design).forward_per_token("causal")
        return quality.lifetime_flops(
            train_flops=self.train_flops, forward_flops_per_token=forward, served_tokens=serving.tokens
        )

    @cached_property
    def energy_kwh(self) -> Num | None:
        """Energy of the accelerators over the whole training; None without a published power."""
        if self.problem.hardware.accelerator.tdp_watts is None:
            return None
        share: Num = 1.0
        per_token = self._joules_per_token(self.planned, self.design.context_length)
        if self.planned_short is not None:
            start = np.asarray(self.design.staged_from)
            staged = (start > 0) & (start < self.design.context_length)
            share = np.where(staged, self.design.staged_share, 1.0)
            short = self._joules_per_token(
                self.planned_short, np.where(staged, start, self.design.context_length)
            )
            per_token = share * per_token + (1 - share) * short
        return self._shaped(per_token) * self.n_tokens / (3.6e6 * self.problem.hardware.goodput)

    def metric(self, name: str) -> Num:
        """A figure of the metric table by name; AttributeError where the budget does not give it."""
        value: Num | None = getattr(self, name)
        if value is None:
            raise AttributeError(f"{name} needs more than the budget says")
        return value

    def _joules_per_token(self, planned: Planned, context_length: Num) -> FloatArray:
        """Energy of one step over its tokens, for the plans chosen, in the plans' shape."""
        shape = np.broadcast_shapes(planned.step_seconds.shape, np.shape(context_length))
        joules = np.full(shape, np.inf)
        one = self.design.with_(context_length=context_length, staged_from=0, staged_share=0)
        for index, plan in chosen_plans(planned, self.problem, shape):
            step = cost.step_time(rows(one, shape, index), plan, self.problem.hardware)
            joules.reshape(-1)[index] = np.asarray(step.energy_joules, dtype=np.float64) / step.tokens
        return joules

    def _shaped(self, values: Num) -> Num:
        """A single design's figures without the axis that plans come with."""
        return values if arrays(self.design) else np.reshape(values, ())


def chosen_plans(planned: Planned, problem: Problem, shape: tuple[int, ...]) -> Any:
    """(flat positions, plan) of the designs that run, one plan block per recompute mode."""
    names = (
        "micro_batch", "global_batch", "tensor_parallel", "pipeline_parallel", "context_parallel",
        "data_parallel", "zero_stage",
    )  # fmt: skip
    modes = np.broadcast_to(planned.recompute, shape).reshape(-1)
    runs = np.broadcast_to(np.isfinite(planned.step_seconds), shape).reshape(-1)
    for mode in np.unique(modes[runs]):
        index = np.flatnonzero(runs & (modes == mode))
        numbers = {n: np.broadcast_to(getattr(planned, n), shape).reshape(-1)[index] for n in names}
        yield index, problem.setting.plan.with_(recompute=str(mode), **numbers)


def rows(design: Design, shape: tuple[int, ...], index: NDArray[np.int64]) -> Design:
    """Some cells of a grid of `shape` as a table of designs."""
    where = np.unravel_index(index, shape)
    columns = {}
    for name, values in arrays(design).items():
        own = where[len(shape) - values.ndim :]
        columns[name] = values[tuple(w if n > 1 else 0 for w, n in zip(own, values.shape, strict=True))]
    return design.with_(**columns)
