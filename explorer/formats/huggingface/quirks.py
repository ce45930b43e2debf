"""What single architectures do differently: each reads its keys into design fields, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from explorer.design import Design
from explorer.errors import Unsupported
from explorer.formats.huggingface.config import Config

Fields = dict[str, Any]


class Quirk(Protocol):
    """Part of a family that a table of keys cannot say."""

    def read(self, config: Config, fields: Fields) -> Fields:
        """Design fields from `config`, given those read so far."""

    def write(self, design: Design) -> Fields:
        """Config keys from `design`."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Sliding windows: every layer, or all but one in `every`."""

    key: str = "sliding_window"
    every: int = 0
    pattern: str | None = None
    """Key that names the period in configs older than `layer_types`."""
    first: bool = False
    """Layer 0 is a global one (and not the last of each period), where no `layer_types` are given."""
    late: bool = False
    """Only layers from `max_window_layers` on have the window."""
    switch: str | None = None
    """Key that must be true for the window to count."""

    def read(self, config: Config, fields: Fields) -> Fields:
        window = config.maybe(self.key, least=0)
        if not window or (self.switch and not config.flag(self.switch)):
            return {}
        n_layers = fields["n_layers"]
        types = config.get("layer_types")
        if types is not None:
            return _from_types(config, window, n_layers, types)
        if self.late:
            n_global = min(config.maybe("max_window_layers", least=0) or 0, n_layers)
            return _pattern(config, window, n_layers, n_global)
        every = (config.maybe(self.pattern, least=0) if self.pattern else None) or self.every
        if self.first:
            return _pattern(config, window, n_layers, -(-n_layers // every))
        return {"window": window, "global_every": every}

    def write(self, design: Design) -> Fields:
        if not design.window:
            # Without layer types these families would put their default window back.
            every_layer_full = (
                {"layer_types": ["full_attention"] * int(design.n_layers)} if self.every else {}
            )
            return {self.key: None, **every_layer_full, **({self.switch: False} if self.switch else {})}
        every = int(design.global_every)
        kinds = [
            "full_attention" if every and (i + 1) % every == 0 else "sliding_attention"
            for i in range(int(design.n_layers))
        ]
        keys: Fields = {self.key: int(design.window)}
        if self.switch:
            keys[self.switch] = True
        if self.late:
            keys["max_window_layers"] = 0
        if self.every or (self.late and every):
            keys["layer_types"] = kinds
        return keys


class SmolLm3:
    """SmolLM3: windows where `layer_types` says so, or else on the layers without rotary positions."""

    def read(self, config: Config, fields: Fields) -> Fields:
        window, n_layers = config.maybe("sliding_window", least=0), fields["n_layers"]
        if not window or not config.flag("use_sliding_window"):
            return {}
        types = config.get("layer_types")
        if types is None:
            every = config.size("no_rope_layer_interval")
            rotary = config.get("no_rope_layers") or [(i + 1) % every for i in range(n_layers)]
            types = ["full_attention" if rotates else "sliding_attention" for rotates in rotary]
        return _from_types(config, window, n_layers, types)

    def write(self, design: Design) -> Fields:
        every_layer_rotates = {"no_rope_layers": [1] * int(design.n_layers)}
        if not design.window:
            return every_layer_rotates | {"use_sliding_window": False}
        return (
            every_layer_rotates
            | {"use_sliding_window": True}
            | Window(every=int(design.global_every) or 1).write(design)
        )


@dataclass(frozen=True, kw_only=True)
class Experts:
    """A mixture of experts and what stands beside the routed ones."""

    n: str = "num_experts"
    active: str = "num_experts_per_tok"
    width: str = "intermediate_size"
    n_shared: str | None = None
    """Key that counts shared experts, each as wide as a routed one."""
    shared_width: str | None = None
    """Key that gives the shared experts' width together."""
    n_dense: str | None = None
    """Key that counts leading dense layers."""
    dense: int = 0
    """Leading dense layers where no key counts or lists them."""
    layer_types: str | None = None
    """Key that lists every layer as dense or sparse; it goes before the counts."""
    sparse_step: bool = False
    """Dense layers are named by `decoder_sparse_step` and `mlp_only_layers`."""

    def read(self, config: Config, fields: Fields) -> Fields:
        width = config.size(self.width)
        found: Fields = {
            "n_experts": config.size(self.n),
            "n_experts_active": config.size(self.active),
            "d_ff_expert": width,
        }
        if found["n_experts_active"] > found["n_experts"]:
            raise config.error(self.active, f"at most {self.n}", found["n_experts_active"])
        if self.n_shared:
            found["n_experts_shared"] = config.maybe(self.n_shared, least=0) or 0
        if self.shared_width and (shared := config.maybe(self.shared_width, least=0)):
            if shared % width:
                raise config.error(self.shared_width, f"a multiple of {self.width}", shared)
            found["n_experts_shared"] = shared // width
        if self.dense:
            found["n_dense_layers"] = min(self.dense, fields["n_layers"])
        if self.n_dense:
            found["n_dense_layers"] = config.maybe(self.n_dense, least=0) or 0
        if self.layer_types and (types := config.get(self.layer_types)) is not None:
            _check_types(config, self.layer_types, ("dense", "sparse"), fields["n_layers"], types)
            found["n_dense_layers"] = types.count("dense")
        if self.sparse_step:
            step = config.size("decoder_sparse_step")
            only = config.get("mlp_only_layers") or []
            dense = [i for i in range(fields["n_layers"]) if i in only or (i + 1) % step]
            found["n_dense_layers"] = len(dense)
        return found

    def write(self, design: Design) -> Fields:
        keys: Fields = {
            self.width: int(design.d_ff_expert),
            self.n: int(design.n_experts),
            self.active: int(design.n_experts_active),
        }
        if self.n_shared:
            keys[self.n_shared] = int(design.n_experts_shared)
        if self.shared_width:
            keys[self.shared_width] = int(design.n_experts_shared * design.d_ff_expert)
        if self.n_dense:
            keys[self.n_dense] = int(design.n_dense_layers)
        if self.layer_types:
            dense, n_layers = int(design.n_dense_layers), int(design.n_layers)
            keys[self.layer_types] = ["dense"] * dense + ["sparse"] * (n_layers - dense)
        if self.sparse_step:
            keys |= {"decoder_sparse_step": 1, "mlp_only_layers": list(range(int(design.n_dense_layers)))}
        return keys


class ErnieSpan:
    """ERNIE 4.5's sparse layers: every so many of those between two indices."""

    def read(self, config: Config, fields: Fields) -> Fields:
        n_layers = fields["n_layers"]
        start, step = config.size("moe_layer_start_index", least=0), config.size("moe_layer_interval")
        end = config.size("moe_layer_end_index", least=-1)
        last = n_layers - 1 if end == -1 else end
        sparse = [i for i in range(n_layers) if (i + 1) % step == 0 and start <= i <= last]
        return {"n_dense_layers": n_layers - len(sparse)}

    def write(self, design: Design) -> Fields:
        return {
            "moe_layer_start_index": int(design.n_dense_layers),
            "moe_layer_end_index": -1,
            "moe_layer_interval": 1,
        }


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


class GptNeo:
    """GPT-Neo: layers alternate between global and local attention; d_ff is 4·d unless given."""

    def read(self, config: Config, fields: Fields) -> Fields:
        types = config.get("attention_types")
        if types is None:
            types = [[["global", "local"], fields["n_layers"] // 2]]
        try:
            kinds = [kind for group, times in types for _ in range(times) for kind in group]
        except (TypeError, ValueError):
            raise config.error("attention_types", "a list of [kinds, times]", types) from None
        if len(kinds) != fields["n_layers"]:
            raise config.error("attention_types", f"{fields['n_layers']} layers", types)
        if "local" not in kinds:
            return {}
        return _pattern(config, config.size("window_size"), fields["n_layers"], kinds.count("global"))

    def write(self, design: Design) -> Fields:
        n_layers, every = int(design.n_layers), int(design.global_every)
        if not design.window:
            return {"attention_types": [[["global"], n_layers]]}
        if every and n_layers % every:
            raise Unsupported(f"gpt_neo needs n_layers to be a multiple of global_every, got {n_layers}")
        period = (["global"] + ["local"] * (every - 1)) if every else ["local"]
        return {
            "attention_types": [[period, n_layers // len(period)]],
            "window_size": int(design.window),
        }


def _from_types(config: Config, window: int, n_layers: int, types: Any) -> Fields:
    """Window fields from a list that names every layer's kind."""
    _check_types(config, "layer_types", ("full_attention", "sliding_attention"), n_layers, types)
    is_global = [kind == "full_attention" for kind in types]
    if any(is_global) and not all(is_global):
        every = is_global.index(True) + 1
        if is_global == [(i + 1) % every == 0 for i in range(n_layers)]:
            return {"window": window, "global_every": every}
    return _pattern(config, window, n_layers, sum(is_global))


def _check_types(config: Config, key: str, known: Sequence[str], n_layers: int, types: Any) -> None:
    """A list of one known kind per layer, or ExplorerError."""
    valid = isinstance(types, list) and all(kind in known for kind in types)
    if not valid or len(types) != n_layers:
        raise config.error(key, f"{n_layers} of {' or '.join(known)}", types)


def _pattern(config: Config, window: int, n_layers: int, n_global: int) -> Fields:
    """Window fields with as many global layers; a design says it by a period."""
    if n_global == n_layers:
        return {}
    if n_global == 0:
        return {"window": window, "global_every": 0}
    every = n_layers // n_global
    if n_layers // every != n_global:
        raise Unsupported(
            f"{config.source}: {n_global} global layers of {n_layers} are no regular pattern; "
            "a design names one global layer in every so many"
        )
    return {"window": window, "global_every": every}
