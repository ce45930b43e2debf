"""How many parameters a design has, to the unit, and which of them a token meets.

Every term is per layer or outside the layers, and none contains n_layers: a total is
`outside + per_layer · n_layers`, so that on an open grid each term is computed on its own axes.
Python integers stay exact; float64 is exact up to 2^53.

The forms are those of the modules that Transformers builds (tests/records/parameters.json).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explorer.design import Design, Norm
from explorer.units import Num


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Parameter counts of a design; shapes broadcast from the design's own fields."""

    n_layers: Num

    embedding: Num
    """Token table, V·d; shared with the head if tied."""
    projection: Num
    """Matrices between a narrower embedding and the residual stream (OPT-350M)."""
    position: Num
    """Learned position table."""
    head: Num
    """Output head's own parameters: V·d if untied, and its bias."""
    head_matmul: Num
    """Weights multiplied by the output head, tied or not."""
    norms_outside: Num
    """Final norm and the norm after the embedding."""

    attention_per_layer: Num
    """Projections, their biases and sinks."""
    attention_matmul_per_layer: Num
    ffn_per_layer: Num
    """Feed-forward part of a layer; of a mixture: all experts and the router."""
    ffn_active_per_layer: Num
    """The same, as far as one token meets it."""
    ffn_matmul_per_layer: Num
    """Matrix entries among `ffn_active_per_layer`."""
    norms_per_layer: Num
    """Norms of a block, QK-norms and norms of latent attention included."""

    dense_layers_extra: Num = 0
    """What the leading dense layers of a mixture have beyond as many mixture layers; may be negative."""
    dense_layers_extra_active: Num = 0
    dense_layers_extra_matmul: Num = 0

    @property
    def attention(self) -> Num:
        """All layers' attention."""
        return self.attention_per_layer * self.n_layers

    @property
    def ffn(self) -> Num:
        """All layers' feed-forward parts, every expert counted."""
        return self.ffn_per_layer * self.n_layers + self.dense_layers_extra

    @property
    def norms(self) -> Num:
        """All norms."""
        return self.norms_per_layer * self.n_layers + self.norms_outside

    @property
    def per_layer(self) -> Num:
        """One (mixture) layer: total = outside + per_layer · n_layers."""
        return self.attention_per_layer + self.ffn_per_layer + self.norms_per_layer

    @property
    def per_layer_active(self) -> Num:
        """What a token meets of one (mixture) layer."""
        return self.attention_per_layer + self.ffn_active_per_layer + self.norms_per_layer

    @property
    def per_layer_matmul(self) -> Num:
        """Matrix entries that one token is multiplied with in one (mixture) layer."""
        return self.attention_matmul_per_layer + self.ffn_matmul_per_layer

    @property
    def around(self) -> Num:
        """Everything that belongs to no layer: embeddings, head, outer norms."""
        return self.embedding + self.projection + self.position + self.head + self.norms_outside

    @property
    def outside(self) -> Num:
        """What n_layers does not multiply: `around`, and what dense layers have beyond mixture layers."""
        return self.around + self.dense_layers_extra

    @property
    def total(self) -> Num:
        """Every parameter, once: a tied head is not counted again."""
        return self.outside + self.per_layer * self.n_layers

    @property
    def active(self) -> Num:
        """Parameters that one token meets: the routed experts it is sent to instead of all."""
        return self.around + self.dense_layers_extra_active + self.per_layer_active * self.n_layers

    @property
    def non_embedding(self) -> Num:
        """Total without vocabulary and position tables (Kaplan 2020, section 2.1: "excluding all
        vocabulary and positional embeddings"); an untied head is a vocabulary table as well."""
        return self.norms_outside + self.projection + self.dense_layers_extra + self.per_layer * self.n_layers

    @property
    def matmul(self) -> Num:
        """Weights that one token is multiplied with (W): head included also when tied, active
        experts only; embeddings, norms and biases not."""
        return (
            self.head_matmul
            + self.projection
            + self.dense_layers_extra_matmul
            + self.per_layer_matmul * self.n_layers
        )


def parameters(design: Design) -> Parameters:
    """Parameter counts of `design`; arrays broadcast and are never expanded early."""
    d, V = design.d_model, design.vocab_size
    d_embedding = _or(design.d_embedding, d)
    norm = norm_size(design.norm)
    attention_matmul, attention_rest = _attention(design)
    norms_outside = (int(design.final_norm) + int(design.embedding_norm)) * norm * d
    untied = int(not design.tied_embeddings)
    head_bias = V if design.head_bias else 0
    return Parameters(
        n_layers=design.n_layers,
        embedding=V * d_embedding,
        projection=2 * d * d_embedding * _flag(design.d_embedding) if _any(design.d_embedding) else 0,
        position=(design.context_length + design.position_offset) * d if design.position == "learned" else 0,
        head=untied * V * d_embedding + head_bias,
        head_matmul=V * d_embedding,
        norms_outside=norms_outside,
        attention_per_layer=attention_matmul + attention_rest,
        attention_matmul_per_layer=attention_matmul,
        norms_per_layer=design.norms_per_layer * norm * d + _inner_norms(design),
        **_feed_forward(design),
    )


