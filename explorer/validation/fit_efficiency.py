"""Fit the efficiency curves of the catalogue on published measurements, once per generation.

    python -m explorer.validation.fit_efficiency [--write]

reads `measured.jsonl` from the folder that EXPLORER_DATA names, fits a few physical parameters per
generation by robust least squares on log ratios, prints the errors of the groups fitted on and of
those held out, and with --write replaces the curves in `explorer/catalog/efficiency.json`.

Every parameter has a prior (value, relative spread): a group that says nothing about a parameter leaves
it there. Groups are weighted alike, whatever their number of rows; no row is treated apart.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from explorer.catalog.accelerators import Efficiency, accelerator, efficiency
from explorer.units import FloatArray
from explorer.validation.batches import Batch, batches
from explorer.validation.kernels import attention_tflops, matmul_tflops
from explorer.validation.measurements import Inexpressible, Measurement, read
from explorer.validation.predict import step_seconds_measured, timed_run
from explorer.validation.translate import accelerator_named

# Relative error that counts as one standard deviation, and how much a prior weighs against the data.
_ERROR, _PRIOR_WEIGHT = 0.1, 3.0
_LARGEST_SHARE, _LARGEST_HIDDEN = 0.97, 0.8
# A group counts as this many rows.
_GROUP_ROWS = 200.0

_TRAINING = ("train_step_time", "train_tokens_per_s_per_gpu", "train_tokens_per_s", "train_tflops_per_gpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What one generation is fitted on, and the parameters that its data can tell."""

    generation: str
    fit: tuple[str, ...]
    """Groups of training rows."""
    kernels: bool
    """Whether lone matrix products and attention kernels are fitted as well."""
    held_out: tuple[str, ...]
    parameters: Mapping[str, tuple[float, float]]
    """Prior of each free parameter: value, relative spread."""
    start: str | None = None
    """Generation whose other parameters are taken over."""
    fitted_on: str
    sample: int = 400
    """Rows drawn at random from a larger group; the others are held out."""


_COMMON: dict[str, tuple[float, float]] = {
    "matmul_share": (0.9, 0.05),
    "sustained_clock": (0.85, 0.1),
    "matmul_ramp": (90, 0.5),
    "matmul_fill": (15_000, 0.7),
    "attention_share.torch": (0.5, 0.2),
    "attention_share.megatron": (0.7, 0.1),
    "attention_ramp_keys": (235, 0.3),
    "attention_ramp_head": (15, 0.5),
    "bandwidth_share": (0.85, 0.1),
    "link_share": (0.7, 0.25),
    "network_share": (0.7, 0.3),
    "link_latency_seconds": (4e-6, 0.7),
    "network_latency_seconds": (1e-5, 0.7),
    "layer_host_seconds.torch": (3e-4, 0.7),
    "layer_host_seconds.megatron": (6e-4, 0.7),
    "step_host_seconds.torch": (4e-3, 1.0),
    "step_host_seconds.megatron": (5e-3, 1.0),
}

RECIPES = (
    Recipe(
        generation="ampere",
        fit=("llm-foundry", "vTrain-single"),
        kernels=True,
        held_out=("korthikanti", "megatron-2020", "megatron-a100", "flash-attention", "torchtune", "small"),
        parameters=_COMMON,
        fitted_on="fitted on A100 runs of llm-foundry (FSDP, flash attention, 512 to 65,536 tokens) and of "
        "vTrain's validation (Megatron-DeepSpeed, up to 8 GPUs), and on lone A100 kernels (LLMCompass, "
        "FlashAttention-2); checked on Korthikanti 2022 and Narayanan 2021",
    ),
    Recipe(
        generation="volta",
        fit=("megatron-2020",),
        kernels=False,
        held_out=(),
        parameters={"sustained_clock": (0.75, 0.2), "link_share": (0.7, 0.2)},
        start="ampere",
        fitted_on="fitted on four V100 runs of Megatron-LM (2020, 1 to 8 GPUs); the rest as on A100",
    ),
    Recipe(
        generation="hopper",
        fit=("torchtitan", "megatron-h100"),
        kernels=True,
        held_out=(),
        parameters={
            "matmul_share": (0.82, 0.05),
            "fp8_share": (0.7, 0.1),
            "sustained_clock": (0.85, 0.1),
            "attention_share.torch": (0.38, 0.1),
            "attention_share.megatron": (0.55, 0.2),
            "attention_ramp_keys": (235, 0.3),
            "bandwidth_share": (0.85, 0.1),
            "link_share": (0.7, 0.25),
            "network_share": (0.7, 0.2),
            "ring_share": (0.8, 0.2),
            "tensor_hidden.megatron": (0.5, 0.2),
            "tensor_hidden.torch": (0.2, 0.2),
        },
        start="ampere",
        fitted_on="fitted on H100 runs of torchtitan (FSDP2, 8 to 512 GPUs, 8k to 262k tokens) and of "
        "Megatron-Core's table, and on lone H100 kernels (FlashAttention-2); other parameters as on A100",
    ),
    Recipe(
        generation="blackwell",
        fit=("ml-engineering",),
        kernels=False,
        held_out=(),
        parameters={
            "matmul_share": (0.776, 0.03),
            "sustained_clock": (0.85, 0.1),
            "attention_share.torch": (0.3, 0.3),
            "layer_host_seconds.torch": (3e-4, 0.7),
        },
        start="hopper",
        fitted_on="fitted on B200 runs of two Llama models (ml-engineering, one GPU); the rest as on H100",
    ),
)


