"""From the words of a published measurement to a design, a plan and hardware.

Frameworks differ in what they leave unsaid: the defaults filled in here are theirs (Megatron's GPT has
LayerNorm, biases, learned positions, a tied head and dropout; torchtitan shards with FSDP and mixed
precision), each stated where it is set. What the model has no words for is refused with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from explorer.catalog.accelerators import Accelerator, accelerators
from explorer.catalog.models import models
from explorer.cost.hardware import Hardware
from explorer.design import Design, Plan, Precision, Recompute
from explorer.validation.measurements import Inexpressible, Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A training run in the model's words."""

    design: Design
    plan: Plan
    hardware: Hardware
    interleave: int = 1
    """Model chunks per pipeline stage: divides the bubble."""
    fused: bool = False
    """Compiled: element-wise kernels are fused, so times follow the fused kernels' constants."""


def training_run(row: Measurement) -> Run:
    """The run a training row measured. Raises Inexpressible."""
    config = row.config
    design, plan = layout(row)
    hardware = hardware_of(config)
    n_gpus = int(plan.n_gpus)
    return Run(
        design=design,
        plan=plan,
        hardware=replace(hardware, n_gpus=n_gpus),
        interleave=interleave(row),
        fused=_compiled(row),
    )


def interleave(row: Measurement) -> int:
    """Model chunks per pipeline stage."""
    return int(_number(row.config, "interleave", "vp", default=1))


def layout(row: Measurement) -> tuple[Design, Plan]:
    """What ran and how it was laid out, also where the machine is not stated. Raises Inexpressible."""
    _refuse_other_methods(row)
    if _machine(row.config):
        hardware_of(row.config)
    design = design_of(row)
    return design, _plan(row, design, _n_gpus(row.config))


