"""Many runs at once: those that share every categorical choice become one table of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from explorer.catalog.accelerators import Efficiency
from explorer.cost.hardware import Hardware
from explorer.cost.time import step_time
from explorer.design import Design, Plan
from explorer.units import FloatArray
from explorer.validation.translate import Run

# Host time of a compiled layer relative to an eager one: 12.6 against 48.8 ms for a small Llama's forward and
# backward pass (ml-engineering, torch 2.13 on B200), twice eager's relative time for rotary and RMS norm.
_COMPILED_HOST = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Runs of one kind: numeric fields are arrays over `index`."""

    index: np.ndarray[Any, Any]
    """Positions among the runs that were given."""
    design: Design
    plan: Plan
    hardware: Hardware
    interleave: FloatArray
    fused: bool = False

    def seconds(self, curve: Efficiency | None = None) -> FloatArray:
        """Step time of every run, under another curve if one is given."""
        curve = curve or self.hardware.efficiency
        if self.fused:
            # Only element-wise kernels are fused: attention and exchanges stay the framework's own.
            curve = replace(
                curve,
                attention_share={"megatron": curve.attention_share["torch"]},
                tensor_hidden={"megatron": curve.tensor_hidden["torch"]},
                layer_host_seconds={"megatron": _COMPILED_HOST * curve.layer_host_seconds["torch"]},
                step_host_seconds={"megatron": curve.step_host_seconds["torch"]},
            )
        hardware = replace(self.hardware, curve=curve)
        time = step_time(self.design, self.plan, hardware)
        # Interleaving shortens the bubble by the chunks per stage (Narayanan 2021, section 2.2.2).
        saved = time.parts["pipeline"] * (1 - 1 / self.interleave)
        return np.broadcast_to(time.seconds - saved, self.index.shape)


def batches(runs: Sequence[Run]) -> list[Batch]:
    """Group runs by everything that is not a number."""
    kinds: dict[Any, list[int]] = {}
    for i, run in enumerate(runs):
        kinds.setdefault(_kind(run), []).append(i)
    return [_stack([runs[i] for i in index], np.array(index)) for index in kinds.values()]


def _kind(run: Run) -> Any:
    device = run.hardware
    machine = (device.accelerator.name, device.network, device.per_node)
    return machine, _words(run.design), _words(run.plan), run.fused, bool(run.design.n_experts)


def _words(record: Design | Plan) -> tuple[Any, ...]:
    return tuple(
        getattr(record, f.name) for f in fields(record) if isinstance(getattr(record, f.name), str | bool)
    )


def _stack(runs: list[Run], index: np.ndarray[Any, Any]) -> Batch:
    design, plan = (_columns([getattr(run, name) for run in runs]) for name in ("design", "plan"))
    if runs[0].fused:
        plan = plan.with_(implementation="megatron")
    widest = max(run.hardware.n_gpus for run in runs)
    return Batch(
        index=index,
        design=design,
        plan=plan,
        hardware=replace(runs[0].hardware, n_gpus=widest),
        fused=runs[0].fused,
        interleave=np.array([float(run.interleave) for run in runs]),
    )


def _columns(records: list[Any]) -> Any:
    first = records[0]
    numeric = [f.name for f in fields(first) if not isinstance(getattr(first, f.name), str | bool)]
    columns = {name: np.array([float(getattr(r, name)) for r in records]) for name in numeric}
    return replace(first, **columns)
