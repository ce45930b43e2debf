"""What the model says to each kind of measurement, in the measurement's own unit and convention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from explorer.cost.activations import ledger
from explorer.cost.flops import flops
from explorer.cost.kv_cache import serving_bytes
from explorer.cost.memory import memory
from explorer.cost.parameters import parameters
from explorer.cost.serving import Serving, serving
from explorer.design import Design, Plan
from explorer.errors import ExplorerError
from explorer.units import FloatArray
from explorer.validation.batches import batches
from explorer.validation.kernels import attention_tflops, matmul_tflops
from explorer.validation.measurements import Inexpressible, Measurement
from explorer.validation.translate import (
    Run,
    accelerator_named,
    design_of,
    hardware_of,
    interleave,
    layout,
    training_run,
)

# What is computed from a step time, and so predicted for all rows at once.
STEP_BASED = (
    "train_step_time", "train_tokens_per_s", "train_tokens_per_s_per_gpu", "train_tflops_per_gpu",
    "train_mfu", "train_hfu", "train_days", "train_wall_days",
)  # fmt: skip


def predict(rows: Sequence[Measurement]) -> list[float | str]:
    """For every row its prediction, or the reason why there is none."""
    answers: list[float | str] = ["" for _ in rows]
    runs: list[Run] = []
    places: list[int] = []
    for i, row in enumerate(rows):
        try:
            _refuse(row)
            if row.what in STEP_BASED:
                runs.append(timed_run(row))
                places.append(i)
            elif row.what in _SINGLE:
                answers[i] = float(_SINGLE[row.what](row))
            else:
                answers[i] = f"the model has nothing to say to '{row.what}'"
        except Inexpressible as refusal:
            answers[i] = refusal.reason
        except ExplorerError as error:
            answers[i] = str(error)
    for i, run, seconds in zip(places, runs, step_seconds(runs), strict=True):
        answers[i] = _from_step(rows[i], run, float(seconds))
    return answers


def step_seconds(runs: Sequence[Run]) -> FloatArray:
    """Predicted step time of every run."""
    seconds = np.empty(len(runs))
    for table in batches(runs):
        seconds[table.index] = table.seconds()
    return seconds


def step_seconds_measured(row: Measurement, run: Run) -> float:
    """The step time that a measured row amounts to. Raises Inexpressible."""
    if row.number is None:
        raise Inexpressible(reason="the value is not a number")
    if row.what == "train_step_time":
        return row.number
    one = _from_step(row, run, 1.0)
    return one * row.number if row.what in ("train_days", "train_wall_days") else one / row.number


def _refuse(row: Measurement) -> None:
    if row.kind == "analytic":
        raise Inexpressible(reason="analytic: a formula's value, not a measurement")
    if row.number is None:
        what = row.value if isinstance(row.value, str) else type(row.value).__name__
        raise Inexpressible(reason=f"the value is not a number ({what})")
    if "global batch not stated" in row.unit:
        raise Inexpressible(reason="the global batch is not stated")


def timed_run(row: Measurement) -> Run:
    if row.what == "train_hfu" or row.config.get("see"):
        raise Inexpressible(reason="the row repeats another row's run without stating its layout")
    if "without" in str(row.config.get("workload", "")) or row.config.get("workload") == "fwd+bwd (ckpt)":
        raise Inexpressible(reason="a step without its optimizer")
    if row.config.get("compile") in ("reduce-overhead", "max-autotune"):
        raise Inexpressible(reason="CUDA graphs and autotuned kernels are not modelled")
    return training_run(row)


def _from_step(row: Measurement, run: Run, seconds: float) -> float:
    """A step time in the row's own terms."""
    tokens = float(run.plan.global_batch * run.design.context_length)
    n_gpus = float(run.plan.n_gpus)
    per_gpu = tokens / (seconds * n_gpus)
    if row.what == "train_step_time":
        return seconds
    if row.what == "train_tokens_per_s_per_gpu":
        return per_gpu
    if row.what == "train_tokens_per_s":
        return per_gpu * n_gpus
    if row.what in ("train_days", "train_wall_days"):
        steps = row.config.get("iters") or float(row.config.get("tokens") or 3e11) / tokens
        return float(steps) * seconds / 86_400
    rate = per_gpu * _flops_per_token(row, run)
    if row.what == "train_tflops_per_gpu":
        return rate / 1e12
    return 100 * rate / run.hardware.accelerator.peak("bf16")


def _flops_per_token(row: Measurement, run: Run) -> float:
    """FLOPs per token as the row's source counted them: attention in full, since the frameworks that
    print TFLOP/s do (Megatron, FlashAttention's and llm-foundry's scripts); hardware FLOPs with the
    recomputed forward pass where the source says so (Narayanan 2021, equation 3; BLOOM).
    """
    counts = flops(run.design)
    text = f"{row.unit} {row.notes} {row.what}".lower()
    repeated = any(
        word in row.group.lower()
        for word in ("bloom", "bigscience", "narayanan", "megatron-a100", "megatron-2020")
    )
    if "recompute" in text or "hardware" in text or repeated:
        return float(4 / 3 * counts.train_per_token("full"))
    return float(counts.train_per_token("full"))


