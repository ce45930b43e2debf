"""What each operation keeps for the backward pass: a ledger in bytes per token.

`torch` is the block as Transformers runs it eagerly (counted on autograd's saved tensors), `megatron`
the fused block of Korthikanti 2022 (arXiv:2205.05198, section 4.1). An entry also says how tensor
parallelism splits it: `sequence` only with sequence parallel, `width` and `heads` always, `kv` over at
most n_kv_heads ranks, `whole` never. A tensor that two operations keep is one entry.

Equal to autograd's count, to the byte, for the blocks of GPT-2, GPT-NeoX, OPT, StarCoder 1 and 2, LLaMA, Mistral,
Qwen 2 and 3, OLMo 1 and 2, Gemma 1 and 3, Mixtral and DeepSeek V3 (tests/records/activations.json). Blocks with partly
rotated heads (Phi, StableLM, GLM) keep 2·n_heads·d_head bytes per token more, which a design does not tell.
Outside the domain are also the modules of Falcon, Cohere, Phi-3 and Qwen 2 MoE, whose own code keeps other tensors in
16 bits than their design tells: there the ledger was off by −35% to +9% in one case each.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from explorer.cost.precision import Storage, storage
from explorer.design import Design, Plan
from explorer.errors import Unsupported
from explorer.units import Num

Split: TypeAlias = Literal["sequence", "width", "heads", "kv", "whole"]


class Entry(NamedTuple):
    """Bytes per token that one operation keeps, and how tensor parallelism splits them."""

    operation: str
    bytes_per_token: Num
    split: Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """Saved bytes per token: of one layer, and once outside the layers."""

    attention: tuple[Entry, ...]
    """Attention half of every layer, its norms included."""
    ffn: tuple[Entry, ...]
    """Feed-forward half of every (mixture) layer."""
    dense_ffn: tuple[Entry, ...] = ()
    """Feed-forward half of the leading dense layers of a mixture; empty without any."""
    outside: tuple[Entry, ...] = ()
    """Final norm, output head and loss, on the last stage."""
    embedding: tuple[Entry, ...] = ()
    """Embedding dropout, on the first stage."""
    assumptions: tuple[str, ...] = field(default=())

    @property
    def layer(self) -> tuple[Entry, ...]:
        """Everything one (mixture) layer keeps."""
        return self.attention + self.ffn

    def per_layer(self, plan: Plan | None = None, design: Design | None = None) -> Num:
        """Bytes per token of one layer on one GPU; without a plan, of the whole layer."""
        return total(self.layer, plan, design)

    def per_token_outside(self, plan: Plan | None = None, design: Design | None = None) -> Num:
        """Bytes per token outside the layers, the embedding's included."""
        return total(self.outside + self.embedding, plan, design)


def ledger(design: Design, plan: Plan) -> Ledger:
    """The saved activations of `design` under the plan's implementation, kernel, precision and recompute."""
    kinds = storage(plan.precision, plan.implementation)
    block = _megatron if plan.implementation == "megatron" else _torch
    _refuse_compiled(design, plan)
    # Without its inner tensors (Korthikanti 2022, section 5) core attention keeps what flash keeps.
    kernel = "flash" if plan.recompute == "selective" else plan.attention_kernel
    whole = block(design, plan.with_(attention_kernel=kernel), kinds)
    if plan.recompute == "none":
        return whole
    if plan.recompute == "selective":
        return replace(
            whole,
            attention=tuple(entry for entry in whole.attention if entry.operation != "log-sum-exp"),
            assumptions=(*whole.assumptions, "selective recompute drops core attention's inner tensors"),
        )
    if plan.recompute == "full":
        kept: tuple[Entry, ...] = (Entry("layer input", kinds.residual * design.d_model, "sequence"),)
    else:
        kept = _every_second_product(design, plan, kinds)
    return replace(whole, attention=kept, ffn=(), dense_ffn=())


def _refuse_compiled(design: Design, plan: Plan) -> None:
    """What a compiled block keeps is known for dense blocks in sequence with flash attention."""
    if not plan.compiled:
        return
    if plan.implementation == "megatron":
        raise Unsupported("compiled blocks are torch's; megatron has fused kernels of its own")
    mixture = np.any(np.asarray(design.n_experts)) or np.any(np.asarray(design.kv_lora_rank))
    if plan.attention_kernel != "flash" or plan.dropout or mixture or design.parallel_block:
        raise Unsupported(
            "compiled blocks are modelled with flash attention, without dropout, for dense blocks in sequence"
        )


def total(entries: tuple[Entry, ...], plan: Plan | None = None, design: Design | None = None) -> Num:
    """Sum of entries in bytes per token, split as the plan's tensor parallelism splits each."""
    if plan is None or not np.any(np.asarray(plan.tensor_parallel) > 1):
        return sum(entry.bytes_per_token for entry in entries)
    tp = plan.tensor_parallel
    sums: dict[str, Num] = {}
    for entry in entries:
        sums[entry.split] = sums.get(entry.split, 0) + entry.bytes_per_token
    split = (sums.get("width", 0) + sums.get("heads", 0)) / tp
    sequence = sums.get("sequence", 0)
    if plan.sequence_parallel:
        sequence = sequence / tp
    kv = sums.get("kv", 0)
    ranks = np.minimum(tp, design.n_kv_heads) if design is not None else tp
    return split + sequence + kv / ranks + sums.get("whole", 0)


