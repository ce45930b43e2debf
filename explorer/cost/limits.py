"""The largest context and micro-batch that fit, in training and in serving: solved, not scanned.

Memory never falls as context or batch grows, so the answer is found by doubling until it no longer
fits and bisecting the bracket, on whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from explorer.cost.hardware import Hardware
from explorer.cost.kv_cache import kv_cache_bytes
from explorer.cost.memory import memory, outside_allocator_bytes
from explorer.cost.parameters import parameters
from explorer.cost.plans import RECOMPUTES, ZERO_STAGES, Setting
from explorer.design import Design, Plan
from explorer.errors import Unsupported

# No context or batch beyond this is looked for: with a flat memory the bracket would never close.
LARGEST = 2**40


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """How far one way of running a design goes."""

    purpose: Literal["training", "serving"]
    setting: str
    """Recompute mode in training, precision of the weights in serving."""
    layout: str
    """Parallel plan, in words."""
    plan: Plan | None
    memory_limit_bytes: float
    largest_context: int
    """Tokens, with the micro-batch of the plan (1 sequence in serving); 0 when nothing fits."""
    context_instant: str
    """What would not fit at one token more."""
    largest_micro_batch: int
    """Sequences at the design's context; 0 when not even one fits."""
    batch_instant: str

    @property
    def fits(self) -> bool:
        """Some context fits."""
        return self.largest_context > 0


def limits(
    design: Design,
    plan: Plan | Setting,
    hardware: Hardware,
    memory_limit_bytes: float | None = None,
    kv_bits: int = 16,
) -> list[Limit]:
    """The largest context and micro-batch of a single design on `hardware`.

    A `Setting` (or a plan on one GPU, taken as its template) asks for training under every recompute
    mode and layout of its implementation; a plan that already spans several GPUs keeps its layout.
    Serving follows with weights of 16, 8 and 4 bits. One micro-batch per step and rank:
    accumulating more adds gradients, not activations. The default limit is the device's memory.
    """
    limit = hardware.accelerator.memory_bytes if memory_limit_bytes is None else memory_limit_bytes
    template = plan.plan if isinstance(plan, Setting) else plan
    laid_out = isinstance(plan, Plan) and plan.n_gpus != 1
    layouts = [("as given", template)] if laid_out else list(_layouts(design, template, hardware))
    found = []
    for recompute in RECOMPUTES[template.implementation]:
        for layout, candidate in layouts:
            try:
                found.append(_training(design, candidate.with_(recompute=recompute), layout, limit))
            except Unsupported:
                # Modes that the design's block does not have are not offered.
                break
    found += [_serving(design, bits, kv_bits, hardware.n_gpus, limit) for bits in (16, 8, 4)]
    return found


def largest_whole(fits: Callable[[int], bool]) -> int:
    """The largest n >= 1 with `fits(n)`, which must turn false once and for all; 0 if never true."""
    if not fits(1):
        return 0
    low, high = 1, 2
    while high < LARGEST and fits(high):
        low, high = high, 2 * high
    if high >= LARGEST:
        return low
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low


def _layouts(design: Design, template: Plan, hardware: Hardware) -> Iterator[tuple[str, Plan]]:
    """Pure ways of spreading over the GPUs: ZeRO stages, tensor, context and pipeline parallel."""
    n, stages = hardware.n_gpus, ZERO_STAGES[template.implementation]
    for stage in stages if n > 1 else (0,):
        name = f"data parallel {n}, ZeRO {stage}" if n > 1 else "one GPU"
        yield name, template.with_(data_parallel=n, zero_stage=stage)
    if n == 1:
        return
    yield (
        f"context parallel {n}, ZeRO {stages[-1]}",
        template.with_(context_parallel=n, zero_stage=stages[-1]),
    )
    tensor = min(n, hardware.per_node)
    rest = n // tensor
    if design.n_heads % tensor == 0 and n % tensor == 0:
        name = f"tensor parallel {tensor}" + (f", context parallel {rest}" if rest > 1 else "")
        split = template.with_(tensor_parallel=tensor, context_parallel=rest, zero_stage=stages[-1])
        yield name + (f", ZeRO {stages[-1]}" if rest > 1 else ""), split
    if n <= design.n_layers:
        yield f"pipeline parallel {n}", template.with_(pipeline_parallel=n, zero_stage=0)


def _training(design: Design, plan: Plan, layout: str, limit: float) -> Limit:
    """Both answers for one plan; a pipeline is kept full."""

    def step(context: int, micro_batch: int) -> tuple[float, str]:
        batch = micro_batch * plan.data_parallel * plan.pipeline_parallel
        one = plan.with_(micro_batch=micro_batch, global_batch=batch)
        found = memory(design.with_(context_length=context), one)
        return float(found.peak_device_bytes), str(found.peak_instant)

    micro = max(1, int(plan.micro_batch))
    ranks, context = int(plan.context_parallel), int(design.context_length)
    # Every context-parallel rank holds the same number of tokens.
    longest = ranks * largest_whole(lambda c: step(c * ranks, micro)[0] <= limit)
    most = largest_whole(lambda b: step(context, b)[0] <= limit)
    return Limit(
        purpose="training",
        setting=plan.recompute,
        layout=layout,
        plan=plan,
        memory_limit_bytes=limit,
        largest_context=longest,
        context_instant=step(longest + ranks, micro)[1],
        largest_micro_batch=most,
        batch_instant=step(context, most + 1)[1],
    )


def _serving(design: Design, weight_bits: int, kv_bits: int, n_gpus: int, limit: float) -> Limit:
    """Weights split over the GPUs, the cache over at most as many as there are key-value heads."""
    ranks = min(n_gpus, int(design.n_kv_heads))
    beside = outside_allocator_bytes(Plan(tensor_parallel=n_gpus))

    def held(context: int, batch: int) -> tuple[float, float]:
        sized = design.with_(context_length=context)
        weights = parameters(sized).total * weight_bits / 8 / n_gpus
        return float(weights), float(kv_cache_bytes(sized, batch, kv_bits)) / ranks

    def fits(context: int, batch: int) -> bool:
        return bool(sum(held(context, batch)) + beside <= limit)

    longest = largest_whole(lambda c: fits(c, 1))
    most = largest_whole(lambda b: fits(int(design.context_length), b))
    return Limit(
        purpose="serving",
        setting=f"{weight_bits}-bit weights",
        layout="one GPU" if n_gpus == 1 else f"tensor parallel {n_gpus}",
        plan=None,
        memory_limit_bytes=limit,
        largest_context=longest,
        context_instant="weights and cache" if longest else "weights",
        largest_micro_batch=most,
        batch_instant="weights and cache" if longest else "weights",
    )
