"""LLaMA and its kin: dense architectures with rotary positions."""

from __future__ import annotations

from explorer.formats.huggingface.family import (
    ALL_BIASES,
    ATTENTION_BIAS,
    GROUPED,
    LLAMA,
    TIED,
    Family,
    defaults,
)
from explorer.formats.huggingface.quirks import ParallelSwitch, QkNorm, Refused, SmolLm3, Window

DENSE: dict[str, Family] = {
    "llama": Family(
        architecture="LlamaForCausalLM",
        divides=True,
        sizes=LLAMA,
        flags=TIED | ATTENTION_BIAS | {"mlp_bias": ("ffn_bias",)},
        defaults=defaults(2048, attention_bias=False, mlp_bias=False),
    ),
    "qwen2": Family(
        architecture="Qwen2ForCausalLM",
        sizes=LLAMA,
        traits={"qkv_bias": True},
        flags=TIED,
        defaults=defaults(32768, num_key_value_heads=32, sliding_window=4096, max_window_layers=28),
        quirks=(Window(switch="use_sliding_window"),),
    ),
    "qwen3": Family(
        architecture="Qwen3ForCausalLM",
        sizes=LLAMA,
        traits={"qk_norm": "head"},
        flags=TIED | ATTENTION_BIAS,
        defaults=defaults(
            32768, num_key_value_heads=32, head_dim=128, sliding_window=4096, max_window_layers=28
        ),
        quirks=(Window(switch="use_sliding_window"),),
    ),
    "mistral": Family(
        architecture="MistralForCausalLM",
        sizes=LLAMA,
        flags=TIED,
        defaults=defaults(131072, num_key_value_heads=8, sliding_window=4096),
        quirks=(Window(),),
    ),
    "gemma": Family(
        architecture="GemmaForCausalLM",
        sizes=LLAMA,
        flags=TIED | ATTENTION_BIAS,
        defaults=defaults(
            8192, tied=True, num_key_value_heads=16, head_dim=256, hidden_act="gelu_pytorch_tanh"
        ),
    ),
    "gemma2": Family(
        architecture="Gemma2ForCausalLM",
        divides=True,
        sizes=LLAMA,
        traits={"norms_per_layer": 4},
        flags=TIED | ATTENTION_BIAS,
        activation="hidden_activation",
        defaults=defaults(
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
        sizes=LLAMA,
        traits={"norms_per_layer": 4, "qk_norm": "head"},
        flags=TIED | ATTENTION_BIAS,
        activation="hidden_activation",
        # The released 4B config leaves vocabulary and heads to these defaults.
        defaults=defaults(
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
    "phi3": Family(
        architecture="Phi3ForCausalLM",
        sizes=LLAMA,
        flags=TIED,
        defaults=defaults(4096),
        quirks=(Window(),),
    ),
    "phi": Family(
        architecture="PhiForCausalLM",
        sizes=LLAMA,
        traits={"norm": "layernorm", "norms_per_layer": 1, "parallel_block": True, "head_bias": True}
        | dict.fromkeys(ALL_BIASES, True),
        flags=TIED,
        gated=False,
        defaults=defaults(2048, hidden_act="gelu_new"),
        quirks=(QkNorm(key="qk_layernorm", kind="head", bias=True),),
    ),
    "olmo": Family(
        architecture="OlmoForCausalLM",
        sizes=LLAMA,
        traits={"norm": "layernorm-noweight"},
        flags=TIED | ATTENTION_BIAS,
        defaults=defaults(2048),
    ),
    "olmo2": Family(
        architecture="Olmo2ForCausalLM",
        sizes=LLAMA,
        traits={"qk_norm": "full"},
        flags=TIED | ATTENTION_BIAS,
        defaults=defaults(2048),
    ),
    "olmo3": Family(
        architecture="Olmo3ForCausalLM",
        sizes=LLAMA,
        traits={"qk_norm": "full"},
        flags=TIED | ATTENTION_BIAS,
        defaults=defaults(2048, sliding_window=4096),
        quirks=(Window(every=4),),
    ),
    "cohere": Family(
        architecture="CohereForCausalLM",
        sizes=LLAMA,
        traits={"norm": "layernorm-nobias", "norms_per_layer": 1, "parallel_block": True},
        flags=TIED | ATTENTION_BIAS,
        defaults=defaults(8192, tied=True),
        quirks=(QkNorm(key="use_qk_norm", kind="full"),),
    ),
    "cohere2": Family(
        architecture="Cohere2ForCausalLM",
        sizes=GROUPED,
        traits={"norm": "layernorm-nobias", "norms_per_layer": 1, "parallel_block": True},
        flags=TIED | ATTENTION_BIAS,
        defaults=defaults(8192, tied=True, sliding_window=4096),
        quirks=(Window(every=4, pattern="sliding_window_pattern"),),
    ),
    "smollm3": Family(
        architecture="SmolLM3ForCausalLM",
        sizes=LLAMA,
        flags=TIED | ATTENTION_BIAS | {"mlp_bias": ("ffn_bias",)},
        defaults=defaults(32768, tied=True, num_key_value_heads=4, no_rope_layer_interval=4),
        quirks=(SmolLm3(),),
    ),
    "granite": Family(
        architecture="GraniteForCausalLM",
        sizes=LLAMA,
        flags=TIED | ATTENTION_BIAS | {"mlp_bias": ("ffn_bias",)},
        defaults=defaults(2048),
    ),
    "arcee": Family(
        architecture="ArceeForCausalLM",
        divides=True,
        sizes=LLAMA,
        flags=TIED | ATTENTION_BIAS | {"mlp_bias": ("ffn_bias",)},
        gated=False,
        defaults=defaults(4096, hidden_act="relu2"),
    ),
    "stablelm": Family(
        architecture="StableLmForCausalLM",
        sizes=GROUPED,
        traits={"norm": "layernorm"},
        flags=TIED | {"use_qkv_bias": ("qkv_bias",)},
        defaults=defaults(4096, num_key_value_heads=32),
        quirks=(QkNorm(key="qk_layernorm", kind="full"), ParallelSwitch()),
    ),
    "glm": Family(
        architecture="GlmForCausalLM",
        sizes=LLAMA,
        flags=TIED | {"attention_bias": ("qkv_bias",)},
        defaults=defaults(131072, num_key_value_heads=2, head_dim=128, attention_bias=True),
    ),
    "glm4": Family(
        architecture="Glm4ForCausalLM",
        sizes=LLAMA,
        traits={"norms_per_layer": 4},
        flags=TIED | {"attention_bias": ("qkv_bias",)},
        defaults=defaults(131072, num_key_value_heads=2, head_dim=128, attention_bias=True),
    ),
    "starcoder2": Family(
        architecture="Starcoder2ForCausalLM",
        sizes=LLAMA,
        traits={"norm": "layernorm"},
        flags=TIED | {"use_bias": ALL_BIASES},
        gated=False,
        defaults=defaults(
            4096, tied=True, num_key_value_heads=2, use_bias=True, hidden_act="gelu_pytorch_tanh"
        ),
        quirks=(Window(),),
    ),
}
