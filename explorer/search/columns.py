"""The columns of `evaluate`, which are also the flags of `inspect`: one table for both and for the docs.

Imports no numerics, so that `explore inspect --help` costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from explorer.design import (
    AttentionKernel,
    CrossEntropy,
    Ffn,
    Implementation,
    Norm,
    Optimizer,
    Position,
    Precision,
    QkNorm,
    Recompute,
    choices,
)

Kind: TypeAlias = Literal["number", "flag", "choice", "text"]
Part: TypeAlias = Literal["design", "plan", "training"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One input column."""

    name: str
    part: Part
    """`design` and `plan` columns are fields of those records; `training` is what surrounds them."""
    kind: Kind
    options: tuple[str, ...] = ()
    """What a choice allows."""
    unit: str = ""
    default: str = ""
    """In words; empty for the three columns that must be given."""
    description: str = ""


def _number(name: str, part: Part, unit: str, default: str, description: str) -> Column:
    return Column(name=name, part=part, kind="number", unit=unit, default=default, description=description)


def _flag(name: str, part: Part, default: str, description: str) -> Column:
    return Column(name=name, part=part, kind="flag", default=default, description=description)


def _choice(name: str, part: Part, of: Any, default: str, description: str) -> Column:
    return Column(
        name=name, part=part, kind="choice", options=choices(of), default=default, description=description
    )


def _text(name: str, part: Part, default: str, description: str) -> Column:
    return Column(name=name, part=part, kind="text", default=default, description=description)


_COLUMNS = (
    _number("context_length", "design", "tokens", "", "Tokens in one training sequence."),
    _number("d_model", "design", "", "", "Width of the residual stream."),
    _number("n_layers", "design", "", "", "Transformer blocks."),
    _number("n_heads", "design", "", "d_model / d_head", "Query heads."),
    _number("n_kv_heads", "design", "", "n_heads", "Key-value heads."),
    _number("d_head", "design", "", "128", "Width of one attention head."),
    _number("d_ff", "design", "", "4·d_model, gated: ⅔ of that up to 256", "Inner feed-forward width."),
    _choice("ffn", "design", Ffn, "swiglu", "Feed-forward kind; swiglu and geglu are gated."),
    _number("vocab_size", "design", "tokens", "32000", "Rows of the embedding."),
    _flag("tied_embeddings", "design", "no", "The head shares the embedding's weights."),
    _choice("norm", "design", Norm, "rmsnorm", "Normalisation."),
    _choice("position", "design", Position, "rope", "Position encoding."),
    _flag("bias", "design", "no", "Biases in attention and feed-forward."),
    _choice("qk_norm", "design", QkNorm, "none", "Norms on queries and keys."),
    _number("n_experts", "design", "", "0 (dense)", "Routed experts per layer."),
    _number("n_experts_active", "design", "", "0", "Routed experts one token passes through."),
    _number("window", "design", "tokens", "0 (full attention)", "Keys a windowed layer sees."),
    _number("global_every", "design", "layers", "0 (none)", "One layer in this many attends to everything."),
    _choice("implementation", "plan", Implementation, "torch", "Whose activations are kept."),
    _choice("attention_kernel", "plan", AttentionKernel, "flash", "Attention kernel."),
    _choice("recompute", "plan", Recompute, "none", "Activations recomputed in the backward pass."),
    _choice("precision", "plan", Precision, "bf16-mixed", "Number types of weights, gradients and states."),
    _choice("optimizer", "plan", Optimizer, "adamw", "Optimizer; adamw is fused."),
    _number("micro_batch", "plan", "sequences", "1", "Sequences in one forward pass of one rank."),
    _number("global_batch", "plan", "sequences", "micro_batch · data_parallel", "Sequences in one step."),
    _number("n_gpus", "plan", "", "product of the parallel sizes", "Accelerators in use."),
    _number("tensor_parallel", "plan", "", "1", "GPUs a layer's matrices are split over."),
    _number("pipeline_parallel", "plan", "", "1", "Pipeline stages."),
    _number("context_parallel", "plan", "", "1", "GPUs a sequence is split over."),
    _number("data_parallel", "plan", "", "n_gpus / the other sizes", "Replicas, or ZeRO/FSDP shards."),
    _flag("sequence_parallel", "plan", "yes", "Norms and residuals are split over tensor-parallel GPUs."),
    _number("zero_stage", "plan", "", "0", "1 shards optimizer states, 2 also gradients, 3 also weights."),
    _flag("offload_optimizer", "plan", "no", "Optimizer states live in host memory."),
    _flag("offload_activations", "plan", "no", "Inputs of recomputed layers wait in host memory."),
    _flag("optimizer_in_backward", "plan", "no", "Parameters are updated as their gradients are made."),
    _choice("cross_entropy", "plan", CrossEntropy, "full", "chunked never holds all logits at once."),
    _flag("dropout", "plan", "no", "Dropout in training."),
    _flag("fused_activation", "plan", "yes", "A plain activation (GELU) is one kernel."),
    _flag("compiled", "plan", "no", "Blocks run under torch.compile."),
    _flag("repeated_kv", "plan", "no", "Keys and values are copied for every query head."),
    _text("accelerator", "training", "h100-sxm-80gb", "A name from `explore list accelerators`."),
    _number("n_tokens", "training", "tokens", "20 per parameter", "Training tokens."),
    _text("corpus", "training", "web", "A name from `explore list corpora`."),
    _choice("schedule", "training", Literal["constant", "staged"], "constant", "How context grows."),
    _number("staged_from", "design", "tokens", "4096 when staged", "Short window of a staged schedule."),
    _number("staged_share", "design", "share", ".05 when staged", "Share of the tokens at full context."),
    _number("weight_bits", "training", "bits", "16", "Bits per layer weight when served; tables and head stay at 16."),
    _number("kv_bits", "training", "bits", "16", "Bits per key or value when served."),
)  # fmt: skip

COLUMNS: dict[str, Column] = {column.name: column for column in _COLUMNS}
"""Every input column by name, in the order tables show them."""

REQUIRED = ("context_length", "d_model", "n_layers")
"""The columns without a default."""

OUTPUTS = (
    "n_params", "n_params_non_embedding", "n_params_active", "forward_flops_per_sequence",
    "train_flops_per_token", "attention_flops_share", "parameter_bytes", "gradient_bytes",
    "optimizer_bytes", "saved_activation_bytes", "peak_allocated_bytes", "peak_reserved_bytes",
    "peak_device_bytes", "kv_cache_bytes", "step_seconds", "tokens_per_second_per_gpu", "mfu",
    "gpu_hours", "energy_kwh", "loss", "loss_p05", "loss_p50", "loss_p95",
)  # fmt: skip
"""What `evaluate` adds to a table. Bytes are per GPU, `step_seconds` is one global batch."""
