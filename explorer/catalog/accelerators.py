"""Accelerators: what the data sheets promise, and how much of it real kernels reach.

`accelerators.json` holds one row per device with a source per figure; `efficiency.json` one curve per
generation with what it was fitted on. Users add devices of their own as mappings or YAML files, which
pass the same checks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from explorer.errors import InputErrors, UnknownName, Unsupported
from explorer.files import why

DTYPES = ("fp32", "tf32", "fp16", "bf16", "fp8", "int8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Efficiency:
    """Share of the promised figures that kernels of one generation reach, and their fixed costs."""

    generation: str
    matmul_share: float
    """Share of the dense 16-bit peak that a large, aligned matrix product reaches when run alone."""
    fp8_share: float
    """The same of the fp8 peak, casts included."""
    sustained_clock: float
    """Share of a lone kernel's speed that training sustains under its power limit."""
    watts_per_tflops: float
    """Board power per dense 16-bit TFLOP/s of the devices fitted on; a device with less runs slower."""
    matmul_ramp: float
    """Length of the contraction lost to filling and draining a product's pipeline (elements)."""
    matmul_fill: float
    """Output elements per compute unit lost to the last, partly filled wave of tiles."""
    matmul_alignment: dict[int, float]
    """Relative speed of a width by the largest power of two that divides it."""
    attention_share: dict[str, float]
    """Share of the peak that flash attention reaches on long sequences with wide heads, by implementation."""
    attention_ramp_keys: float
    """Keys per query lost to partly masked and partly filled blocks."""
    attention_ramp_head: float
    """Head width lost likewise."""
    ring_share: float
    """Relative speed of attention whose keys travel around a context-parallel ring."""
    bandwidth_share: float
    """Share of the HBM bandwidth that element-wise kernels reach."""
    link_share: float
    """Share of the link bandwidth that a large collective reaches within a node."""
    network_share: float
    """Share of the network bandwidth that it reaches between nodes."""
    tensor_hidden: dict[str, float]
    """Share of the tensor-parallel exchange that runs beneath products, by implementation."""
    link_latency_seconds: float
    """Fixed cost per hop of a ring within a node."""
    network_latency_seconds: float
    """Fixed cost per hop between nodes."""
    layer_host_seconds: dict[str, float]
    """Host time to issue one layer's forward pass, by implementation: the floor under small kernels."""
    step_host_seconds: dict[str, float]
    """Fixed host time of an optimizer step, by implementation."""
    fitted_on: str
    """Measurements the curve was fitted on, or that it is only scaled from peaks."""
    devices: tuple[str, ...] = ()
    """Accelerators those measurements were taken on; others of the generation follow their own peaks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accelerator:
    """One device as a framework sees it. Figures are dense (no sparsity) and per device."""

    name: str
    vendor: str
    generation: str
    memory_bytes: float
    """What the device reports in all (an 80 GiB card reports about 79.6 GiB)."""
    peak_flops: dict[str, float]
    """Dense FLOP/s by dtype; tensor-core figures accumulate in fp32."""
    hbm_bandwidth: float
    """Device memory, bytes/s."""
    link_bandwidth: float
    """To peers of the same node, bytes/s in one direction (NVLink, Infinity Fabric, ICI or PCIe)."""
    gpus_per_node: int
    """Devices that the link joins."""
    network_bandwidth: float
    """Between nodes, bytes/s per device in one direction; a default that a budget can override."""
    host_bandwidth: float
    """To host memory, bytes/s in one direction."""
    tdp_watts: float | None
    """Board power; None where the vendor publishes none."""
    n_units: int
    """Streaming multiprocessors or compute units."""
    context_bytes: float | None = None
    """What the driver's context takes of the memory outside any allocator; None is CUDA's, a CPU has none."""
    source: dict[str, str] = field(default_factory=dict)
    """Where each figure comes from."""
    notes: str = ""

    def peak(self, dtype: str) -> float:
        """Dense FLOP/s in `dtype`. Raises Unsupported where the device has none."""
        try:
            return self.peak_flops[dtype]
        except KeyError:
            known = ", ".join(self.peak_flops)
            raise Unsupported(
                f"{self.name} has no {dtype} peak (it has {known}); choose another precision"
            ) from None

    @property
    def efficiency(self) -> Efficiency:
        """The curves of this device's generation."""
        return efficiency(self.generation)

    @property
    def fitted_on(self) -> str:
        """What this device's times rest on: measurements of its own, or of relatives and its peaks."""
        curve = self.efficiency
        if not curve.devices or self.name in curve.devices:
            return curve.fitted_on
        return f"{curve.fitted_on}; no run of this device among them: scaled by its published peaks"


@cache
def accelerators() -> dict[str, Accelerator]:
    """Every accelerator of the catalogue, by name."""
    rows = json.loads((files(__package__) / "accelerators.json").read_text("utf-8"))
    return {row["name"]: accelerator_from(row, where=f"accelerators.json: {row['name']}") for row in rows}


def accelerator(name: str) -> Accelerator:
    """An accelerator by catalogue name, or from a `.yaml`/`.json` file that describes one.

    Raises UnknownName for a name the catalogue lacks, InputErrors for a file with mistakes.
    """
    if name.endswith((".yaml", ".yml", ".json")):
        return read_accelerator(name)
    known = accelerators()
    if name not in known:
        raise UnknownName("accelerator", name, known)
    return known[name]


