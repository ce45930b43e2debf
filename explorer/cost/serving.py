"""Seconds of serving a design: reading a prompt, writing tokens, and how many a batch writes per second.

A roofline per pass. Reading a prompt is bound by the products; writing one token per sequence moves
every weight once for the whole batch and each sequence's own cache, whatever kernels compute with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explorer.cost.attention_time import attention_seconds
from explorer.cost.communication import tensor_seconds
from explorer.cost.hardware import Hardware
from explorer.cost.kv_cache import kv_cache_bytes
from explorer.cost.matmul_time import head_products, layer_products
from explorer.cost.parameters import parameters
from explorer.cost.traffic import layer_bytes, layer_host_share
from explorer.design import Design, Plan
from explorer.units import Num


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """One batch of sequences at the design's full context; per tensor-parallel group."""

    prefill_seconds: Num
    """Reading prompts of the full context, all sequences of the batch together."""
    decode_seconds: Num
    """Writing one token in every sequence while the cache is full."""
    weight_bytes: Num
    """On one GPU."""
    cache_bytes: Num
    """On one GPU, at full context."""
    batch: Num
    prompt_tokens: Num
    """Of all sequences."""
    assumptions: tuple[str, ...]

    @property
    def prefill_tokens_per_second(self) -> Num:
        """Prompt tokens read per second."""
        return self.prompt_tokens / self.prefill_seconds

    @property
    def decode_tokens_per_second(self) -> Num:
        """Tokens written per second over the whole batch."""
        return self.batch / self.decode_seconds

    @property
    def total_bytes(self) -> Num:
        """Weights and cache on one GPU."""
        return self.weight_bytes + self.cache_bytes


def serving(
    design: Design,
    hardware: Hardware,
    *,
    batch: Num = 1,
    weight_bits: Num = 16,
    kv_bits: Num = 16,
    tensor_parallel: Num = 1,
    compiled: bool = False,
) -> Serving:
    """Prefill and decode times of `batch` sequences at full context.

    `weight_bits` 16, 8 or 4 and `kv_bits` 16 or 8 change what is moved; products run in 16 bits, to
    which narrower weights are widened as they are read. `compiled` (or CUDA graphs) leaves the host's
    launches out. Raises Unsupported where the device has no 16-bit peak.
    """
    plan = Plan(
        implementation="megatron" if compiled else "torch", precision="bf16", micro_batch=batch,
        global_batch=batch, tensor_parallel=tensor_parallel, sequence_parallel=False,
    )  # fmt: skip
    tp = tensor_parallel
    curve, device = hardware.efficiency, hardware.accelerator
    bandwidth = device.hbm_bandwidth * curve.bandwidth_share
    counts = parameters(design)
    tokens = batch * design.context_length
    launch = 0.0 if compiled else layer_host_share(design, plan) * curve.layer_host_seconds["torch"]
    weight_bytes = counts.total / tp * weight_bits / 8
    # Heads are split over ranks; of fewer key-value heads than ranks each is held several times.
    split = np.minimum(tp, np.maximum(design.n_kv_heads, 1))
    if np.any(np.asarray(design.kv_lora_rank)):
        split = np.where(np.asarray(design.kv_lora_rank) > 0, 1, split)
    cache_bytes = kv_cache_bytes(design, batch, kv_bits) / split

    attention = attention_seconds(design, plan, hardware)[0]
    element = layer_bytes(design, plan)[0] / bandwidth
    exchange = tensor_seconds(design, plan, hardware)
    layer = layer_products(design, plan, hardware)[0](tokens) + attention + element * tokens
    layer = np.maximum(layer, launch) + exchange
    # Only the last position's logits are needed.
    head = head_products(design, plan, hardware)[0]
    prefill = design.n_layers * layer + np.maximum(
        head(batch), counts.head_matmul / tp * weight_bits / 8 / bandwidth
    )

    # A token meets its active experts; a batch meets more of them, in expectation of a uniform router.
    met = _weights_met(design, counts.per_layer_active, counts.per_layer, batch)
    moved = met / tp * weight_bits / 8 / bandwidth
    rate = hardware.matmul_rate("bf16")
    compute = 2 * counts.per_layer_matmul / tp * batch / rate
    cache = cache_bytes / design.n_layers / bandwidth
    one = design.with_(context_length=1)
    decode_layer = np.maximum(moved, compute) + cache + element * batch
    decode_layer = np.maximum(decode_layer, launch) + tensor_seconds(one, plan, hardware)
    head_weights = counts.head_matmul / tp * weight_bits / 8 / bandwidth
    decode = design.n_layers * decode_layer + np.maximum(
        head_weights, 2 * counts.head_matmul / tp * batch / rate
    )
    return Serving(
        prefill_seconds=prefill,
        decode_seconds=decode,
        weight_bytes=weight_bytes,
        cache_bytes=cache_bytes,
        batch=batch,
        prompt_tokens=tokens,
        assumptions=_assumptions(compiled),
    )


def _weights_met(design: Design, active: Num, every: Num, batch: Num) -> Num:
    """Weights of one layer that a batch of tokens meets."""
    if not np.any(np.asarray(design.n_experts)):
        return active
    experts = np.maximum(design.n_experts, 1)
    missed = (1 - design.n_experts_active / experts) ** batch
    one = (every - active) / np.maximum(experts - design.n_experts_active, 1)
    return active + one * (experts * (1 - missed) - design.n_experts_active)


def _assumptions(compiled: bool) -> tuple[str, ...]:
    return (
        "serving: products in 16 bits, narrower weights widened as they are read",
        "serving: decoding moves all weights once per token of the batch and the cache at full context",
        "serving: " + ("no host time between kernels" if compiled else "eager launches, layer by layer"),
    )
