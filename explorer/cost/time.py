"""Seconds of one optimizer step: a roofline with efficiency curves, taken apart.

Every part is `outside + per_layer · layers`, where `layers` are those of the fullest pipeline stage,
⌈n_layers / pipeline_parallel⌉, and neither coefficient contains n_layers. On an open grid the
coefficients are computed once per (context, width, plan) and depth enters last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np

from explorer.cost.attention_time import attention_seconds
from explorer.cost.communication import (
    Exchange,
    context_seconds,
    data_exchange,
    pipeline_seconds,
    tensor_seconds,
)
from explorer.cost.distinct import Index, distinct, spread
from explorer.cost.flops import flops
from explorer.cost.hardware import MATMUL_DTYPE, Hardware
from explorer.cost.heap import keep_heap
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
WAITING_POWER = 0.35

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
        share = WAITING_POWER + (1 - WAITING_POWER) * self.busy_share
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


def step_seconds(design: Design, plan: Plan, hardware: Hardware) -> Num:
    """Seconds of one step alone: `step_time`'s figure in few operations at the shape of design × plan."""
    outside, per_layer = step_line(design, plan, hardware)
    return outside + per_layer * stage_layers(design, plan)


def step_line(design: Design, plan: Plan, hardware: Hardware) -> tuple[Num, Num]:
    """Seconds of one step as (outside, per layer of the fullest stage): the sums of `step_terms`."""
    keep_heap()
    layer, head, dense, index = _micro_batch(design, plan, hardware)
    step = _Step.of(design, plan, hardware, spread(layer.forward, index), spread(layer.backward, index))
    outside = spread(head, index) * step.rounds
    if np.any(np.asarray(dense)):
        outside = outside + spread(dense, index) / plan.pipeline_parallel * step.rounds
    outside = outside + step.passed * step.slots + step.around * (step.rare + step.update) + step.host
    per_layer = (spread(layer.whole, index) + step.sharded) * step.slots
    per_layer = per_layer + step.exchanged + step.weights * step.update
    level = hardware_level(hardware, plan)
    return (outside, per_layer) if level == 1.0 else (level * outside, level * per_layer)


def step_terms(design: Design, plan: Plan, hardware: Hardware) -> Terms:
    """Seconds per step by part, as coefficients free of n_layers."""
    layer, head, dense, index = _micro_batch(design, plan, hardware)
    layer = _Layer(*(spread(getattr(layer, f.name), index) for f in fields(_Layer)))
    step = _Step.of(design, plan, hardware, layer.forward, layer.backward)
    rounds, none = step.rounds, 0.0
    return {
        "matmul": (spread(dense, index) / plan.pipeline_parallel * rounds, layer.matmul * rounds),
        "attention": (none, layer.attention * rounds),
        "elementwise": (none, layer.element * rounds),
        "recompute": (none, layer.again * rounds),
        "head and loss": (spread(head, index) * rounds, none),
        "launch": (none, layer.waiting * rounds),
        "tensor parallel": (none, layer.tensor * rounds),
        "context parallel": (none, layer.context * rounds),
        "pipeline": (step.passed * step.slots, (layer.whole + step.sharded) * (step.slots - rounds)),
        "data parallel": (step.around * step.rare, step.sharded * rounds + step.exchanged),
        "optimizer": (step.around * step.update, step.weights * step.update),
        "overhead": (step.host + rounds * none, none),
    }


@dataclass(frozen=True, slots=True)
class _Layer:
    """Seconds that one layer takes for one micro-batch on one rank, both passes."""

    matmul: Num
    attention: Num
    element: Num
    again: Num
    """Recomputed."""
    waiting: Num
    """For the host, which launches kernels one by one, where they are shorter than that."""
    tensor: Num
    """Exposed exchanges over tensor-parallel ranks."""
    context: Num
    """The same over context-parallel ranks."""
    forward: Num
    """Busy with the forward pass: what weight gathers hide behind."""
    backward: Num

    @property
    def whole(self) -> Num:
        """All of it."""
        busy = self.matmul + self.attention + self.element + self.again
        return busy + self.waiting + self.tensor + self.context


_PER_MICRO_BATCH = ("tensor_parallel", "context_parallel", "micro_batch")
"""What a micro-batch's time on one rank depends on; the plan's other numbers enter per step."""


def _micro_batch(design: Design, plan: Plan, hardware: Hardware) -> tuple[_Layer, Num, Num, Index]:
    """One layer, the head with the loss, and what leading dense layers take beyond as many mixture layers
    (all of them), per micro-batch, for the plan's distinct shapes; and which of them each plan has."""
    fewer, index = distinct(design, plan, _PER_MICRO_BATCH)
    tokens = fewer.micro_batch * design.context_length / fewer.context_parallel
    memory = hardware.accelerator.hbm_bandwidth * hardware.efficiency.bandwidth_share
    head = head_products(design, fewer, hardware)[1](tokens) + head_bytes(design, fewer) / memory * tokens
    dense: Num = 0.0
    if np.any(np.asarray(design.n_dense_layers)):
        dense = dense_layers_extra(design, fewer, hardware)[1](tokens)
    return _layer(design, fewer, hardware, tokens), head, dense, index


