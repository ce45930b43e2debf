"""What can be asked of a design: every metric's unit, better direction and meaning, in one table.

Budgets name objectives from it, search scales fronts by it, reports label axes with it. Imports
nothing, so that reading a budget stays cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["minimize", "maximize"]
Scale: TypeAlias = Literal["linear", "log2"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One figure of a design."""

    name: str
    """The name in budgets, tables and files; carries its unit where it has one."""
    label: str
    """How an axis or a table heading says it."""
    unit: str
    direction: Direction
    """The direction that is better for whoever pays, and an objective's default."""
    scale: Scale
    """`log2` where ratios matter: fronts and hypervolumes are measured in doublings."""
    description: str
    needs: str = ""
    """The budget key without which the metric cannot be given; empty when it always can."""


def _metric(
    name: str,
    label: str,
    unit: str,
    direction: Direction,
    scale: Scale,
    description: str,
    needs: str = "",
) -> Metric:
    return Metric(
        name=name,
        label=label,
        unit=unit,
        direction=direction,
        scale=scale,
        description=description,
        needs=needs,
    )


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        _metric(
            "loss", "Loss", "nats/token", "minimize", "linear",
            "Mean loss over a window of context_length tokens of the corpus, as the law predicts it.",
        ),
        _metric(
            "context_length", "Context length", "tokens", "maximize", "log2",
            "Tokens in one training sequence.",
        ),
        _metric(
            "n_params", "Parameters", "parameters", "minimize", "log2",
            "All parameters of the model, embeddings included.",
        ),
        _metric(
            "n_params_non_embedding", "Parameters without embeddings", "parameters", "minimize", "log2",
            "Parameters less the input embedding and a learned position table.",
        ),
        _metric(
            "n_params_active", "Active parameters", "parameters", "minimize", "log2",
            "Parameters that one token passes through; fewer than all in a mixture of experts.",
        ),
        _metric(
            "n_tokens", "Training tokens", "tokens", "maximize", "log2",
            "The largest number of training tokens that every training limit allows.",
        ),
        _metric(
            "train_flops", "Training FLOPs", "FLOP", "minimize", "log2",
            "Model FLOPs of the whole training: causal attention at half, no recompute.",
        ),
        _metric(
            "lifetime_flops", "Lifetime FLOPs", "FLOP", "minimize", "log2",
            "Training FLOPs and the forward FLOPs of the tokens expected to be served.",
            "budget.serving.tokens",
        ),
        _metric(
            "gpu_hours", "GPU-hours", "GPU-hours", "minimize", "log2",
            "Accelerator hours of the whole training, lost time (goodput) included.",
        ),
        _metric(
            "days", "Days of training", "days", "minimize", "log2",
            "Calendar days on all accelerators, lost time (goodput) included.",
        ),
        _metric(
            "energy_kwh", "Energy", "kWh", "minimize", "log2",
            "Energy the accelerators draw over the whole training.",
        ),
        _metric(
            "price", "Price", "currency", "minimize", "log2",
            "GPU-hours times the price of one.",
            "hardware.price_per_gpu_hour",
        ),
        _metric(
            "step_seconds", "Step time", "s", "minimize", "log2",
            "Seconds for one global batch under the design's best plan.",
        ),
        _metric(
            "tokens_per_second_per_gpu", "Throughput", "tokens/s/GPU", "maximize", "log2",
            "Training tokens per second and accelerator under the design's best plan.",
        ),
        _metric(
            "mfu", "Model FLOPs utilisation", "share", "maximize", "linear",
            "Model FLOPs (causal, no recompute) per second over the accelerators' peak.",
        ),
        _metric(
            "peak_device_bytes", "Peak device memory", "bytes", "minimize", "log2",
            "Largest memory in use on one accelerator during a training step, context included.",
        ),
        _metric(
            "kv_cache_bytes", "KV cache", "bytes", "minimize", "log2",
            "Keys and values of one sequence at full context.",
        ),
        _metric(
            "serving_bytes", "Serving memory", "bytes", "minimize", "log2",
            "Weights and full-context KV cache at the serving batch.",
        ),
    )
}  # fmt: skip
"""Every metric by name, in the order tables show them."""


AXES = (
    "context_length", "loss", "n_params", "peak_device_bytes", "kv_cache_bytes", "serving_bytes", "n_tokens",
    "tokens_per_second_per_gpu",
)  # fmt: skip
"""Metrics that a reader of a report may lay designs out by, beside the objectives."""


def objectives() -> tuple[str, ...]:
    """The names that `objectives:` in a budget may use."""
    return tuple(METRICS)
