"""What a model is trained on: the section `hardware` of budget.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from explorer.budget.fields import (
    AcceleratorName,
    Amount,
    Bytes,
    BytesPerSecond,
    Count,
    Name,
    Number,
    Rate,
    Section,
    Share,
    Whole,
)

if TYPE_CHECKING:
    from explorer.catalog import Accelerator


class AcceleratorSpec(Section):
    """A device the catalogue does not hold, with the fields of a catalogue row."""

    name: Name
    """What reports call it."""
    vendor: Name = "user-defined"
    """Who makes it."""
    generation: Name = "scaled"
    """Whose efficiency curves it takes; `scaled` is the average of all generations."""
    memory_bytes: Bytes
    """Memory the device reports in all, bytes."""
    peak_flops: dict[Literal["fp32", "tf32", "fp16", "bf16", "fp8", "int8"], Count] = Field(min_length=1)
    """Dense peak per number type, FLOP/s (operations/s for int8), e.g. {bf16: 989T}."""
    hbm_bandwidth: BytesPerSecond
    """Bandwidth of the device memory, bytes/s, e.g. 3.35TB/s."""
    link_bandwidth: BytesPerSecond
    """To peers of the same node, bytes/s in one direction."""
    network_bandwidth: BytesPerSecond
    """Between nodes, bytes/s per device in one direction."""
    host_bandwidth: BytesPerSecond
    """To host memory, bytes/s in one direction."""
    gpus_per_node: Whole
    """Devices that the link joins."""
    n_units: Whole
    """Streaming multiprocessors or compute units."""
    tdp_watts: Amount | None = None
    """Board power, watts; no energy is given without it."""
    context_bytes: Number | None = None
    """What its driver's context takes of the memory outside any allocator, bytes; default: CUDA's. A CPU has none: 0."""
    source: Name = "given in the budget"
    """Where the figures come from."""


class Hardware(Section):
    """What the model is trained on."""

    accelerator: AcceleratorName | AcceleratorSpec
    """A name from `explore list accelerators`, a file with a row like the catalogue's, or such a mapping."""
    gpus: Whole
    """Number of GPUs."""
    gpus_per_node: Whole | None = None
    """GPUs in one node; default: the accelerator's usual node."""
    network_bandwidth: Rate | None = None
    """Between nodes, per GPU and direction, bytes per second with a unit, e.g. 50GB/s or 400Gbit/s."""
    price_per_gpu_hour: Amount | None = None
    """Price of one GPU-hour, in any currency; no price is reported without it."""
    goodput: Share = 1.0
    """Share of wall time that trains; failures, restarts and checkpoints take the rest."""
    mfu: Share | None = None
    """Your own measured model FLOPs utilisation, a share of the peak (causal, no recompute); replaces the model's level."""

    @property
    def device(self) -> Accelerator:
        """The accelerator itself. Raises an ExplorerError for one that is unknown or impossible."""
        from explorer.catalog import accelerator, accelerator_from

        if isinstance(self.accelerator, str):
            return accelerator(self.accelerator)
        return accelerator_from(self.accelerator.model_dump(), where=f"accelerator {self.accelerator.name}")
