"""How a run was laid out: parallel sizes, kernel, recompute, precision, loss."""

from __future__ import annotations

import re
from typing import Any

from explorer.design import Design, Plan, Precision, Recompute
from explorer.validation.measurements import Inexpressible, Measurement
from explorer.validation.translate.fields import number
from explorer.validation.translate.frameworks import (
    has_technique,
    is_before_flash,
    is_compiled,
    is_megatron,
    is_torchtitan,
    is_transformers_gpt2,
)


def plan_of(row: Measurement, design: Design, n_gpus: int) -> Plan:
    """How the run was laid out."""
    config = row.config
    megatron, old = is_megatron(row), is_before_flash(row)
    if str(config.get("scheme", "")).lower() == "zero-3":
        raise Inexpressible(reason="Megatron under DeepSpeed's ZeRO-3 is not an implementation of the model")
    tp, pp, cp = (int(number(config, key, default=1)) for key in ("tp", "pp", "cp"))
    fsdp = config.get("fsdp")
    rest = max(1, n_gpus // (tp * pp * cp))
    dp = int(number(config, "dp", default=fsdp if isinstance(fsdp, int) else rest))
    per_rank = number(config, "micro_batch", "micro_batch_size", "batch", default=None)
    batch = number(config, "global_batch", "global_batch_size", default=None)
    rounds = number(config, "grad_accum", default=None)
    if batch is None and per_rank is None:
        raise Inexpressible(reason="neither the global batch nor the micro-batch is stated")
    if per_rank is None:
        # Megatron's tables leave it out: one sequence in a pipeline, up to four without.
        per_rank = 1 if pp > 1 else min(4, max(1, batch // dp))
    if batch is None:
        batch = per_rank * dp * (rounds or 1)
    micro = per_rank
    if is_torchtitan(row) and pp > 1:
        # torchtitan cuts a rank's batch into as many micro-batches as there are stages.
        micro = max(1, per_rank // pp)
    if fsdp is not None or is_torchtitan(row):
        stage = 3
    else:
        stage = int(number(config, "zero_stage", "zero", default=0 if old or not megatron else 1))
    return Plan(
        implementation="megatron" if megatron else "torch",
        attention_kernel=_kernel(row, old),
        recompute=_recompute(row),
        precision=_precision(row, megatron),
        optimizer="adamw",
        cross_entropy=_cross_entropy(row),
        compiled=is_compiled(row) and not megatron,
        repeated_kv=is_torchtitan(row) or row.group == "torchtune",
        offload_activations=has_technique(row, "+act offload"),
        optimizer_in_backward=has_technique(row, "+optimizer-in-bwd"),
        dropout=old or is_transformers_gpt2(row),
        fused_activation=not is_transformers_gpt2(row),
        sequence_parallel=bool(config.get("sequence_parallel", not old)),
        micro_batch=micro, global_batch=batch, tensor_parallel=tp, pipeline_parallel=pp,
        context_parallel=cp, data_parallel=dp, zero_stage=stage if dp * cp > 1 else 0,
    )  # fmt: skip


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
    if row.config.get("recompute") is None and is_before_flash(row):
        # Their FLOPs count 96·B·s·L·h² contains a recomputed forward pass (Narayanan 2021, equation 3).
        return "full"
    if has_technique(row, "+activation ckpt"):
        return "full"
    return "none"


def _precision(row: Measurement, megatron: bool) -> Precision:
    text = str(row.config.get("precision", "")).lower()
    if "8" in text and "f" in text:
        return "fp8"
    if is_torchtitan(row) or text == "amp_bf16" or "fsdp" in text:
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


def _cross_entropy(row: Measurement) -> Any:
    """torchtitan compiles its loss with the model since April 2025 (its commit bbb1b616e); torchtune only
    its chunked one (recipes/full_finetune_single_device.py drops the other's compiled copy)."""
    if has_technique(row, "+chunked CE"):
        return "chunked-cast"
    dated = re.search(r"_(20\d{4})_", row.source)
    compiled = is_torchtitan(row) and bool(row.config.get("compile")) and dated is not None
    return "fused" if compiled and dated is not None and int(dated[1]) >= 202504 else "full"
