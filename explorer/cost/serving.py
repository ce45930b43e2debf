"""Seconds of serving a design: reading a prompt, writing tokens, and how many a batch writes per second.

A roofline per pass. Reading a prompt is bound by the products; writing one token per sequence moves
every weight that the batch meets once and each sequence's own cache, and no layer takes less than its
kernels' fixed time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from explorer.catalog.serving import serving_curve
from explorer.cost.attention_time import attention_seconds
from explorer.cost.hardware import Hardware
from explorer.cost.kv_cache import cached_tokens, kv_cache_bytes, quantised_bits, served_weight_bytes
from explorer.cost.matmul_time import head_products, layer_products
from explorer.cost.parameters import parameters
from explorer.cost.traffic import layer_bytes, layer_host_share
from explorer.design import Design, Plan
from explorer.units import Num


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """Number types that a server keeps weights and cache in."""

    name: str
    weight_bits: int
    kv_bits: int
    fp8_products: bool = False
    """Products run in fp8 where the device has it; otherwise weights are widened as they are read."""


FORMATS = (
    Format(name="bf16", weight_bits=16, kv_bits=16),
    Format(name="int8 weights", weight_bits=8, kv_bits=16),
    Format(name="fp8 weights and cache", weight_bits=8, kv_bits=8, fp8_products=True),
    Format(name="int4 weights", weight_bits=4, kv_bits=16),
    Format(name="int4 weights, 8-bit cache", weight_bits=4, kv_bits=8),
)
"""What servers offer, widest first."""


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
    compiled: bool = True,
    fp8_products: bool = False,
) -> Serving:
    """Prefill and decode times of `batch` sequences at full context.

    `weight_bits` (16, 8, 4) and `kv_bits` (16, 8, 4) change what is held and moved; products run in 16 bits,
    to which narrower weights are widened as they are read, or with `fp8_products` in fp8 where the device
    has it. `compiled` launches a layer's kernels together (CUDA graphs, a compiled server); without it
    eager PyTorch's host time is a floor under every layer. Raises Unsupported where the device has
    neither a bf16 nor an fp16 peak.
    """
    hardware = _with_half(hardware)
    narrow = fp8_products and "fp8" in hardware.accelerator.peak_flops
    plan = Plan(
        implementation="megatron" if compiled else "torch", precision="fp8" if narrow else "bf16",
        micro_batch=batch, global_batch=batch, tensor_parallel=tensor_parallel, sequence_parallel=False,
    )  # fmt: skip
    tp = tensor_parallel
    curve, written = hardware.efficiency, serving_curve()
    bandwidth = hardware.accelerator.hbm_bandwidth
    read = _read_seconds(weight_bits, bandwidth)
    counts = parameters(design)
    tokens = batch * design.context_length
    cache_bytes = kv_cache_bytes(design, batch, kv_bits) / cache_ranks(design, tp)

    kernels = written.mixture_layer_factor if np.any(np.asarray(design.n_experts)) else 1.0
    fixed = written.layer_seconds * kernels
    prefill_host = layer_host_share(design, plan) * curve.layer_host_seconds["torch"]
    element = layer_bytes(design, plan)[0] / (bandwidth * curve.bandwidth_share)
    matrices = np.maximum(
        layer_products(design, plan, hardware)[0](tokens),
        _weights_met(design, counts.per_layer_active, counts.per_layer, tokens) / tp * read,
    )
    layer = matrices + attention_seconds(design, plan, hardware)[0] + element * tokens + fixed
    layer = (layer if compiled else np.maximum(layer, prefill_host)) + _exchange(
        design, plan, hardware, tokens
    )
    # Only the last position's logits are needed; the head stays at 16 bits.
    head_read = counts.head_matmul / tp * _read_seconds(16, bandwidth)
    prefill = design.n_layers * layer + np.maximum(head_products(design, plan, hardware)[0](batch), head_read)

    moved = _weights_met(design, counts.per_layer_active, counts.per_layer, batch) / tp * read
    compute = 2 * counts.per_layer_matmul / tp * batch / hardware.matmul_rate(plan.precision)
    kept = np.maximum(
        cache_bytes / (bandwidth * written.bandwidth_share[16]), _attention(design, batch, tp, hardware)
    ) / design.n_layers  # fmt: skip
    layer = np.maximum(moved, compute) + kept + element * batch + fixed
    layer = (layer if compiled else np.maximum(layer, written.eager_layer_seconds)) + _exchange(
        design, plan, hardware, batch
    )
    head = 2 * counts.head_matmul / tp * batch / hardware.matmul_rate("bf16")
    return Serving(
        prefill_seconds=prefill,
        decode_seconds=design.n_layers * layer + np.maximum(head_read, head),
        weight_bytes=served_weight_bytes(design, weight_bits) / tp,
        cache_bytes=cache_bytes,
        batch=batch,
        prompt_tokens=tokens,
        assumptions=_assumptions(hardware, compiled, narrow),
    )


def cache_ranks(design: Design, tensor_parallel: Num) -> Num:
    """GPUs that one sequence's cache is split over: heads are divided among ranks; of fewer key-value heads
    than ranks each is held several times, and a latent cache by every rank."""
    split = np.minimum(tensor_parallel, np.maximum(design.n_kv_heads, 1))
    if np.any(np.asarray(design.kv_lora_rank)):
        split = np.where(np.asarray(design.kv_lora_rank) > 0, 1, split)
    return split


def _with_half(hardware: Hardware) -> Hardware:
    """The same with its 16-bit peak under the name that products are timed by (V100 has fp16 alone)."""
    device = hardware.accelerator
    if "bf16" in device.peak_flops or "fp16" not in device.peak_flops:
        return hardware
    peaks = {**device.peak_flops, "bf16": device.peak_flops["fp16"]}
    return replace(hardware, accelerator=replace(device, peak_flops=peaks))


def _read_seconds(weight_bits: Num, bandwidth: float) -> Num:
    """Seconds to read one weight of a layer's matrix."""
    shares = serving_curve().bandwidth_share
    known = sorted(shares)
    share = np.interp(weight_bits, known, [shares[bits] for bits in known])
    seconds: Num = quantised_bits(weight_bits) / 8 / (share * bandwidth)
    return seconds


