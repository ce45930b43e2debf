"""Seconds of communication on one rank, by parallelism.

Rank order, innermost first: tensor, context, data, pipeline (Megatron-Core's order), so tensor
parallelism stays on the fast link as long as it fits in a node. A ring collective over n ranks moves
(n − 1)/n of its bytes through every rank; an all-reduce does so twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explorer.cost.hardware import Hardware
from explorer.design import Design, Plan, Precision
from explorer.units import Num

# Bytes per parameter of a gradient reduction: fp32 where gradients are kept so (Megatron accumulates
# in fp32; FSDP mixed precision reduces in fp32), else 16 bits.
_REDUCE_BYTES: dict[Precision, float] = {
    "fp32": 4.0, "amp": 4.0, "bf16-mixed": 2.0, "fsdp-mixed": 4.0, "bf16": 2.0, "fp8": 2.0,
}  # fmt: skip
# Bytes per parameter of a gather of weights for compute; fp8 training gathers 16-bit weights.
_GATHER_BYTES: dict[Precision, float] = {
    "fp32": 4.0, "amp": 4.0, "bf16-mixed": 2.0, "fsdp-mixed": 2.0, "bf16": 2.0, "fp8": 2.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exchange:
    """Seconds that one parameter's weights and gradient take to gather and to reduce, and fixed costs."""

    gather: Num
    """Per parameter of the rank's share: all-gather of its weights."""
    reduce: Num
    """Per parameter: reduce-scatter of its gradient."""
    latency: Num
    """Per collective."""


def data_exchange(plan: Plan, hardware: Hardware) -> Exchange:
    """Gathering and reducing over the data (and context) parallel ranks."""
    ranks = plan.data_parallel * plan.context_parallel
    bandwidth = hardware.group_bandwidth(plan.tensor_parallel, ranks)
    moved = (ranks - 1) / ranks / bandwidth
    reduce_bytes = 4.0 if plan.implementation == "megatron" else _REDUCE_BYTES[plan.precision]
    latency = hardware.group_latency(plan.tensor_parallel, ranks)
    return Exchange(_GATHER_BYTES[plan.precision] * moved, reduce_bytes * moved, latency)


def tensor_seconds(design: Design, plan: Plan, hardware: Hardware) -> Num:
    """One layer's forward exchange over tensor-parallel ranks, per micro-batch: two all-reduces, or
    under sequence parallelism two gathers and two scatters of the same volume (Korthikanti 2022,
    section 4.2.2). The backward pass exchanges as much.
    """
    tp = plan.tensor_parallel
    tokens = plan.micro_batch * design.context_length / plan.context_parallel
    element = 4.0 if plan.precision == "fp32" else 2.0
    volume = 4 * element * tokens * design.d_model * ((tp - 1) / tp)
    # An all-reduce is a scatter and a gather.
    latency = 4 * hardware.group_latency(1, tp)
    return volume / hardware.group_bandwidth(1, tp) + latency


def context_seconds(design: Design, plan: Plan, hardware: Hardware) -> Num:
    """One layer's forward exchange of keys and values around the context-parallel ring (Liu 2023,
    arXiv:2310.01889), per micro-batch; the backward pass exchanges twice as much (their gradients).
    """
    cp, tp = plan.context_parallel, plan.tensor_parallel
    tokens = plan.micro_batch * design.context_length / cp
    numbers = np.maximum(design.n_kv_heads / tp, 1) * design.d_head * 2
    if np.any(np.asarray(design.kv_lora_rank)):
        numbers = design.kv_lora_rank + design.d_head_rope
    volume = 2 * numbers * tokens * (cp - 1)
    return volume / hardware.group_bandwidth(tp, cp) + hardware.group_latency(tp, cp)


def pipeline_seconds(design: Design, plan: Plan, hardware: Hardware) -> Num:
    """Passing one micro-batch's activations to the next stage and its gradient back."""
    pp = plan.pipeline_parallel
    inner = plan.tensor_parallel * plan.context_parallel * plan.data_parallel
    # Neighbours stand `inner` ranks apart; every rank sends for itself, through its own port.
    curve = hardware.efficiency
    link = hardware.accelerator.link_bandwidth * curve.link_share
    network = np.minimum(link, hardware.network * curve.network_share)
    bandwidth = np.where(inner * pp <= hardware.per_node, link, network)
    piped = np.greater(pp, 1)
    share = 4.0 * plan.micro_batch / (plan.context_parallel * plan.tensor_parallel * bandwidth) * piped
    return share * (design.context_length * design.d_model) + 2 * hardware.group_latency(inner, 2) * piped
