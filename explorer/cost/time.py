"""Seconds of one optimizer step: a roofline with efficiency curves, taken apart.

Every part is `outside + per_layer · layers`, where `layers` are those of the fullest pipeline stage,
⌈n_layers / pipeline_parallel⌉, and neither coefficient contains n_layers. On an open grid the
coefficients are computed once per (context, width, plan) and depth enters last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from explorer.cost.attention_time import attention_seconds
from explorer.cost.communication import context_seconds, data_exchange, pipeline_seconds, tensor_seconds
from explorer.cost.flops import flops
from explorer.cost.hardware import MATMUL_DTYPE, Hardware
from explorer.cost.matmul_time import dense_layers_extra, head_products, last_product, layer_products
from explorer.cost.parameters import parameters
from explorer.cost.traffic import head_bytes, layer_bytes, layer_host_share, optimizer_bytes_moved
from explorer.design import Design, Plan
from explorer.units import Num

# Share of the compute beneath a weight gather or gradient reduction that hides it. FSDP prefetches the next
# layer's weights and reduces gradients behind the backward pass (Zhao 2023, arXiv:2304.11277, section 3.3);
# Megatron-Core overlaps gradient reduction likewise. Kernels that share the device slow each other.
_HIDDEN = 0.8

# Host memory bandwidth per GPU that a CPU optimizer step works at: eight GPUs share two sockets of eight
# DDR4-3200 channels, 2 × 205 GB/s (AMD EPYC 7003 datasheet).
_HOST_MEMORY = 5.1e10

# Power as a share of TDP: a busy GPU draws it all, one that waits for others about a third
# (Patel 2024, POLCA, arXiv:2308.12908, figures 3-5: training peaks at TDP and troughs at 20-60% of it).
_WAITING_POWER = 0.35

Terms: TypeAlias = Mapping[str, tuple[Num, Num]]
"""Seconds per step by part: outside the layers, and per layer of the fullest stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTime:
    """One global batch on all GPUs. Shapes broadcast from design and plan."""

    design: Design
    plan: Plan
    hardware: Hardware
    parts: dict[str, Num]
    """Seconds by part; they sum to `seconds`."""

    @property
    def seconds(self) -> Num:
        """Wall time of one optimizer step."""
        return sum(self.parts.values())

    @property
    def tokens(self) -> Num:
        """Tokens in one step."""
        return self.plan.global_batch * self.design.context_length

    @property
    def tokens_per_second_per_gpu(self) -> Num:
        """Throughput of one GPU."""
        return self.tokens / (self.seconds * self.plan.n_gpus)

    @property
    def model_flops(self) -> Num:
        """Model FLOPs of one step: causal attention, no recomputation."""
        return flops(self.design).train_per_token("causal") * self.tokens

    @property
    def mfu(self) -> Num:
        """Model FLOPs over what the GPUs promise in the products' own type."""
        peak = self.hardware.accelerator.peak(MATMUL_DTYPE[self.plan.precision])
        return self.model_flops / (self.seconds * self.plan.n_gpus * peak)

    @property
    def busy_share(self) -> Num:
        """Share of the step in which a GPU computes or moves memory instead of waiting for others."""
        return sum(self.parts[name] for name in _BUSY) / self.seconds

    @property
    def energy_joules(self) -> Num | None:
        """Energy that all GPUs draw in one step; None where the vendor publishes no power."""
        tdp = self.hardware.accelerator.tdp_watts
        if tdp is None:
            return None
        share = _WAITING_POWER + (1 - _WAITING_POWER) * self.busy_share
        return tdp * share * self.seconds * self.plan.n_gpus

    @property
    def price(self) -> Num | None:
        """Price of one step in the currency of `price_per_gpu_hour`, goodput included; None without it."""
        per_hour = self.hardware.price_per_gpu_hour
        if per_hour is None:
            return None
        return per_hour * self.seconds * self.plan.n_gpus / 3600 / self.hardware.goodput

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the figure rests on."""
        return assumptions(self.plan, self.hardware)


def step_time(design: Design, plan: Plan, hardware: Hardware) -> StepTime:
    """Seconds of one step of `design` under `plan`. Raises Unsupported for a dtype without a peak."""
    layers = stage_layers(design, plan)
    level = hardware_level(hardware, plan)
    terms = step_terms(design, plan, hardware)
    parts = {name: level * (outside + per_layer * layers) for name, (outside, per_layer) in terms.items()}
    return StepTime(design=design, plan=plan, hardware=hardware, parts=parts)


def stage_layers(design: Design, plan: Plan) -> Num:
    """Layers of the fullest pipeline stage."""
    return np.ceil(design.n_layers / plan.pipeline_parallel)


def step_line(design: Design, plan: Plan, hardware: Hardware) -> tuple[Num, Num]:
    """Seconds of one step as (outside, per layer of the fullest stage): the lean path of `step_time`."""
    terms = step_terms(design, plan, hardware)
    level = hardware_level(hardware, plan)
    outside: Num = 0.0
    per_layer: Num = 0.0
    for one, other in terms.values():
        outside, per_layer = outside + one, per_layer + other
    return level * outside, level * per_layer


def step_terms(design: Design, plan: Plan, hardware: Hardware) -> Terms:
    """Seconds per step by part, as coefficients free of n_layers."""
    curve, device = hardware.efficiency, hardware.accelerator
    memory = device.hbm_bandwidth * curve.bandwidth_share
    tp, pp = plan.tensor_parallel, plan.pipeline_parallel
    tokens = plan.micro_batch * design.context_length / plan.context_parallel
    micro_batches = np.ceil(plan.global_batch / (plan.data_parallel * plan.micro_batch))
    # 1F1B (Narayanan 2021, arXiv:2104.04473, section 2.2): the pipeline fills and drains once.
    fill = pp - 1

    forward_line, both_line = layer_products(design, plan, hardware)
    matmul_forward, matmul = forward_line(tokens), both_line(tokens)
    attention_forward, attention_backward = attention_seconds(design, plan, hardware)
    element_forward, element_backward = (b / memory * tokens for b in layer_bytes(design, plan))
    forward = matmul_forward + attention_forward + element_forward
    repeated = matmul_forward
    if plan.recompute == "full" and plan.implementation == "torch":
        repeated = matmul_forward - last_product(design, plan, hardware)(tokens)
    again = _recompute(plan, repeated, attention_forward, element_forward)
    backward = matmul - matmul_forward + attention_backward + element_backward + again

    # The host launches kernels one by one; a layer whose kernels are shorter waits for it.
    launch = layer_host_share(design, plan) * curve.layer_host_seconds[plan.implementation]
    launch_backward = (2 + (plan.recompute in ("full", "selective-op"))) * launch
    waiting = np.maximum(launch - forward, 0) + np.maximum(launch_backward - backward, 0)

    exposed = (2 + (plan.recompute == "full")) * (1 - curve.tensor_hidden[plan.implementation])
    tensor = tensor_seconds(design, plan, hardware) * exposed
    ring = context_seconds(design, plan, hardware)
    context = np.maximum(ring - attention_forward, 0) + np.maximum(2 * ring - attention_backward, 0)

    counts = parameters(design)
    weights = counts.per_layer / tp
    sharded, exchanged = _data_parallel(plan, hardware, weights, forward, backward)
    exchange = data_exchange(plan, hardware)
    around = np.where(pp > 1, counts.embedding + counts.position, counts.around) / tp
    per_step = np.where(plan.zero_stage == 0, 2 * exchange.reduce, exchange.reduce + exchange.gather)
    rare = np.where(plan.zero_stage >= 3, (2 * exchange.gather + exchange.reduce) * micro_batches, per_step)

    shards = np.where(plan.zero_stage >= 1, plan.data_parallel * plan.context_parallel, 1)
    update = optimizer_bytes_moved(plan) / memory
    if plan.offload_optimizer:
        update = 6 / device.host_bandwidth + optimizer_bytes_moved(plan) / _HOST_MEMORY

    head = head_products(design, plan, hardware)[1](tokens)
    loss = head_bytes(design, plan) / memory * tokens
    extra: Num = 0.0
    if np.any(np.asarray(design.n_dense_layers)):
        extra = dense_layers_extra(design, plan, hardware)[1](tokens) / pp

    steps = micro_batches + fill
    busy_layer = matmul + attention_forward + attention_backward + element_forward + element_backward + again
    layer = busy_layer + waiting + tensor + context + sharded
    none = 0.0
    return {
        "matmul": (extra * micro_batches, matmul * micro_batches),
        "attention": (none, (attention_forward + attention_backward) * micro_batches),
        "elementwise": (none, (element_forward + element_backward) * micro_batches),
        "recompute": (none, again * micro_batches),
        "head and loss": ((head + loss) * micro_batches, none),
        "launch": (none, waiting * micro_batches),
        "tensor parallel": (none, tensor * micro_batches),
        "context parallel": (none, context * micro_batches),
        "pipeline": (pipeline_seconds(design, plan, hardware) * steps, layer * fill),
        "data parallel": (around * rare, sharded * micro_batches + exchanged),
        "optimizer": (around / shards * update, weights / shards * update),
        "overhead": (curve.step_host_seconds[plan.implementation] + micro_batches * none, none),
    }


_BUSY = ("matmul", "attention", "elementwise", "recompute", "head and loss", "optimizer")


def _recompute(plan: Plan, matmul: Num, attention: Num, element: Num) -> Num:
    """Seconds that checkpointing repeats per layer."""
    if plan.recompute == "none":
        return 0.0
    if plan.recompute == "selective":
        return attention
    if plan.recompute == "selective-op":
        return matmul / 2 + element
    return matmul + attention + element


def _data_parallel(
    plan: Plan, hardware: Hardware, weights: Num, forward: Num, backward: Num
) -> tuple[Num, Num]:
    """Exposed seconds of weight gathers and gradient reductions of one layer: per micro-batch, per step."""
    exchange = data_exchange(plan, hardware)
    stage = np.asarray(plan.zero_stage)
    gather = weights * exchange.gather + exchange.latency
    reduce = weights * exchange.reduce + exchange.latency
    hidden = np.minimum(gather, _HIDDEN * forward)
    full = 2 * gather + reduce - hidden - np.minimum(gather + reduce, _HIDDEN * backward)
    scattered = reduce - np.minimum(reduce, _HIDDEN * backward)
    # All-reduce behind the backward pass; or scatter behind it and gather behind the next forward pass.
    everything = 2 * reduce - np.minimum(2 * reduce, _HIDDEN * backward)
    once = np.where(stage == 0, everything, scattered + gather - hidden)
    per_micro_batch = np.where(stage >= 3, full, np.where(stage == 2, scattered, 0.0))
    per_step = np.where(stage >= 3, 0.0, np.where(stage == 2, gather, once))
    return per_micro_batch, per_step


def hardware_level(hardware: Hardware, plan: Plan) -> float:
    """Factor on all times that turns the curve's level into the user's measured MFU; 1 without one.

    The level is that of a 7B-shaped model (d 4096, 32 layers) at 4,096 tokens on one GPU without
    recomputation: the user's MFU replaces its MFU, and other shapes and plans keep their ratio to it.
    """
    if hardware.mfu is None:
        return 1.0
    reference = Design.of(4096, 4096, 32, d_ff=11008)
    alone = Plan(
        implementation=plan.implementation, precision=plan.precision, micro_batch=2, global_batch=64,
    )  # fmt: skip
    one = Hardware(accelerator=hardware.accelerator)
    return float(step_time(reference, alone, one).mfu / hardware.mfu)


def assumptions(plan: Plan, hardware: Hardware) -> tuple[str, ...]:
    """What times under `plan` on `hardware` rest on, for the report."""
    curve, device = hardware.efficiency, hardware.accelerator
    notes = [
        f"times: efficiency curve '{curve.generation}', {device.fitted_on}",
        f"times: {device.name} at {device.peak(MATMUL_DTYPE[plan.precision]) / 1e12:.4g} TFLOP/s dense "
        f"{MATMUL_DTYPE[plan.precision]}, {device.hbm_bandwidth / 1e9:.4g} GB/s memory",
        f"times: {_HIDDEN:.0%} of a layer's compute hides weight gathers and gradient reductions; "
        "tensor-parallel exchanges are not hidden, context-parallel ones hide behind attention",
        "times: pipeline schedule 1F1B without interleaving",
        f"energy: a busy GPU draws its TDP, a waiting one {_WAITING_POWER:.0%} of it; hosts, network and "
        "cooling are not counted",
    ]
    if hardware.n_gpus > hardware.per_node:
        notes.append(f"times: {hardware.network / 1e9:.4g} GB/s per GPU between nodes of {hardware.per_node}")
    if hardware.mfu is not None:
        notes.append(
            f"times: scaled so that a 7B model at 4k context reaches the given MFU of {hardware.mfu:.0%}"
        )
    return tuple(notes)
