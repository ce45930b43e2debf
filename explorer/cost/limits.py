"""The largest context and micro-batch that fit, in training and in serving: solved, not scanned.

Memory never falls as context or batch grows, so the answer is found by doubling until it no longer
fits and bisecting the bracket, on whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from explorer.cost.hardware import Hardware
from explorer.cost.kv_cache import kv_cache_bytes, served_weight_bytes
from explorer.cost.memory import memory, outside_allocator_bytes
from explorer.cost.plans import RECOMPUTES, ZERO_STAGES, Setting
from explorer.cost.serving import FORMATS, Format, cache_ranks, serving
from explorer.cost.time import step_time
from explorer.design import Design, Plan
from explorer.errors import Unsupported

# No context or batch beyond this is looked for: memory that does not grow (windows, states) has no limit.
LARGEST = 2**40
UNLIMITED = "nothing: memory does not grow"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """How far one way of running a design goes."""

    purpose: Literal["training", "serving"]
    setting: str
    """Recompute mode in training, number types of weights and cache in serving."""
    layout: str
    """Parallel plan, in words."""
    plan: Plan | None
    """Of training."""
    memory_limit_bytes: float
    largest_context: int | None
    """Tokens, with the micro-batch of the plan (1 sequence in serving); 0 when nothing fits, None without end."""
    context_instant: str
    """The moment of the step (of serving: the part) that would not fit at one token more."""
    largest_micro_batch: int | None
    """Sequences at the design's context; 0 when not even one fits."""
    batch_instant: str
    context_tokens_per_second: float | None
    """Trained, or written with a full cache, on all GPUs at the largest context; None where nothing fits, there
    is no end or the device promises no speed in the plan's type."""
    batch_tokens_per_second: float | None
    """The same with the largest micro-batch at the design's context."""

    @property
    def fits(self) -> bool:
        """Some context fits."""
        return self.largest_context is None or self.largest_context > 0


def limits(
    design: Design,
    plan: Plan | Setting,
    hardware: Hardware,
    memory_limit_bytes: float | None = None,
    formats: Sequence[Format] = FORMATS,
) -> list[Limit]:
    """The largest context and micro-batch of a single design on `hardware`.

    A `Setting` (or a plan on one GPU, taken as its template) asks for training under every recompute
    mode of its implementation (and its own) and every layout; a plan that already spans several GPUs keeps its layout.
    Serving follows in every one of `formats`, on one GPU and split over a node's. One micro-batch per
    step and rank: accumulating more adds gradients, not activations. The default limit is the device's
    memory.
    """
    limit = hardware.accelerator.memory_bytes if memory_limit_bytes is None else memory_limit_bytes
    template = plan.plan if isinstance(plan, Setting) else plan
    laid_out = isinstance(plan, Plan) and plan.n_gpus != 1
    layouts = [("as given", template)] if laid_out else list(_layouts(design, template, hardware))
    found = []
    for recompute in dict.fromkeys((*RECOMPUTES[template.implementation], template.recompute)):
        for layout, candidate in layouts:
            try:
                found.append(_training(design, candidate.with_(recompute=recompute), layout, hardware, limit))
            except Unsupported:
                # Modes that the design's block does not have are not offered.
                break
    split = _tensor_ranks(design, hardware)
    ranks = (1,) if split == 1 else (1, split)
    return found + [_serving(design, one, tp, hardware, limit) for one in formats for tp in ranks]


def largest_whole(fits: Callable[[int], bool]) -> int | None:
    """The largest n >= 1 with `fits(n)`, which must turn false once and for all; 0 if never true, None if
    still true at LARGEST."""
    if not fits(1):
        return 0
    low, high = 1, 2
    while fits(high):
        if high >= LARGEST:
            return None
        low, high = high, 2 * high
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
    tensor = _tensor_ranks(design, hardware)
    rest = n // tensor
    if tensor > 1 and n % tensor == 0:
        name = f"tensor parallel {tensor}"
        split = template.with_(tensor_parallel=tensor)
        if rest > 1:
            name += f", context parallel {rest}, ZeRO {stages[-1]}"
            split = split.with_(context_parallel=rest, zero_stage=stages[-1])
        yield name, split
    if n <= design.n_layers:
        yield f"pipeline parallel {n}", template.with_(pipeline_parallel=n, zero_stage=0)