def _exchange(design: Design, plan: Plan, hardware: Hardware, tokens: Num) -> Num:
    """Two all-reduces of a layer's outputs over the tensor-parallel ranks."""
    tp = plan.tensor_parallel
    # A gather and a scatter each, of 16-bit outputs.
    volume = 4 * 2.0 * tokens * design.d_model * ((tp - 1) / tp)
    within = np.asarray(tp) <= hardware.per_node
    latency = np.where(within, 2 * serving_curve().exchange_seconds, 4 * hardware.group_latency(1, tp))
    return volume / hardware.group_bandwidth(1, tp) + latency * (np.asarray(tp) > 1)


def _attention(design: Design, batch: Num, tp: Num, hardware: Hardware) -> Num:
    """Seconds that scores and mix of one token per sequence take, all layers. It matters for latent
    attention alone: its heads share one compressed key (DeepSeek-V2, arXiv:2405.04434, section 2.1.2)."""
    is_latent = np.asarray(design.kv_lora_rank) > 0
    latent = 2 * design.kv_lora_rank + design.d_head_rope
    widths = np.where(is_latent, latent, 2 * design.d_head)
    flops = 2 * design.n_heads / tp * widths * batch * cached_tokens(design)
    seconds: Num = flops / hardware.matmul_rate("bf16")
    return seconds


def _weights_met(design: Design, active: Num, every: Num, batch: Num) -> Num:
    """Weights of one layer that a batch of tokens meets: of experts, in expectation of a uniform router."""
    if not np.any(np.asarray(design.n_experts)):
        return active
    experts = np.maximum(design.n_experts, 1)
    missed = (1 - design.n_experts_active / experts) ** batch
    one = (every - active) / np.maximum(experts - design.n_experts_active, 1)
    return active + one * (experts * (1 - missed) - design.n_experts_active)


def _assumptions(hardware: Hardware, compiled: bool, fp8_products: bool) -> tuple[str, ...]:
    launches = "kernels launched together" if compiled else "eager launches, layer by layer"
    products = (
        "fp8 products" if fp8_products else "16-bit products, narrower weights widened as they are read"
    )
    return (
        f"serving: {products}; embeddings, output head and norms stay at 16 bits; 4-bit formats carry a scale "
        "and a zero per 128 weights",
        "serving: writing a token moves every weight the batch meets once, and the whole cache at full context",
        f"serving: {launches}; decoding constants {serving_curve().fitted_on}",
    )
