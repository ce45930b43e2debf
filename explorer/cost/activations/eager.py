"""PyTorch's modules, as Transformers writes them: eager or under torch.compile."""

from __future__ import annotations

import numpy as np

from explorer.cost.activations.entries import Entry, Ledger
from explorer.cost.activations.families import (
    groups_in_kernel,
    has_one_norm,
    is_latent,
    is_neox,
    is_opt,
    is_packed,
)
from explorer.cost.activations.loss import loss_entries
from explorer.cost.precision import Storage
from explorer.design import Design, Plan
from explorer.units import Num


def torch_ledger(design: Design, plan: Plan, kinds: Storage) -> Ledger:
    """Transformers' eager modules, counted with torch.autograd.graph.saved_tensors_hooks.

    Under tensor parallelism the input of a column-split product is gathered, and autograd keeps it
    `whole` (PyTorch's ColwiseParallel); Megatron keeps its shard and gathers again.
    """
    d, e = design.d_model, kinds.activation
    # Autocast casts a linear's input anew for each linear that reads it; compiled, once.
    mixed = plan.precision == "amp" and not plan.compiled
    packed = is_packed(design)
    products = 2 if is_latent(design) else 3
    qkv_reads = 1 if packed or not mixed else products
    ffn_reads = 2 if mixed and design.gated else 1
    one_norm = has_one_norm(design)

    outer_norm = _norm(design, kinds)
    norm = _compiled_norm(design, kinds.residual) if plan.compiled else outer_norm
    attention: list[Entry] = []
    ffn: list[Entry] = []
    if design.parallel_block:
        # Parallel norms read one residual: its copy is kept once for fused layer norms.
        shared = kinds.residual * d if design.norm != "rmsnorm" else 0 * d
        attention.append(Entry("attention norm", norm, "sequence"))
        ffn.append(Entry("feed-forward norm", (1 - one_norm) * (norm - shared), "sequence"))
        attention.append(Entry("query, key, value input", qkv_reads * e * d, "whole"))
        own_input = (1 - one_norm) if not mixed else 1
        ffn.append(Entry("feed-forward input", own_input * ffn_reads * e * d, "whole"))
    else:
        attention.append(Entry("attention norm", norm, "sequence"))
        attention.append(Entry("query, key, value input", qkv_reads * e * d, "whole"))
        # Compiled, the residual is made again from the layer's input and attention's product, which is kept.
        second = _compiled_norm(design, e) if plan.compiled else norm
        ffn.append(Entry("feed-forward norm", second, "sequence"))
        ffn.append(Entry("feed-forward input", ffn_reads * e * d, "whole"))
    extra_norms = design.norms_per_layer - 2
    if np.any(np.asarray(extra_norms) > 0):
        attention.append(Entry("post-norms", np.maximum(extra_norms, 0) * norm, "sequence"))
    attention += _attention(design, plan, kinds)
    if plan.dropout:
        attention.append(Entry("attention dropout mask", 1 * d, "sequence"))

    dense = [*ffn, *_feed_forward(design, plan, kinds)]
    if plan.dropout:
        dense.append(Entry("feed-forward dropout mask", 1 * d, "sequence"))
    modules = "of blocks under torch.compile" if plan.compiled else "of Transformers' eager modules"
    assumptions = [
        f"activations are those {modules}"
        + (", with one product for queries, keys and values" if packed else "")
    ]
    experts = np.any(np.asarray(design.n_experts))
    sparse = tuple(ffn) + tuple(_experts(design, kinds)) if experts else tuple(dense)
    return Ledger(
        attention=tuple(attention),
        ffn=sparse,
        dense_ffn=tuple(dense) if experts else (),
        outside=_outside(design, plan, kinds, outer_norm),
        embedding=_embedding(design, plan),
        assumptions=tuple(assumptions),
    )


def _norm(design: Design, kinds: Storage) -> Num:
    """One norm, without its output. Layer norm is a fused kernel (input and two fp32 statistics);
    RMS norm runs as separate operations in fp32: its input, the normalised rows, the inverse root."""
    if design.norm == "layernorm-noweight":
        # OLMo casts to fp32 first.
        return 4 * design.d_model + 8
    if design.norm != "rmsnorm":
        return kinds.residual * design.d_model + 8
    return (4 + _normalised(design, kinds.residual, kinds.activation)) * design.d_model + 4


