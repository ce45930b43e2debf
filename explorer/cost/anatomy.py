"""One design taken apart: every figure beside the parts it is the sum of, for people to check by hand."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from explorer.cost.activations import Entry, total
from explorer.cost.flops import Convention, flops
from explorer.cost.kv_cache import kv_cache_bytes, kv_cache_bytes_per_token, serving_bytes
from explorer.cost.memory import memory
from explorer.cost.parameters import parameters
from explorer.cost.serving import FORMATS, Format, serving
from explorer.cost.time import step_time
from explorer.errors import Unsupported

if TYPE_CHECKING:
    from explorer.cost.hardware import Hardware
    from explorer.design import Design, Plan


def anatomy(
    design: Design,
    plan: Plan,
    hardware: Hardware,
    *,
    weight_bits: float = 16,
    kv_bits: float = 16,
    with_serving: bool = True,
) -> dict[str, Any]:
    """Parameters, FLOPs, memory, KV cache, time and serving of one design under one plan, as nested plain data.

    Names carry their units; bytes are per GPU, `time.step_seconds` is one global batch.
    """
    counts, work, held = parameters(design), flops(design), memory(design, plan, hardware.accelerator)
    step = step_time(design, plan, hardware)
    conventions: tuple[Convention, ...] = ("causal", "full")
    passes = {
        c: work.passes(plan.recompute, plan.attention_kernel, c, plan.implementation) for c in conventions
    }
    asked = Format(name="as asked", weight_bits=int(weight_bits), kv_bits=int(kv_bits))
    served: dict[str, Any] = {"formats": []}
    notes: tuple[str, ...] = ()
    try:
        if with_serving:
            served, notes = _served(design, plan, hardware, asked)
            served["formats"] = [_served(design, plan, hardware, form)[0] for form in FORMATS]
    except Unsupported as missing:
        # A device that trains in fp32 alone need not serve.
        notes = (f"serving is not modelled: {missing}",)
    return {
        "design": {f.name: getattr(design, f.name) for f in fields(design)},
        "plan": {f.name: getattr(plan, f.name) for f in fields(plan)} | {"n_gpus": plan.n_gpus},
        "parameters": {
            "n_params": counts.total,
            "n_params_non_embedding": counts.non_embedding,
            "n_params_active": counts.active,
            "parts": {
                "embedding": counts.embedding + counts.projection,
                "position": counts.position,
                "attention": counts.attention,
                "feed-forward": counts.ffn,
                "norms": counts.norms,
                "head": counts.head,
            },
            "per_layer": counts.per_layer,
        },
        "flops": {
            "forward_flops_per_sequence": work.forward_per_sequence("causal"),
            "forward_flops_per_token": {c: work.forward_per_token(c) for c in ("causal", "full")},
            "train_flops_per_token": work.train_per_token("causal"),
            "train_flops_per_token_full": work.train_per_token("full"),
            "hardware_train_flops_per_token": sum(passes["causal"].values()),
            "train_flops_per_token_by_pass": passes,
            "attention_flops_share": work.attention_share("causal"),
            "attention_flops_share_full": work.attention_share("full"),
            "forward_flops_per_token_by_operation": work.operations("causal"),
        },
        "memory": {
            "parameter_bytes": held.parameter_bytes,
            "gradient_bytes": held.gradient_bytes,
            "optimizer_bytes": held.optimizer_bytes,
            "saved_activation_bytes": held.saved_activation_bytes,
            "peak_allocated_bytes": held.peak_allocated_bytes,
            "peak_reserved_bytes": held.peak_reserved_bytes,
            "peak_device_bytes": held.peak_device_bytes,
            "peak_instant": held.peak_instant,
            "instants": held.instants,
            "ledger": {
                "layer": _entries(held.ledger.layer),
                "dense_feed_forward": _entries(held.ledger.dense_ffn),
                "outside": _entries(held.ledger.outside + held.ledger.embedding),
                "bytes_per_token_per_layer": total(held.ledger.layer),
                "bytes_per_token_outside": held.ledger.per_token_outside(),
            },
        },
        "kv_cache": {
            "kv_cache_bytes_per_token": kv_cache_bytes_per_token(design, kv_bits),
            "kv_cache_bytes": kv_cache_bytes(design, 1, kv_bits),
            "serving_bytes": serving_bytes(design, 1, weight_bits, kv_bits),
        },
        "time": {
            "step_seconds": step.seconds,
            "tokens_per_step": step.tokens,
            "tokens_per_second_per_gpu": step.tokens_per_second_per_gpu,
            "mfu": step.mfu,
            "energy_joules": step.energy_joules,
            "parts_seconds": step.parts,
        },
        "serving": served,
        "assumptions": [*work.assumptions, *held.assumptions, *step.assumptions, *notes],
    }


def _served(
    design: Design, plan: Plan, hardware: Hardware, form: Format
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Serving the micro-batch at full context on the plan's tensor-parallel GPUs, and what it rests on."""
    time = serving(
        design, hardware, batch=plan.micro_batch, weight_bits=form.weight_bits, kv_bits=form.kv_bits,
        tensor_parallel=plan.tensor_parallel, fp8_products=form.fp8_products,
    )  # fmt: skip
    figures: dict[str, Any] = {
        "format": form.name,
        "weight_bits": form.weight_bits,
        "kv_bits": form.kv_bits,
        "batch": plan.micro_batch,
        "tensor_parallel": plan.tensor_parallel,
        "weight_bytes": time.weight_bytes,
        "cache_bytes": time.cache_bytes,
        "total_bytes": time.total_bytes,
        "prefill_seconds": time.prefill_seconds,
        "prefill_tokens_per_second": time.prefill_tokens_per_second,
        "decode_seconds_per_token": time.decode_seconds,
        "decode_tokens_per_second": time.decode_tokens_per_second,
    }
    return {k: v if isinstance(v, int | str) else float(v) for k, v in figures.items()}, time.assumptions


def _entries(entries: tuple[Entry, ...]) -> list[dict[str, Any]]:
    return [
        {"operation": e.operation, "bytes_per_token": e.bytes_per_token, "split": e.split} for e in entries
    ]
