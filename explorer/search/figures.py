"""What `evaluate` answers of designs under given plans, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer import cost, quality
from explorer.catalog import accelerator
from explorer.cost.hardware import MATMUL_DTYPE
from explorer.design import Design, Plan
from explorer.units import QUANTILES, FloatArray, Num

LAW = "besiroglu-2024"
N_DRAWS = 200
_POSTERIORS: dict[str, quality.Posterior] = {}


@dataclass(frozen=True, kw_only=True)
class Group:
    """Designs and plans of one set of categories; numeric fields are arrays (n,)."""

    design: Design
    plan: Plan
    accelerator: str
    corpus: str
    n_tokens: FloatArray
    """Training tokens; NaN takes `tokens_per_parameter`."""
    kv_bits: FloatArray
    tokens_per_parameter: float


def figures(group: Group) -> dict[str, Num]:
    """The answers, by the names of `explorer.search.columns.OUTPUTS`.

    Step time and memory are those at full context; training FLOPs and GPU-hours are averaged over a staged
    schedule, whose short part runs as many tokens per micro-batch and step. The laws are of dense models, so
    a mixture of experts has no loss (NaN). Energy is NaN where the accelerator's power is not published.
    """
    design, plan = group.design, group.plan
    device = accelerator(group.accelerator)
    # One design per row fills its own accelerators; the rows of a group may differ in how many.
    counts, operations = cost.parameters(design), cost.flops(design)
    held = cost.memory(design, plan, device)
    n_tokens = np.where(
        np.isnan(group.n_tokens), group.tokens_per_parameter * np.asarray(counts.total), group.n_tokens
    )
    step, joules = _step(design, plan, group.accelerator)
    per_token = operations.train_per_token("causal")
    seconds = step / (plan.global_batch * design.context_length)
    energy = joules / (plan.global_batch * design.context_length)
    throughput = 1 / (seconds * plan.n_gpus)
    mfu = per_token * throughput / device.peak(MATMUL_DTYPE[plan.precision])
    staged = np.asarray(design.staged_from) > 0
    if np.any(staged):
        window = np.where(staged, design.staged_from, design.context_length)
        share = np.where(staged, design.staged_share, 1.0)
        short = design.with_(context_length=window)
        more = np.maximum(np.floor(design.context_length / window), 1)
        wide = plan.with_(micro_batch=plan.micro_batch * more, global_batch=plan.global_batch * more)
        step_short, joules_short = _step(short, wide, group.accelerator)
        tokens_short = wide.global_batch * window
        per_token = share * per_token + (1 - share) * cost.flops(short).train_per_token("causal")
        seconds = share * seconds + (1 - share) * step_short / tokens_short
        energy = share * energy + (1 - share) * joules_short / tokens_short
    return {
        "n_params": counts.total,
        "n_params_non_embedding": counts.non_embedding,
        "n_params_active": counts.active,
        "forward_flops_per_sequence": operations.forward_per_sequence("causal"),
        "train_flops_per_token": per_token,
        "attention_flops_share": operations.attention_share("causal"),
        "parameter_bytes": held.parameter_bytes,
        "gradient_bytes": held.gradient_bytes,
        "optimizer_bytes": held.optimizer_bytes,
        "saved_activation_bytes": held.saved_activation_bytes,
        "peak_allocated_bytes": held.peak_allocated_bytes,
        "peak_reserved_bytes": held.peak_reserved_bytes,
        "peak_device_bytes": held.peak_device_bytes,
        "kv_cache_bytes": cost.kv_cache_bytes(design, 1, group.kv_bits),
        "step_seconds": step,
        "tokens_per_second_per_gpu": throughput,
        "mfu": mfu,
        "gpu_hours": seconds * n_tokens * plan.n_gpus / 3600,
        "energy_kwh": energy * n_tokens / 3.6e6,
        **_loss(design, counts, n_tokens, group.corpus),
    }


def _step(design: Design, plan: Plan, name: str) -> tuple[FloatArray, FloatArray]:
    """Seconds and joules of one step, rows of one cluster size together."""
    n_gpus = np.atleast_1d(np.asarray(plan.n_gpus, dtype=np.float64))
    seconds, joules = np.empty(len(n_gpus)), np.full(len(n_gpus), np.nan)
    for n in np.unique(n_gpus):
        rows = np.flatnonzero(n_gpus == n)
        hardware = cost.Hardware(accelerator=accelerator(name), n_gpus=int(n))
        step = cost.step_time(_take(design, rows), _take(plan, rows), hardware)
        seconds[rows] = step.seconds
        drawn = step.energy_joules
        if drawn is not None:
            joules[rows] = drawn
    return seconds, joules


def _take(record: Any, rows: NDArray[np.int64]) -> Any:
    from explorer.design import arrays

    return record.with_(**{name: values[rows] for name, values in arrays(record).items()})


def _loss(
    design: Design, counts: cost.Parameters, n_tokens: FloatArray, corpus: str
) -> dict[str, FloatArray]:
    law = quality.law(LAW)
    known = quality.corpus(corpus)
    if corpus not in _POSTERIORS:
        _POSTERIORS[corpus] = quality.posterior(law, known, N_DRAWS, seed=0)
    arguments: dict[str, Any] = {
        "n_params": counts.total if law.n_counts == "total" else counts.non_embedding,
        "n_tokens": n_tokens,
        "context_length": design.context_length,
        "aspect": np.asarray(design.d_model) / design.n_layers,
        "staged_from": design.staged_from,
        "staged_share": design.staged_share,
    }
    dense = np.asarray(design.n_experts) == 0
    found = {"loss": quality.loss(quality.central(law, known), **arguments)}
    values = quality.loss_interval(_POSTERIORS[corpus], **arguments)
    found |= {f"loss_{q}": v for q, v in zip(QUANTILES, values, strict=True)}
    return {name: np.where(dense, value, np.nan) for name, value in found.items()}
