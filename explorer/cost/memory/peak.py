"""The fullest moment: allocated, reserved and on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.catalog.overheads import overheads
from explorer.cost.activations import Ledger
from explorer.cost.memory.instants import Instant, larger, largest, largest_at
from explorer.cost.memory.stages import Stages
from explorer.units import GIB, Num

if TYPE_CHECKING:
    from explorer.catalog import Accelerator
    from explorer.design import Design, Plan

_OVERHEADS = overheads()
RESERVED_PER_ALLOCATED = _OVERHEADS.reserved_per_allocated
CONTEXT_BYTES = _OVERHEADS.context_bytes
NCCL_BYTES = _OVERHEADS.collectives_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes on the fullest GPU; shapes broadcast from design and plan."""

    parameter_bytes: Num
    gradient_bytes: Num
    optimizer_bytes: Num
    saved_activation_bytes: Num
    """Kept from forward to backward by every micro-batch in flight."""
    instants: dict[str, Num]
    """Allocated bytes by moment of the step."""
    peak_allocated_bytes: Num
    peak_reserved_bytes: Num
    peak_device_bytes: Num
    ledger: Ledger
    assumptions: tuple[str, ...]

    @property
    def peak_instant(self) -> str | np.ndarray:
        """Name of the largest instant, elementwise for arrays."""
        names = np.array(list(self.instants))
        values = np.stack(np.broadcast_arrays(*self.instants.values()))
        found = names[np.argmax(values, axis=0)]
        return found if isinstance(found, np.ndarray) and found.ndim else str(found)


def memory(design: Design, plan: Plan, accelerator: Accelerator | None = None) -> Memory:
    """Everything about the memory of one step of `design` under `plan`, with its instants by name.

    `accelerator` may bring its own context outside the allocator; the default is an NVIDIA card's.
    """
    state = Stages.of(design, plan)
    layers = state.layers
    moments = {name: instant.at(layers) for name, instant in state.moments.items()}
    allocated = largest(list(moments.values()))
    reserved = RESERVED_PER_ALLOCATED * largest([allocated, moments["loss, backward"] + state.stranded])
    return Memory(
        parameter_bytes=state.held(state.per.weight, state.per.weight),
        gradient_bytes=state.held(state.per.gradient, state.per.gradient),
        optimizer_bytes=state.held(state.per.matrices, state.per.others),
        saved_activation_bytes=larger(*(instant.at(layers) for instant in state.saved)),
        instants=moments,
        peak_allocated_bytes=allocated,
        peak_reserved_bytes=reserved,
        peak_device_bytes=reserved + outside_allocator_bytes(plan, accelerator),
        ledger=state.ledger,
        assumptions=_assumptions(plan, state, accelerator),
    )


def peaks_bytes(design: Design, plan: Plan) -> tuple[Num, Num]:
    """The allocated and the reserved peak, in few operations at the full shape of design × plan."""
    state = Stages.of(design, plan)
    reserved = RESERVED_PER_ALLOCATED * largest_at(_held(state), state.layers)
    return largest_at(state.moments, state.layers), reserved


def peak_allocated_bytes(design: Design, plan: Plan) -> Num:
    """The largest instant alone."""
    state = Stages.of(design, plan)
    return largest_at(state.moments, state.layers)


def peak_device_bytes(design: Design, plan: Plan, accelerator: Accelerator | None = None) -> Num:
    """What the device must hold: reserved bytes, its driver's context and communication buffers."""
    return peak_reserved_bytes(design, plan) + outside_allocator_bytes(plan, accelerator)


def peak_reserved_bytes(design: Design, plan: Plan) -> Num:
    """What PyTorch's allocator holds at the fullest moment, fragmentation included."""
    state = Stages.of(design, plan)
    return RESERVED_PER_ALLOCATED * largest_at(_held(state), state.layers)


def stage_instants(design: Design, plan: Plan) -> dict[str, Instant]:
    """Bytes that the allocator cannot do without at each moment, before fragmentation; free of n_layers.

    `RESERVED_PER_ALLOCATED` times the largest, at the layers of a stage (n_layers over the pipeline's
    stages, rounded up), is reserved. All but the loss's backward pass equal what is allocated.
    """
    return _held(Stages.of(design, plan))


def _held(state: Stages) -> dict[str, Instant]:
    loss = state.moments["loss, backward"]
    held = Instant(loss.per_layer, loss.outside + state.stranded)
    return {**state.moments, "loss, backward": held}


def outside_allocator_bytes(plan: Plan, accelerator: Accelerator | None = None) -> Num:
    """The context of the accelerator's driver (CUDA's by default), and NCCL's buffers where there is more than one GPU."""
    many = np.greater(plan.n_gpus, 1)
    extra = _context_bytes(accelerator) + NCCL_BYTES * many
    return extra if isinstance(extra, np.ndarray) and extra.ndim else float(extra)


def _context_bytes(accelerator: Accelerator | None) -> float:
    own = accelerator.context_bytes if accelerator is not None else None
    return CONTEXT_BYTES if own is None else own


def _assumptions(plan: Plan, state: Stages, accelerator: Accelerator | None) -> tuple[str, ...]:
    low, high = _OVERHEADS.reserved_range
    notes = [
        *state.ledger.assumptions,
        f"reserved is {RESERVED_PER_ALLOCATED} times allocated (published runs: {low:.2f} to {high:.2f})",
        "freed 16-bit logits stay reserved during the loss's backward pass",
    ]
    context = _context_bytes(accelerator)
    if context:
        whose = "the CUDA" if context == CONTEXT_BYTES else "the driver's"
        notes.append(f"{whose} context takes {context / GIB:.2f} GiB outside the allocator")
    if np.any(np.asarray(plan.n_gpus) > 1):
        notes.append(f"NCCL takes {NCCL_BYTES / GIB:.2f} GiB outside the allocator")
    return tuple(notes)
