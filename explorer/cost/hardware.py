"""What a design runs on: so many of one accelerator, and how they are joined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explorer.catalog.accelerators import Accelerator, Efficiency
from explorer.design import Precision
from explorer.errors import ExplorerError
from explorer.units import Num

# Type that the matrix products run in, by precision (DESIGN table of precisions).
MATMUL_DTYPE: dict[Precision, str] = {
    "fp32": "fp32", "amp": "bf16", "bf16-mixed": "bf16", "fsdp-mixed": "bf16", "bf16": "bf16", "fp8": "fp8",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """A cluster of one accelerator. Fields left at None take the accelerator's default."""

    accelerator: Accelerator
    n_gpus: int = 1
    gpus_per_node: int | None = None
    network_bandwidth: float | None = None
    """Between nodes, bytes/s per GPU in one direction."""
    price_per_gpu_hour: float | None = None
    goodput: float = 1.0
    """Share of wall time that trains; step times do not contain it, days and GPU-hours do."""
    mfu: float | None = None
    """The user's own measured model FLOPs utilisation; replaces the efficiency curve's level."""

    def __post_init__(self) -> None:
        if self.n_gpus < 1:
            raise ExplorerError(f"n_gpus >= 1 must hold, got {self.n_gpus}")
        if not 0 < self.goodput <= 1:
            raise ExplorerError(f"0 < goodput <= 1 must hold, got {self.goodput}")
        if self.mfu is not None and not 0 < self.mfu <= 1:
            raise ExplorerError(f"0 < mfu <= 1 must hold, got {self.mfu}")

    @property
    def per_node(self) -> int:
        """GPUs that the fast link joins."""
        return self.gpus_per_node or self.accelerator.gpus_per_node

    @property
    def network(self) -> float:
        """Bytes/s per GPU between nodes, in one direction."""
        return self.network_bandwidth or self.accelerator.network_bandwidth

    @property
    def efficiency(self) -> Efficiency:
        """Curves of the accelerator's generation."""
        return self.accelerator.efficiency

    def matmul_rate(self, precision: Precision) -> float:
        """FLOP/s that large, aligned matrix products reach. Raises Unsupported without a peak."""
        return self.accelerator.peak(MATMUL_DTYPE[precision]) * self.efficiency.matmul_share

    def group_bandwidth(self, inner: Num, size: Num) -> Num:
        """Bytes/s per GPU in one direction of a ring over `size` ranks that stand `inner` GPUs apart.

        A group that fits in a node uses the link. A ring across nodes enters each node once; the
        network ports of all its GPUs there carry it together, shared by the rings interleaved with it.
        """
        curve = self.efficiency
        link = self.accelerator.link_bandwidth * curve.link_share
        if self.n_gpus <= self.per_node:
            return link
        local = np.maximum(1, self.per_node / inner)
        across = np.minimum(link, self.network * curve.network_share * local)
        return np.where(inner * size <= self.per_node, link, across)

    def group_latency(self, inner: Num, size: Num) -> Num:
        """Seconds of fixed cost of one collective over such a group; none for a group of one."""
        curve = self.efficiency
        within = inner * size <= self.per_node
        fixed = np.where(within, curve.link_latency_seconds, curve.network_latency_seconds)
        return fixed * (np.asarray(size) > 1)