_KERNELS = ("kernel_matmul", "kernel_attention_fwd_bwd")
# Groups of lone kernels and of decoding (catalog/serving.json) that constants or their priors come from.
_KERNEL_GROUPS, _DECODING_GROUPS = ("kernels", "flash-attention", "matmul"), ("litgpt", "gpt-fast")
# Megatron-Core's table goes by another name in the cited set.
_SAME = {"megatron-core": "megatron-h100"}


def fitted_on(group: str, what: str) -> bool:
    """Whether a constant of the time model has seen these runs, in these terms or others."""
    if what.startswith("kernel_"):
        return group in _KERNEL_GROUPS
    if what.startswith("infer_"):
        return group in _DECODING_GROUPS and what == "infer_tokens_per_s"
    timed = what.startswith("train_") and "mem" not in what
    return timed and any(_SAME.get(group, group) in recipe.fit for recipe in RECIPES)


# Generations with too few measurements to fit: the curve of a relative, and what single published
# figures say otherwise (ml-engineering's table of maximum achievable matmul FLOPS; LLMCompass' MI210).
SCALED: dict[str, tuple[str, dict[str, float], str]] = {
    "ada": ("ampere", {"fp8_share": 0.7}, ""),
    "cdna2": (
        "ampere",
        {"matmul_share": 0.67},
        "; lone products reach 67% of an MI210's peak (LLMCompass)",
    ),
    "cdna3": (
        "ampere",
        {"matmul_share": 0.51},
        "; lone products reach 51% of an MI300X's peak (ml-engineering)",
    ),
    "tpu": (
        "ampere",
        {"layer_host_seconds": 0.0, "tensor_hidden": 0.5},
        "; compiled by XLA, so without host time per layer and with half of the exchanges hidden",
    ),
    "scaled": ("ampere", {}, ""),
}


