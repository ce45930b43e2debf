"""Megatron's fused block."""

from __future__ import annotations

import numpy as np

from explorer.cost.activations.entries import Entry, Ledger
from explorer.cost.activations.families import has_one_norm, is_latent
from explorer.cost.activations.loss import loss_entries
from explorer.cost.precision import Storage
from explorer.design import Design, Plan


def megatron_ledger(design: Design, plan: Plan, kinds: Storage) -> Ledger:
    """Korthikanti 2022, section 4.1: 34·d + 5·h·c per token for their block, entry by entry."""
    d, ff, h, e = design.d_model, design.d_ff, design.n_heads, kinds.activation
    q, k = h * design.d_head, design.n_kv_heads * design.d_head
    v = q
    latent = is_latent(design)
    if latent:
        k, v = q, h * design.d_head_v
    one_norm = has_one_norm(design)
    attention = [
        Entry("attention norm input", e * d, "sequence"),
        Entry("query, key, value input", e * d, "sequence"),
        Entry("queries", e * q, "heads"),
        Entry("keys and values", e * (k + (v if latent else k)), "kv"),
    ]
    if latent:
        compressed = design.kv_lora_rank + design.q_lora_rank
        attention.append(Entry("latent norm and product inputs", 2 * e * compressed, "sequence"))
    if design.qk_norm != "none":
        attention += [Entry("query norm input", e * q, "heads"), Entry("key norm input", e * k, "kv")]
    if plan.attention_kernel == "flash":
        attention.append(Entry("log-sum-exp", 4 * h, "heads"))
    else:
        c = design.context_length
        attention.append(Entry("softmax output", e * h * c, "heads"))
        if plan.dropout:
            attention.append(Entry("softmax dropout mask", 1 * h * c, "heads"))
            attention.append(Entry("softmax dropout output", e * h * c, "heads"))
    attention.append(Entry("attention output", e * v, "heads"))
    extra_norms = np.maximum(design.norms_per_layer - 2, 0)
    if np.any(extra_norms > 0):
        attention.append(Entry("post-norm inputs", extra_norms * e * d, "sequence"))
    ffn = [
        Entry("feed-forward norm input", (1 - one_norm) * e * d, "sequence"),
        Entry("feed-forward input", (1 - one_norm) * e * d, "sequence"),
    ]
    if plan.dropout:
        attention.append(Entry("attention dropout mask", 1 * d, "sequence"))
        ffn.append(Entry("feed-forward dropout mask", 1 * d, "sequence"))
    before = 2 if design.gated else 0 if design.ffn == "relu" else 1
    dense = [
        *ffn,
        Entry("activation input", before * e * ff, "width"),
        Entry("feed-forward out input", e * ff, "width"),
    ]
    experts = np.any(np.asarray(design.n_experts))
    sparse = dense
    if experts:
        width = (design.n_experts_active + design.n_experts_shared) * design.d_ff_expert
        sparse = [
            *ffn,
            Entry("router probabilities", 4 * design.n_experts, "sequence"),
            Entry("dispatched tokens and expert outputs", 2 * e * design.n_experts_active * d, "sequence"),
            Entry("experts", (before + 1) * e * width, "width"),
        ]
    outside = (
        Entry("final norm input", e * d * int(design.final_norm), "sequence"),
        Entry("output head input", e * d, "sequence"),
        *loss_entries(design, plan, kinds),
    )
    return Ledger(
        attention=tuple(attention),
        ffn=tuple(sparse),
        dense_ffn=tuple(dense) if experts else (),
        outside=outside,
        embedding=(Entry("embedding dropout mask", 1 * d, "sequence"),) if plan.dropout else (),
        assumptions=("activations are those of Megatron's fused kernels, norm statistics left out",),
    )
