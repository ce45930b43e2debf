"""Which architecture ran: a published model by its name, or its dimensions."""

from __future__ import annotations

import re
from typing import Any

from explorer.catalog.models import models
from explorer.design import Design
from explorer.validation.measurements import Inexpressible, Measurement
from explorer.validation.translate.fields import first_of, number
from explorer.validation.translate.frameworks import (
    is_llama_like,
)


def design_of(row: Measurement) -> Design:
    """The architecture a row names, by its dimensions or by a published model. Raises Inexpressible."""
    config = row.config
    # llm-foundry benchmarks MPT with learned positions and biases, unlike the released models.
    foundry = "llm-foundry" in f"{row.group} {row.source}"
    published = None if foundry else published_design(str(config.get("model", "")))
    d = first_of(config, "hidden", "d_model")
    if d is None and published is None:
        raise Inexpressible(reason="the architecture is not stated and its name is not in the catalogue")
    context = number(config, "seq", "seq_len", "context_length", "prompt", default=None)
    if context is None and row.what.startswith(("train_", "infer_prefill", "infer_decode")):
        raise Inexpressible(reason="the sequence length is not stated")
    if context is None:
        context = published.context_length if published is not None else 2048
    if d is None:
        assert published is not None
        return published.with_(context_length=context)
    layers = first_of(config, "layers", "n_layers")
    if published is not None and published.d_model == d and layers in (None, published.n_layers):
        changes: dict[str, Any] = {"context_length": context}
        for key, name in (("vocab", "vocab_size"), ("ffn", "d_ff"), ("kv_heads", "n_kv_heads")):
            if config.get(key) is not None and not published.n_experts:
                changes[name] = config[key]
        return published.with_(**changes)
    return _from_dimensions(row, context)


def _from_dimensions(row: Measurement, context: float) -> Design:
    """A design from its numbers, with what its framework's model has otherwise."""
    config = row.config
    layers = first_of(config, "layers", "n_layers")
    if layers is None and row.what.endswith("_per_layer"):
        layers = 1
    if layers is None:
        raise Inexpressible(reason="the number of layers is not stated")
    d = first_of(config, "hidden", "d_model")
    head = first_of(config, "head_dim", "d_head")
    heads = first_of(config, "heads", "n_heads") or (
        d // head if head else d // 128 if d >= 2048 else d // 64
    )
    gated = config.get("gated", config.get("gated_mlp"))
    if gated is None:
        gated = config.get("norm") == "rmsnorm" or is_llama_like(row)
    norm = config.get("norm") or ("rmsnorm" if gated else "layernorm")
    position = config.get("pos") if isinstance(config.get("pos"), str) else config.get("pos_emb")
    if position is None:
        position = "rope" if gated else "learned"
    rows_of_table = config.get("pos") if isinstance(config.get("pos"), int) else None
    bias = bool(config.get("bias", not gated))
    experts = first_of(config, "experts", "n_experts") or 0
    given: dict[str, Any] = {}
    if experts:
        given = {
            "n_experts": experts, "n_experts_active": first_of(config, "topk", "n_experts_active") or 2,
            "d_ff_expert": first_of(config, "ffn", "d_ff"),
        }  # fmt: skip
    if rows_of_table:
        # The table is as long as the longest context, whatever a run's own.
        given["position_offset"] = rows_of_table - context
    qkv_bias = bool(config.get("qkv_bias", bias))
    return Design.of(
        context, d, layers,
        n_heads=heads, n_kv_heads=first_of(config, "kv_heads", "n_kv_heads") or heads, d_head=head or d // heads,
        d_ff=first_of(config, "ffn", "d_ff") or (4 * d if not gated else 256 * -(-8 * d // (3 * 256))),
        vocab_size=first_of(config, "vocab", "vocab_size") or _default_vocabulary(row),
        ffn="swiglu" if gated else "gelu",
        norm=norm, position=position, tied_embeddings=bool(config.get("tied", not gated)),
        qkv_bias=qkv_bias, output_bias=bias, ffn_bias=bias,
        qk_norm="head" if config.get("qk_norm") else "none",
        **given,
    )  # fmt: skip


def _default_vocabulary(row: Measurement) -> int:
    """Megatron pads GPT-2's 50,257 to 51,200 at tensor parallel 8 (Narayanan 2021); Llama 2 has 32,000."""
    return 32_000 if is_llama_like(row) else 51_200


def published_design(name: str) -> Design | None:
    """The design of a published model under any usual spelling of its name; None for an unknown one."""
    key = _squeeze(name)
    known = {_squeeze(other): other for other in models()}
    for variant in (key, key.removeprefix("meta"), *_ALIASES.get(key, ())):
        if variant in known:
            return models()[known[variant]].design
    return None


_ALIASES = {
    "gpt2124mnanogpt": ("gpt2",), "hfgpt2124m": ("gpt2",),
    "gpt3175bmegatronreadmeexample": ("gpt3175b",), "phi1513b": ("phi15",),
    "bloom": ("bloom176b",), "qwen330ba3bbf16": ("qwen330ba3b",), "qwen38bfp8": ("qwen38b",),
    "gpt355m": ("gpt2medium",), "llama7b": ("llama7b",), "gemma112bit": ("gemma2b",),
    "deepseekr10528qwen38b": ("qwen38b",),
}  # fmt: skip


def _squeeze(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\(.*", "", name.lower()))