def scaled(generation: str, relative: Efficiency, base: Efficiency) -> Efficiency:
    """A curve that only follows the peaks of its devices."""
    _, changes, note = SCALED[generation]
    tables = {
        name: dict.fromkeys(getattr(relative, name), value)
        for name, value in changes.items()
        if isinstance(getattr(relative, name), dict)
    }
    return replace(
        relative,
        **{**changes, **tables},  # type: ignore[arg-type]
        generation=generation,
        watts_per_tflops=base.watts_per_tflops,
        fitted_on=f"not fitted: the A100 curve scaled to this device's published peaks{note}",
        devices=(),
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Training rows of one group, ready to predict."""

    name: str
    tables: list[Batch]
    seconds: FloatArray
    devices: frozenset[str]
    """Accelerators the rows were measured on."""

    def log_ratio(self, curve: Efficiency) -> FloatArray:
        predicted = np.empty(self.seconds.shape)
        for table in self.tables:
            predicted[table.index] = table.seconds(curve)
        return np.log(predicted / self.seconds)


def fit(recipe: Recipe, rows: Sequence[Measurement], base: Efficiency) -> Efficiency:
    """The curve of one generation."""
    from scipy.optimize import least_squares

    rng = np.random.default_rng(0)
    groups = [_group(rows, recipe, name, rng) for name in recipe.fit]
    products, attention = (_kernels(rows, recipe, what) for what in _KERNELS)
    names = list(recipe.parameters)
    centre = np.log([value for value, _ in recipe.parameters.values()])
    spread = np.array([width for _, width in recipe.parameters.values()])

    # Shares stay below one; the overhead of a timed call is unbounded.
    shares = [name.partition(".")[0].endswith(("share", "clock", "hidden")) for name in names]
    upper = np.r_[np.where(shares, np.log(_LARGEST_SHARE), np.inf), np.inf]
    upper[[i for i, name in enumerate(names) if name.startswith("tensor_hidden")]] = np.log(_LARGEST_HIDDEN)

    def residuals(x: FloatArray) -> FloatArray:
        curve = _with(base, names, np.exp(x[:-1]))
        parts = [group.log_ratio(curve) * np.sqrt(_GROUP_ROWS / group.seconds.size) for group in groups]
        # Lone kernels were timed with a host overhead of their own, fitted along and not kept.
        for kernels, model in ((products, matmul_tflops), (attention, attention_tflops)):
            if kernels:
                overhead = float(np.exp(x[-1]))
                ratio = [np.log(model(row, curve, overhead) / row.number) for row in kernels]  # type: ignore[operator]
                parts.append(np.array(ratio) * np.sqrt(_GROUP_ROWS / 2 / len(ratio)))
        prior = _PRIOR_WEIGHT * (x - np.r_[centre, np.log(25e-6)]) / np.r_[spread, 1.0]
        return np.concatenate([*(part / _ERROR for part in parts), prior])

    found = least_squares(
        residuals, np.r_[centre, np.log(25e-6)], bounds=(-np.inf, upper), loss="soft_l1", max_nfev=100
    )
    devices = frozenset[str]().union(*(group.devices for group in groups))
    kernels = (str(row.config["gpu"]) for row in (*products, *attention))
    devices |= {accelerator_named(name).name for name in kernels}
    return replace(
        _with(base, names, np.exp(found.x[:-1])), fitted_on=recipe.fitted_on, devices=tuple(sorted(devices))
    )


def _with(base: Efficiency, names: Sequence[str], values: FloatArray) -> Efficiency:
    """`base` with some parameters replaced; `attention_share.torch` names an entry of a table."""
    changes: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        head, _, entry = name.partition(".")
        if entry:
            changes.setdefault(head, dict(getattr(base, head)))[entry] = float(value)
        else:
            changes[head] = float(value)
    return replace(base, **changes)


def _group(
    rows: Sequence[Measurement],
    recipe: Recipe,
    name: str,
    rng: np.random.Generator | None,
    sample: bool = True,
) -> _Group:
    runs, seconds = [], []
    for row in rows:
        if row.group != name or row.what not in _TRAINING or row.kind != "measured":
            continue
        try:
            run = timed_run(row)
            value = step_seconds_measured(row, run)
        except Inexpressible:
            continue
        if run.hardware.accelerator.generation == recipe.generation:
            runs.append(run)
            seconds.append(value)
    if sample and rng is not None and len(runs) > recipe.sample:
        chosen = rng.choice(len(runs), recipe.sample, replace=False)
        runs, seconds = [runs[i] for i in chosen], [seconds[i] for i in chosen]
    devices = frozenset(run.hardware.accelerator.name for run in runs)
    return _Group(name, batches(runs), np.array(seconds), devices)


def _kernels(rows: Sequence[Measurement], recipe: Recipe, what: str) -> list[Measurement]:
    """Lone kernels of this generation: products, and FlashAttention-2."""
    if not recipe.kernels:
        return []
    found = []
    for row in rows:
        if row.what != what or row.number is None or row.config.get("impl", "flash2") != "flash2":
            continue
        try:
            device = accelerator_named(str(row.config["gpu"]))
        except Inexpressible:
            continue
        if device.generation == recipe.generation:
            found.append(row)
    return found


def main(arguments: Sequence[str]) -> int:
    """Fit every recipe, print errors per group, and write the curves if asked."""
    folder = os.environ.get("EXPLORER_DATA")
    if not folder:
        print("EXPLORER_DATA must name the folder of measured.jsonl", file=sys.stderr)
        return 2
    rows = read(Path(folder) / "measured.jsonl")
    path = Path(str(accelerator.__code__.co_filename)).with_name("efficiency.json")
    data = json.loads(path.read_text("utf-8"))
    fitted: dict[str, Efficiency] = {}
    for recipe in RECIPES:
        base = efficiency(recipe.generation)
        if recipe.start is not None:
            base = replace(
                fitted[recipe.start], generation=recipe.generation, watts_per_tflops=base.watts_per_tflops
            )
        curve = fit(recipe, rows, base)
        fitted[recipe.generation] = curve
        print(recipe.generation)
        for name in recipe.parameters:
            head, _, entry = name.partition(".")
            value = getattr(curve, head)
            print(f"  {name:28s} {value[entry] if entry else value:.3g}")
        for name in (*recipe.fit, *recipe.held_out):
            group = _group(rows, recipe, name, None)
            if group.seconds.size:
                error = np.abs(np.expm1(group.log_ratio(curve)))
                bias = float(np.median(np.expm1(group.log_ratio(curve))))
                role = "fitted" if name in recipe.fit else "held out"
                print(
                    f"  {name:18s} {role:9s} n {error.size:5d}  median {np.median(error):6.1%}  "
                    f"p90 {np.quantile(error, 0.9):6.1%}  bias {bias:+6.1%}"
                )
        data["generations"][recipe.generation] = _record(curve)
    for name, (relative, _, _) in SCALED.items():
        data["generations"][name] = _record(scaled(name, fitted[relative], efficiency(name)))
    if "--write" in arguments:
        path.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    return 0


def _record(curve: Efficiency) -> dict[str, Any]:
    """A curve as it stands in the catalogue: three digits, which is more than the data can tell."""
    record: dict[str, Any] = {}
    for name, value in asdict(curve).items():
        if name in ("generation", "matmul_alignment"):
            continue
        if isinstance(value, dict):
            record[name] = {k: float(f"{v:.3g}") for k, v in value.items()}
        else:
            record[name] = float(f"{value:.3g}") if isinstance(value, float) else value
    return record


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