def read_accelerator(path: str | Path) -> Accelerator:
    """An accelerator from a YAML or JSON file with the fields of `Accelerator`."""
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputErrors([f"{path}: a readable accelerator file, got: {why(error)}"]) from error
    if path.suffix == ".json":
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputErrors([f"{path}:{error.lineno}:{error.colno}: JSON, got {error.msg}"]) from error
    else:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            row = YAML(typ="safe").load(text)
        except YAMLError as error:
            raise InputErrors([f"{path}: YAML, got {' '.join(str(error).split())}"]) from error
    if not isinstance(row, Mapping):
        raise InputErrors([f"{path}: a mapping of accelerator fields, got {type(row).__name__}"])
    return accelerator_from(row, where=str(path))


def accelerator_from(row: Mapping[str, Any], where: str = "accelerator") -> Accelerator:
    """An accelerator from a mapping, checked; InputErrors lists every mistake at once.

    `generation` names the efficiency curve to use; a device without one of its own takes the curve of
    the nearest relative, or `scaled` for the average of all. `source` may be one text for all figures.
    """
    errors = list(_mistakes(row, where))
    if errors:
        raise InputErrors(errors)
    values = dict(row)
    for name in _POSITIVE:
        values[name] = float(values[name])
    values["gpus_per_node"] = int(values["gpus_per_node"])
    values["n_units"] = int(values["n_units"])
    values["peak_flops"] = {k: float(v) for k, v in values["peak_flops"].items()}
    tdp = values.setdefault("tdp_watts", None)
    values["tdp_watts"] = None if tdp is None else float(tdp)
    context = values.setdefault("context_bytes", None)
    values["context_bytes"] = None if context is None else float(context)
    if isinstance(values.get("source"), str):
        values["source"] = dict.fromkeys((*_POSITIVE, "peak_flops", "tdp_watts", "n_units"), values["source"])
    return Accelerator(**values)


_POSITIVE = ("memory_bytes", "hbm_bandwidth", "link_bandwidth", "network_bandwidth", "host_bandwidth")
_REQUIRED = ("name", "vendor", "generation", "peak_flops", "gpus_per_node", "n_units", *_POSITIVE)


def _mistakes(row: Mapping[str, Any], where: str) -> list[str]:
    """One line per field that is missing, unknown or impossible."""
    known = [f.name for f in fields(Accelerator)]
    lines = [f"{where}: {UnknownName('field', str(key), known)}" for key in row if key not in known]
    lines += [f"{where}: {key} is required" for key in _REQUIRED if key not in row]
    numbers = [(key, row[key]) for key in (*_POSITIVE, "gpus_per_node", "n_units") if key in row]
    if row.get("tdp_watts") is not None:
        numbers.append(("tdp_watts", row["tdp_watts"]))
    peaks = row.get("peak_flops", {})
    if isinstance(peaks, Mapping):
        if "peak_flops" in row and not peaks:
            lines.append(f"{where}: peak_flops: at least one dtype of {', '.join(DTYPES)}, got none")
        numbers += [(f"peak_flops.{key}", value) for key, value in peaks.items()]
        lines += [
            f"{where}: peak_flops: {UnknownName('dtype', str(k), DTYPES)}" for k in peaks if k not in DTYPES
        ]
    else:
        lines.append(f"{where}: peak_flops: a mapping of dtype to FLOP/s, got {peaks!r}")
    for key, value in numbers:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            lines.append(f"{where}: {key}: a positive number, got {value!r}")
    context = row.get("context_bytes")
    whole = isinstance(context, int | float) and not isinstance(context, bool)
    if context is not None and not (whole and 0 <= context < float("inf")):
        lines.append(f"{where}: context_bytes: a number of at least 0, got {context!r}")
    for key in ("gpus_per_node", "n_units"):
        if isinstance(row.get(key), float) and not row[key].is_integer():
            lines.append(f"{where}: {key}: a whole number, got {row[key]!r}")
    for key in ("name", "vendor"):
        if key in row and not (isinstance(row[key], str) and row[key].strip()):
            lines.append(f"{where}: {key}: a text, got {row[key]!r}")
    memory = row.get("memory_bytes")
    if isinstance(memory, int | float) and not isinstance(memory, bool) and 0 < memory < 2.0**28:
        lines.append(f"{where}: memory_bytes: bytes, such as 8.5e10 for an 80 GiB card, got {memory!r}")
    if "generation" in row and row["generation"] not in _curves():
        lines.append(f"{where}: {UnknownName('generation', str(row['generation']), _curves())}")
    return lines


def generations() -> tuple[str, ...]:
    """Names of the generations that have efficiency curves."""
    return tuple(_curves())


def efficiency(generation: str) -> Efficiency:
    """The curves of one generation. Raises UnknownName for one without any."""
    curves = _curves()
    if generation not in curves:
        raise UnknownName("generation", generation, curves)
    return curves[generation]


@cache
def _curves() -> dict[str, Efficiency]:
    data = json.loads((files(__package__) / "efficiency.json").read_text("utf-8"))
    alignment = {int(k): float(v) for k, v in data["matmul_alignment"]["speed"].items()}
    return {
        name: Efficiency(
            generation=name, matmul_alignment=alignment, **{**curve, "devices": tuple(curve["devices"])}
        )
        for name, curve in data["generations"].items()
    }