def _feed_forward(design: Design) -> dict[str, Num]:
    """What every layer has, a token meets and is multiplied with, and what leading dense layers have beyond."""
    d = design.d_model
    dense = _ffn(design, design.d_ff)
    if not _any(design.n_experts):
        every = dense[0] + dense[1]
        return {
            "ffn_per_layer": every, "ffn_active_per_layer": every, "ffn_matmul_per_layer": dense[0],
        }  # fmt: skip
    mixture = _flag(design.n_experts)
    router = d * design.n_experts
    shared_gate = d * int(design.shared_expert_gate) * _flag(design.n_experts_shared)
    expert = _ffn(design, design.d_ff_expert)
    always = tuple(design.n_experts_shared * part for part in expert)
    sparse_matmul = design.n_experts_active * expert[0] + always[0] + router + shared_gate
    sparse_rest_active = (
        design.n_experts_active * expert[1] + always[1] + int(design.router_bias) * design.n_experts
    )
    sparse_idle = (design.n_experts - design.n_experts_active) * (expert[0] + expert[1])
    ffn_matmul = mixture * sparse_matmul + (1 - mixture) * dense[0]
    ffn_active = mixture * (sparse_matmul + sparse_rest_active) + (1 - mixture) * (dense[0] + dense[1])
    ffn_all = ffn_active + mixture * sparse_idle
    n_dense = design.n_dense_layers * mixture

    return {
        "ffn_per_layer": ffn_all,
        "ffn_active_per_layer": ffn_active,
        "ffn_matmul_per_layer": ffn_matmul,
        "dense_layers_extra": n_dense * (dense[0] + dense[1] - ffn_all),
        "dense_layers_extra_active": n_dense * (dense[0] + dense[1] - ffn_active),
        "dense_layers_extra_matmul": n_dense * (dense[0] - ffn_matmul),
    }


def norm_size(norm: Norm) -> int:
    """Parameters of a norm per channel: weight and bias, weight only, or none (OLMo 1)."""
    return {"layernorm": 2, "rmsnorm": 1, "layernorm-nobias": 1, "layernorm-noweight": 0}[norm]


def _attention(design: Design) -> tuple[Num, Num]:
    """Matrix entries and other parameters of one layer's attention."""
    d, h = design.d_model, design.n_heads
    q, k = h * design.d_head, design.n_kv_heads * design.d_head
    sinks = h if design.attention_sinks else 0
    output = (d if design.output_bias else 0) + sinks
    matmul = 2 * d * (q + k)
    rest = (q + 2 * k if design.qkv_bias else 0) + output
    if not _any(design.kv_lora_rank):
        return matmul, rest

    # Multi-head latent attention, DeepSeek-V2 (arXiv:2405.04434), equations 9-19 and appendix C:
    # queries through rank r_q (or straight), keys and values through rank r, one shared rotary key.
    r, r_q, rope = design.kv_lora_rank, design.q_lora_rank, design.d_head_rope
    v = h * design.d_head_v
    low_q = _flag(r_q)
    queries = low_q * (d * r_q + r_q * q) + (1 - low_q) * d * q
    latent = queries + d * (r + rope) + r * (h * (design.d_head - rope) + v) + v * d
    # As Transformers builds it, the biases sit on the two down-projections and on the output.
    latent_rest = (r_q + r + rope if design.qkv_bias else 0) + output
    is_latent = _flag(r)
    return (
        is_latent * latent + (1 - is_latent) * matmul,
        is_latent * latent_rest + (1 - is_latent) * rest,
    )


def _inner_norms(design: Design) -> Num:
    """Norms inside one layer's attention: of queries and keys, or of the latent ranks."""
    latent = design.kv_lora_rank + design.q_lora_rank
    if design.qk_norm == "none":
        return latent
    heads = 2 if design.qk_norm == "head" else design.n_heads + design.n_kv_heads
    return latent + heads * design.d_head * (1 + int(design.qk_norm_bias))


def _ffn(design: Design, width: Num) -> tuple[Num, Num]:
    """Matrix entries and biases of one feed-forward block of inner `width`."""
    matrices = 3 if design.gated else 2
    biases = (matrices - 1) * width + design.d_model if design.ffn_bias else 0
    return matrices * design.d_model * width, biases


def _any(value: Num) -> bool:
    return bool(np.any(np.asarray(value)))


def _flag(value: Num) -> Num:
    """1 where positive, else 0, of the value's own kind (Python integers stay so)."""
    return np.greater(value, 0) * 1.0 if isinstance(value, np.ndarray) else int(value > 0)


def _or(value: Num, default: Num) -> Num:
    """`value` where positive, else `default`."""
    if isinstance(value, np.ndarray):
        return np.where(value > 0, value, default)
    return value if value > 0 else default
