"""What a training process takes beside its tensors: allocator slack, device context, collectives' buffers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from explorer.units import GIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Overheads:
    """Published overheads, with their sources in overheads.json."""

    reserved_per_allocated: float
    """Bytes that PyTorch's caching allocator holds per byte of tensors."""
    reserved_range: tuple[float, float]
    """Smallest and largest ratio seen."""
    context_bytes: float
    """CUDA context and kernels, outside the allocator."""
    collectives_bytes: float
    """NCCL's buffers, outside the allocator, where there is more than one GPU."""


@cache
def overheads() -> Overheads:
    """The overheads of the catalogue."""
    rows = json.loads(files("explorer.catalog").joinpath("overheads.json").read_text(encoding="utf-8"))
    slack = rows["reserved_per_allocated"]
    return Overheads(
        reserved_per_allocated=slack["value"],
        reserved_range=(slack["low"], slack["high"]),
        context_bytes=rows["context_bytes"]["value"] * GIB,
        collectives_bytes=rows["collectives_bytes"]["value"] * GIB,
    )
