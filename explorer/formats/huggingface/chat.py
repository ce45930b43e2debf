"""Configs of models that were released with their own modelling code."""

from __future__ import annotations

from typing import Any

from explorer.formats.huggingface.config import Config


def read_qwen(config: Config) -> dict[str, Any]:
    """Qwen 1: `intermediate_size` counts both halves of the gated inner width (its modeling_qwen.py)."""
    config.defaults = {"seq_length": 8192, "kv_channels": 128, "no_bias": True, "tie_word_embeddings": False}
    bias, heads = not config.flag("no_bias"), config.size("num_attention_heads")
    return {
        "context_length": config.size("seq_length"),
        "d_model": config.size("hidden_size"),
        "n_layers": config.size("num_hidden_layers"),
        "n_heads": heads,
        "n_kv_heads": heads,
        "d_head": config.size("kv_channels"),
        "d_ff": config.size("intermediate_size") // 2,
        "vocab_size": config.size("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings"),
        "qkv_bias": True,
        "output_bias": bias,
        "ffn_bias": bias,
    }


def read_chatglm(config: Config) -> dict[str, Any]:
    """ChatGLM 2, 3 and GLM-4 (their modeling_chatglm.py)."""
    config.defaults = {"seq_length": 2048, "kv_channels": 128, "rmsnorm": True, "post_layer_norm": True}
    bias, heads = config.flag("add_bias_linear"), config.size("num_attention_heads")
    grouped = config.flag("multi_query_attention")
    return {
        "context_length": config.size("seq_length"),
        "d_model": config.size("hidden_size"),
        "n_layers": config.size("num_layers"),
        "n_heads": heads,
        "n_kv_heads": config.size("multi_query_group_num") if grouped else heads,
        "d_head": config.size("kv_channels"),
        "d_ff": config.size("ffn_hidden_size"),
        "vocab_size": config.size("padded_vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings"),
        "norm": "rmsnorm" if config.flag("rmsnorm") else "layernorm",
        "final_norm": config.flag("post_layer_norm"),
        "qkv_bias": bias or config.flag("add_qkv_bias"),
        "output_bias": bias,
        "ffn_bias": bias,
    }
