"""Which plans a cluster offers, and which of them a design can be laid out in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from explorer.cost.hardware import Hardware
from explorer.design import Design, Implementation, Plan, Recompute
from explorer.errors import ExplorerError, UnknownName
from explorer.units import Num

# Numeric choices of a plan, in the order in which ties are broken: simplest first.
NUMERIC = (
    "pipeline_parallel", "context_parallel", "tensor_parallel", "data_parallel", "zero_stage", "micro_batch",
)  # fmt: skip
# What each implementation offers: Megatron-LM has a distributed optimizer (stage 1); FSDP and DeepSpeed all.
ZERO_STAGES: dict[Implementation, tuple[int, ...]] = {"megatron": (0, 1), "torch": (0, 1, 2, 3)}
RECOMPUTES: dict[Implementation, tuple[Recompute, ...]] = {
    "megatron": ("none", "selective", "full"),
    "torch": ("none", "selective-op", "full"),
}
# Beyond these nobody goes: wider micro-batches gain nothing, deeper pipelines have too few layers per stage.
_MAX_MICRO_BATCH, _MAX_PIPELINE, _MAX_CONTEXT, _MAX_TENSOR = 64, 64, 64, 16
# A context-parallel rank keeps at least this many tokens, or its attention blocks are mostly overhead.
_MIN_TOKENS_PER_RANK = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What a budget says about plans; everything else is searched."""

    plan: Plan = field(default_factory=Plan)
    """Template: its categorical fields (implementation, kernel, precision, …) hold for every plan."""
    global_batch_tokens: float = 4e6
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Choices the user made, by the field names of `Plan`: a value or a list of values."""

    def __post_init__(self) -> None:
        known = (*NUMERIC, "recompute")
        for name in self.fixed:
            if name not in known:
                raise UnknownName("plan choice", name, known)

    def allowed(self, name: str) -> tuple[Any, ...] | None:
        """The values the user allows for one choice; None leaves it free."""
        value = self.fixed.get(name)
        if value is None:
            return None
        return tuple(value) if isinstance(value, list | tuple) else (value,)

    def global_batch(self, design: Design) -> Num:
        """Sequences in one step: the batch is fixed in tokens, so a longer context means fewer."""
        return np.maximum(1.0, np.rint(self.global_batch_tokens / design.context_length))


def enumerate_plans(setting: Setting, hardware: Hardware) -> tuple[Plan, ...]:
    """Every plan that fills the cluster: one block per recompute mode, numeric fields of shape (n_plans,).

    Tensor parallel within a node and in powers of two, pipeline stages and context ranks dividing what
    is left, ZeRO stages of the implementation, micro-batches in powers of two. Raises ExplorerError
    when what the user fixed cannot fill the GPUs.
    """
    template = setting.plan
    rows = sorted(_layouts(setting, hardware))
    if not rows:
        choice = ", ".join(f"{k}={v}" for k, v in setting.fixed.items())
        raise ExplorerError(f"a plan that fills {hardware.n_gpus} GPUs must exist, got {choice}")
    columns = np.array(rows, dtype=np.float64).T
    numeric = dict(zip(NUMERIC, columns, strict=True))
    modes = setting.allowed("recompute") or RECOMPUTES[template.implementation]
    return tuple(template.with_(recompute=mode, **numeric) for mode in modes)


def _layouts(setting: Setting, hardware: Hardware) -> Iterator[tuple[int, ...]]:
    """Rows of NUMERIC."""
    n = hardware.n_gpus
    stages = setting.allowed("zero_stage") or ZERO_STAGES[setting.plan.implementation]
    within_node = min(hardware.per_node, _MAX_TENSOR, n)
    for tp in setting.allowed("tensor_parallel") or _powers(within_node):
        for cp in setting.allowed("context_parallel") or _powers(min(_MAX_CONTEXT, n)):
            for pp in setting.allowed("pipeline_parallel") or range(1, min(_MAX_PIPELINE, n) + 1):
                dp, rest = divmod(n, tp * cp * pp)
                if rest or dp < 1 or dp not in (setting.allowed("data_parallel") or (dp,)):
                    continue
                for stage in stages:
                    alone = dp * cp == 1 and stage > 0 and setting.allowed("zero_stage") is None
                    # Gradients cannot be sharded while a 1F1B pipeline accumulates them (DeepSpeed).
                    piped = stage == 2 and pp > 1
                    if alone or piped:
                        continue
                    for micro in setting.allowed("micro_batch") or _powers(_MAX_MICRO_BATCH):
                        yield pp, cp, tp, dp, stage, micro


def _powers(most: int) -> list[int]:
    """1, 2, 4, … up to `most`."""
    return [1 << i for i in range(int(most).bit_length())]


def plan_is_possible(design: Design, plan: Plan) -> Num:
    """Whether a plan can be laid out at all, apart from depth and memory: batch filled, parts whole."""
    tp, pp, cp = plan.tensor_parallel, plan.pipeline_parallel, plan.context_parallel
    per_round = plan.data_parallel * plan.micro_batch
    filled = (per_round <= plan.global_batch) & (np.ceil(plan.global_batch / per_round) >= pp)
    heads = np.asarray(design.n_heads)
    kv_heads = np.asarray(design.n_kv_heads)
    split = (heads % tp == 0) & ((kv_heads % tp == 0) | (np.asarray(tp) % np.maximum(kv_heads, 1) == 0))
    width = np.asarray(np.where(np.asarray(design.n_experts) > 0, design.d_ff_expert, design.d_ff)) % tp == 0
    context = np.asarray(design.context_length)
    # Two chunks per rank balance the causal mask (Megatron-Core's context parallelism).
    ring = (np.asarray(cp) == 1) | ((context % (2 * cp) == 0) & (context / cp >= _MIN_TOKENS_PER_RANK))
    possible: Num = filled & split & width & ring
    return possible