def _normalised(design: Design, source: float, cast: float) -> float:
    """Bytes per entry of an RMS norm's normalised rows: Gemma and OLMo 2 multiply by the weight in fp32, the
    others have cast back by then (to `cast` where `source`, the norm's input, is in 16 bits)."""
    olmo2 = design.qk_norm == "full" and not np.any(np.asarray(design.n_experts))
    return 4 if source == 4 or design.ffn == "geglu" or olmo2 else cast


def _compiled_norm(design: Design, size: float) -> Num:
    """One norm of a compiled block: its input and its statistics; what is in fp32 is made again."""
    return size * design.d_model + (8 if design.norm != "rmsnorm" else 4)


def _attention(design: Design, plan: Plan, kinds: Storage) -> list[Entry]:
    """From the projections to the input of the output projection."""
    h, e = design.n_heads, kinds.activation
    if is_latent(design):
        return _latent_attention(design, plan, kinds)
    q, k = h * design.d_head, design.n_kv_heads * design.d_head
    entries: list[Entry] = []
    if design.qk_norm != "none":
        statistics = (1, 1) if design.qk_norm == "full" else (h, design.n_kv_heads)
        # Compiled, the projection is kept and its fp32 copies are made again.
        size = e if plan.compiled else 4 + _normalised(design, e, e)
        entries.append(Entry("query norm", size * q + 4 * statistics[0], "heads"))
        entries.append(Entry("key norm", size * k + 4 * statistics[1], "kv"))
    if plan.attention_kernel == "naive" and not groups_in_kernel(design):
        # Keys and values are repeated for every query head before the product.
        entries += [Entry("queries", e * q, "heads"), Entry("repeated keys and values", 2 * e * q, "heads")]
    elif plan.repeated_kv:
        entries += [Entry("queries", e * q, "heads"), Entry("repeated keys and values", 2 * e * q, "heads")]
    else:
        entries += [Entry("queries", e * q, "heads"), Entry("keys and values", 2 * e * k, "kv")]
    if is_neox(design) and plan.attention_kernel == "flash":
        # Values stay a view of the packed projection, whose storage is therefore kept whole; the
        # output is transposed back into a copy.
        entries.append(Entry("packed queries and keys", 2 * e * q, "heads"))
        entries.append(Entry("transposed output", e * q, "heads"))
    return [*entries, *_core(design, plan, kinds, q)]


def _latent_attention(design: Design, plan: Plan, kinds: Storage) -> list[Entry]:
    """Multi-head latent attention, as DeepSeek V3's modules run it."""
    h, e = design.n_heads, kinds.activation
    q, v = h * design.d_head, h * design.d_head_v
    compressed = design.kv_lora_rank + design.q_lora_rank
    # Norms as elsewhere, in fp32. Without a cast the norm's input is the product itself, with the positions' part.
    whole = design.d_head_rope * kinds.activation * int(kinds.activation == 4)
    statistics = 4 + 4 * np.greater(design.q_lora_rank, 0)
    entries = [
        Entry("latent norms and inputs", (4 + 2 * e) * compressed + whole + statistics, "whole"),
        Entry("queries", e * q, "heads"),
        Entry("keys", e * q, "heads"),
    ]
    if plan.attention_kernel == "flash":
        # Values stay a view of one product with the keys' part without positions; the output has the
        # layout of the queries, which are put together head by head, and is transposed into a copy.
        both = h * (design.d_head - design.d_head_rope) + v
        entries.append(Entry("values, with keys as produced", e * both, "heads"))
        entries.append(Entry("transposed output", e * v, "heads"))
    else:
        entries.append(Entry("values", e * v, "heads"))
    return [*entries, *_core(design, plan, kinds, v)]


