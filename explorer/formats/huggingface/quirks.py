"""What single architectures do differently in attention, norms, biases and positions."""

from __future__ import annotations

from dataclasses import dataclass

from explorer.design import Design
from explorer.errors import Unsupported
from explorer.formats.huggingface.config import Config
from explorer.formats.huggingface.quirk import Fields


class Latent:
    """Multi-head latent attention (DeepSeek V2 and V3)."""

    def read(self, config: Config, fields: Fields) -> Fields:
        rope = config.size("qk_rope_head_dim")
        return {
            "kv_lora_rank": config.size("kv_lora_rank"),
            "q_lora_rank": config.maybe("q_lora_rank", least=0) or 0,
            "d_head_rope": rope,
            "d_head": config.size("qk_nope_head_dim") + rope,
            "d_head_v": config.maybe("v_head_dim") or fields["d_model"] // fields["n_heads"],
            "n_kv_heads": fields["n_heads"],
        }

    def write(self, design: Design) -> Fields:
        return {
            "kv_lora_rank": int(design.kv_lora_rank),
            "q_lora_rank": int(design.q_lora_rank) or None,
            "qk_rope_head_dim": int(design.d_head_rope),
            "qk_nope_head_dim": int(design.d_head - design.d_head_rope),
            "v_head_dim": int(design.d_head_v),
            "num_key_value_heads": int(design.n_heads),
        }


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A switch whose effect no design expresses."""

    key: str
    off: bool = False

    def read(self, config: Config, fields: Fields) -> Fields:
        if config.get(self.key) not in (None, self.off):
            raise Unsupported(f"{config.source}: {self.key}: {config.get(self.key)!r} is not modelled")
        return {}

    def write(self, design: Design) -> Fields:
        return {}


@dataclass(frozen=True, kw_only=True)
class QkNorm:
    """A switch for norms of queries and keys."""

    key: str
    kind: str
    bias: bool = False

    def read(self, config: Config, fields: Fields) -> Fields:
        return {"qk_norm": self.kind, "qk_norm_bias": self.bias} if config.flag(self.key) else {}

    def write(self, design: Design) -> Fields:
        return {self.key: design.qk_norm != "none"}


@dataclass(frozen=True, kw_only=True)
class ParallelSwitch:
    """Attention and feed-forward side by side, if the key says so."""

    key: str = "use_parallel_residual"
    norms: int = 1
    """Norms of a parallel block."""

    def read(self, config: Config, fields: Fields) -> Fields:
        return {"parallel_block": True, "norms_per_layer": self.norms} if config.flag(self.key) else {}

    def write(self, design: Design) -> Fields:
        return {self.key: design.parallel_block}


class MultiQuery:
    """GPT-BigCode: one key-value head or as many as query heads."""

    def read(self, config: Config, fields: Fields) -> Fields:
        return {"n_kv_heads": 1 if config.flag("multi_query") else fields["n_heads"]}

    def write(self, design: Design) -> Fields:
        return {"multi_query": design.n_kv_heads == 1}


class Falcon:
    """Falcon's three generations: 7B (multi-query, one norm), 40B and 180B (two norms), 1B (sequential)."""

    def read(self, config: Config, fields: Fields) -> Fields:
        new, heads = config.flag("new_decoder_architecture"), fields["n_heads"]
        old_kv = 1 if config.flag("multi_query") else heads
        kv = (config.maybe("num_kv_heads") or heads) if new else old_kv
        parallel = new or config.flag("parallel_attn")
        one_norm = parallel and (not new or config.get("num_ln_in_parallel_attn") == 1)
        return {
            "n_kv_heads": kv,
            "parallel_block": parallel,
            "norms_per_layer": 1 if one_norm else 2,
            "position": "alibi" if config.flag("alibi") else "rope",
        }

    def write(self, design: Design) -> Fields:
        multi_query, multi_head = design.n_kv_heads == 1, design.n_kv_heads == design.n_heads
        new = design.parallel_block and not (design.norms_per_layer == 1 and (multi_query or multi_head))
        return {
            "new_decoder_architecture": new,
            "num_kv_heads": int(design.n_kv_heads),
            "multi_query": bool(multi_query),
            "parallel_attn": design.parallel_block,
            "num_ln_in_parallel_attn": int(design.norms_per_layer) if new else None,
            "alibi": design.position == "alibi",
        }


class Opt:
    """OPT: a projected embedding and post-norm at 350M, biases and norm weights by switch."""

    def read(self, config: Config, fields: Fields) -> Fields:
        width = config.maybe("word_embed_proj_dim") or fields["d_model"]
        bias = config.flag("enable_bias")
        found: Fields = {
            "d_embedding": 0 if width == fields["d_model"] else width,
            "final_norm": config.flag("do_layer_norm_before") and not config.flag("_remove_final_layer_norm"),
            "qkv_bias": bias,
            "output_bias": bias,
            "ffn_bias": bias,
        }
        if not config.flag("layer_norm_elementwise_affine"):
            found["norm"] = "layernorm-noweight"
        return found

    def write(self, design: Design) -> Fields:
        return {
            "word_embed_proj_dim": int(design.d_embedding or design.d_model),
            "do_layer_norm_before": design.final_norm,
            "enable_bias": design.ffn_bias,
            "layer_norm_elementwise_affine": design.norm != "layernorm-noweight",
        }


class Mpt:
    """MPT: ALiBi without biases as released, learned positions and biases as in llm-foundry's benchmarks."""

    def read(self, config: Config, fields: Fields) -> Fields:
        alibi = config.part("attn_config")
        alibi.defaults = {"alibi": True}
        if alibi.get("qk_ln"):
            raise Unsupported(f"{alibi.source}: qk_ln: true is not modelled")
        bias = not config.flag("no_bias")
        learned = "learned" if config.flag("learned_pos_emb") else "none"
        return {
            "d_ff": config.size("expansion_ratio") * fields["d_model"],
            "position": "alibi" if alibi.flag("alibi") else learned,
            "norm": "layernorm" if bias else "layernorm-nobias",
            "qkv_bias": bias,
            "output_bias": bias,
            "ffn_bias": bias,
        }

    def write(self, design: Design) -> Fields:
        if design.position != "alibi" or design.ffn_bias:
            raise Unsupported("mpt in Transformers has ALiBi and no biases")
        if design.d_ff != 4 * design.d_model:
            raise Unsupported(f"mpt in Transformers has d_ff = 4·d_model, got {design.d_ff}")
        return {"expansion_ratio": 4, "no_bias": True, "attn_config": {"alibi": True}}
