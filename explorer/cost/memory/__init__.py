"""Peak memory of one training step on one GPU: the largest instant, not a sum.

Every instant is `per_layer · layers on the stage + outside`, so on an open grid its two terms are
computed on their own axes and the number of layers enters last. Two stages are looked at, the
first (embedding, most micro-batches in flight) and the last (head, loss); without pipeline
parallelism they are one. Instants and coefficients follow PyTorch's order of events and were checked
against its memory tracker (tests/records/peaks.json).
"""

from __future__ import annotations

from explorer.cost.memory.peak import (
    RESERVED_PER_ALLOCATED,
    Memory,
    memory,
    outside_allocator_bytes,
    peak_allocated_bytes,
    peak_device_bytes,
    peak_reserved_bytes,
    peaks_bytes,
    stage_instants,
)

__all__ = [
    "RESERVED_PER_ALLOCATED",
    "Memory",
    "memory",
    "outside_allocator_bytes",
    "peak_allocated_bytes",
    "peak_device_bytes",
    "peak_reserved_bytes",
    "peaks_bytes",
    "stage_instants",
]
