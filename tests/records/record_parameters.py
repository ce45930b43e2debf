"""Records parameter counts of published models as Transformers builds them, without any weights.

Writes parameters.json beside it: for every model its Hugging Face config, its parameters in total
and those that one token meets; and the same for small models that leave keys to Transformers'
defaults or turn switches. Run with the `validate` extra installed:

    python tests/records/record_parameters.py

The configs carry the keys of each model's published config.json that decide its size. Two kinds of
model have no config in Transformers: GPT-3 and MT-NLG are built as GPT-2 with their papers' sizes,
and Qwen 1 as the Qwen 2 class, whose modules have the same shapes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

Config = dict[str, Any]


def standard(
    kind: str, d: int, layers: int, heads: int, kv: int, ff: int, vocab: int, context: int, **more: Any
) -> Config:
    """A config with the keys that LLaMA made common."""
    return {
        "model_type": kind,
        "hidden_size": d,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": ff,
        "vocab_size": vocab,
        "max_position_embeddings": context,
        **more,
    }


def gpt2(d: int, layers: int, heads: int, context: int, vocab: int = 50257, **more: Any) -> Config:
    sizes = {"n_embd": d, "n_layer": layers, "n_head": heads, "n_positions": context, "vocab_size": vocab}
    return {"model_type": "gpt2", **sizes, **more}


def gpt_neo(d: int, layers: int, heads: int) -> Config:
    return {
        "model_type": "gpt_neo",
        "hidden_size": d,
        "num_layers": layers,
        "num_heads": heads,
        "attention_types": [[["global", "local"], layers // 2]],
        "window_size": 256,
        "vocab_size": 50257,
        "max_position_embeddings": 2048,
    }


def neox(d: int, layers: int, heads: int, vocab: int = 50304) -> Config:
    config = standard("gpt_neox", d, layers, heads, heads, 4 * d, vocab, 2048)
    del config["num_key_value_heads"]
    return config


def opt(d: int, layers: int, heads: int, **more: Any) -> Config:
    return {
        "model_type": "opt",
        "hidden_size": d,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "ffn_dim": 4 * d,
        "word_embed_proj_dim": d,
        "vocab_size": 50272,
        "max_position_embeddings": 2048,
        **more,
    }


def bloom(d: int, layers: int, heads: int) -> Config:
    sizes = {"hidden_size": d, "n_layer": layers, "n_head": heads, "vocab_size": 250880}
    return {"model_type": "bloom", **sizes, "seq_length": 2048}


def mpt(d: int, layers: int, heads: int, context: int) -> Config:
    return {
        "model_type": "mpt",
        "d_model": d,
        "n_layers": layers,
        "n_heads": heads,
        "expansion_ratio": 4,
        "max_seq_len": context,
        "vocab_size": 50432,
        "no_bias": True,
        "learned_pos_emb": True,
        "attn_config": {"alibi": True},
    }


def falcon(d: int, layers: int, heads: int, **more: Any) -> Config:
    sizes = {"hidden_size": d, "num_hidden_layers": layers, "num_attention_heads": heads}
    return {"model_type": "falcon", **sizes, "vocab_size": 65024, **more}


def llama(*sizes: int, **more: Any) -> Config:
    return standard("llama", *sizes, **more)


def qwen2(*sizes: int, **more: Any) -> Config:
    return standard("qwen2", *sizes, **more)


def qwen3(d: int, layers: int, heads: int, ff: int, *, tied: bool = False) -> Config:
    return standard("qwen3", d, layers, heads, 8, ff, 151936, 40960, head_dim=128, tie_word_embeddings=tied)


def deepseek(kind: str, d: int, layers: int, heads: int, ff: int, vocab: int, **more: Any) -> Config:
    latent = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
    return standard(kind, d, layers, heads, heads, ff, vocab, 163840, **latent, **more)


NEW_FALCON = {"new_decoder_architecture": True, "multi_query": True, "parallel_attn": True, "bias": False}
OLD_FALCON = NEW_FALCON | {"new_decoder_architecture": False}
TIED = {"tie_word_embeddings": True}
UNTIED = {"tie_word_embeddings": False}

CONFIGS: dict[str, Config] = {
    "gpt2": gpt2(768, 12, 12, 1024),
    "gpt2-medium": gpt2(1024, 24, 16, 1024),
    "gpt2-large": gpt2(1280, 36, 20, 1024),
    "gpt2-xl": gpt2(1600, 48, 25, 1024),
    "gpt3-125m": gpt2(768, 12, 12, 2048),
    "gpt3-350m": gpt2(1024, 24, 16, 2048),
    "gpt3-760m": gpt2(1536, 24, 16, 2048),
    "gpt3-1.3b": gpt2(2048, 24, 16, 2048),
    "gpt3-2.7b": gpt2(2560, 32, 32, 2048),
    "gpt3-6.7b": gpt2(4096, 32, 32, 2048),
    "gpt3-13b": gpt2(5120, 40, 40, 2048),
    "gpt3-175b": gpt2(12288, 96, 96, 2048),
    "mt-nlg-530b": gpt2(20480, 105, 128, 2048),
    "gpt-neo-125m": gpt_neo(768, 12, 12),
    "gpt-neo-1.3b": gpt_neo(2048, 24, 16),
    "gpt-neo-2.7b": gpt_neo(2560, 32, 20),
    "gpt-j-6b": {**gpt2(4096, 28, 16, 2048, 50400), "model_type": "gptj", "rotary_dim": 64},
    "gpt-neox-20b": neox(6144, 44, 64, 50432),
    "pythia-14m": neox(128, 6, 4),
    "pythia-70m": neox(512, 6, 8),
    "pythia-160m": neox(768, 12, 12),
    "pythia-410m": neox(1024, 24, 16),
    "pythia-1b": neox(2048, 16, 8),
    "pythia-1.4b": neox(2048, 24, 16),
    "pythia-2.8b": neox(2560, 32, 32),
    "pythia-6.9b": neox(4096, 32, 32, 50432),
    "pythia-12b": neox(5120, 36, 40, 50688),
    "opt-125m": opt(768, 12, 12),
    "opt-350m": opt(1024, 24, 16, word_embed_proj_dim=512, do_layer_norm_before=False),
    "opt-1.3b": opt(2048, 24, 32),
    "opt-2.7b": opt(2560, 32, 32),
    "opt-6.7b": opt(4096, 32, 32),
    "opt-13b": opt(5120, 40, 40),
    "opt-30b": opt(7168, 48, 56),
    "opt-66b": opt(9216, 64, 72),
    "opt-175b": opt(12288, 96, 96),
    "bloom-560m": bloom(1024, 24, 16),
    "bloom-1b1": bloom(1536, 24, 16),
    "bloom-1b7": bloom(2048, 24, 16),
    "bloom-3b": bloom(2560, 30, 32),
    "bloom-7b1": bloom(4096, 30, 32),
    "bloom-176b": bloom(14336, 70, 112),
    "mpt-7b": mpt(4096, 32, 32, 2048),
    "mpt-30b": mpt(7168, 48, 64, 8192),
    "llama-7b": llama(4096, 32, 32, 32, 11008, 32000, 2048),
    "llama-13b": llama(5120, 40, 40, 40, 13824, 32000, 2048),
    "llama-33b": llama(6656, 60, 52, 52, 17920, 32000, 2048),
    "llama-65b": llama(8192, 80, 64, 64, 22016, 32000, 2048),
    "llama-2-7b": llama(4096, 32, 32, 32, 11008, 32000, 4096),
    "llama-2-13b": llama(5120, 40, 40, 40, 13824, 32000, 4096),
    "llama-2-70b": llama(8192, 80, 64, 8, 28672, 32000, 4096),
    "codellama-7b": llama(4096, 32, 32, 32, 11008, 32016, 16384),
    "codellama-13b": llama(5120, 40, 40, 40, 13824, 32016, 16384),
    "codellama-34b": llama(8192, 48, 64, 8, 22016, 32000, 16384),
    "llama-3-8b": llama(4096, 32, 32, 8, 14336, 128256, 8192),
    "llama-3-70b": llama(8192, 80, 64, 8, 28672, 128256, 8192),
    "llama-3.1-8b": llama(4096, 32, 32, 8, 14336, 128256, 131072),
    "llama-3.1-70b": llama(8192, 80, 64, 8, 28672, 128256, 131072),
    "llama-3.1-405b": llama(16384, 126, 128, 8, 53248, 128256, 131072),
    "llama-3.2-1b": llama(2048, 16, 32, 8, 8192, 128256, 131072, head_dim=64, **TIED),
    "llama-3.2-3b": llama(3072, 28, 24, 8, 8192, 128256, 131072, head_dim=128, **TIED),
    "llama-3.3-70b": llama(8192, 80, 64, 8, 28672, 128256, 131072),
    "tinyllama-1.1b": llama(2048, 22, 32, 4, 5632, 32000, 2048),
    "open-llama-3b": llama(3200, 26, 32, 32, 8640, 32000, 2048),
    "open-llama-7b": llama(4096, 32, 32, 32, 11008, 32000, 2048),
    "smollm-135m": llama(576, 30, 9, 3, 1536, 49152, 2048, **TIED),
    "smollm-360m": llama(960, 32, 15, 5, 2560, 49152, 2048, **TIED),
    "smollm-1.7b": llama(2048, 24, 32, 32, 8192, 49152, 2048, **TIED),
    "smollm2-135m": llama(576, 30, 9, 3, 1536, 49152, 8192, **TIED),
    "smollm2-360m": llama(960, 32, 15, 5, 2560, 49152, 8192, **TIED),
    "smollm2-1.7b": llama(2048, 24, 32, 32, 8192, 49152, 8192, **TIED),
    "smollm3-3b": standard("smollm3", 2048, 36, 16, 4, 11008, 128256, 65536),
    "yi-6b": llama(4096, 32, 32, 4, 11008, 64000, 4096),
    "yi-9b": llama(4096, 48, 32, 4, 11008, 64000, 4096),
    "yi-34b": llama(7168, 60, 56, 8, 20480, 64000, 4096),
    "deepseek-llm-7b": llama(4096, 30, 32, 32, 11008, 102400, 4096),
    "deepseek-llm-67b": llama(8192, 95, 64, 8, 22016, 102400, 4096),
    "falcon-rw-1b": falcon(2048, 24, 32, alibi=True, multi_query=False, parallel_attn=False, bias=True)
    | {"vocab_size": 50304},
    "falcon-7b": falcon(4544, 32, 71, **OLD_FALCON),
    "falcon-11b": falcon(4096, 60, 32, **NEW_FALCON, **UNTIED)
    | {"num_kv_heads": 8, "ffn_hidden_size": 16384, "num_ln_in_parallel_attn": 1}
    | {"max_position_embeddings": 8192},
    "falcon-40b": falcon(8192, 60, 128, num_kv_heads=8, **NEW_FALCON),
    "falcon-180b": falcon(14848, 80, 232, num_kv_heads=8, **NEW_FALCON),
    "mistral-7b": standard("mistral", 4096, 32, 32, 8, 14336, 32000, 32768, sliding_window=4096),
    "mistral-nemo-12b": standard("mistral", 5120, 40, 32, 8, 14336, 131072, 131072)
    | {"head_dim": 128, "sliding_window": None},
    "mistral-small-24b": standard("mistral", 5120, 40, 32, 8, 32768, 131072, 32768)
    | {"head_dim": 128, "sliding_window": None},
    "mixtral-8x7b": standard("mixtral", 4096, 32, 32, 8, 14336, 32000, 32768)
    | {"num_local_experts": 8, "num_experts_per_tok": 2},
    "mixtral-8x22b": standard("mixtral", 6144, 56, 48, 8, 16384, 32000, 65536)
    | {"num_local_experts": 8, "num_experts_per_tok": 2},
    "gemma-2b": standard("gemma", 2048, 18, 8, 1, 16384, 256000, 8192, head_dim=256),
    "gemma-7b": standard("gemma", 3072, 28, 16, 16, 24576, 256000, 8192, head_dim=256),
    "gemma-2-2b": standard("gemma2", 2304, 26, 8, 4, 9216, 256000, 8192, head_dim=256, sliding_window=4096),
    "gemma-2-9b": standard("gemma2", 3584, 42, 16, 8, 14336, 256000, 8192, head_dim=256, sliding_window=4096),
    "gemma-2-27b": standard("gemma2", 4608, 46, 32, 16, 36864, 256000, 8192, head_dim=128)
    | {"sliding_window": 4096},
    "gemma-3-270m": standard("gemma3_text", 640, 18, 4, 1, 2048, 262144, 32768, head_dim=256)
    | {"sliding_window": 512},
    "gemma-3-1b": standard("gemma3_text", 1152, 26, 4, 1, 6912, 262144, 32768, head_dim=256)
    | {"sliding_window": 512},
    "gemma-3-4b": standard("gemma3_text", 2560, 34, 8, 4, 10240, 262208, 131072, head_dim=256)
    | {"sliding_window": 1024},
    "gemma-3-12b": standard("gemma3_text", 3840, 48, 16, 8, 15360, 262208, 131072, head_dim=256)
    | {"sliding_window": 1024},
    "gemma-3-27b": standard("gemma3_text", 5376, 62, 32, 16, 21504, 262208, 131072, head_dim=128)
    | {"sliding_window": 1024},
    "qwen-1.8b": qwen2(2048, 24, 16, 16, 5504, 151936, 8192),
    "qwen-7b": qwen2(4096, 32, 32, 32, 11008, 151936, 8192),
    "qwen-14b": qwen2(5120, 40, 40, 40, 13696, 152064, 8192),
    "qwen-72b": qwen2(8192, 80, 64, 64, 24576, 152064, 32768),
    "qwen1.5-moe-a2.7b": standard("qwen2_moe", 2048, 24, 16, 16, 5632, 151936, 8192)
    | {"num_experts": 60, "num_experts_per_tok": 4, "moe_intermediate_size": 1408}
    | {"shared_expert_intermediate_size": 5632},
    "qwen2-0.5b": qwen2(896, 24, 14, 2, 4864, 151936, 131072, **TIED),
    "qwen2-1.5b": qwen2(1536, 28, 12, 2, 8960, 151936, 131072, **TIED),
    "qwen2-7b": qwen2(3584, 28, 28, 4, 18944, 152064, 131072),
    "qwen2-72b": qwen2(8192, 80, 64, 8, 29568, 152064, 131072),
    "qwen2-57b-a14b": standard("qwen2_moe", 3584, 28, 28, 4, 18944, 151936, 131072)
    | {"num_experts": 64, "num_experts_per_tok": 8, "moe_intermediate_size": 2560}
    | {"shared_expert_intermediate_size": 20480},
    "qwen2.5-0.5b": qwen2(896, 24, 14, 2, 4864, 151936, 32768, **TIED),
    "qwen2.5-1.5b": qwen2(1536, 28, 12, 2, 8960, 151936, 131072, **TIED),
    "qwen2.5-3b": qwen2(2048, 36, 16, 2, 11008, 151936, 32768, **TIED),
    "qwen2.5-7b": qwen2(3584, 28, 28, 4, 18944, 152064, 131072),
    "qwen2.5-14b": qwen2(5120, 48, 40, 8, 13824, 152064, 131072),
    "qwen2.5-32b": qwen2(5120, 64, 40, 8, 27648, 152064, 131072),
    "qwen2.5-72b": qwen2(8192, 80, 64, 8, 29568, 152064, 131072),
    "qwen3-0.6b": qwen3(1024, 28, 16, 3072, tied=True),
    "qwen3-1.7b": qwen3(2048, 28, 16, 6144, tied=True),
    "qwen3-4b": qwen3(2560, 36, 32, 9728, tied=True),
    "qwen3-8b": qwen3(4096, 36, 32, 12288),
    "qwen3-14b": qwen3(5120, 40, 40, 17408),
    "qwen3-32b": qwen3(5120, 64, 64, 25600),
    "qwen3-30b-a3b": standard("qwen3_moe", 2048, 48, 32, 4, 6144, 151936, 40960, head_dim=128)
    | {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768},
    "qwen3-235b-a22b": standard("qwen3_moe", 4096, 94, 64, 4, 12288, 151936, 40960, head_dim=128)
    | {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 1536},
    "phi-1": standard("phi", 2048, 24, 32, 32, 8192, 51200, 2048),
    "phi-1.5": standard("phi", 2048, 24, 32, 32, 8192, 51200, 2048),
    "phi-2": standard("phi", 2560, 32, 32, 32, 10240, 51200, 2048),
    "phi-3-mini": standard("phi3", 3072, 32, 32, 32, 8192, 32064, 4096, sliding_window=2047),
    "phi-3-medium": standard("phi3", 5120, 40, 40, 10, 17920, 32064, 4096, sliding_window=2047),
    "phi-3.5-moe": standard("phimoe", 4096, 32, 32, 8, 6400, 32064, 131072)
    | {"num_local_experts": 16, "num_experts_per_tok": 2, "attention_bias": True, "lm_head_bias": True},
    "phi-4": standard("phi3", 5120, 40, 40, 10, 17920, 100352, 16384, sliding_window=None),
    "phi-4-mini": standard("phi3", 3072, 32, 24, 8, 8192, 200064, 131072, sliding_window=262144, **TIED),
    "olmo-1b": standard("olmo", 2048, 16, 16, 16, 8192, 50304, 2048, **TIED),
    "olmo-7b": standard("olmo", 4096, 32, 32, 32, 11008, 50304, 2048),
    "olmo-2-1b": standard("olmo2", 2048, 16, 16, 16, 8192, 100352, 4096),
    "olmo-2-7b": standard("olmo2", 4096, 32, 32, 32, 11008, 100352, 4096),
    "olmo-2-13b": standard("olmo2", 5120, 40, 40, 40, 13824, 100352, 4096),
    "olmo-2-32b": standard("olmo2", 5120, 64, 40, 8, 27648, 100352, 4096),
    "olmo-3-7b": standard("olmo3", 4096, 32, 32, 32, 11008, 100278, 65536, sliding_window=4096),
    "olmoe-1b-7b": standard("olmoe", 2048, 16, 16, 16, 1024, 50304, 4096)
    | {"num_experts": 64, "num_experts_per_tok": 8},
    "starcoderbase-1b": gpt2(2048, 24, 16, 8192, 49152, n_inner=8192)
    | {"model_type": "gpt_bigcode", "multi_query": True},
    "starcoderbase-3b": gpt2(2816, 36, 22, 8192, 49152, n_inner=11264)
    | {"model_type": "gpt_bigcode", "multi_query": True},
    "starcoderbase-7b": gpt2(4096, 42, 32, 8192, 49152, n_inner=16384)
    | {"model_type": "gpt_bigcode", "multi_query": True},
    "starcoder-15b": gpt2(6144, 40, 48, 8192, 49152, n_inner=24576)
    | {"model_type": "gpt_bigcode", "multi_query": True},
    "starcoder2-3b": standard("starcoder2", 3072, 30, 24, 2, 12288, 49152, 16384, sliding_window=4096),
    "starcoder2-7b": standard("starcoder2", 4608, 32, 36, 4, 18432, 49152, 16384, sliding_window=4096),
    "starcoder2-15b": standard(
        "starcoder2", 6144, 40, 48, 4, 24576, 49152, 16384, sliding_window=4096, **UNTIED
    ),
    "command-r-35b": standard("cohere", 8192, 40, 64, 64, 22528, 256000, 131072),
    "command-r-plus-104b": standard("cohere", 12288, 64, 96, 8, 33792, 256000, 131072, use_qk_norm=True),
    "aya-23-8b": standard("cohere", 4096, 32, 32, 8, 14336, 256000, 8192),
    "command-r7b": standard("cohere2", 4096, 32, 32, 8, 14336, 256000, 132096)
    | {"sliding_window": 4096, "sliding_window_pattern": 4},
    "command-a-111b": standard("cohere2", 12288, 64, 96, 8, 36864, 256000, 131072)
    | {"sliding_window": 4096, "sliding_window_pattern": 4},
    "deepseek-v2-lite": deepseek("deepseek_v2", 2048, 27, 16, 10944, 102400, q_lora_rank=None)
    | {"n_routed_experts": 64, "num_experts_per_tok": 6, "moe_intermediate_size": 1408}
    | {"n_shared_experts": 2, "first_k_dense_replace": 1},
    "deepseek-v2": deepseek("deepseek_v2", 5120, 60, 128, 12288, 102400, q_lora_rank=1536)
    | {"n_routed_experts": 160, "num_experts_per_tok": 6, "moe_intermediate_size": 1536}
    | {"n_shared_experts": 2, "first_k_dense_replace": 1},
    "deepseek-v3": deepseek("deepseek_v3", 7168, 61, 128, 18432, 129280, q_lora_rank=1536)
    | {"n_routed_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048}
    | {"n_shared_experts": 1, "first_k_dense_replace": 3},
    "stablelm-3b-4e1t": standard("stablelm", 2560, 32, 32, 32, 6912, 50304, 4096),
    "stablelm-2-1.6b": standard("stablelm", 2048, 24, 32, 32, 5632, 100352, 4096, use_qkv_bias=True),
    "stablelm-2-12b": standard("stablelm", 5120, 40, 32, 8, 13824, 100352, 4096)
    | {"qk_layernorm": True, "use_parallel_residual": True},
    "glm-4-9b": standard("glm", 4096, 40, 32, 2, 13696, 151552, 131072, head_dim=128),
    "glm-4-9b-0414": standard("glm4", 4096, 40, 32, 2, 13696, 151552, 32768, head_dim=128)
    | {"attention_bias": True},
    "glm-4-32b-0414": standard("glm4", 6144, 61, 48, 2, 23040, 151552, 32768, head_dim=128)
    | {"attention_bias": False},
    "glm-4.5-air": standard("glm4_moe", 4096, 46, 96, 8, 10944, 151552, 131072, head_dim=128)
    | {"n_routed_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 1408}
    | {"n_shared_experts": 1, "first_k_dense_replace": 1, "attention_bias": True, "use_qk_norm": False},
    "glm-4.5": standard("glm4_moe", 5120, 92, 96, 8, 12288, 151552, 131072, head_dim=128)
    | {"n_routed_experts": 160, "num_experts_per_tok": 8, "moe_intermediate_size": 1536}
    | {"n_shared_experts": 1, "first_k_dense_replace": 3, "attention_bias": True, "use_qk_norm": True},
    "gpt-oss-20b": standard("gpt_oss", 2880, 24, 64, 8, 2880, 201088, 131072, head_dim=64)
    | {"num_local_experts": 32, "num_experts_per_tok": 4, "sliding_window": 128},
    "gpt-oss-120b": standard("gpt_oss", 2880, 36, 64, 8, 2880, 201088, 131072, head_dim=64)
    | {"num_local_experts": 128, "num_experts_per_tok": 4, "sliding_window": 128},
}


# Small models: what Transformers makes of absent keys and of switches that no model above uses.
_LLAMA_KEYS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
_SMALL: Config = dict(zip(_LLAMA_KEYS, (512, 8, 32, 640, 1000), strict=True))
_GPT2_SMALL: Config = {"n_embd": 512, "n_layer": 8, "n_head": 32, "vocab_size": 1000}
_GPT2_LIKE = ("gpt2", "gptj", "gpt_bigcode", "codegen", "openai-gpt")
_MOE: Config = {"num_experts_per_tok": 2, "moe_intermediate_size": 96}
_BIAS: Config = {"attention_bias": True}
_ODD_HEAD: Config = {"num_key_value_heads": 4, "head_dim": 24}
_SMALL_LATENT: Config = {
    **_MOE,
    "n_routed_experts": 6,
    "n_shared_experts": 2,
    "first_k_dense_replace": 2,
    "kv_lora_rank": 40,
    "q_lora_rank": 72,
    "qk_nope_head_dim": 24,
    "qk_rope_head_dim": 8,
    "v_head_dim": 20,
}


def small(kind: str, *changes: Config) -> dict[str, Config]:
    """A family with the fewest keys it needs, and the same with each set of changes."""
    plain = {**(_GPT2_SMALL if kind in _GPT2_LIKE else _SMALL), "model_type": kind}
    if kind in _RENAMED:
        plain = {"model_type": kind, **_RENAMED[kind]}
    if kind == "falcon":
        del plain["intermediate_size"]
    return {f"{kind}/{i}": plain | change for i, change in enumerate(({}, *changes))}


_RENAMED: dict[str, Config] = {
    "bloom": {"n_embed": 512, "n_layer": 8, "num_attention_heads": 32, "vocab_size": 1000},
    "mpt": {"d_model": 512, "n_layers": 8, "n_heads": 32, "vocab_size": 1000},
    "gpt_neo": {"hidden_size": 512, "num_layers": 24, "num_heads": 32, "vocab_size": 1000},
    "xglm": {"d_model": 512, "num_layers": 8, "attention_heads": 32, "ffn_dim": 640, "vocab_size": 1000},
    "opt": {
        "hidden_size": 512,
        "num_hidden_layers": 8,
        "num_attention_heads": 32,
        "ffn_dim": 640,
        "word_embed_proj_dim": 512,
        "vocab_size": 1000,
    },
}

VARIANTS: dict[str, Config] = {
    **small("llama", _BIAS, {"mlp_bias": True}, _ODD_HEAD, TIED, {"head_dim": 20} | _BIAS),
    **small("mistral", _ODD_HEAD, TIED),
    **small("mixtral", {"num_local_experts": 5, "num_experts_per_tok": 3}, _ODD_HEAD),
    **small("gemma", _BIAS, UNTIED, _ODD_HEAD),
    **small("gemma2", _BIAS, UNTIED, _ODD_HEAD),
    **small("gemma3_text", _BIAS, UNTIED, _ODD_HEAD, {"sliding_window_pattern": 3}),
    **small("qwen2", _ODD_HEAD, TIED, {"use_sliding_window": True, "max_window_layers": 0}),
    **small(
        "qwen2_moe",
        {"qkv_bias": False},
        {"decoder_sparse_step": 2},
        {"mlp_only_layers": [0, 3]},
        {"shared_expert_intermediate_size": 192} | _MOE | {"num_experts": 6} | TIED,
    ),
    **small("qwen3", _BIAS, _ODD_HEAD, TIED),
    **small("qwen3_moe", _BIAS, {"decoder_sparse_step": 3}, _MOE | _ODD_HEAD | {"num_experts": 6}),
    **small("phi", {"qk_layernorm": True}, {"num_key_value_heads": 4}),
    **small("phi3", _ODD_HEAD, TIED),
    **small("phimoe", _BIAS, {"lm_head_bias": True}, {"num_local_experts": 6, "num_experts_per_tok": 1}),
    **small("olmo", _BIAS, {"num_key_value_heads": 4}, TIED),
    **small("olmo2", _BIAS, {"num_key_value_heads": 4}, _ODD_HEAD),
    **small("olmo3", _BIAS, {"num_key_value_heads": 4}),
    **small("olmoe", _BIAS, {"num_key_value_heads": 4, "num_experts": 6, "num_experts_per_tok": 3}),
    **small("cohere", _BIAS, {"use_qk_norm": True, "num_key_value_heads": 4}, UNTIED),
    **small("cohere2", _BIAS, {"num_key_value_heads": 4}, UNTIED),
    **small("smollm3", _BIAS, {"mlp_bias": True}, _ODD_HEAD, UNTIED),
    **small("granite", _BIAS, {"mlp_bias": True}, _ODD_HEAD, TIED),
    **small("arcee", _BIAS, {"mlp_bias": True, "hidden_act": "gelu"}, _ODD_HEAD),
    **small(
        "stablelm",
        {"use_qkv_bias": True},
        {"qk_layernorm": True, "num_key_value_heads": 4},
        {"use_parallel_residual": True},
        {"use_parallel_residual": True, "qk_layernorm": True},
    ),
    **small("cwm", _ODD_HEAD, TIED),
    **small("ernie4_5", {"use_bias": True}, _ODD_HEAD, UNTIED),
    **small("exaone4", _ODD_HEAD, TIED, {"sliding_window_pattern": 2}),
    **small("ministral3", _ODD_HEAD, TIED, {"sliding_window": 64}),
    **small("jais2", {"attention_bias": False}, {"mlp_bias": False}, _ODD_HEAD),
    **small("persimmon", {"qk_layernorm": False}, {"hidden_act": "gelu"}, TIED),
    **small(
        "seed_oss", {"attention_bias": False}, {"attention_out_bias": True}, {"mlp_bias": True} | _ODD_HEAD
    ),
    **small("vaultgemma", _BIAS, UNTIED, _ODD_HEAD),
    **small("minicpm3", _BIAS, {"mlp_bias": True}, {"q_lora_rank": None}, UNTIED),
    **small(
        "glm4_moe_lite", _SMALL_LATENT, _SMALL_LATENT | {"mlp_layer_types": ["dense"] * 3 + ["sparse"] * 5}
    ),
    **small(
        "ernie4_5_moe",
        {"moe_num_experts": 6, "moe_k": 2, "moe_num_shared_experts": 0, "moe_intermediate_size": 96},
        {"moe_layer_start_index": 2, "moe_layer_end_index": 5},
        {"moe_layer_interval": 2},
    ),
    **small(
        "exaone_moe",
        _MOE | _ODD_HEAD | {"num_experts": 6, "num_shared_experts": 2},
        {"first_k_dense_replace": 3},
        {"mlp_layer_types": ["dense"] * 2 + ["sparse"] * 6},
    ),
    **small("flex_olmo", _BIAS, {"num_key_value_heads": 4, "num_experts": 6, "num_experts_per_tok": 3}),
    **small("granitemoe", _BIAS, {"num_key_value_heads": 4, "num_local_experts": 6}),
    **small("granitemoeshared", _BIAS, {"num_local_experts": 6, "shared_intermediate_size": 1280}),
    **small("minimax_m2", _ODD_HEAD | {"num_local_experts": 6, "num_experts_per_tok": 3}),
    **small("solar_open", _BIAS, _ODD_HEAD, _MOE | {"n_routed_experts": 6, "n_shared_experts": 3}),
    **small("openai-gpt", UNTIED),
    **small("codegen", {"n_inner": 640, "rotary_dim": 8}),
    **small("biogpt", UNTIED),
    **small("xglm", UNTIED),
    **small("glm", {"attention_bias": False}, _ODD_HEAD, TIED),
    **small("glm4", {"attention_bias": False}, _ODD_HEAD, TIED),
    **small("glm4_moe", {"use_qk_norm": True}, _BIAS, _MOE | {"n_routed_experts": 6, "n_shared_experts": 3}),
    **small("gpt_oss", {"attention_bias": False}, _ODD_HEAD | {"num_local_experts": 6}, TIED),
    **small("starcoder2", {"use_bias": False}, UNTIED, _ODD_HEAD),
    **small("deepseek_v3", _SMALL_LATENT, _SMALL_LATENT | _BIAS, _SMALL_LATENT | {"q_lora_rank": None}),
    **small("gpt2", {"n_inner": 640}, UNTIED),
    **small("gptj", {"n_inner": 640, "rotary_dim": 8}),
    **small("gpt_bigcode", {"multi_query": False}, {"n_inner": 640}),
    **small("gpt_neo", {"intermediate_size": 640}, {"attention_types": [[["global"], 24]]}),
    **small("gpt_neox", {"attention_bias": False}, {"use_parallel_residual": False}, TIED),
    **small(
        "opt",
        {"enable_bias": False},
        {"layer_norm_elementwise_affine": False},
        {"word_embed_proj_dim": 256},
        {"do_layer_norm_before": False},
        UNTIED,
    ),
    **small("bloom", UNTIED),
    **small("mpt", UNTIED),
    **small(
        "falcon",
        {"ffn_hidden_size": 640, "bias": True},
        {"multi_query": False, "parallel_attn": False, "alibi": True},
        {"new_decoder_architecture": True, "num_kv_heads": 4},
        {"new_decoder_architecture": True, "num_kv_heads": 4, "num_ln_in_parallel_attn": 1},
        {"new_decoder_architecture": True},
        UNTIED,
    ),
}
# This class has no default for the experts per token.
VARIANTS |= {
    f"deepseek_v2/{i}": {"model_type": "deepseek_v2"} | _SMALL | _SMALL_LATENT | change
    for i, change in enumerate(({}, _BIAS, {"q_lora_rank": None}))
}
# Nor these for the heads' width or count, or the experts, that they need.
VARIANTS |= {
    f"{kind}/{i}": {"model_type": kind} | _SMALL | needed | change
    for kind, needed, changes in (
        ("hunyuan_v1_dense", {"head_dim": 16}, (_BIAS, _ODD_HEAD, TIED)),
        ("helium", {"num_key_value_heads": 4, "head_dim": 16}, (_BIAS, {"mlp_bias": True}, TIED)),
        ("ministral", {"head_dim": 16}, (_ODD_HEAD, TIED, {"sliding_window": None})),
        ("nemotron", {"num_key_value_heads": 8}, (_BIAS, {"mlp_bias": True}, _ODD_HEAD)),
        (
            "dots1",
            _MOE | {"n_routed_experts": 6, "n_shared_experts": 2, "first_k_dense_replace": 1},
            (_BIAS, _ODD_HEAD),
        ),
    )
    for i, change in enumerate(({}, *changes))
}


def count(config: Config) -> tuple[int, int]:
    """Parameters in total (a tied head once) and those that one token meets."""
    settings = dict(config)
    built = AutoConfig.for_model(settings.pop("model_type"), **settings)
    built.pad_token_id = None  # the default lies beyond a small vocabulary
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(built)
    model.tie_weights()
    named = dict(model.named_parameters())
    total = sum(p.numel() for p in named.values())
    routed = sum(p.numel() for name, p in named.items() if ".experts." in name)
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    n = next((value for key in names if (value := getattr(built, key, None))), 1)
    idle, rest = divmod(routed * (n - getattr(built, "num_experts_per_tok", n)), n)
    assert rest == 0
    return total, total - idle


def record(configs: dict[str, Config]) -> str:
    """Counts of every config, as lines of JSON."""
    lines = []
    for name, config in configs.items():
        total, active = count(config)
        lines.append(
            f"{json.dumps(name)}: {json.dumps({'config': config, 'total': total, 'active': active})}"
        )
        print(f"{name:24s} {total:>18,d} {active:>18,d}", file=sys.stderr)
    return "{\n" + ",\n".join(lines) + "\n}"


def main() -> None:
    versions = json.dumps({"torch": torch.__version__, "transformers": transformers.__version__})
    text = f'{{"versions": {versions},\n"models": {record(CONFIGS)},\n"variants": {record(VARIANTS)}}}\n'
    Path(__file__).with_name("parameters.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
