"""Lone kernels as benchmarks time them: one product, one attention, without the rest of a step.

They run at the clock of a short burst, so the sustained clock of training does not apply.
"""

from __future__ import annotations

from dataclasses import replace

from explorer.catalog.accelerators import Efficiency
from explorer.cost.attention_time import attention_seconds
from explorer.cost.hardware import Hardware
from explorer.cost.matmul_time import product
from explorer.design import Design, Plan
from explorer.validation.measurements import Inexpressible, Measurement
from explorer.validation.translate import accelerator_named

# Host time of one timed call where a benchmark does not say (LLMCompass' smallest products take 29 µs).
CALL_SECONDS = 2.5e-5


def _hardware(row: Measurement, curve: Efficiency | None) -> Hardware:
    device = accelerator_named(str(row.config.get("gpu", "")))
    if "a100" in str(row.config.get("gpu", "")).lower() and "LLMCompass" in row.source:
        device = accelerator_named("A100-40GB")
    burst = replace(curve or device.efficiency, sustained_clock=1.0)
    return Hardware(accelerator=device, curve=burst)


def matmul_tflops(row: Measurement, curve: Efficiency | None = None, overhead: float = CALL_SECONDS) -> float:
    """TFLOP/s of one matrix product (m, k)·(k, n)."""
    try:
        m, n, k = (float(row.config[name]) for name in ("m", "n", "k"))
    except (KeyError, TypeError, ValueError):
        raise Inexpressible(reason="the product's shape (m, n, k) is not stated") from None
    hardware = _hardware(row, curve)
    dtype = str(row.config.get("dtype", "bf16"))
    plan = Plan(precision="fp32" if dtype == "fp32" else "fp8" if "8" in dtype else "bf16")
    compute = float(product(n, k, hardware, plan)[0](m))
    memory = hardware.accelerator.hbm_bandwidth * hardware.efficiency.bandwidth_share
    moved = 2 * (m * n + n * k + m * k) / memory
    return 2 * m * n * k / (max(compute, moved) + overhead) / 1e12


def attention_tflops(row: Measurement, curve: Efficiency | None = None, overhead: float = 0.0) -> float:
    """TFLOP/s of attention forward and backward, causal FLOPs counted as half."""
    del overhead
    config = row.config
    kernel = str(config.get("impl", "flash2"))
    if kernel not in ("flash2", "pytorch-naive", "naive"):
        raise Inexpressible(reason=f"attention kernel '{kernel}' is not modelled")
    if not isinstance(row.value, int | float):
        raise Inexpressible(reason="ran out of memory")
    hardware = _hardware(row, curve)
    context, head = float(config["seq"]), float(config["head_dim"])
    hidden = float(config.get("hidden", 2048))
    heads = hidden / head
    causal = bool(config.get("causal", True))
    flash = kernel == "flash2"
    design = Design.of(context, hidden, 1, n_heads=heads, d_head=head)
    plan = Plan(
        implementation="megatron" if flash else "torch",
        attention_kernel="flash" if flash else "naive",
        precision="bf16",
        micro_batch=float(config.get("total_tokens", 16_384)) / context,
    )
    forward, backward = attention_seconds(design, plan, hardware)
    flops = 3.5 * 4 * float(config.get("total_tokens", 16_384)) * hidden * context
    seconds = float(forward + backward)
    if causal or not flash:
        return flops * (0.5 if causal else 1.0) / seconds / 1e12
    # Without a mask every block is whole, so the model's causal time is doubled less the masked blocks' loss.
    keys, ramp = context / 2, hardware.efficiency.attention_ramp_keys
    return flops / (seconds * (context + ramp / 3) / (keys + ramp)) / 1e12
