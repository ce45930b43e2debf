"""What fills the memory, spends the FLOPs and takes the time of a step, for one design or many at once.

The parts of each quantity sum to its whole. Fields of designs and plans may be arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.cost.flops import flops
from explorer.cost.memory import memory
from explorer.cost.time import step_time
from explorer.units import Num

if TYPE_CHECKING:
    from explorer.cost.hardware import Hardware
    from explorer.design import Design, Plan

_ACTIVATIONS_FREED = ("backward, first layer", "end of backward", "optimizer step")
"""Moments of the step at which gradients stand where the saved activations stood."""


def parts(design: Design, plan: Plan, hardware: Hardware) -> dict[str, dict[str, Num]]:
    """`memory` (bytes per GPU at the step's fullest moment), `flops` (model FLOPs per training token, causal)
    and `time` (seconds per token of the whole job), each by part."""
    step = step_time(design, plan, hardware)
    return {
        "memory": memory_parts(design, plan, hardware),
        # Backward takes twice the forward pass.
        "flops": {name: 3 * value for name, value in flops(design).operations("causal").items()},
        "time": {name: value / step.tokens for name, value in step.parts.items()},
    }


def memory_parts(design: Design, plan: Plan, hardware: Hardware) -> dict[str, Num]:
    """The fullest moment filled up in order, so that the parts sum to what the device holds."""
    held = memory(design, plan, hardware.accelerator)
    instant = np.asarray(held.peak_instant)
    freed, loss = np.isin(instant, _ACTIVATIONS_FREED), np.char.startswith(instant, "loss")
    left: Num = held.peak_allocated_bytes
    found: dict[str, Num] = {}
    for name, size in (
        ("weights", held.parameter_bytes),
        ("optimizer states", held.optimizer_bytes),
        ("gradients", np.where(freed, held.gradient_bytes, 0.0)),
        ("saved activations", np.where(freed, 0.0, held.saved_activation_bytes)),
    ):
        found[name] = np.minimum(left, size)
        left = left - found[name]
    return found | {
        "logits and gradients": np.where(loss, left, 0.0),
        "temporaries": np.where(loss, 0.0, left),
        "allocator slack": held.peak_reserved_bytes - held.peak_allocated_bytes,
        "context and buffers": held.peak_device_bytes - held.peak_reserved_bytes,
    }
