"""What serving a design holds in memory: its weights and the keys and values of the context."""

from __future__ import annotations

import numpy as np

from explorer.cost.parameters import parameters
from explorer.design import Design
from explorer.units import Num


def kv_cache_bytes_per_token(design: Design, kv_bits: Num = 16) -> Num:
    """Bytes that one more token of one sequence adds, before any window is full.

    Keys and values of every layer: 2·n_kv_heads·d_head each, or with latent attention the
    compressed rank and the shared rotary key (DeepSeek-V2, arXiv:2405.04434, table 1).
    """
    return _per_layer(design) * design.n_layers * kv_bits / 8


def kv_cache_bytes(design: Design, batch: Num = 1, kv_bits: Num = 16) -> Num:
    """Bytes of the cache of `batch` sequences at the full context length."""
    total = _per_layer(design) * batch * kv_bits / 8 * cached_tokens(design)
    return total if isinstance(total, np.ndarray) and total.ndim else float(total)


def cached_tokens(design: Design) -> Num:
    """Tokens that the layers hold for one sequence at full context, summed over layers.

    A windowed layer keeps its window and the global tokens; keys drawn at random may lie
    anywhere, so such a layer keeps everything.
    """
    c = design.context_length
    if not np.any(np.asarray(design.window)):
        return design.n_layers * c
    held = np.minimum(c, design.window + design.global_tokens)
    everything = (np.asarray(design.window) <= 0) | (np.asarray(design.random_tokens) > 0)
    windowed = design.n_layers - design.n_global_layers
    tokens: Num = design.n_global_layers * c + windowed * np.where(everything, c, held)
    return tokens


# A 4-bit format shares one 16-bit scale and one 4-bit zero among 128 weights (GPTQ, arXiv:2210.17323,
# and AWQ, arXiv:2306.00978, as published checkpoints use them); 8-bit formats one scale per output row.
_SCALE_BITS = 20 / 128


def served_weight_bytes(design: Design, weight_bits: Num = 16) -> Num:
    """Bytes of all weights (every expert), the layers' at `weight_bits`.

    Below 16 bits embeddings, output head and norms stay at 16, as in published int8, fp8 and int4
    checkpoints ("only the weights of the linear operators within transformer blocks are quantized",
    RedHatAI's cards), and 4-bit formats carry their scales.
    """
    counts = parameters(design)
    layers = (counts.attention_per_layer + counts.ffn_per_layer) * design.n_layers + counts.dense_layers_extra
    per_weight = quantised_bits(weight_bits) / 8
    rest = np.maximum(weight_bits, 16) / 8
    total: Num = layers * per_weight + (counts.total - layers) * rest
    return total if isinstance(total, np.ndarray) and total.ndim else float(total)


def quantised_bits(weight_bits: Num) -> Num:
    """Bits per weight of a layer's matrix, scales included."""
    return weight_bits + np.less(weight_bits, 8) * _SCALE_BITS


def serving_bytes(design: Design, batch: Num = 1, weight_bits: Num = 16, kv_bits: Num = 16) -> Num:
    """Weights at `weight_bits` plus the cache at full context."""
    return served_weight_bytes(design, weight_bits) + kv_cache_bytes(design, batch, kv_bits)


def _per_layer(design: Design) -> Num:
    """Cached numbers per token in one layer."""
    ordinary = 2 * design.n_kv_heads * design.d_head
    if not np.any(np.asarray(design.kv_lora_rank)):
        return ordinary
    latent = design.kv_lora_rank + design.d_head_rope
    if isinstance(design.kv_lora_rank, np.ndarray):
        return np.where(design.kv_lora_rank > 0, latent, ordinary)
    return latent
