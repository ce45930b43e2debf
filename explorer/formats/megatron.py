"""Megatron-LM's arguments, one a line (megatron/training/arguments.py and TransformerConfig of core 0.19)."""

from __future__ import annotations

import re
from typing import Any

from explorer.design import Design, Plan
from explorer.errors import ExplorerError, Unsupported
from explorer.formats.export import Export, lookup, only

# Flag → design field, for sizes that need no thought.
_SIZES = {
    "num-layers": "n_layers",
    "hidden-size": "d_model",
    "ffn-hidden-size": "d_ff",
    "num-attention-heads": "n_heads",
    "kv-channels": "d_head",
    "seq-length": "context_length",
    "vocab-size": "vocab_size",
}
_POSITIONS = {"learned_absolute": "learned", "rope": "rope", "none": "none"}
_NORMS = {"LayerNorm": "layernorm", "RMSNorm": "rmsnorm"}
_ACTIVATIONS = {"gelu": None, "swiglu": "swiglu", "relu2": "squared-relu"}
_MIXED = ("bf16-mixed", "fsdp-mixed", "amp")

Flags = dict[str, str | None]


def read(text: str, source: str = "arguments") -> Design:
    """The design of an argument file, or of a shell script that holds the arguments."""
    return _design(_parse(text), source)


def write(export: Export) -> str:
    """Arguments for pretrain_gpt.py; Unsupported for what Megatron's GPT or its training lacks.

    Use: `torchrun … pretrain_gpt.py $(grep -v '^#' FILE) --data-path …`.
    """
    flags = _model(export.design)
    export.refuse("megatron", _design(flags, "megatron"))
    remarks = list(export.remarks)
    if export.plan:
        flags |= _training(export.design, export.plan, remarks)
    if export.steps:
        flags["train-iters"] = str(export.steps)
    lines = [f"--{name}" if value is None else f"--{name} {value}" for name, value in flags.items()]
    return "\n".join([*(f"# {line}" for line in remarks), *lines]) + "\n"


def _parse(text: str) -> Flags:
    body = "\n".join(line.split("#")[0] for line in text.splitlines())
    flags: Flags = {}
    for match in re.finditer(r"--([a-z0-9-]+)(?:[ =]+(?!--)([^\s\\]+))?", body):
        flags[match[1]] = match[2]
    return flags


def _model(design: Design) -> Flags:
    flags: Flags = {flag: str(getattr(design, name)) for flag, name in _SIZES.items()}
    flags["max-position-embeddings"] = flags["seq-length"]
    if design.n_kv_heads != design.n_heads and not design.kv_lora_rank:
        flags |= {"group-query-attention": None, "num-query-groups": str(design.n_kv_heads)}
    by_position = {v: k for k, v in _POSITIONS.items()}
    flags["position-embedding-type"] = lookup("megatron", "position", design.position, by_position)
    by_norm = {v: k for k, v in _NORMS.items()}
    flags["normalization"] = lookup("megatron", "norm", design.norm, by_norm)
    if switch := lookup("megatron", "ffn", design.ffn, _ACTIVATIONS):
        flags[switch] = None
    if not design.tied_embeddings:
        flags["untie-embeddings-and-output-weights"] = None
    if not design.ffn_bias:
        flags["disable-bias-linear"] = None
        if design.qkv_bias:
            flags["add-qkv-bias"] = None
    if design.qk_norm == "head" or design.kv_lora_rank:
        flags["qk-layernorm"] = None
    if design.attention_sinks:
        flags["softmax-type"] = "learnable"
    if design.window:
        # Transformer Engine counts the keys to the left of the query.
        flags["window-size"] = f"{design.window - 1:.0f},0"
        if design.global_every:
            flags["window-attn-skip-freq"] = str(design.global_every)
    return flags | _latent(design) | _mixture(design)


def _latent(design: Design) -> Flags:
    if not design.kv_lora_rank:
        return {}
    flags: Flags = {"multi-latent-attention": None, "kv-lora-rank": str(design.kv_lora_rank)}
    if design.q_lora_rank:
        flags["q-lora-rank"] = str(design.q_lora_rank)
    return flags | {
        "qk-head-dim": str(design.d_head - design.d_head_rope),
        "qk-pos-emb-head-dim": str(design.d_head_rope),
        "v-head-dim": str(design.d_head_v),
    }


