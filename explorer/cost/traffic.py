"""Element-wise work: the bytes that norms, activations, residuals and the loss move through memory,
and how many kernels a layer launches. Both per token or per layer of one rank, forward and backward.
"""

from __future__ import annotations

import numpy as np

from explorer.design import Design, Optimizer, Plan, Precision
from explorer.units import Num

# Elements read and written per channel by a norm, forward and backward. A fused kernel reads and writes
# the input once; backward reads it and the gradient, writes a gradient, and sums the weight's in a second
# pass. Eager RMSNorm as Transformers writes it makes fp32 copies around every step (read 2 B, written 4 …).
_NORM_FUSED = (2.0, 5.0)
_NORM_EAGER_RMS = (14.0, 20.0)

# Rotary embedding per element of queries and keys: eager code multiplies, rotates halves and adds apart.
_ROPE = {"torch": (10.0, 10.0), "megatron": (2.0, 2.0)}

# Elements per inner channel. Plain activation: read, write; backward reads input and gradient, writes one.
# Unfused tanh-GELU is eight kernels (Transformers' NewGELU). Gated: activation and product apart, or fused.
_PLAIN = (2.0, 3.0)
_PLAIN_UNFUSED = (17.0, 22.0)
_GATED = {"torch": (5.0, 8.0), "megatron": (3.0, 5.0)}

# Bytes per logit: torch casts to fp32, takes log-softmax and its gradient, and casts back
# (2 + 4 + 4 + 4 forward, 4 + 4 + 4 + 2 backward); megatron's vocabulary-parallel loss works in place on
# fp32 logits; chunked losses (Liger, arXiv:2410.10989) compute gradients while a chunk is in cache.
_LOSS_BYTES = {"torch": 28.0, "megatron": 20.0}
_LOSS_BYTES_CHUNKED = 12.0

# Host time of a layer relative to one with fused norms and no rotary embedding: eager RMSNorm and rotary
# embedding launch some thirty kernels beside the layer's own fourteen, but short ones.
_HOST_EAGER_RMS_ROPE = 2.0

# Bytes that one optimizer step reads and writes per parameter, gradient and its norm included: gradient
# read for the norm and again for the update; master weight and two states read and written.
_OPTIMIZER_BYTES: dict[Precision, float] = {
    "fp32": 36.0, "amp": 36.0, "bf16-mixed": 34.0, "fsdp-mixed": 36.0, "bf16": 18.0, "fp8": 34.0,
}  # fmt: skip
# Relative to fused AdamW: fewer states, or (foreach) one pass per arithmetic step.
_OPTIMIZER_FACTOR: dict[Optimizer, float] = {
    "adamw": 1.0, "adamw-foreach": 2.5, "sgd": 0.5, "momentum": 0.75, "amsgrad": 1.25,
    "adafactor": 1.0, "muon": 1.2, "adamw-8bit": 0.7,
}  # fmt: skip


def layer_bytes(design: Design, plan: Plan) -> tuple[Num, Num]:
    """Bytes per token of one layer's element-wise kernels on one rank: forward, backward."""
    tp = plan.tensor_parallel
    d = design.d_model / tp if plan.sequence_parallel else design.d_model
    # Autocast over fp32 weights keeps the residual stream and the norms in fp32.
    element = 4.0 if plan.precision in ("fp32", "amp") else 2.0
    inner_element = 4.0 if plan.precision == "fp32" else 2.0
    implementation = plan.implementation
    norm = _NORM_EAGER_RMS if implementation == "torch" and design.norm == "rmsnorm" else _NORM_FUSED
    rope = _ROPE[implementation] if design.position == "rope" else (0.0, 0.0)
    heads = (design.n_heads + design.n_kv_heads) * design.d_head / tp
    if design.gated:
        act = _GATED[implementation]
    else:
        act = _PLAIN if plan.fused_activation or implementation == "megatron" else _PLAIN_UNFUSED
    inner = design.d_ff / tp
    # Two residual sums of two reads and a write; backward the same for their gradients. Dropout adds
    # a read and a write with its mask to each.
    residual: Num = 6.0 + (5.0 if plan.dropout else 0.0)
    if np.any(np.asarray(design.n_experts)):
        experts = design.n_experts_active + design.n_experts_shared
        mixture = np.greater(design.n_experts, 0) * 1.0
        inner = (mixture * experts * design.d_ff_expert + (1 - mixture) * design.d_ff) / tp
        # Routing copies every token to its experts and back.
        residual = residual + 4.0 * mixture * design.n_experts_active
    both = []
    for i in (0, 1):
        on_width = element * (design.norms_per_layer * norm[i] + residual)
        both.append(on_width * d + inner_element * (rope[i] * heads + act[i] * inner))
    return both[0], both[1]


def head_bytes(design: Design, plan: Plan) -> Num:
    """Bytes per token of the loss over the vocabulary, the embedding and the last norm, both passes."""
    per_logit = _LOSS_BYTES_CHUNKED if plan.cross_entropy == "chunked" else _LOSS_BYTES[plan.implementation]
    return per_logit * design.vocab_size / plan.tensor_parallel + 30.0 * design.d_model


def layer_host_share(design: Design, plan: Plan) -> float:
    """Host time of one layer's forward pass relative to the curve's; a backward pass takes twice it."""
    eager = plan.implementation == "torch" and design.norm == "rmsnorm"
    return _HOST_EAGER_RMS_ROPE if eager else 1.0


def optimizer_bytes_moved(plan: Plan) -> float:
    """Bytes that one optimizer step reads and writes per parameter it holds."""
    return _OPTIMIZER_BYTES[plan.precision] * _OPTIMIZER_FACTOR[plan.optimizer]
