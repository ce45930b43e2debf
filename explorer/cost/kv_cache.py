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
    """Bytes of the cache of `batch` sequences at the full context length.

    A windowed layer keeps its window and the global tokens; keys drawn at random may lie
    anywhere, so such a layer keeps everything. Weights of any precision; see `kv_bits`.
    """
    c = design.context_length
    per_layer = _per_layer(design) * batch * kv_bits / 8
    if not np.any(np.asarray(design.window)):
        return per_layer * design.n_layers * c
    held = np.minimum(c, design.window + design.global_tokens)
    everything = (np.asarray(design.window) <= 0) | (np.asarray(design.random_tokens) > 0)
    windowed = design.n_layers - design.n_global_layers
    tokens = design.n_global_layers * c + windowed * np.where(everything, c, held)
    total = per_layer * tokens
    return total if isinstance(total, np.ndarray) and total.ndim else float(total)


def serving_bytes(design: Design, batch: Num = 1, weight_bits: Num = 16, kv_bits: Num = 16) -> Num:
    """Weights of all parameters (every expert) at `weight_bits` plus the cache at full context."""
    return parameters(design).total * weight_bits / 8 + kv_cache_bytes(design, batch, kv_bits)


def _per_layer(design: Design) -> Num:
    """Cached numbers per token in one layer."""
    ordinary = 2 * design.n_kv_heads * design.d_head
    if not np.any(np.asarray(design.kv_lora_rank)):
        return ordinary
    latent = design.kv_lora_rank + design.d_head_rope
    if isinstance(design.kv_lora_rank, np.ndarray):
        return np.where(design.kv_lora_rank > 0, latent, ordinary)
    return latent
