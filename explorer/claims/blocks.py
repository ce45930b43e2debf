"""The blocks that claims are judged on: the idea's own, and those of published models."""

from __future__ import annotations

from explorer import catalog
from explorer.design import Design
from explorer.units import Num


def plain(context_length: Num, d_model: Num = 4096, n_layers: Num = 1, d_head: float = 128) -> Design:
    """The idea's block: multi-head attention with q = d, GELU of width 4d, no vocabulary, no positions."""
    return Design(
        context_length=context_length,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=d_model / d_head,
        n_kv_heads=d_model / d_head,
        d_head=d_head,
        d_ff=4 * d_model,
        vocab_size=0,
        ffn="gelu",
        norm="layernorm",
        position="none",
    )


def gated(context_length: Num, d_model: float = 4096, n_kv_share: float = 1.0, ratio: float = 3.5) -> Design:
    """A block as LLaMA has it: SwiGLU of `ratio` · d, and n_kv_share of the heads as key-value heads."""
    return plain(context_length, d_model).with_(
        d_ff=ratio * d_model, ffn="swiglu", norm="rmsnorm", n_kv_heads=n_kv_share * d_model / 128
    )


def published(name: str, context_length: float | None = None) -> Design:
    """A model of the catalogue, at its training context or another."""
    design = catalog.model(name).design
    return design if context_length is None else design.with_(context_length=context_length)


def trained_context(name: str) -> float:
    """The context length that a catalogue model was pre-trained at."""
    return float(catalog.model(name).context_length_pretrain)
