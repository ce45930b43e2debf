"""What a layer keeps when most of it is computed again."""

from __future__ import annotations

import numpy as np

from explorer.cost.activations.entries import Entry
from explorer.cost.activations.families import is_latent
from explorer.cost.precision import Storage
from explorer.design import Design, Plan


def every_second_product(design: Design, plan: Plan, kinds: Storage) -> tuple[Entry, ...]:
    """What torchtitan's selective checkpointing per operation keeps of a layer: its input, attention's
    result, and the results of every second matrix product, in the order in which they run. Grouped
    products of experts are not on its list. Compiled, the last product is not kept: nothing reads it.
    Source: torchtitan/models/llama/parallelize_llama.py, `_save_list` (December 2024)."""
    d, e, h = design.d_model, kinds.activation, design.n_heads
    q, k = h * design.d_head, design.n_kv_heads * design.d_head
    v = q
    if is_latent(design):
        v = h * design.d_head_v
        down = e * (design.kv_lora_rank + design.d_head_rope)
        products = [
            Entry("latent key and value product", down, "whole"),
            Entry("key and value product", e * (h * (design.d_head - design.d_head_rope) + v), "heads"),
        ]
        if np.all(np.asarray(design.q_lora_rank) > 0):
            products.insert(0, Entry("latent query product", e * design.q_lora_rank, "whole"))
            products.insert(1, Entry("query product", e * q, "heads"))
        else:
            products.insert(0, Entry("query product", e * q, "heads"))
    else:
        products = [
            Entry("query product", e * q, "heads"),
            Entry("key product", e * k, "kv"),
            Entry("value product", e * k, "kv"),
        ]
    products.append(Entry("attention's output product", e * d, "sequence"))
    width, dense = design.d_ff, True
    if np.any(np.asarray(design.n_experts)):
        size = 4 if is_latent(design) else e
        products.append(Entry("router product", size * design.n_experts, "sequence"))
        width, dense = design.n_experts_shared * design.d_ff_expert, bool(np.any(design.n_experts_shared))
    if dense:
        products += [Entry("first feed-forward product", e * width, "width")]
        products += [Entry("second feed-forward product", e * width, "width")] if design.gated else []
        products += [Entry("down product", e * d, "sequence")]
    kept = products[::2]
    if plan.compiled and kept[-1].operation == "down product":
        kept.pop()
    return (
        Entry("layer input", kinds.residual * d, "sequence"),
        Entry("attention output", e * v, "heads"),
        Entry("log-sum-exp", 4 * h, "heads"),
        *kept,
    )
