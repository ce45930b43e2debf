"""Which published block a design stands for, as far as it changes what its modules keep."""

from __future__ import annotations

import numpy as np

from explorer.design import Design


def is_packed(design: Design) -> bool:
    """One product makes queries, keys and values: plain blocks, but for OPT and StarCoder 2."""
    starcoder2 = design.position == "rope" and not design.parallel_block
    return not (design.gated or is_opt(design) or starcoder2)


def is_opt(design: Design) -> bool:
    """OPT: a plain block with ReLU and learned positions."""
    return design.ffn == "relu" and design.position == "learned"


def is_latent(design: Design) -> bool:
    """Multi-head latent attention."""
    return bool(np.any(np.asarray(design.kv_lora_rank)))


def has_one_norm(design: Design) -> int:
    """1 where a block has a single norm."""
    return int(bool(np.all(np.asarray(design.norms_per_layer) == 1)))


def groups_in_kernel(design: Design) -> bool:
    """GPT-2's attention: softmax in the working precision, keys and values not repeated."""
    plain = not design.gated and design.position == "learned" and not is_opt(design)
    return plain and bool(np.all(np.asarray(design.n_kv_heads == design.n_heads)))


def is_neox(design: Design) -> bool:
    """GPT-NeoX: parallel parts with a norm each, rotary positions, packed projection."""
    rotary = design.parallel_block and design.position == "rope" and not design.gated
    return rotary and not has_one_norm(design)