def _mixture(design: Design) -> Flags:
    if not design.n_experts:
        return {}
    flags: Flags = {
        "num-experts": str(design.n_experts),
        "moe-router-topk": str(design.n_experts_active),
        "moe-ffn-hidden-size": str(design.d_ff_expert),
    }
    if design.n_experts_shared:
        shared = design.n_experts_shared * design.d_ff_expert
        flags["moe-shared-expert-intermediate-size"] = str(shared)
        if design.shared_expert_gate:
            flags["moe-shared-expert-gate"] = None
    if design.n_dense_layers:
        sparse = design.n_layers - design.n_dense_layers
        flags["moe-layer-freq"] = f"([0]*{design.n_dense_layers}+[1]*{sparse})"
    return flags


def _design(flags: Flags, source: str) -> Design:
    def whole(flag: str, default: int | None = None) -> int:
        return _whole(flags, flag, source, default)

    d, heads = whole("hidden-size"), whole("num-attention-heads")
    # Megatron's own defaults: 4·d, and ⅔ of that to a multiple of 64 where gated.
    activation = next((kind for kind, flag in _ACTIVATIONS.items() if flag in flags), "gelu")
    gated = activation == "swiglu"
    d_ff = whole("ffn-hidden-size", int(4 * d * 2 / 3 / 64) * 64 if gated else 4 * d)
    bias = "disable-bias-linear" not in flags
    norm = lookup("megatron", "normalization", flags.get("normalization", "LayerNorm"), _NORMS)
    fields: dict[str, Any] = {
        "n_heads": heads,
        "n_kv_heads": whole("num-query-groups", 1) if "group-query-attention" in flags else heads,
        "d_head": whole("kv-channels", d // heads),
        "d_ff": d_ff,
        "vocab_size": whole("vocab-size"),
        "ffn": activation,
        "norm": norm,
        "position": _POSITIONS.get(flags.get("position-embedding-type") or "learned_absolute"),
        "tied_embeddings": "untie-embeddings-and-output-weights" not in flags,
        "bias": bias,
        "attention_sinks": flags.get("softmax-type") == "learnable",
    }
    if not bias:
        fields["qkv_bias"] = "add-qkv-bias" in flags
    if "multi-latent-attention" in flags:
        rope = whole("qk-pos-emb-head-dim")
        fields |= {
            "kv_lora_rank": whole("kv-lora-rank"),
            "q_lora_rank": whole("q-lora-rank", 0),
            "d_head": whole("qk-head-dim") + rope,
            "d_head_rope": rope,
            "d_head_v": whole("v-head-dim"),
        }
    elif "qk-layernorm" in flags:
        fields |= {"qk_norm": "head", "qk_norm_bias": norm == "layernorm"}
    if "num-experts" in flags:
        width = whole("moe-ffn-hidden-size", d_ff)
        dense = re.fullmatch(r"\(\[0\]\*(\d+)\+\[1\]\*\d+\)", flags.get("moe-layer-freq") or "")
        fields |= {
            "n_experts": whole("num-experts"),
            "n_experts_active": whole("moe-router-topk", 2),
            "d_ff_expert": width,
            "n_experts_shared": whole("moe-shared-expert-intermediate-size", 0) // width,
            "shared_expert_gate": "moe-shared-expert-gate" in flags,
            "n_dense_layers": int(dense[1]) if dense else 0,
        }
    if flags.get("window-size"):
        left = re.fullmatch(r"\(?(\d+),0\)?", flags["window-size"] or "")
        if left is None:
            raise Unsupported(f"{source}: --window-size: 'left,0' is needed, got {flags['window-size']}")
        fields |= {"window": int(left[1]) + 1, "global_every": whole("window-attn-skip-freq", 0)}
    return Design.of(whole("seq-length"), d, whole("num-layers"), **fields)


def _whole(flags: Flags, flag: str, source: str, default: int | None) -> int:
    value = flags.get(flag)
    if value is None:
        if default is None:
            raise ExplorerError(f"{source}: --{flag}: missing")
        return default
    if not value.isdecimal():
        raise ExplorerError(f"{source}: --{flag}: a whole number is needed, got '{value}'")
    return int(value)


def _training(design: Design, plan: Plan, remarks: list[str]) -> Flags:
    flags: Flags = {
        "make-vocab-size-divisible-by": str(_vocabulary_multiple(design, plan)),
        "micro-batch-size": str(plan.micro_batch),
        "global-batch-size": str(plan.global_batch),
        "tensor-model-parallel-size": str(plan.tensor_parallel),
        "pipeline-model-parallel-size": str(plan.pipeline_parallel),
        "context-parallel-size": str(plan.context_parallel),
    }
    if plan.tensor_parallel > 1 and plan.sequence_parallel:
        flags["sequence-parallel"] = None
    flags |= lookup("megatron", "optimizer", plan.optimizer, _OPTIMIZERS)
    # Megatron's FSDP knows Adam and SGD.
    sharding = {k: v for k, v in _SHARDING.items() if k < 2 or plan.optimizer != "muon"}
    flags |= lookup("megatron", "zero_stage", plan.zero_stage, sharding)
    # Plans of a budget for Megatron's modules have Megatron's own recompute modes.
    flags |= lookup(
        "megatron", "recompute", plan.recompute, _RECOMPUTE, "training.implementation to megatron"
    )
    only(
        "megatron", plan,
        cross_entropy="full", compiled=False, offload_activations=False, optimizer_in_backward=False,
    )  # fmt: skip
    flags["attention-backend"] = {"flash": "flash", "naive": "unfused"}[plan.attention_kernel]
    mixed: dict[str, Flags] = {name: {"bf16": None} for name in _MIXED}
    precisions: dict[str, Flags] = {"fp32": {}, "fp8": {"bf16": None, "fp8-format": "hybrid"}} | mixed
    flags |= lookup("megatron", "precision", plan.precision, precisions)
    if plan.precision in ("amp", "fsdp-mixed"):
        remarks.append(
            f"planned as {plan.precision}; Megatron keeps bf16 weights and fp32 masters (bf16-mixed)"
        )
    if plan.implementation != "megatron":
        remarks.append(f"planned for {plan.implementation} modules; Megatron's fused ones keep less memory")
    if plan.zero_stage < 2 and (plan.tensor_parallel > 1 or plan.context_parallel > 1):
        # Megatron checks it: communication must be queued in order before Blackwell.
        remarks.append("run with CUDA_DEVICE_MAX_CONNECTIONS=1")
    if plan.offload_optimizer:
        # The offloaded optimizer is a path of the precision-aware one, and that of the distributed Adam.
        lookup("megatron", "optimizer", plan.optimizer, {"adamw": {}})
        offload = ("use-distributed-optimizer", "use-precision-aware-optimizer", "optimizer-cpu-offload")
        flags |= dict.fromkeys(offload)
    # Fused with its bias there is SwiGLU, and GELU where there is a bias (TransformerConfig refuses the rest).
    fusible = design.ffn == "swiglu" or (design.ffn == "gelu" and design.ffn_bias)
    if not (plan.fused_activation and fusible):
        flags["no-bias-swiglu-fusion" if design.ffn == "swiglu" else "no-bias-gelu-fusion"] = None
    rate = "0.1" if plan.dropout else "0.0"
    return flags | {"attention-dropout": rate, "hidden-dropout": rate}


_OPTIMIZERS: dict[str, Flags] = {
    "adamw": {"optimizer": "adam"},
    "sgd": {"optimizer": "sgd", "sgd-momentum": "0.0"},
    "momentum": {"optimizer": "sgd"},
    "muon": {"optimizer": "muon"},
}
_SHARDING: dict[int, Flags] = {
    0: {},
    1: {"use-distributed-optimizer": None},
    2: {
        "use-distributed-optimizer": None,
        "use-megatron-fsdp": None,
        "ckpt-format": "fsdp_dtensor",
        "data-parallel-sharding-strategy": "optim_grads",
    },
    3: {
        "use-distributed-optimizer": None,
        "use-megatron-fsdp": None,
        "ckpt-format": "fsdp_dtensor",
        "data-parallel-sharding-strategy": "optim_grads_params",
    },
}
_RECOMPUTE: dict[str, Flags] = {
    "none": {},
    "selective": {"recompute-granularity": "selective"},
    "full": {
        "recompute-granularity": "full",
        "recompute-method": "uniform",
        "recompute-num-layers": "1",
    },
}


def _vocabulary_multiple(design: Design, plan: Plan) -> int:
    """The largest power of two up to Megatron's default 128 that pads the vocabulary by nothing."""
    share, rest = divmod(int(design.vocab_size), int(plan.tensor_parallel))
    if rest:
        raise Unsupported(
            f"megatron pads a vocabulary of {design.vocab_size} to a multiple of "
            f"tensor_parallel = {plan.tensor_parallel}; choose one that it divides"
        )
    return min(share & -share, 128)
