"""Objectives by closed forms alone, as a search ranks designs by them before it asks for their plans.

Every operation runs at the peak rate and every plan fits: too good, but in nearly the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from explorer import quality
from explorer.cost import flops, kv_cache_bytes, parameters, serving_bytes
from explorer.cost.hardware import MATMUL_DTYPE
from explorer.cost.time import hardware_level
from explorer.design import Design
from explorer.units import FloatArray, Num

if TYPE_CHECKING:
    from explorer.search.problem import Problem


def estimate(problem: Problem, design: Design) -> list[FloatArray]:
    """For each objective, its coordinates if every operation ran at the peak and every plan fitted.

    Where no such figure exists (memory under a plan), zero.
    """
    known: dict[str, Callable[[], Num]] = {
        "context_length": lambda: design.context_length,
        "n_params": lambda: parameters(design).total,
        "n_params_non_embedding": lambda: parameters(design).non_embedding,
        "n_params_active": lambda: parameters(design).active,
        "kv_cache_bytes": lambda: _kv_cache(problem, design),
        "serving_bytes": lambda: _serving(problem, design),
        "n_tokens": lambda: _ideal(problem, design)[0],
        "train_flops": lambda: _ideal(problem, design)[0] * _ideal(problem, design)[2],
        "gpu_hours": lambda: _ideal_seconds(problem, design),
        "days": lambda: _ideal_seconds(problem, design),
        "energy_kwh": lambda: _ideal_seconds(problem, design),
        "price": lambda: _ideal_seconds(problem, design),
        "tokens_per_second_per_gpu": lambda: 1 / _ideal(problem, design)[1],
        "step_seconds": lambda: _ideal(problem, design)[1],
        "loss": lambda: _least_loss(problem, design),
    }
    return [o.coordinates(known.get(o.name, lambda: 1.0)()) for o in problem.objectives]


def _kv_cache(problem: Problem, design: Design) -> Num:
    serving = problem.budget.limits.serving
    return kv_cache_bytes(design, 1, serving.kv_bits if serving else 16)


def _serving(problem: Problem, design: Design) -> Num:
    s = problem.budget.limits.serving
    return serving_bytes(design, s.batch if s else 1, s.weight_bits if s else 16, s.kv_bits if s else 16)


def _ideal(problem: Problem, design: Design) -> tuple[Num, Num, Num]:
    """Training tokens, seconds per token and model FLOPs per token, every operation at the peak rate."""
    hardware = problem.hardware
    staged = (np.asarray(design.staged_from) > 0) & (np.asarray(design.staged_from) < design.context_length)
    per_token = flops(design).train_per_token("causal")
    if np.any(staged):
        window = np.where(staged, design.staged_from, design.context_length)
        share = np.where(staged, design.staged_share, 1.0)
        short = flops(design.with_(context_length=window)).train_per_token("causal")
        per_token = share * per_token + (1 - share) * short
    peak = hardware.accelerator.peak(MATMUL_DTYPE[problem.setting.plan.precision])
    level = min(hardware_level(hardware, problem.setting.plan), 1.0)
    seconds = level * per_token / (peak * hardware.n_gpus)
    allowed = problem.tokens_by_limit(seconds, per_token)
    most: Num = np.inf
    for value in allowed.values():
        most = np.minimum(most, value)
    return np.maximum(most, 1.0), seconds, per_token


def _ideal_seconds(problem: Problem, design: Design) -> Num:
    """Seconds of the whole training at the peak rate: what hours, energy and price grow with."""
    n_tokens, seconds, _ = _ideal(problem, design)
    return n_tokens * seconds


def _least_loss(problem: Problem, design: Design) -> Num:
    """The loss at the most tokens: no law here rises with them."""
    return quality.loss(
        problem.coefficients,
        n_params=problem.law_params(design),
        n_tokens=_ideal(problem, design)[0],
        context_length=design.context_length,
        aspect=design.d_model / design.n_layers,
        staged_from=design.staged_from,
        staged_share=design.staged_share,
    )
