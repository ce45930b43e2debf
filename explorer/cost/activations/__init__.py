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

from dataclasses import replace

import numpy as np

from explorer.cost.activations.checkpoints import every_second_product
from explorer.cost.activations.eager import torch_ledger
from explorer.cost.activations.entries import Entry, Ledger, total
from explorer.cost.activations.megatron import megatron_ledger
from explorer.cost.precision import storage
from explorer.design import Design, Plan
from explorer.errors import Unsupported

__all__ = ["Entry", "Ledger", "ledger", "total"]


def ledger(design: Design, plan: Plan) -> Ledger:
    """The saved activations of `design` under the plan's implementation, kernel, precision and recompute."""
    kinds = storage(plan.precision, plan.implementation)
    block = megatron_ledger if plan.implementation == "megatron" else torch_ledger
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
        kept = every_second_product(design, plan, kinds)
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