def _layer(design: Design, plan: Plan, hardware: Hardware, tokens: Num) -> _Layer:
    curve = hardware.efficiency
    memory = hardware.accelerator.hbm_bandwidth * curve.bandwidth_share
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
    exposed = (2 + (plan.recompute == "full")) * (1 - curve.tensor_hidden[plan.implementation])
    ring = context_seconds(design, plan, hardware)
    return _Layer(
        matmul=matmul,
        attention=attention_forward + attention_backward,
        element=element_forward + element_backward,
        again=again,
        waiting=np.maximum(launch - forward, 0) + np.maximum(launch_backward - backward, 0),
        tensor=tensor_seconds(design, plan, hardware) * exposed,
        context=np.maximum(ring - attention_forward, 0) + np.maximum(2 * ring - attention_backward, 0),
        forward=forward,
        backward=backward,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """What makes a step of the micro-batches: how many, and what is done once for all of them."""

    rounds: Num
    """Micro-batches of one rank."""
    slots: Num
    """The same with the slots in which a pipeline fills and drains."""
    passed: Num
    """Seconds to pass a micro-batch on to the next stage, and its gradient back."""
    weights: Num
    """Parameters of one layer on one rank."""
    around: Num
    """Parameters outside the layers on the fullest stage's rank."""
    sharded: Num
    """Exposed exchange of one layer's weights and gradients, per micro-batch."""
    exchanged: Num
    """The same per step."""
    rare: Num
    """Exchange per parameter outside the layers and step."""
    update: Num
    """Seconds of the optimizer per parameter that a rank holds before sharding."""
    host: float

    @classmethod
    def of(cls, design: Design, plan: Plan, hardware: Hardware, forward: Num, backward: Num) -> _Step:
        device, tp, pp = hardware.accelerator, plan.tensor_parallel, plan.pipeline_parallel
        memory = device.hbm_bandwidth * hardware.efficiency.bandwidth_share
        rounds = np.ceil(plan.global_batch / (plan.data_parallel * plan.micro_batch))
        counts = parameters(design)
        weights = counts.per_layer / tp
        # The first stage of a pipeline has the embedding, the last the head.
        alone, staged = np.equal(pp, 1) / tp, np.greater(pp, 1) / tp
        exchange = data_exchange(plan, hardware)
        sharded, exchanged = _data_parallel(plan, exchange, weights, forward, backward)
        stage = plan.zero_stage
        rare = np.where(stage == 0, 2 * exchange.reduce, exchange.reduce + exchange.gather)
        if np.any(np.asarray(stage) >= 3):
            rare = np.where(stage >= 3, (2 * exchange.gather + exchange.reduce) * rounds, rare)
        update = optimizer_bytes_moved(plan) / memory
        if plan.offload_optimizer:
            update = 6 / device.host_bandwidth + optimizer_bytes_moved(plan) / _HOST_MEMORY
        return cls(
            rounds=rounds,
            # 1F1B (Narayanan 2021, arXiv:2104.04473, section 2.2): the pipeline fills and drains once.
            slots=rounds + (pp - 1),
            passed=pipeline_seconds(design, plan, hardware),
            weights=weights,
            around=counts.around * alone + (counts.embedding + counts.position) * staged,
            sharded=sharded,
            exchanged=exchanged,
            rare=rare,
            update=update / np.where(stage >= 1, plan.data_parallel * plan.context_parallel, 1),
            host=hardware.efficiency.step_host_seconds[plan.implementation],
        )


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
    plan: Plan, exchange: Exchange, weights: Num, forward: Num, backward: Num
) -> tuple[Num, Num]:
    """Exposed seconds of weight gathers and gradient reductions of one layer: per micro-batch, per step.

    Gathers hide behind the forward pass; gathers and reductions behind the backward pass.
    """
    stage = np.asarray(plan.zero_stage)
    gather = weights * exchange.gather + exchange.latency
    reduce = weights * exchange.reduce + exchange.latency
    beneath = _HIDDEN * backward
    shown = np.maximum(gather - _HIDDEN * forward, 0)
    scattered = np.maximum(reduce - beneath, 0)
    # All-reduce behind the backward pass; or scatter behind it and gather behind the next forward pass.
    per_micro_batch: Num = 0.0
    per_step = np.where(stage == 0, np.maximum(2 * reduce - beneath, 0), scattered + shown)
    if np.any(stage == 2):
        per_micro_batch = np.where(stage == 2, scattered, 0.0)
        per_step = np.where(stage == 2, gather, per_step)
    if np.any(stage >= 3):
        full = shown + np.maximum(gather + reduce - beneath, 0)
        per_micro_batch = np.where(stage >= 3, full, per_micro_batch)
        per_step = np.where(stage >= 3, 0.0, per_step)
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
        f"energy: a busy GPU draws its TDP, a waiting one {WAITING_POWER:.0%} of it; hosts, network and "
        "cooling are not counted",
    ]
    if hardware.n_gpus > hardware.per_node:
        notes.append(f"times: {hardware.network / 1e9:.4g} GB/s per GPU between nodes of {hardware.per_node}")
    if hardware.mfu is not None:
        notes.append(
            f"times: scaled so that a 7B model at 4k context reaches the given MFU of {hardware.mfu:.0%}"
        )
    return tuple(notes)