def _torch(design: Design, plan: Plan, kinds: Storage) -> Ledger:
    """Transformers' eager modules, counted with torch.autograd.graph.saved_tensors_hooks.

    Under tensor parallelism the input of a column-split product is gathered, and autograd keeps it
    `whole` (PyTorch's ColwiseParallel); Megatron keeps its shard and gathers again.
    """
    d, e = design.d_model, kinds.activation
    # Autocast casts a linear's input anew for each linear that reads it; compiled, once.
    mixed = plan.precision == "amp" and not plan.compiled
    packed = _packed(design)
    products = 2 if _latent(design) else 3
    qkv_reads = 1 if packed or not mixed else products
    ffn_reads = 2 if mixed and design.gated else 1
    one_norm = _flag_one(design)

    outer_norm = _torch_norm(design, kinds)
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
    attention += _torch_attention(design, plan, kinds)
    if plan.dropout:
        attention.append(Entry("attention dropout mask", 1 * d, "sequence"))

    dense = [*ffn, *_torch_ffn(design, plan, kinds)]
    if plan.dropout:
        dense.append(Entry("feed-forward dropout mask", 1 * d, "sequence"))
    modules = "of blocks under torch.compile" if plan.compiled else "of Transformers' eager modules"
    assumptions = [
        f"activations are those {modules}"
        + (", with one product for queries, keys and values" if packed else "")
    ]
    experts = np.any(np.asarray(design.n_experts))
    sparse = tuple(ffn) + tuple(_torch_experts(design, kinds)) if experts else tuple(dense)
    return Ledger(
        attention=tuple(attention),
        ffn=sparse,
        dense_ffn=tuple(dense) if experts else (),
        outside=_torch_outside(design, plan, kinds, outer_norm),
        embedding=_torch_embedding(design, plan),
        assumptions=tuple(assumptions),
    )


def _packed(design: Design) -> bool:
    """One product makes queries, keys and values: plain blocks, but for OPT and StarCoder 2."""
    starcoder2 = design.position == "rope" and not design.parallel_block
    return not (design.gated or _opt(design) or starcoder2)


def _opt(design: Design) -> bool:
    """OPT: a plain block with ReLU and learned positions."""
    return design.ffn == "relu" and design.position == "learned"


def _latent(design: Design) -> bool:
    """Multi-head latent attention."""
    return bool(np.any(np.asarray(design.kv_lora_rank)))


def _flag_one(design: Design) -> int:
    """1 where a block has a single norm."""
    return int(bool(np.all(np.asarray(design.norms_per_layer) == 1)))


def _torch_norm(design: Design, kinds: Storage) -> Num:
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


def _torch_attention(design: Design, plan: Plan, kinds: Storage) -> list[Entry]:
    """From the projections to the input of the output projection."""
    h, e = design.n_heads, kinds.activation
    if _latent(design):
        return _torch_latent(design, plan, kinds)
    q, k = h * design.d_head, design.n_kv_heads * design.d_head
    entries: list[Entry] = []
    if design.qk_norm != "none":
        statistics = (1, 1) if design.qk_norm == "full" else (h, design.n_kv_heads)
        # Compiled, the projection is kept and its fp32 copies are made again.
        size = e if plan.compiled else 4 + _normalised(design, e, e)
        entries.append(Entry("query norm", size * q + 4 * statistics[0], "heads"))
        entries.append(Entry("key norm", size * k + 4 * statistics[1], "kv"))
    if plan.attention_kernel == "naive" and not _fused_grouping(design):
        # Keys and values are repeated for every query head before the product.
        entries += [Entry("queries", e * q, "heads"), Entry("repeated keys and values", 2 * e * q, "heads")]
    elif plan.repeated_kv:
        entries += [Entry("queries", e * q, "heads"), Entry("repeated keys and values", 2 * e * q, "heads")]
    else:
        entries += [Entry("queries", e * q, "heads"), Entry("keys and values", 2 * e * k, "kv")]
    if _neox(design) and plan.attention_kernel == "flash":
        # Values stay a view of the packed projection, whose storage is therefore kept whole; the
        # output is transposed back into a copy.
        entries.append(Entry("packed queries and keys", 2 * e * q, "heads"))
        entries.append(Entry("transposed output", e * q, "heads"))
    return [*entries, *_torch_core(design, plan, kinds, q)]


def _torch_latent(design: Design, plan: Plan, kinds: Storage) -> list[Entry]:
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
    return [*entries, *_torch_core(design, plan, kinds, v)]


