"""Seconds that the products with weights take on one GPU.

A product of shapes (m, k)·(k, n) takes 2·(m·n + fill)·(k + ramp) / rate. `fill` are the output
elements lost to the last, partly filled wave of tiles; `ramp` is the contraction length lost to
filling and draining the pipeline, which also carries the traffic of inputs and outputs. Training
does three such products per matrix (output, input gradient, weight gradient), the three ways to
choose which of (tokens, n, k) is contracted. Their sum is linear in the tokens:

    forward            tokens · (n·k + n·ramp) + fill·(k + ramp)
    forward + backward tokens · (3·n·k + ramp·(n + k) + fill) + ramp·n·k + fill·(n + k) + 3·fill·ramp

so that intercept and slope depend on widths alone and contexts enter afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from explorer.catalog.accelerators import Efficiency
from explorer.cost.distinct import Index, distinct, spread
from explorer.cost.hardware import Hardware
from explorer.design import Design, Plan
from explorer.units import Num

_Matrix: TypeAlias = tuple[Num, Num, Num, Num]
"""Outputs n, inputs k, share of the tokens that meet it, copies of it."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Seconds as a function of tokens: `intercept + slope · tokens`."""

    intercept: Num
    slope: Num

    def __call__(self, tokens: Num) -> Num:
        return self.intercept + self.slope * tokens

    def __add__(self, other: Linear) -> Linear:
        return Linear(self.intercept + other.intercept, self.slope + other.slope)

    def times(self, factor: Num) -> Linear:
        """The same, `factor` times over."""
        return Linear(self.intercept * factor, self.slope * factor)

    def spread(self, index: Index) -> Linear:
        """Columns of distinct combinations as columns of plans."""
        return Linear(spread(self.intercept, index), spread(self.slope, index))


def product(
    n: Num,
    k: Num,
    hardware: Hardware,
    plan: Plan,
    share: Num = 1,
    copies: Num = 1,
    *,
    half: bool = False,
    aligned: Num | None = None,
) -> tuple[Linear, Linear]:
    """Forward, and forward + backward, of one matrix (k, n), as functions of tokens.

    `share` of the tokens meets each of `copies` equal matrices (experts). `half` runs in 16 bits
    whatever the precision (fp8 training keeps the head there). `aligned` is the two widths' relative
    speed, where it is known already.
    """
    curve = hardware.efficiency
    precision = "bf16" if half and plan.precision == "fp8" else plan.precision
    if aligned is None:
        aligned = alignment(n, curve) * alignment(k, curve)
    per_flop = 2 / hardware.matmul_rate(precision) / aligned
    fill, ramp = curve.matmul_fill * hardware.accelerator.n_units, curve.matmul_ramp
    area, sides = n * k, n + k
    forward = Linear(per_flop * (fill * k + fill * ramp), per_flop * (area + ramp * n))
    both = Linear(
        per_flop * (ramp * area + fill * sides + 3 * fill * ramp),
        per_flop * (3 * area + ramp * sides + fill),
    )
    # Most matrices are one of their kind that every token meets.
    if not (isinstance(copies, int) and isinstance(share, int) and copies == share == 1):
        forward, both = (
            Linear(copies * one.intercept, copies * share * one.slope) for one in (forward, both)
        )
    return forward, both


def layer_products(design: Design, plan: Plan, hardware: Hardware) -> tuple[Linear, Linear]:
    """Forward, and forward + backward, of one layer's weights on one tensor-parallel rank."""
    fewer, index = distinct(design, plan, ("tensor_parallel",))
    matrices = [*_attention(design, fewer.tensor_parallel), *_ffn(design, fewer)]
    forward, both = _products(matrices, fewer, hardware)
    return forward.spread(index), both.spread(index)


def last_product(design: Design, plan: Plan, hardware: Hardware) -> Linear:
    """Forward of a dense layer's last matrix, which PyTorch's checkpointing does not repeat: it stops
    once everything that the backward pass needs is there again. Experts end in a gather instead."""
    dense = 1.0 - np.greater(design.n_experts, 0)
    return product(design.d_model, design.d_ff / plan.tensor_parallel, hardware, plan)[0].times(dense)


def dense_layers_extra(design: Design, plan: Plan, hardware: Hardware) -> tuple[Linear, Linear]:
    """What the leading dense layers of a mixture take beyond as many mixture layers, all together."""
    dense = _products(_dense(design, plan, design.n_dense_layers), plan, hardware)
    sparse = _products(_ffn(design, plan), plan, hardware)
    n = -design.n_dense_layers
    return dense[0] + sparse[0].times(n), dense[1] + sparse[1].times(n)