def _tensor_ranks(design: Design, hardware: Hardware) -> int:
    """The largest power of two of a node's GPUs that heads and feed-forward widths divide among."""
    width = design.d_ff_expert if design.n_experts else design.d_ff
    kv = int(design.n_kv_heads)
    ranks = 1
    while (
        2 * ranks <= min(hardware.n_gpus, hardware.per_node)
        and design.n_heads % (2 * ranks) == 0
        and width % (2 * ranks) == 0
        and (kv % (2 * ranks) == 0 or (2 * ranks) % kv == 0)
    ):
        ranks *= 2
    return ranks


def _training(design: Design, plan: Plan, layout: str, hardware: Hardware, limit: float) -> Limit:
    """Both answers for one plan; a pipeline is kept full."""

    def sized(context: int, micro_batch: int) -> tuple[Design, Plan]:
        batch = micro_batch * plan.data_parallel * plan.pipeline_parallel
        return design.with_(context_length=context), plan.with_(micro_batch=micro_batch, global_batch=batch)

    def fits(context: int, micro_batch: int) -> bool:
        return bool(memory(*sized(context, micro_batch), hardware.accelerator).peak_device_bytes <= limit)

    def speed(context: int | None, micro_batch: int | None) -> float | None:
        if not context or not micro_batch:
            return None
        try:
            time = step_time(*sized(context, micro_batch), hardware)
        except Unsupported:
            return None
        return float(time.tokens / time.seconds)

    def stopped(largest: int | None, context: int, micro_batch: int) -> str:
        if largest is None:
            return UNLIMITED
        return str(memory(*sized(context, micro_batch)).peak_instant)

    micro = max(1, int(plan.micro_batch))
    ranks, context = int(plan.context_parallel), int(design.context_length)
    # Every context-parallel rank holds the same number of tokens.
    per_rank = largest_whole(lambda c: fits(c * ranks, micro))
    longest = None if per_rank is None else ranks * per_rank
    most = largest_whole(lambda b: fits(context, b))
    return Limit(
        purpose="training",
        setting=plan.recompute,
        layout=layout,
        plan=plan,
        memory_limit_bytes=limit,
        largest_context=longest,
        context_instant=stopped(longest, (longest or 0) + ranks, micro),
        largest_micro_batch=most,
        batch_instant=stopped(most, context, (most or 0) + 1),
        context_tokens_per_second=speed(longest, micro),
        batch_tokens_per_second=speed(context, most),
    )


def _serving(design: Design, form: Format, tensor_parallel: int, hardware: Hardware, limit: float) -> Limit:
    """Weights split over a replica's GPUs, the cache over at most as many as there are key-value heads."""
    beside = outside_allocator_bytes(Plan(tensor_parallel=tensor_parallel), hardware.accelerator)
    replicas = hardware.n_gpus // tensor_parallel

    def held(context: int, batch: int) -> tuple[float, float]:
        sized = design.with_(context_length=context)
        cache = kv_cache_bytes(sized, batch, form.kv_bits) / cache_ranks(sized, tensor_parallel)
        return float(served_weight_bytes(sized, form.weight_bits)) / tensor_parallel, float(cache)

    def fits(context: int, batch: int) -> bool:
        return bool(sum(held(context, batch)) + beside <= limit)

    def speed(context: int | None, batch: int | None) -> float | None:
        if not context or not batch:
            return None
        try:
            time = serving(
                design.with_(context_length=context), hardware, batch=batch, weight_bits=form.weight_bits,
                kv_bits=form.kv_bits, tensor_parallel=tensor_parallel, fp8_products=form.fp8_products,
            )  # fmt: skip
        except Unsupported:
            return None
        return replicas * float(time.decode_tokens_per_second)

    def stopped(largest: int | None, context: int, batch: int) -> str:
        if largest is None:
            return UNLIMITED
        weights, _ = held(context, batch)
        return "weights" if weights + beside > limit else "weights and cache"

    context = int(design.context_length)
    longest = largest_whole(lambda c: fits(c, 1))
    most = largest_whole(lambda b: fits(context, b))
    layout = "one GPU" if tensor_parallel == 1 else f"tensor parallel {tensor_parallel}"
    return Limit(
        purpose="serving",
        setting=form.name,
        layout=layout if replicas == 1 else f"{layout}, {replicas} replicas",
        plan=None,
        memory_limit_bytes=limit,
        largest_context=longest,
        context_instant=stopped(longest, (longest or 0) + 1, 1),
        largest_micro_batch=most,
        batch_instant=stopped(most, context, (most or 0) + 1),
        context_tokens_per_second=speed(longest, 1),
        batch_tokens_per_second=speed(context, most),
    )