def _torch_core(design: Design, plan: Plan, kinds: Storage, width: Num) -> list[Entry]:
    """Scores, softmax and output."""
    c, h, e = design.context_length, design.n_heads, kinds.activation
    entries = [Entry("attention output", e * width, "heads")]
    if plan.attention_kernel == "flash":
        return [Entry("log-sum-exp", 4 * h, "heads"), *entries]
    # Softmax keeps its result: in fp32 and then copied in the precision of the values, but for GPT-2
    # in the working precision. With dropout the product keeps dropout's result instead of the copy.
    in_fp32 = plan.precision == "amp" or not _fused_grouping(design)
    copied = e if in_fp32 and e < 4 else 0
    entries.append(Entry("attention probabilities", (4 if in_fp32 else e) * h * c, "heads"))
    if plan.dropout:
        entries.append(Entry("attention probabilities' dropout", (1 + e) * h * c, "heads"))
    elif copied:
        entries.append(Entry("attention probabilities, cast", copied * h * c, "heads"))
    return entries


def _fused_grouping(design: Design) -> bool:
    """GPT-2's attention: softmax in the working precision, keys and values not repeated."""
    plain = not design.gated and design.position == "learned" and not _opt(design)
    return plain and bool(np.all(np.asarray(design.n_kv_heads == design.n_heads)))


def _neox(design: Design) -> bool:
    """GPT-NeoX: parallel parts with a norm each, rotary positions, packed projection."""
    rotary = design.parallel_block and design.position == "rope" and not design.gated
    return rotary and not _flag_one(design)


def _torch_ffn(design: Design, plan: Plan, kinds: Storage) -> list[Entry]:
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


def _torch_experts(design: Design, kinds: Storage) -> list[Entry]:
    """Router, and the routed and shared experts, as Transformers' grouped products keep them."""
    d, e, active = design.d_model, kinds.activation, design.n_experts_active
    width = active * design.d_ff_expert
    router, routing = 4 * design.n_experts + 4, 40 * active
    if _latent(design):
        # DeepSeek V3 casts the router's input to fp32 and masks groups of experts (of one group here).
        router, routing = 4 * (d + design.n_experts), routing + design.n_experts + 28
    return [
        Entry("router", router, "sequence"),
        Entry("routing", routing, "sequence"),
        Entry("dispatched tokens and expert outputs", 2 * e * active * d, "sequence"),
        Entry("experts", 4 * e * width, "width"),
        Entry("shared experts", 4 * e * design.n_experts_shared * design.d_ff_expert, "width"),
    ]


def _torch_embedding(design: Design, plan: Plan) -> tuple[Entry, ...]:
    """Dropout's mask; OPT looks up positions (int64) of its own for every sequence."""
    entries = (Entry("embedding dropout mask", 1 * design.d_model, "sequence"),) if plan.dropout else ()
    return (*entries, Entry("positions", 8, "sequence")) if _opt(design) else entries


def _torch_outside(design: Design, plan: Plan, kinds: Storage, norm: Num) -> tuple[Entry, ...]:
    """Final norm, input of the head, fp32 log-probabilities and the labels (int64)."""
    entries = [
        Entry("final norm", norm * int(design.final_norm), "sequence"),
        Entry("output head input", kinds.activation * design.d_model, "whole"),
        Entry("labels", 8 + 0 * design.d_model, "sequence"),
    ]
    return (*entries, *_loss(design, plan, kinds))


def _loss(design: Design, plan: Plan, kinds: Storage) -> tuple[Entry, ...]:
    if plan.cross_entropy == "chunked":
        return ()
    if plan.cross_entropy == "fused" or (plan.cross_entropy == "chunked-cast" and plan.compiled):
        # Logits as the product makes them, and one log-sum-exp; the gradient is made in place of neither.
        return (Entry("logits", kinds.activation * design.vocab_size + 4, "width"),)
    return (Entry("log-probabilities", 4 * design.vocab_size, "width"),)


def _megatron(design: Design, plan: Plan, kinds: Storage) -> Ledger:
    """Korthikanti 2022, section 4.1: 34·d + 5·h·c per token for their block, entry by entry."""
    d, ff, h, e = design.d_model, design.d_ff, design.n_heads, kinds.activation
    q, k = h * design.d_head, design.n_kv_heads * design.d_head
    v = q
    latent = _latent(design)
    if latent:
        k, v = q, h * design.d_head_v
    one_norm = _flag_one(design)
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
        *_loss(design, plan, kinds),
    )
    return Ledger(
        attention=tuple(attention),
        ffn=tuple(sparse),
        dense_ffn=tuple(dense) if experts else (),
        outside=outside,
        embedding=(Entry("embedding dropout mask", 1 * d, "sequence"),) if plan.dropout else (),
        assumptions=("activations are those of Megatron's fused kernels, norm statistics left out",),
    )


def _every_second_product(design: Design, plan: Plan, kinds: Storage) -> tuple[Entry, ...]:
    """What torchtitan's selective checkpointing per operation keeps of a layer: its input, attention's
    result, and the results of every second matrix product, in the order in which they run. Grouped
    products of experts are not on its list. Compiled, the last product is not kept: nothing reads it.
    Source: torchtitan/models/llama/parallelize_llama.py, `_save_list` (December 2024)."""
    d, e, h = design.d_model, kinds.activation, design.n_heads
    q, k = h * design.d_head, design.n_kv_heads * design.d_head
    v = q
    if _latent(design):
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
        size = 4 if _latent(design) else e
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