def head_products(design: Design, plan: Plan, hardware: Hardware) -> tuple[Linear, Linear]:
    """Forward, and forward + backward, of the output head."""
    V = design.vocab_size
    fewer, index = distinct(design, plan, ("tensor_parallel",))
    if plan.implementation == "megatron":
        # Megatron pads the vocabulary to a multiple of 128 per rank (--make-vocab-size-divisible-by).
        V = np.ceil(V / (128 * fewer.tensor_parallel)) * (128 * fewer.tensor_parallel)
    forward, both = product(V / fewer.tensor_parallel, design.d_model, hardware, fewer, half=True)
    return forward.spread(index), both.spread(index)


def alignment(width: Num, curve: Efficiency) -> Num:
    """Relative speed of a width: by the largest power of two, up to 256, that divides it."""
    whole = np.asarray(np.maximum(width, 1) + 0.5).astype(np.int64)
    table = np.zeros(257)
    table[list(curve.matmul_alignment)] = list(curve.matmul_alignment.values())
    speed: Num = table[np.minimum(whole & -whole, 256)]
    return speed


def _attention(design: Design, tp: Num) -> list[_Matrix]:
    """Matrices (n, k, share of tokens, copies) of one layer's attention on one rank."""
    d = design.d_model
    q = design.n_heads * design.d_head / tp
    if not _any(design.kv_lora_rank):
        # Fewer key-value heads than ranks are held by several ranks each.
        k = np.maximum(design.n_kv_heads / tp, 1) * design.d_head
        return [(q + 2 * k, d, 1, 1), (d, q, 1, 1)]
    # Latent attention (DeepSeek-V2, arXiv:2405.04434, appendix C): down-projections are replicated.
    v = design.n_heads * design.d_head_v / tp
    rank, rope, rank_q = design.kv_lora_rank, design.d_head_rope, design.q_lora_rank
    up = design.n_heads / tp * (design.d_head - rope) + v
    queries = [(rank_q, d, 1, 1), (q, rank_q, 1, 1)] if _any(rank_q) else [(q, d, 1, 1)]
    return [*queries, (rank + rope, d, 1, 1), (up, rank, 1, 1), (d, v, 1, 1)]


def _ffn(design: Design, plan: Plan) -> list[_Matrix]:
    """Matrices of one layer's feed-forward part on one rank: dense, or routed and shared experts."""
    if not _any(design.n_experts):
        return _dense(design, plan, 1)
    mixture = np.greater(design.n_experts, 0) * 1.0
    experts = np.maximum(design.n_experts, 1)
    routed = _dense(design, plan, mixture * experts, width=design.d_ff_expert)
    matrices = [(n, k, design.n_experts_active / experts, copies) for n, k, _, copies in routed]
    if _any(design.n_experts_shared):
        width = np.maximum(design.n_experts_shared, 1) * design.d_ff_expert
        matrices += _dense(design, plan, mixture * np.greater(design.n_experts_shared, 0), width=width)
    return matrices + (_dense(design, plan, 1 - mixture) if _any(1 - mixture) else [])


def _dense(design: Design, plan: Plan, copies: Num, width: Num | None = None) -> list[_Matrix]:
    """The two (or, gated, three: the first two as one) matrices of a feed-forward block."""
    width = (design.d_ff if width is None else width) / plan.tensor_parallel
    return [
        ((2 if design.gated else 1) * width, design.d_model, 1, copies),
        (design.d_model, width, 1, copies),
    ]


def _products(matrices: list[_Matrix], plan: Plan, hardware: Hardware) -> tuple[Linear, Linear]:
    """Forward, and forward + backward, of several matrices together."""
    forward, both = Linear(0.0, 0.0), Linear(0.0, 0.0)
    speeds: dict[int, Num] = {}
    for n, k, share, copies in matrices:
        for width in (n, k):
            # Several matrices share a width, as one object.
            if id(width) not in speeds:
                speeds[id(width)] = alignment(width, hardware.efficiency)
        aligned = speeds[id(n)] * speeds[id(k)]
        one, three = product(n, k, hardware, plan, share, copies, aligned=aligned)
        forward, both = forward + one, both + three
    return forward, both


def _any(value: Num) -> bool:
    return bool(np.any(np.asarray(value)))
