"""Records what torch.utils.flop_counter counts for a forward pass and for a training step.

Writes flops.json beside it. The counter sees attention whole (no causal discount), so the naive
kernel is run; checkpointed steps recompute every layer. With the `validate` extra installed:

    python tests/records/record_flops.py
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from record_activations import FAMILIES, standard
from record_fake import Config, build, fake_mode
from torch.utils.flop_counter import FlopCounterMode

LATENT = {
    "kv_lora_rank": 64,
    "q_lora_rank": 96,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
}
SIZES: dict[str, Config] = {
    "llama-7b": standard("llama", 4096, 32, 32, 11008) | {"num_hidden_layers": 32, "vocab_size": 32000},
    "llama-3-8b": standard("llama", 4096, 32, 8, 14336) | {"num_hidden_layers": 32, "vocab_size": 128256},
    "gpt3-175b": FAMILIES["gpt2"] | {"n_embd": 12288, "n_head": 96, "n_layer": 96, "vocab_size": 50257},
    "falcon-7b": {"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
                  "vocab_size": 65024, "new_decoder_architecture": False, "multi_query": True,
                  "parallel_attn": True, "bias": False},
    "opt-350m": {"model_type": "opt", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
                 "ffn_dim": 4096, "word_embed_proj_dim": 512, "do_layer_norm_before": False,
                 "vocab_size": 50272, "max_position_embeddings": 4096},
    "deepseek-v2-dense": standard("deepseek_v2", 256, 8, 8, 704, first_k_dense_replace=2, n_routed_experts=8,
                                  num_experts_per_tok=2, moe_intermediate_size=64, **LATENT),
}  # fmt: skip
CONTEXTS = (512, 2048)


def counted(config: Config, batch: int, context: int, *, train: bool, checkpoint: bool) -> int:
    """FLOPs of one pass."""
    with fake_mode():
        model = build(config, torch.bfloat16, "naive")
        if checkpoint:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        tokens = torch.zeros((batch, context), dtype=torch.long)
        with FlopCounterMode(display=False) as counter:
            loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
            if train:
                loss.backward()
        return counter.get_total_flops()


def main() -> None:
    dense = {name: config for name, config in FAMILIES.items() if "mixtral" not in name}
    configs = dense | SIZES
    rows = []
    for name, config in configs.items():
        for context in CONTEXTS:
            found = {"forward": counted(config, 2, context, train=False, checkpoint=False)}
            found["train"] = counted(config, 2, context, train=True, checkpoint=False)
            found["checkpointed"] = counted(config, 2, context, train=True, checkpoint=True)
            rows.append({"model": name, "batch": 2, "context": context, **found})
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    document = {"versions": versions, "configs": configs, "rows": rows}
    Path(__file__).with_name("flops.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
