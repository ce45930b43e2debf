"""The architectures of Hugging Face configs, one entry per `model_type`.

An entry says which config key holds which design field, what is fixed, and what Transformers
assumes where a key is absent (its configuration classes' defaults, release 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from explorer.formats.huggingface.quirks import (
    Experts,
    Falcon,
    GptNeo,
    Latent,
    Mpt,
    MultiQuery,
    Opt,
    ParallelSwitch,
    QkNorm,
    Quirk,
    Refused,
    SmolLm3,
    Window,
)


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


_OUTER = {
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
}
_GROUPED = _OUTER | {"n_kv_heads": "num_key_value_heads"}
_LLAMA = _GROUPED | {"d_head": "head_dim"}
_GPT2 = {
    "d_model": "n_embd",
    "n_layers": "n_layer",
    "n_heads": "n_head",
    "d_ff": "n_inner",
    "vocab_size": "vocab_size",
    "context_length": "n_positions",
}
_GPT2_ALIASES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}
_Flags: TypeAlias = dict[str, tuple[str, ...]]
_TIED: _Flags = {"tie_word_embeddings": ("tied_embeddings",)}
_ATTENTION_BIAS: _Flags = {"attention_bias": ("qkv_bias", "output_bias")}
_ALL_BIASES = ("qkv_bias", "output_bias", "ffn_bias")
_GPT2_TRAITS = {"norm": "layernorm", "position": "learned"} | dict.fromkeys(_ALL_BIASES, True)


def _defaults(context: int, *, tied: bool = False, **more: Any) -> dict[str, Any]:
    return {"max_position_embeddings": context, "tie_word_embeddings": tied, "hidden_act": "silu"} | more


FAMILIES: dict[str, Family] = {
    "llama": Family(
        architecture="LlamaForCausalLM",
        divides=True,
        sizes=_LLAMA,
        flags=_TIED | _ATTENTION_BIAS | {"mlp_bias": ("ffn_bias",)},
        defaults=_defaults(2048, attention_bias=False, mlp_bias=False),
    ),
    "qwen2": Family(
        architecture="Qwen2ForCausalLM",
        sizes=_LLAMA,
        traits={"qkv_bias": True},
        flags=_TIED,
        defaults=_defaults(32768, num_key_value_heads=32, sliding_window=4096, max_window_layers=28),
        quirks=(Window(switch="use_sliding_window"),),
    ),
    "qwen3": Family(
        architecture="Qwen3ForCausalLM",
        sizes=_LLAMA,
        traits={"qk_norm": "head"},
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(
            32768, num_key_value_heads=32, head_dim=128, sliding_window=4096, max_window_layers=28
        ),
        quirks=(Window(switch="use_sliding_window"),),
    ),
    "mistral": Family(
        architecture="MistralForCausalLM",
        sizes=_LLAMA,
        flags=_TIED,
        defaults=_defaults(131072, num_key_value_heads=8, sliding_window=4096),
        quirks=(Window(),),
    ),
    "mixtral": Family(
        architecture="MixtralForCausalLM",
        sizes=_LLAMA,
        flags=_TIED,
        defaults=_defaults(131072, num_key_value_heads=8, num_local_experts=8, num_experts_per_tok=2),
        aliases={"num_experts": "num_local_experts"},
        quirks=(Experts(n="num_local_experts"), Window()),
    ),
    "gemma": Family(
        architecture="GemmaForCausalLM",
        sizes=_LLAMA,
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(
            8192, tied=True, num_key_value_heads=16, head_dim=256, hidden_act="gelu_pytorch_tanh"
        ),
    ),
    "gemma2": Family(
        architecture="Gemma2ForCausalLM",
        divides=True,
        sizes=_LLAMA,
        traits={"norms_per_layer": 4},
        flags=_TIED | _ATTENTION_BIAS,
        activation="hidden_activation",
        defaults=_defaults(
            8192,
            tied=True,
            num_key_value_heads=4,
            head_dim=256,
            hidden_activation="gelu_pytorch_tanh",
            sliding_window=4096,
        ),
        quirks=(Window(every=2),),
    ),
    "gemma3_text": Family(
        architecture="Gemma3ForCausalLM",
        divides=True,
        sizes=_LLAMA,
        traits={"norms_per_layer": 4, "qk_norm": "head"},
        flags=_TIED | _ATTENTION_BIAS,
        activation="hidden_activation",
        # The released 4B config leaves vocabulary and heads to these defaults.
        defaults=_defaults(
            131072,
            tied=True,
            vocab_size=262208,
            num_attention_heads=8,
            num_key_value_heads=4,
            head_dim=256,
            hidden_activation="gelu_pytorch_tanh",
            sliding_window=4096,
        ),
        quirks=(
            Window(every=6, pattern="sliding_window_pattern"),
            Refused(key="use_bidirectional_attention"),
        ),
    ),
    "qwen2_moe": Family(
        architecture="Qwen2MoeForCausalLM",
        sizes=_LLAMA,
        traits={"shared_expert_gate": True},
        flags=_TIED | {"qkv_bias": ("qkv_bias",)},
        defaults=_defaults(
            32768,
            num_key_value_heads=16,
            qkv_bias=True,
            sliding_window=4096,
            max_window_layers=28,
            decoder_sparse_step=1,
            moe_intermediate_size=1408,
            shared_expert_intermediate_size=5632,
            num_experts_per_tok=4,
            num_experts=60,
        ),
        aliases={"num_local_experts": "num_experts"},
        quirks=(
            Experts(
                width="moe_intermediate_size",
                shared_width="shared_expert_intermediate_size",
                sparse_step=True,
            ),
            Window(switch="use_sliding_window"),
        ),
    ),
    "qwen3_moe": Family(
        architecture="Qwen3MoeForCausalLM",
        sizes=_LLAMA,
        traits={"qk_norm": "head"},
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(
            32768,
            num_key_value_heads=4,
            decoder_sparse_step=1,
            moe_intermediate_size=768,
            num_experts_per_tok=8,
            num_experts=128,
            sliding_window=4096,
        ),
        aliases={"num_local_experts": "num_experts"},
        quirks=(
            Experts(width="moe_intermediate_size", sparse_step=True),
            Window(switch="use_sliding_window"),
        ),
    ),
    "deepseek_v3": Family(
        architecture="DeepseekV3ForCausalLM",
        sizes=_OUTER,
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(
            4096,
            moe_intermediate_size=2048,
            n_shared_experts=1,
            n_routed_experts=256,
            num_experts_per_tok=8,
            first_k_dense_replace=3,
            kv_lora_rank=512,
            q_lora_rank=1536,
            qk_rope_head_dim=64,
            qk_nope_head_dim=128,
            v_head_dim=128,
        ),
        quirks=(
            Experts(
                n="n_routed_experts",
                width="moe_intermediate_size",
                n_shared="n_shared_experts",
                n_dense="first_k_dense_replace",
            ),
            Latent(),
        ),
    ),
    "deepseek_v2": Family(
        architecture="DeepseekV2ForCausalLM",
        divides=True,
        sizes=_OUTER,
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(
            2048,
            moe_intermediate_size=1407,
            n_shared_experts=2,
            n_routed_experts=64,
            first_k_dense_replace=0,
            kv_lora_rank=512,
            q_lora_rank=1536,
            qk_rope_head_dim=64,
            qk_nope_head_dim=128,
            v_head_dim=128,
        ),
        quirks=(
            Refused(key="mlp_bias"),
            Experts(
                n="n_routed_experts",
                width="moe_intermediate_size",
                n_shared="n_shared_experts",
                n_dense="first_k_dense_replace",
            ),
            Latent(),
        ),
    ),
    "glm4_moe": Family(
        architecture="Glm4MoeForCausalLM",
        sizes=_LLAMA,
        flags=_TIED | {"attention_bias": ("qkv_bias",)},
        defaults=_defaults(
            131072,
            num_key_value_heads=8,
            moe_intermediate_size=1408,
            n_shared_experts=1,
            n_routed_experts=128,
            num_experts_per_tok=8,
            first_k_dense_replace=1,
        ),
        quirks=(
            Experts(
                n="n_routed_experts",
                width="moe_intermediate_size",
                n_shared="n_shared_experts",
                n_dense="first_k_dense_replace",
            ),
            QkNorm(key="use_qk_norm", kind="head"),
        ),
    ),
    "gpt_oss": Family(
        architecture="GptOssForCausalLM",
        sizes=_LLAMA,
        traits={"attention_sinks": True, "ffn_bias": True, "router_bias": True},
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(
            131072,
            num_key_value_heads=8,
            head_dim=64,
            attention_bias=True,
            sliding_window=128,
            num_local_experts=128,
            num_experts_per_tok=4,
        ),
        aliases={"num_experts": "num_local_experts"},
        quirks=(Experts(n="num_local_experts"), Window(every=2)),
    ),
    "phi3": Family(
        architecture="Phi3ForCausalLM",
        sizes=_LLAMA,
        flags=_TIED,
        defaults=_defaults(4096),
        quirks=(Window(),),
    ),
    "phi": Family(
        architecture="PhiForCausalLM",
        sizes=_LLAMA,
        traits={"norm": "layernorm", "norms_per_layer": 1, "parallel_block": True, "head_bias": True}
        | dict.fromkeys(_ALL_BIASES, True),
        flags=_TIED,
        gated=False,
        defaults=_defaults(2048, hidden_act="gelu_new"),
        quirks=(QkNorm(key="qk_layernorm", kind="head", bias=True),),
    ),
    "phimoe": Family(
        architecture="PhimoeForCausalLM",
        sizes=_LLAMA,
        traits={"norm": "layernorm"},
        flags=_TIED | _ATTENTION_BIAS | {"lm_head_bias": ("head_bias",)},
        defaults=_defaults(131072, num_key_value_heads=8, num_local_experts=16, num_experts_per_tok=2),
        quirks=(Experts(n="num_local_experts"), Window()),
    ),
    "olmo": Family(
        architecture="OlmoForCausalLM",
        sizes=_LLAMA,
        traits={"norm": "layernorm-noweight"},
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(2048),
    ),
    "olmo2": Family(
        architecture="Olmo2ForCausalLM",
        sizes=_LLAMA,
        traits={"qk_norm": "full"},
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(2048),
    ),
    "olmo3": Family(
        architecture="Olmo3ForCausalLM",
        sizes=_LLAMA,
        traits={"qk_norm": "full"},
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(2048, sliding_window=4096),
        quirks=(Window(every=4),),
    ),
    "olmoe": Family(
        architecture="OlmoeForCausalLM",
        sizes=_LLAMA,
        traits={"qk_norm": "full"},
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(4096, num_experts=64, num_experts_per_tok=8),
        aliases={"num_local_experts": "num_experts"},
        quirks=(Experts(),),
    ),
    "cohere": Family(
        architecture="CohereForCausalLM",
        sizes=_LLAMA,
        traits={"norm": "layernorm-nobias", "norms_per_layer": 1, "parallel_block": True},
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(8192, tied=True),
        quirks=(QkNorm(key="use_qk_norm", kind="full"),),
    ),
    "cohere2": Family(
        architecture="Cohere2ForCausalLM",
        sizes=_GROUPED,
        traits={"norm": "layernorm-nobias", "norms_per_layer": 1, "parallel_block": True},
        flags=_TIED | _ATTENTION_BIAS,
        defaults=_defaults(8192, tied=True, sliding_window=4096),
        quirks=(Window(every=4, pattern="sliding_window_pattern"),),
    ),
    "smollm3": Family(
        architecture="SmolLM3ForCausalLM",
        sizes=_LLAMA,
        flags=_TIED | _ATTENTION_BIAS | {"mlp_bias": ("ffn_bias",)},
        defaults=_defaults(32768, tied=True, num_key_value_heads=4, no_rope_layer_interval=4),
        quirks=(SmolLm3(),),
    ),
    "granite": Family(
        architecture="GraniteForCausalLM",
        sizes=_LLAMA,
        flags=_TIED | _ATTENTION_BIAS | {"mlp_bias": ("ffn_bias",)},
        defaults=_defaults(2048),
    ),
    "arcee": Family(
        architecture="ArceeForCausalLM",
        divides=True,
        sizes=_LLAMA,
        flags=_TIED | _ATTENTION_BIAS | {"mlp_bias": ("ffn_bias",)},
        gated=False,
        defaults=_defaults(4096, hidden_act="relu2"),
    ),
    "stablelm": Family(
        architecture="StableLmForCausalLM",
        sizes=_GROUPED,
        traits={"norm": "layernorm"},
        flags=_TIED | {"use_qkv_bias": ("qkv_bias",)},
        defaults=_defaults(4096, num_key_value_heads=32),
        quirks=(QkNorm(key="qk_layernorm", kind="full"), ParallelSwitch()),
    ),
    "glm": Family(
        architecture="GlmForCausalLM",
        sizes=_LLAMA,
        flags=_TIED | {"attention_bias": ("qkv_bias",)},
        defaults=_defaults(131072, num_key_value_heads=2, head_dim=128, attention_bias=True),
    ),
    "glm4": Family(
        architecture="Glm4ForCausalLM",
        sizes=_LLAMA,
        traits={"norms_per_layer": 4},
        flags=_TIED | {"attention_bias": ("qkv_bias",)},
        defaults=_defaults(131072, num_key_value_heads=2, head_dim=128, attention_bias=True),
    ),
    "starcoder2": Family(
        architecture="Starcoder2ForCausalLM",
        sizes=_LLAMA,
        traits={"norm": "layernorm"},
        flags=_TIED | {"use_bias": _ALL_BIASES},
        gated=False,
        defaults=_defaults(
            4096, tied=True, num_key_value_heads=2, use_bias=True, hidden_act="gelu_pytorch_tanh"
        ),
        quirks=(Window(),),
    ),
    "gpt2": Family(
        architecture="GPT2LMHeadModel",
        sizes=_GPT2,
        traits=_GPT2_TRAITS,
        flags=_TIED,
        activation="activation_function",
        gated=False,
        fourfold=True,
        defaults={"n_positions": 1024, "tie_word_embeddings": True, "activation_function": "gelu_new"},
        aliases=_GPT2_ALIASES,
        quirks=(Refused(key="add_cross_attention"),),
    ),
    "gpt_bigcode": Family(
        architecture="GPTBigCodeForCausalLM",
        sizes=_GPT2,
        traits=_GPT2_TRAITS,
        flags=_TIED,
        activation="activation_function",
        gated=False,
        fourfold=True,
        defaults={
            "n_positions": 1024,
            "tie_word_embeddings": True,
            "activation_function": "gelu_pytorch_tanh",
            "multi_query": True,
        },
        aliases=_GPT2_ALIASES,
        quirks=(MultiQuery(),),
    ),
    "gptj": Family(
        architecture="GPTJForCausalLM",
        sizes=_GPT2,
        traits={
            "norm": "layernorm",
            "norms_per_layer": 1,
            "parallel_block": True,
            "ffn_bias": True,
            "head_bias": True,
        },
        flags=_TIED,
        activation="activation_function",
        gated=False,
        fourfold=True,
        defaults={"n_positions": 2048, "tie_word_embeddings": False, "activation_function": "gelu_new"},
        aliases=_GPT2_ALIASES,
    ),
    "gpt_neo": Family(
        architecture="GPTNeoForCausalLM",
        sizes=_OUTER | {"n_layers": "num_layers", "n_heads": "num_heads"},
        traits={"norm": "layernorm", "position": "learned", "output_bias": True, "ffn_bias": True},
        flags=_TIED,
        activation="activation_function",
        gated=False,
        defaults={
            "max_position_embeddings": 2048,
            "tie_word_embeddings": True,
            "activation_function": "gelu_new",
            "window_size": 256,
        },
        aliases={"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads"},
        fourfold=True,
        quirks=(GptNeo(),),
    ),
    "gpt_neox": Family(
        architecture="GPTNeoXForCausalLM",
        sizes=_OUTER,
        traits={"norm": "layernorm", "ffn_bias": True},
        flags=_TIED | _ATTENTION_BIAS,
        gated=False,
        defaults=_defaults(2048, hidden_act="gelu", attention_bias=True, use_parallel_residual=True),
        quirks=(ParallelSwitch(norms=2),),
    ),
    "opt": Family(
        architecture="OPTForCausalLM",
        sizes=_OUTER | {"d_ff": "ffn_dim"},
        traits={"norm": "layernorm", "position": "learned", "position_offset": 2},
        flags=_TIED,
        activation="activation_function",
        gated=False,
        defaults={
            "max_position_embeddings": 2048,
            "tie_word_embeddings": True,
            "activation_function": "relu",
            "do_layer_norm_before": True,
            "enable_bias": True,
            "layer_norm_elementwise_affine": True,
        },
        quirks=(Opt(),),
    ),
    "bloom": Family(
        architecture="BloomForCausalLM",
        # BLOOM's class knows no context length; its configs carry the training length as seq_length.
        sizes={
            "d_model": "hidden_size",
            "n_layers": "n_layer",
            "n_heads": "n_head",
            "vocab_size": "vocab_size",
            "context_length": "seq_length",
        },
        traits={"norm": "layernorm", "position": "alibi", "embedding_norm": True, "ffn": "gelu"}
        | dict.fromkeys(_ALL_BIASES, True),
        flags=_TIED,
        activation="",
        gated=False,
        fourfold=True,
        defaults={"seq_length": 2048, "tie_word_embeddings": True},
        aliases={"n_embed": "hidden_size", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"},
    ),
    "mpt": Family(
        architecture="MptForCausalLM",
        sizes={
            "d_model": "d_model",
            "n_layers": "n_layers",
            "n_heads": "n_heads",
            "vocab_size": "vocab_size",
            "context_length": "max_seq_len",
        },
        traits={"ffn": "gelu"},
        flags=_TIED,
        activation="",
        gated=False,
        fourfold=True,
        defaults={
            "max_seq_len": 2048,
            "tie_word_embeddings": True,
            "expansion_ratio": 4,
            "no_bias": True,
            "learned_pos_emb": True,
        },
        aliases={
            "hidden_size": "d_model",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
        },
        quirks=(Mpt(),),
    ),
    "falcon": Family(
        architecture="FalconForCausalLM",
        sizes=_OUTER | {"d_ff": "ffn_hidden_size"},
        traits={"norm": "layernorm"},
        flags=_TIED | {"bias": _ALL_BIASES},
        activation="activation",
        gated=False,
        fourfold=True,
        defaults={
            "max_position_embeddings": 2048,
            "tie_word_embeddings": True,
            "activation": "gelu",
            "multi_query": True,
            "parallel_attn": True,
        },
        aliases={"n_embed": "hidden_size"},
        quirks=(Falcon(),),
    ),
}
