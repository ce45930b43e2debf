"""How any design is trained: the section `training` of budget.yaml."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from explorer.budget.fields import Json, Section, Truth, Whole
from explorer.design import AttentionKernel, CrossEntropy, Implementation, Optimizer, Precision, Recompute


class PlanChoice(Section):
    """Parts of the plan that are fixed; what is left out stays free."""

    forms: ClassVar[tuple[Json, ...]] = ({"const": "auto"},)

    micro_batch: Whole | None = None
    """Sequences in one forward pass of one data-parallel rank."""
    recompute: Recompute | None = None
    """Activations computed anew in the backward pass."""
    tensor_parallel: Whole | None = None
    """GPUs that a layer's matrices are split over."""
    pipeline_parallel: Whole | None = None
    """Pipeline stages."""
    context_parallel: Whole | None = None
    """GPUs that a sequence is split over."""
    data_parallel: Whole | None = None
    """Replicas, or ZeRO/FSDP shards."""
    zero_stage: Literal[0, 1, 2, 3] | None = None
    """0 replicated; 1 shards optimizer states, 2 also gradients, 3 also parameters."""

    @model_validator(mode="before")
    @classmethod
    def _of_auto(cls, value: Any) -> Any:
        return {} if isinstance(value, str) and value == "auto" else value

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(self) if self.fixed else "auto"

    @property
    def fixed(self) -> dict[str, Any]:
        """The fixed parts, by name."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value is not None}


class Training(Section):
    """How any design is trained."""

    precision: Precision = "bf16-mixed"
    """Number types of weights, gradients and optimizer states."""
    optimizer: Optimizer = "adamw"
    """Optimizer; `adamw` is fused."""
    attention_kernel: AttentionKernel = "flash"
    """`naive` keeps the attention matrix, `flash` does not."""
    implementation: Implementation = "torch"
    """Whose activations are kept: `torch` eager modules as Transformers runs them, or fused `megatron`."""
    global_batch_tokens: Whole = 1_000_000
    """Tokens in one optimizer step over all GPUs."""
    plan: PlanChoice = PlanChoice()
    """`auto`: the fastest plan that fits each design; or parts of it fixed, e.g. {tensor_parallel: 2}."""
    cross_entropy: CrossEntropy = "full"
    """`chunked` never holds all logits at once."""
    dropout: Truth = False
    """Dropout while training."""
    fused_activation: Truth = True
    """A plain activation (GELU) is one kernel that keeps its input only."""
    sequence_parallel: Truth = True
    """Norms and residuals are split along the sequence over tensor-parallel GPUs."""
    offload_optimizer: Truth = False
    """Optimizer states live in host memory."""
