"""Records the bytes that autograd keeps for the backward pass, per token of a layer and outside.

Writes activations.json beside it. A run counts the unique storages that saved_tensors_hooks see,
parameters excluded. The slope over the batch is what grows with tokens (so tables by position and
autocast's copies of weights drop out), the slope over the layers is one layer.

The models are small and run on the CPU, whose fused attention keeps what the GPU's flash attention
keeps: Q, K, V, the output and the log-sum-exp. Three things differ on a GPU and are set right here:
layer norm's two statistics are counted at 4 bytes (the CPU kernel keeps them in bf16), dropout is
the fused one with a mask of a byte, and flash attention draws its own dropout without a mask. With
the `validate` extra installed:

    python tests/records/record_activations.py
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import transformers
from record_fake import DTYPES, Config, autocast, build


def fused_dropout(
    x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> torch.Tensor:
    """Dropout as one operation with a boolean mask, as GPUs run it."""
    return torch.native_dropout(x, p, True)[0] if training and p else x


def saved_bytes(config: Config, batch: int, context: int, precision: str, kernel: str, dropout: float,
                verbose: bool = False) -> int:  # fmt: skip
    """Bytes of unique storages kept from forward to backward."""
    torch.nn.functional.dropout = fused_dropout
    with torch.random.fork_rng():
        model = build(config, DTYPES[precision], kernel, dropout)
        tokens = torch.zeros((batch, context), dtype=torch.long)
        own = {p.untyped_storage()._cdata for p in model.parameters()}
        own |= {b.untyped_storage()._cdata for b in model.buffers()} | {tokens.untyped_storage()._cdata}
        kept: dict[int, tuple[int, torch.Tensor]] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in own and storage._cdata not in kept:
                statistics = tensor.shape[-1:] == (1,) and tensor.dtype == torch.bfloat16
                kept[storage._cdata] = (storage.nbytes() * (2 if statistics else 1), tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t), autocast(precision):
            output = model(input_ids=tokens, labels=tokens, use_cache=False)
        if verbose:
            for size, tensor in kept.values():
                print(size / batch / context, tuple(tensor.shape), tensor.dtype)
        del output
        return sum(size for size, _ in kept.values())


def per_token(config: Config, context: int, **how: Any) -> dict[str, float]:
    """Bytes per token of one layer, and outside the layers."""
    layers = next(k for k in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") if k in config)

    def slope(n: int) -> float:
        sized = config | {layers: n}
        low, high = (saved_bytes(sized, b, context, **how) for b in (2, 4))
        return (high - low) / (2 * context)

    one, two = slope(1), slope(2)
    return {"layer": two - one, "outside": 2 * one - two}


def standard(kind: str, d: int, heads: int, kv: int, ff: int, **more: Any) -> Config:
    sizes = {
        "hidden_size": d,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": ff,
    }
    return {"model_type": kind, **sizes, "num_hidden_layers": 2, "vocab_size": 500,
            "max_position_embeddings": 4096, "pad_token_id": 0, **more}  # fmt: skip


def gpt2(d: int, heads: int, **more: Any) -> Config:
    return {"model_type": "gpt2", "n_embd": d, "n_head": heads, "n_layer": 2, "n_positions": 4096,
            "vocab_size": 500, **more}  # fmt: skip


def latent(
    d: int, heads: int, nope: int, rope: int, kv_rank: int, q_rank: int | None, ff: int, dense: int
) -> Config:
    """DeepSeek V3 with values as wide as keys, which flash attention on the CPU asks for."""
    return standard("deepseek_v3", d, heads, heads, ff, qk_nope_head_dim=nope, qk_rope_head_dim=rope,
                    v_head_dim=nope + rope, kv_lora_rank=kv_rank, q_lora_rank=q_rank, n_group=1, topk_group=1,
                    first_k_dense_replace=dense, moe_intermediate_size=160, n_routed_experts=8,
                    num_experts_per_tok=2, n_shared_experts=1)  # fmt: skip


FUSED = {"activation_function": "gelu_pytorch_tanh"}
FAMILIES: dict[str, Config] = {
    "gpt2": gpt2(256, 8, **FUSED),
    "gpt2-wide": gpt2(768, 12, n_inner=2048, **FUSED),
    "gpt2-unfused": gpt2(256, 8, activation_function="gelu_new"),
    "neox": {**standard("gpt_neox", 256, 8, 8, 1024)},
    "neox-wide": {**standard("gpt_neox", 640, 10, 10, 2048)},
    "llama": standard("llama", 256, 8, 2, 704),
    "llama-mha": standard("llama", 512, 8, 8, 1376, tie_word_embeddings=True),
    "mistral": standard("mistral", 384, 6, 2, 1024, head_dim=96, sliding_window=None),
    "qwen2": standard("qwen2", 256, 8, 4, 704),
    "qwen3": standard("qwen3", 256, 8, 2, 704, head_dim=64),
    "qwen3-mha": standard("qwen3", 384, 6, 6, 1024, head_dim=64),
    "starcoder": gpt2(256, 8, **FUSED) | {"model_type": "gpt_bigcode", "multi_query": True},
    "starcoder-wide": gpt2(768, 6, **FUSED) | {"model_type": "gpt_bigcode", "multi_query": True},
    "gemma": standard("gemma", 256, 8, 1, 1024, head_dim=64),
    "gemma-wide": standard("gemma", 512, 4, 4, 1536, head_dim=256),
    "mixtral": standard("mixtral", 256, 8, 2, 448, num_local_experts=8, num_experts_per_tok=2),
    "mixtral-16": standard("mixtral", 256, 8, 2, 448, num_local_experts=16, num_experts_per_tok=4),
    "opt": {
        "model_type": "opt",
        "hidden_size": 256,
        "ffn_dim": 1024,
        "num_attention_heads": 8,
        "word_embed_proj_dim": 256,
        "num_hidden_layers": 2,
        "vocab_size": 500,
        "max_position_embeddings": 4096,
        "pad_token_id": 0,
    },
    "olmo": standard("olmo", 256, 8, 2, 704),
    "olmo2": standard("olmo2", 256, 8, 2, 704),
    "gemma3": standard("gemma3_text", 256, 8, 2, 704, head_dim=32),
    "starcoder2": standard("starcoder2", 256, 8, 2, 1024),
    "arcee": standard("arcee", 256, 8, 2, 704),
    "jais2": standard("jais2", 256, 8, 8, 1024, head_dim=32),
    "latent": latent(256, 8, 32, 16, 64, 96, 704, 9),
    "latent-wide": latent(384, 6, 64, 32, 128, 192, 1024, 9),
    "latent-plain-queries": latent(256, 4, 64, 32, 128, None, 512, 9),
    "deepseek": latent(256, 8, 32, 16, 64, 96, 704, 0),
}
CONTEXTS = (32, 80)
SETTINGS = [
    {"precision": p, "kernel": k, "dropout": 0.0} for p in ("bf16", "amp", "fp32") for k in ("flash", "naive")
]


def rows_of(name: str) -> list[dict[str, Any]]:
    """Every row of a family."""
    torch.set_num_threads(1)
    # The grouped product of experts exists in bf16 only.
    settings = [
        how for how in SETTINGS if not name.startswith(("mixtral", "deepseek")) or how["precision"] == "bf16"
    ]
    if name in ("gpt2-unfused", "arcee", "jais2"):
        # Autocast on the GPU raises to a power in fp32, on the CPU it does not.
        settings = [how for how in settings if how["precision"] != "amp"]
    if name.startswith(("gpt2", "neox")):
        settings += [{"precision": "bf16", "kernel": k, "dropout": 0.1} for k in ("flash", "naive")]
    return [
        {"family": name, "context": context, **how, **per_token(FAMILIES[name], context, **how)}
        for how in settings
        for context in CONTEXTS
    ]


def main() -> None:
    # A graph and its hooks hold each other where no collector sees it: a process per family lets go of them.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        rows = [row for part in processes.map(rows_of, FAMILIES) for row in part]
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    document = {"versions": versions, "configs": FAMILIES, "rows": rows}
    target = Path(__file__).with_name("activations.json")
    target.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
