"""Seconds that core attention (scores, softmax, mix) takes on one GPU, forward and backward.

Flash attention: work is proportional to the keys that a query really meets, plus `attention_ramp_keys`
for partly masked and partly filled blocks, at a rate that rises with the head's width. Unfused
attention multiplies full matrices and moves the score matrix through memory between kernels.
"""

from __future__ import annotations

import numpy as np

from explorer.cost.flops import ATTENTION_BACKWARD
from explorer.cost.hardware import Hardware
from explorer.design import Design, Implementation, Plan
from explorer.units import Num

# Bytes per score that unfused attention moves, forward and backward. torch: about forty in all, by the
# PyTorch baseline of FlashAttention-2's benchmark (arXiv:2307.08691, figures 4-7) on A100 and H100 alike.
# megatron: scaling, mask and softmax are one kernel: scores written (2), softmax read and written (4), read
# by the mix (2); backward likewise with the gradient beside (Korthikanti 2022, arXiv:2205.05198, 4.1).
NAIVE_BYTES: dict[Implementation, tuple[float, float]] = {"torch": (18.0, 22.0), "megatron": (8.0, 14.0)}


def attention_seconds(design: Design, plan: Plan, hardware: Hardware) -> tuple[Num, Num]:
    """Forward and backward seconds of one layer for one micro-batch on one rank."""
    tokens = plan.micro_batch * design.context_length / plan.context_parallel
    heads = design.n_heads / plan.tensor_parallel
    width = design.d_head
    values = design.d_head_v if np.any(np.asarray(design.kv_lora_rank)) else design.d_head
    curve, device = hardware.efficiency, hardware.accelerator
    if plan.attention_kernel == "flash":
        rate = hardware.attention_rate(plan)
        share = width / (width + curve.attention_ramp_head)
        keys = keys_per_query(design) + curve.attention_ramp_keys
        ring = np.where(np.asarray(plan.context_parallel) > 1, curve.ring_share, 1.0)
        forward = 2 * (width + values) * heads / (rate * share * ring) * (tokens * keys)
        return forward, ATTENTION_BACKWARD["flash"] * forward
    # Every query times every key, masked or not; the contraction is one head wide.
    scores = tokens * heads * design.context_length
    rate = hardware.matmul_rate("bf16" if plan.precision != "fp32" else "fp32")
    multiply = 2 * (width + values + 2 * curve.matmul_ramp) / rate
    move = [b / (device.hbm_bandwidth * curve.bandwidth_share) for b in NAIVE_BYTES[plan.implementation]]
    return (multiply + move[0]) * scores, (2 * multiply + move[1]) * scores


def keys_per_query(design: Design) -> Num:
    """Keys a query meets on average over positions and over layers (causal), free of n_layers.

    Of a local/global pattern the share of global layers is taken as exactly one in `global_every`.
    """
    c = design.context_length
    if not np.any(np.asarray(design.window)):
        return c / 2
    seen = np.minimum(design.window + design.global_tokens + design.random_tokens, c)
    windowed = seen * (1 - seen / (2 * c))
    windowed = np.where(np.asarray(design.window) > 0, windowed, c / 2)
    every = np.asarray(design.global_every, dtype=np.float64)
    share = np.where(every > 0, 1 / np.maximum(every, 1), 0.0)
    keys: Num = share * c / 2 + (1 - share) * windowed
    return keys