def _core(design: Design, plan: Plan, kinds: Storage, width: Num) -> list[Entry]:
    """Scores, softmax and output."""
    c, h, e = design.context_length, design.n_heads, kinds.activation
    entries = [Entry("attention output", e * width, "heads")]
    if plan.attention_kernel == "flash":
        return [Entry("log-sum-exp", 4 * h, "heads"), *entries]
    # Softmax keeps its result: in fp32 and then copied in the precision of the values, but for GPT-2
    # in the working precision. With dropout the product keeps dropout's result instead of the copy.
    in_fp32 = plan.precision == "amp" or not groups_in_kernel(design)
    copied = e if in_fp32 and e < 4 else 0
    entries.append(Entry("attention probabilities", (4 if in_fp32 else e) * h * c, "heads"))
    if plan.dropout:
        entries.append(Entry("attention probabilities' dropout", (1 + e) * h * c, "heads"))
    elif copied:
        entries.append(Entry("attention probabilities, cast", copied * h * c, "heads"))
    return entries


def _feed_forward(design: Design, plan: Plan, kinds: Storage) -> list[Entry]:
    """Inside a dense feed-forward part, from its input to the input of the last product."""
    ff, e = design.d_ff, kinds.activation
    if design.gated:
        return [
            Entry("gate before activation", e * ff, "width"),
            Entry("gate", (0 if plan.compiled else e) * ff, "width"),
            Entry("up", e * ff, "width"),
            Entry("feed-forward out input", e * ff, "width"),
        ]
    if design.ffn == "relu":
        # The result, which the last product reads, is all that its backward pass needs.
        return [Entry("feed-forward out input", e * ff, "width")]
    if design.ffn == "relu2" and not plan.compiled:
        # The square keeps ReLU's result, which autocast turns into fp32 and ReLU keeps as it was.
        rectified = 2 + 4 if plan.precision == "amp" else e
        return [
            Entry("before the square", rectified * ff, "width"),
            Entry("feed-forward out input", e * ff, "width"),
        ]
    if plan.fused_activation or plan.compiled:
        return [
            Entry("activation input", e * ff, "width"),
            Entry("feed-forward out input", e * ff, "width"),
        ]
    # 0.5·x·(1 + tanh(√(2/π)(x + 0.044715·x³))) one operation at a time; under autocast the cube and
    # what follows it are fp32.
    inner = 14 if plan.precision == "amp" else 4 * e
    return [
        Entry("unfused activation", inner * ff, "width"),
        Entry("feed-forward out input", e * ff, "width"),
    ]


def _experts(design: Design, kinds: Storage) -> list[Entry]:
    """Router, and the routed and shared experts, as Transformers' grouped products keep them."""
    d, e, active = design.d_model, kinds.activation, design.n_experts_active
    width = active * design.d_ff_expert
    router, routing = 4 * design.n_experts + 4, 40 * active
    if is_latent(design):
        # DeepSeek V3 casts the router's input to fp32 and masks groups of experts (of one group here).
        router, routing = 4 * (d + design.n_experts), routing + design.n_experts + 28
    return [
        Entry("router", router, "sequence"),
        Entry("routing", routing, "sequence"),
        Entry("dispatched tokens and expert outputs", 2 * e * active * d, "sequence"),
        Entry("experts", 4 * e * width, "width"),
        Entry("shared experts", 4 * e * design.n_experts_shared * design.d_ff_expert, "width"),
    ]


def _embedding(design: Design, plan: Plan) -> tuple[Entry, ...]:
    """Dropout's mask; OPT looks up positions (int64) of its own for every sequence."""
    entries = (Entry("embedding dropout mask", 1 * design.d_model, "sequence"),) if plan.dropout else ()
    return (*entries, Entry("positions", 8, "sequence")) if is_opt(design) else entries


def _outside(design: Design, plan: Plan, kinds: Storage, norm: Num) -> tuple[Entry, ...]:
    """Final norm, input of the head, fp32 log-probabilities and the labels (int64)."""
    entries = [
        Entry("final norm", norm * int(design.final_norm), "sequence"),
        Entry("output head input", kinds.activation * design.d_model, "whole"),
        Entry("labels", 8 + 0 * design.d_model, "sequence"),
    ]
    return (*entries, *loss_entries(design, plan, kinds))