def _param_count(row: Measurement) -> float:
    design = design_of(row)
    counts = parameters(design)
    if "no lm_head" in str(row.config.get("model", "")):
        return float(counts.total - counts.head)
    return float(counts.total)


def _peak(which: str) -> Callable[[Measurement], float]:
    def value(row: Measurement) -> float:
        design, plan = layout(row)
        if interleave(row) > 1 or "interleaved" in str(row.config.get("schedule", "")).lower():
            raise Inexpressible(reason="memory of interleaved pipeline schedules is not modelled")
        figure = float(getattr(memory(design, plan), which))
        return figure / (2.0**30 if "gib" in row.unit.lower() else 1e9)

    return value


def _copies(row: Measurement) -> float:
    """What a layer keeps and its output, in hidden states. Transformers copied keys and values for every
    query head until July 2025 (its pull request 39412), after these were measured."""
    design = design_of(row)
    plan = Plan(precision="bf16", repeated_kv=True, micro_batch=1, global_batch=1)
    return float(ledger(design, plan).per_layer()) / (2 * float(design.d_model)) + 1


def _matmul_max(row: Measurement) -> float:
    device = accelerator_named(str(row.config.get("gpu", "")))
    return device.peak(str(row.config.get("dtype", "bf16"))) * device.efficiency.matmul_share / 1e12


def _served(row: Measurement) -> Serving:
    """The serving model of a row. Raises Inexpressible."""
    config = row.config
    design: Design = design_of(row)
    quant = str(config.get("quant") or "none").lower()
    if quant.startswith("bnb"):
        raise Inexpressible(reason="bitsandbytes kernels decode slower than the memory they save would allow")
    bits = next((n for name, n in _QUANTISED.items() if quant.startswith(name)), None)
    if bits is None:
        raise Inexpressible(reason=f"weights in '{quant}' are not modelled")
    batch = config.get("batch", config.get("micro_batch", 1 if row.what == "infer_tokens_per_s" else None))
    if batch is None:
        raise Inexpressible(reason="the batch is not stated")
    eager = (
        config.get("compile") == "eager" or "litgpt" in f"{row.group} {config.get('framework', '')}".lower()
    )
    tp = int(config.get("tp", 1))
    return serving(
        design, replace(hardware_of(config), n_gpus=tp), batch=float(batch), weight_bits=bits,
        tensor_parallel=tp, compiled=not eager,
    )  # fmt: skip


_QUANTISED = {"none": 16, "bf16": 16, "int8": 8, "fp8": 8, "int4": 4, "gptq": 4, "awq": 4}
"""Bits per weight, by how names of formats begin."""


def _prefill(row: Measurement) -> float:
    return float(_served(row).prefill_seconds)


def _decode(row: Measurement) -> float:
    return float(_served(row).decode_seconds)


def _prefill_rate(row: Measurement) -> float:
    return float(_served(row).prefill_tokens_per_second) / float(row.config.get("tp", 1))


def _decode_rate(row: Measurement) -> float:
    return float(_served(row).decode_tokens_per_second) / float(row.config.get("tp", 1))


def _written(row: Measurement) -> float:
    return float(_served(row).decode_tokens_per_second)


def _infer_memory(row: Measurement) -> float:
    design = design_of(row)
    quant = str(row.config.get("quant", "none")).lower()
    if quant not in ("none", ""):
        raise Inexpressible(reason="which layers stay unquantised is not stated")
    prompt = float(row.config.get("prompt", 128))
    held = float(serving_bytes(design.with_(context_length=prompt)))
    return held / (2.0**30 if "gib" in row.unit.lower() else 1e9)


_SINGLE: dict[str, Callable[[Measurement], float]] = {
    "param_count": _param_count,
    "train_peak_mem_allocated": _peak("peak_allocated_bytes"),
    "train_peak_mem_active": _peak("peak_allocated_bytes"),
    "train_peak_mem_reserved": _peak("peak_reserved_bytes"),
    "train_peak_mem_device": _peak("peak_device_bytes"),
    "train_mem_total": _peak("peak_device_bytes"),
    "activation_copies_per_layer": _copies,
    "kernel_matmul": matmul_tflops,
    "kernel_matmul_max": _matmul_max,
    "kernel_attention_fwd_bwd": attention_tflops,
    "infer_prefill_time": _prefill,
    "infer_decode_time": _decode,
    "infer_prefill_tps": _prefill_rate,
    "infer_decode_tps": _decode_rate,
    "infer_tokens_per_s": _written,
    "infer_mem": _infer_memory,
}
