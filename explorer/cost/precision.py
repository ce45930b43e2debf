"""Bytes per parameter and per activation of each precision, and of each optimizer's states.

One row per name; what a row stores is what the named framework allocates, not a wish.
"""

from __future__ import annotations

from dataclasses import dataclass

from explorer.design import Implementation, Optimizer, Precision
from explorer.errors import UnknownName


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """What one parameter and one activation take, in bytes."""

    weight: float
    """Stored between steps; what ZeRO stage 3 shards."""
    gathered: float
    """A whole (unsharded) weight as the matrix products read it."""
    master: float
    """Second, fp32 copy kept by the optimizer; 0 where `weight` is the only one."""
    gradient: float
    """As accumulated between the micro-batches, and sharded by ZeRO stage 2."""
    gradient_made: float
    """As the backward pass makes it, before it is accumulated or reduced."""
    state: float
    """One optimizer state, where the optimizer does not fix its own."""
    activation: float
    """Inputs of matrix products."""
    residual: float
    """Residual stream."""
    gradients_persist: bool = False
    """Gradients live in one buffer for the whole run instead of being made by the backward pass."""
    gathers: bool = False
    """Weights are cast layer by layer when gathered, as FSDP's mixed precision does."""
    copied: float = 0.0
    """Copy of every matrix weight that lives from forward to backward (autocast's cache, fp8 and its transpose)."""


# Micikevicius 2018 (arXiv:1710.03740) for fp32 masters; torch.autocast keeps its casts of leaf
# weights until the context exits, and the graph keeps them for the backward pass.
_FP32 = Storage(
    weight=4, gathered=4, master=0, gradient=4, gradient_made=4, state=4, activation=4, residual=4
)
_AMP = Storage(
    weight=4, gathered=4, master=0, gradient=4, gradient_made=4, state=4, activation=2, residual=4, copied=2
)
_BF16 = Storage(
    weight=2, gathered=2, master=0, gradient=2, gradient_made=2, state=2, activation=2, residual=2
)
_BF16_MIXED = Storage(
    weight=2, gathered=2, master=4, gradient=2, gradient_made=2, state=4, activation=2, residual=2
)
# FSDP MixedPrecisionPolicy(param_dtype=bf16, reduce_dtype=fp32), as torchtitan and llm-foundry set it.
_FSDP = Storage(
    weight=4,
    gathered=2,
    master=0,
    gradient=4,
    gradient_made=2,
    state=4,
    activation=2,
    residual=2,
    gathers=True,
)
# Megatron-LM: bf16 weights, fp32 main gradients in one buffer, fp32 main weights and states: 18 bytes
# (docs of its distributed optimizer: 18, or 6 + 12/dp when it shards).
_MEGATRON = Storage(
    weight=2, gathered=2, master=4, gradient=4, gradient_made=2, state=4, activation=2, residual=2,
    gradients_persist=True,
)  # fmt: skip
# Transformer Engine keeps an fp8 weight and its transpose beside the bf16 weight.
_MEGATRON_FP8 = Storage(
    weight=2, gathered=2, master=4, gradient=4, gradient_made=2, state=4, activation=2, residual=2,
    gradients_persist=True, copied=2,
)  # fmt: skip

_TORCH: dict[str, Storage] = {
    "fp32": _FP32, "amp": _AMP, "bf16-mixed": _BF16_MIXED, "fsdp-mixed": _FSDP, "bf16": _BF16, "fp8": _FSDP,
}  # fmt: skip
_MEGATRON_LM: dict[str, Storage] = {
    **_TORCH, "bf16-mixed": _MEGATRON, "fp8": _MEGATRON_FP8,
}  # fmt: skip


def storage(precision: Precision, implementation: Implementation = "torch") -> Storage:
    """The row of `precision` under `implementation`; UnknownName for another name."""
    table = _MEGATRON_LM if implementation == "megatron" else _TORCH
    if precision not in table:
        raise UnknownName("precision", precision, table)
    return table[precision]


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerStates:
    """States of one optimizer, per parameter."""

    matrices: float
    """Number of states of the `state` size per entry of a 2-D weight inside the layers."""
    others: float
    """The same for embeddings, head, norms and biases."""
    fixed_bytes: float = 0.0
    """Bytes per parameter whose size the precision does not set."""
    foreach: bool = False
    """The step makes temporaries as large as all gradients (PyTorch's foreach implementation)."""


_OPTIMIZERS: dict[str, OptimizerStates] = {
    "adamw": OptimizerStates(matrices=2, others=2),
    "adamw-foreach": OptimizerStates(matrices=2, others=2, foreach=True),
    "sgd": OptimizerStates(matrices=0, others=0),
    "momentum": OptimizerStates(matrices=1, others=1),
    "amsgrad": OptimizerStates(matrices=3, others=3),
    # Row and column means of each matrix (Shazeer 2018, arXiv:1804.04235): under a thousandth of the weights.
    "adafactor": OptimizerStates(matrices=0, others=0),
    # One momentum on 2-D weights of the layers, AdamW on everything else (Jordan 2024, kellerjordan.github.io/posts/muon).
    "muon": OptimizerStates(matrices=1, others=2),
    # Two bytes of state and two fp32 scales per block of 256 (bitsandbytes, torchao; Dettmers 2021, arXiv:2110.02861).
    "adamw-8bit": OptimizerStates(matrices=0, others=0, fixed_bytes=2 + 2 * 4 / 256),
}


def optimizer_states(optimizer: Optimizer) -> OptimizerStates:
    """The row of `optimizer`; UnknownName for another name."""
    if optimizer not in _OPTIMIZERS:
        raise UnknownName("optimizer", optimizer, _OPTIMIZERS)
    return _OPTIMIZERS[optimizer]