def design_of(row: Measurement) -> Design:
    """The architecture a row names, by its dimensions or by a published model. Raises Inexpressible."""
    config = row.config
    # llm-foundry benchmarks MPT with learned positions and biases, unlike the released models.
    foundry = "llm-foundry" in f"{row.group} {row.source}"
    published = None if foundry else published_design(str(config.get("model", "")))
    d = _get(config, "hidden", "d_model")
    if d is None and published is None:
        raise Inexpressible(reason="the architecture is not stated and its name is not in the catalogue")
    context = _number(config, "seq", "seq_len", "context_length", "prompt", default=None)
    if context is None and row.what.startswith(("train_", "infer_prefill", "infer_decode")):
        raise Inexpressible(reason="the sequence length is not stated")
    if context is None:
        context = published.context_length if published is not None else 2048
    if d is None:
        assert published is not None
        return published.with_(context_length=context)
    layers = _get(config, "layers", "n_layers")
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
    layers = _get(config, "layers", "n_layers")
    if layers is None and row.what.endswith("_per_layer"):
        layers = 1
    if layers is None:
        raise Inexpressible(reason="the number of layers is not stated")
    d = _get(config, "hidden", "d_model")
    head = _get(config, "head_dim", "d_head")
    heads = _get(config, "heads", "n_heads") or (d // head if head else d // 128 if d >= 2048 else d // 64)
    gated = config.get("gated", config.get("gated_mlp"))
    if gated is None:
        gated = config.get("norm") == "rmsnorm" or _llama_like(row)
    norm = config.get("norm") or ("rmsnorm" if gated else "layernorm")
    position = config.get("pos") if isinstance(config.get("pos"), str) else config.get("pos_emb")
    if position is None:
        position = "rope" if gated else "learned"
    rows_of_table = config.get("pos") if isinstance(config.get("pos"), int) else None
    bias = bool(config.get("bias", not gated))
    experts = _get(config, "experts", "n_experts") or 0
    given: dict[str, Any] = {}
    if experts:
        given = {
            "n_experts": experts, "n_experts_active": _get(config, "topk", "n_experts_active") or 2,
            "d_ff_expert": _get(config, "ffn", "d_ff"),
        }  # fmt: skip
    if rows_of_table:
        # The table is as long as the longest context, whatever a run's own.
        given["position_offset"] = rows_of_table - context
    qkv_bias = bool(config.get("qkv_bias", bias))
    return Design.of(
        context, d, layers,
        n_heads=heads, n_kv_heads=_get(config, "kv_heads", "n_kv_heads") or heads, d_head=head or d // heads,
        d_ff=_get(config, "ffn", "d_ff") or (4 * d if not gated else 256 * -(-8 * d // (3 * 256))),
        vocab_size=_get(config, "vocab", "vocab_size") or _default_vocabulary(row),
        ffn="swiglu" if gated else "gelu",
        norm=norm, position=position, tied_embeddings=bool(config.get("tied", not gated)),
        qkv_bias=qkv_bias, output_bias=bias, ffn_bias=bias,
        qk_norm="head" if config.get("qk_norm") else "none",
        **given,
    )  # fmt: skip


def _default_vocabulary(row: Measurement) -> int:
    """Megatron pads GPT-2's 50,257 to 51,200 at tensor parallel 8 (Narayanan 2021); Llama 2 has 32,000."""
    return 32_000 if _llama_like(row) else 51_200


def _llama_like(row: Measurement) -> bool:
    name = str(row.config.get("model", "")).lower()
    return any(family in name for family in ("llama", "mistral", "qwen", "smollm", "yi-", "deepseek"))


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


def hardware_of(config: Mapping[str, Any]) -> Hardware:
    """The machines a row ran on. Raises Inexpressible for accelerators the catalogue lacks."""
    text = _machine(config)
    device = accelerator_named(text)
    if "bf16" not in device.peak_flops and "fp16" in device.peak_flops:
        # Published runs on such devices used fp16, whose costs are those of the model's 16-bit type.
        device = replace(device, peak_flops={**device.peak_flops, "bf16": device.peak_flops["fp16"]})
    bandwidth = None
    section = re.search(r"(\d+) ?Gbps node-node", str(config.get("section", "")))
    per_node = 16 if "dgx-2" in text.lower() else None
    if section:
        bandwidth = float(section[1]) / 8 * 1e9 / device.gpus_per_node
    return Hardware(
        accelerator=device, n_gpus=_n_gpus(config), network_bandwidth=bandwidth, gpus_per_node=per_node
    )


def _machine(config: Mapping[str, Any]) -> str:
    return str(_get(config, "gpu", "hw", "gpus", "accelerator") or "")


def _n_gpus(config: Mapping[str, Any]) -> int:
    """As stated, or as the machine's name says it (`8xA100`); else one."""
    count = _get(config, "n_gpus")
    if not isinstance(count, int | float):
        found = re.match(r"(\d+)\s*x", _machine(config).lower())
        count = int(found[1]) if found else 1
    return int(count)


def accelerator_named(text: str) -> Accelerator:
    """A catalogue accelerator under its usual spellings; the larger memory where it is not stated."""
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    known = accelerators()
    if text in known:
        return known[text]
    for pattern, name in _GPUS:
        if re.search(pattern, plain):
            return known[name]
    raise Inexpressible(reason=f"no accelerator '{text}' in the catalogue")


_GPUS = (
    ("gh200", "gh200-96gb"), ("h200", "h200-sxm-141gb"), ("h100pcie", "h100-pcie-80gb"),
    ("h10096gb", "h100-sxm-96gb-500w"), ("h100", "h100-sxm-80gb"),
    ("(?<!g)b200", "b200-sxm-180gb"),
    ("a100pcie40gb|a10040gbpcie", "a100-pcie-40gb"), ("a100pcie", "a100-pcie-80gb"),
    ("a10040gb|a100sxm40gb|a100sxm440gb", "a100-sxm-40gb"), ("a100", "a100-sxm-80gb"),
    ("v100.*16gb", "v100-sxm-16gb"), ("v100", "v100-sxm-32gb"),
    ("mi250x", "mi250x"), ("mi300x", "mi300x"), ("l40s", "l40s"), ("a10g?$", "a10"),
    ("3090", "rtx-3090"), ("4090", "rtx-4090"), ("5090", "rtx-5090"),
    ("tpuv4", "tpu-v4"), ("tpuv5e", "tpu-v5e"), ("tpuv5p", "tpu-v5p"), ("tpuv6e", "tpu-v6e"),
)  # fmt: skip


def is_megatron(row: Measurement) -> bool:
    """Whether a row ran Megatron-LM or a descendant of it."""
    text = f"{row.group} {row.config.get('framework', '')} {row.source}".lower()
    return any(
        word in text
        for word in ("megatron", "korthikanti", "vtrain", "bloom", "bigscience", "deepspeed", "narayanan")
    )


def _before_flash(row: Measurement) -> bool:
    """Megatron runs before it had flash attention (2019-2022): with dropout, no distributed optimizer."""
    old = ("vtrain", "megatron-2020", "megatron-a100", "korthikanti", "bloom", "bigscience", "narayanan")
    return any(word in row.group.lower() for word in old)


def _plan(row: Measurement, design: Design, n_gpus: int) -> Plan:
    """How the run was laid out."""
    config = row.config
    megatron, old = is_megatron(row), _before_flash(row)
    if str(config.get("scheme", "")).lower() == "zero-3":
        raise Inexpressible(reason="Megatron under DeepSpeed's ZeRO-3 is not an implementation of the model")
    tp, pp, cp = (int(_number(config, key, default=1)) for key in ("tp", "pp", "cp"))
    fsdp = config.get("fsdp")
    rest = max(1, n_gpus // (tp * pp * cp))
    dp = int(_number(config, "dp", default=fsdp if isinstance(fsdp, int) else rest))
    per_rank = _number(config, "micro_batch", "micro_batch_size", "batch", default=None)
    batch = _number(config, "global_batch", "global_batch_size", default=None)
    rounds = _number(config, "grad_accum", default=None)
    if batch is None and per_rank is None:
        raise Inexpressible(reason="neither the global batch nor the micro-batch is stated")
    if per_rank is None:
        # Megatron's tables leave it out: one sequence in a pipeline, up to four without.
        per_rank = 1 if pp > 1 else min(4, max(1, batch // dp))
    if batch is None:
        batch = per_rank * dp * (rounds or 1)
    micro = per_rank
    if _torchtitan(row) and pp > 1:
        # torchtitan cuts a rank's batch into as many micro-batches as there are stages.
        micro = max(1, per_rank // pp)
    if fsdp is not None or _torchtitan(row):
        stage = 3
    else:
        stage = int(_number(config, "zero_stage", "zero", default=0 if old or not megatron else 1))
    return Plan(
        implementation="megatron" if megatron else "torch",
        attention_kernel=_kernel(row, old),
        recompute=_recompute(row),
        precision=_precision(row, megatron),
        optimizer="adamw",
        cross_entropy=_cross_entropy(row),
        compiled=_compiled(row) and not megatron,
        repeated_kv=_torchtitan(row) or row.group == "torchtune",
        offload_activations=_has_technique(row, "+act offload"),
        optimizer_in_backward=_has_technique(row, "+optimizer-in-bwd"),
        dropout=old or _transformers_gpt2(row),
        fused_activation=not _transformers_gpt2(row),
        sequence_parallel=bool(config.get("sequence_parallel", not old)),
        micro_batch=micro, global_batch=batch, tensor_parallel=tp, pipeline_parallel=pp,
        context_parallel=cp, data_parallel=dp, zero_stage=stage if dp * cp > 1 else 0,
    )  # fmt: skip


def _compiled(row: Measurement) -> bool:
    return row.config.get("compile") not in (None, False, "eager") or _has_technique(row, "+compile")


def _cross_entropy(row: Measurement) -> Any:
    """torchtitan compiles its loss with the model since April 2025 (its commit bbb1b616e); torchtune only
    its chunked one (recipes/full_finetune_single_device.py drops the other's compiled copy)."""
    if _has_technique(row, "+chunked CE"):
        return "chunked-cast"
    dated = re.search(r"_(20\d{4})_", row.source)
    compiled = _torchtitan(row) and bool(row.config.get("compile")) and dated is not None
    return "fused" if compiled and dated is not None and int(dated[1]) >= 202504 else "full"


def _transformers_gpt2(row: Measurement) -> bool:
    """Transformers' GPT-2 as it comes: dropout .1 and the tanh GELU in separate operations (GPT2Config)."""
    return str(row.config.get("model", "")).lower().startswith("hf gpt2")


def _kernel(row: Measurement, old: bool) -> Any:
    text = f"{row.config.get('attention', '')} {row.config.get('framework', '')}".lower()
    if any(word in text for word in ("naive", "unfused", "eager")):
        return "naive"
    if any(word in text for word in ("flash", "sdpa", "fused")):
        return "flash"
    if "huggingface" in text or (old and "flash" not in text):
        return "naive"
    return "naive" if row.group == "flash-attention" and "megatron" in text else "flash"


def _recompute(row: Measurement) -> Recompute:
    text = str(row.config.get("recompute") or "").lower()
    if text.startswith("selective(op)") or text == "selective-op":
        return "selective-op"
    if text.startswith("selective"):
        return "selective"
    if text.startswith("full") or text == "true":
        return "full"
    if row.config.get("recompute") is None and _before_flash(row):
        # Their FLOPs count 96·B·s·L·h² contains a recomputed forward pass (Narayanan 2021, equation 3).
        return "full"
    if _has_technique(row, "+activation ckpt"):
        return "full"
    return "none"


# torchtune's table adds one technique per row to those before it.
_TECHNIQUES = (
    "baseline (unpacked)", "+packed", "+compile", "+chunked CE", "+activation ckpt", "+optimizer-in-bwd",
    "+act offload", "+8bit AdamW",
)  # fmt: skip


def _has_technique(row: Measurement, technique: str) -> bool:
    """Whether a row of torchtune's cumulative table includes a technique."""
    last = str(row.config.get("techniques_cumulative", ""))
    return last in _TECHNIQUES and _TECHNIQUES.index(last) >= _TECHNIQUES.index(technique)


def _precision(row: Measurement, megatron: bool) -> Precision:
    text = str(row.config.get("precision", "")).lower()
    if "8" in text and "f" in text:
        return "fp8"
    if _torchtitan(row) or text == "amp_bf16" or "fsdp" in text:
        return "fsdp-mixed"
    if text in ("fp32", "float32", "32-true"):
        return "fp32"
    if megatron:
        return "bf16-mixed"
    if text.startswith("amp") or "mixed" in text:
        return "amp"
    if text.startswith("bf16") or row.group == "torchtune":
        return "bf16"
    # nanoGPT and FlashAttention's training code autocast over fp32 weights.
    return "amp"


def _torchtitan(row: Measurement) -> bool:
    return "torchtitan" in f"{row.group} {row.config.get('framework', '')}".lower()


def _refuse_other_methods(row: Measurement) -> None:
    """What is not pre-training as the model knows it."""
    config = row.config
    text = " ".join(str(config.get(k, "")) for k in ("method", "techniques_cumulative", "recipe")).lower()
    if "lora" in text or "adapter" in text or "trainable" in config:
        raise Inexpressible(
            reason="adapter fine-tuning: most weights are frozen; out of a pre-training model's domain"
        )
    if "quant" in config and str(config["quant"]).lower() not in ("none", ""):
        raise Inexpressible(reason="training on quantised weights is out of domain")
    if str(config.get("method", "")).lower() == "full" and str(config.get("hw", "")).startswith("1x"):
        raise Inexpressible(reason="torchtune on one GPU: which optimizer ran, paged or not, is not stated")
    if "nanogpt" in f"{config.get('model', '')} {row.source}".lower() and config.get("attention") is None:
        raise Inexpressible(reason="nanoGPT had unfused, then flash attention: which one ran is not stated")
    if "unpacked" in text:
        raise Inexpressible(reason="unpacked batches: their real token count is not stated")
    if "8bit" in text:
        raise Inexpressible(reason="which 8-bit optimizer ran, with what temporaries, is not stated")
    if "rowwise" in str(config.get("precision", "")):
        raise Inexpressible(reason="fp8 with a scale per row is not modelled, only per tensor")
    if config.get("cpu_offload") or "cpu offload" in text:
        raise Inexpressible(reason="host offload of parameters is not modelled")


def _get(config: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        if config.get(name) is not None:
            return config[name]
    return None


def _number(config: Mapping[str, Any], *names: str, default: Any) -> Any:
    value = _get(config, *names)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default
