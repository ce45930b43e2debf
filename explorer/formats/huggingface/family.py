"""What an entry for one `model_type` says, and the keys that many architectures share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from explorer.formats.huggingface.quirk import Quirk


@dataclass(frozen=True, kw_only=True)
class Family:
    """How one `model_type` writes a design down."""

    architecture: str
    """Transformers' class."""
    sizes: Mapping[str, str]
    """Design field → config key."""
    traits: Mapping[str, Any] = field(default_factory=dict)
    """Design fields that the architecture fixes."""
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Config key → the design fields it switches."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What Transformers assumes for an absent key."""
    activation: str = "hidden_act"
    gated: bool = True
    fourfold: bool = False
    """An absent inner width is four times the model's."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names that Transformers accepts for a key."""
    divides: bool = False
    """Transformers insists on whole d_model / n_heads, even where the head's width is given."""
    quirks: tuple[Quirk, ...] = ()


OUTER = {
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
}
GROUPED = OUTER | {"n_kv_heads": "num_key_value_heads"}
LLAMA = GROUPED | {"d_head": "head_dim"}
Flags: TypeAlias = dict[str, tuple[str, ...]]
TIED: Flags = {"tie_word_embeddings": ("tied_embeddings",)}
ATTENTION_BIAS: Flags = {"attention_bias": ("qkv_bias", "output_bias")}
ALL_BIASES = ("qkv_bias", "output_bias", "ffn_bias")


def defaults(context: int, *, tied: bool = False, **more: Any) -> dict[str, Any]:
    """What Transformers assumes in a LLaMA-like family: context length, tied or not, SiLU, and `more`."""
    return {"max_position_embeddings": context, "tie_word_embeddings": tied, "hidden_act": "silu"} | more
