"""GPT-2 and what followed it before LLaMA: learned, ALiBi and early rotary positions."""

from __future__ import annotations

from explorer.formats.huggingface.family import ALL_BIASES, ATTENTION_BIAS, OUTER, TIED, Family, defaults
from explorer.formats.huggingface.quirks import Falcon, GptNeo, Mpt, MultiQuery, Opt, ParallelSwitch, Refused

GPT2 = {
    "d_model": "n_embd",
    "n_layers": "n_layer",
    "n_heads": "n_head",
    "d_ff": "n_inner",
    "vocab_size": "vocab_size",
    "context_length": "n_positions",
}
GPT2_ALIASES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}
GPT2_TRAITS = {"norm": "layernorm", "position": "learned"} | dict.fromkeys(ALL_BIASES, True)

CLASSICS: dict[str, Family] = {
    "gpt2": Family(
        architecture="GPT2LMHeadModel",
        sizes=GPT2,
        traits=GPT2_TRAITS,
        flags=TIED,
        activation="activation_function",
        gated=False,
        fourfold=True,
        defaults={"n_positions": 1024, "tie_word_embeddings": True, "activation_function": "gelu_new"},
        aliases=GPT2_ALIASES,
        quirks=(Refused(key="add_cross_attention"),),
    ),
    "gpt_bigcode": Family(
        architecture="GPTBigCodeForCausalLM",
        sizes=GPT2,
        traits=GPT2_TRAITS,
        flags=TIED,
        activation="activation_function",
        gated=False,
        fourfold=True,
        defaults={
            "n_positions": 1024,
            "tie_word_embeddings": True,
            "activation_function": "gelu_pytorch_tanh",
            "multi_query": True,
        },
        aliases=GPT2_ALIASES,
        quirks=(MultiQuery(),),
    ),
    "gptj": Family(
        architecture="GPTJForCausalLM",
        sizes=GPT2,
        traits={
            "norm": "layernorm",
            "norms_per_layer": 1,
            "parallel_block": True,
            "ffn_bias": True,
            "head_bias": True,
        },
        flags=TIED,
        activation="activation_function",
        gated=False,
        fourfold=True,
        defaults={"n_positions": 2048, "tie_word_embeddings": False, "activation_function": "gelu_new"},
        aliases=GPT2_ALIASES,
    ),
    "gpt_neo": Family(
        architecture="GPTNeoForCausalLM",
        sizes=OUTER | {"n_layers": "num_layers", "n_heads": "num_heads"},
        traits={"norm": "layernorm", "position": "learned", "output_bias": True, "ffn_bias": True},
        flags=TIED,
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
        sizes=OUTER,
        traits={"norm": "layernorm", "ffn_bias": True},
        flags=TIED | ATTENTION_BIAS,
        gated=False,
        defaults=defaults(2048, hidden_act="gelu", attention_bias=True, use_parallel_residual=True),
        quirks=(ParallelSwitch(norms=2),),
    ),
    "opt": Family(
        architecture="OPTForCausalLM",
        sizes=OUTER | {"d_ff": "ffn_dim"},
        traits={"norm": "layernorm", "position": "learned", "position_offset": 2},
        flags=TIED,
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
        | dict.fromkeys(ALL_BIASES, True),
        flags=TIED,
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
        flags=TIED,
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
        sizes=OUTER | {"d_ff": "ffn_hidden_size"},
        traits={"norm": "layernorm"},
        flags=TIED | {"bias": ALL_BIASES},
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
