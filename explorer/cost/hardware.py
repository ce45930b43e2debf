"""What a design runs on: so many of one accelerator, and how they are joined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explorer.catalog.accelerators import Accelerator, Efficiency
from explorer.design import Plan, Precision
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
    curve: Efficiency | None = None
    """Another efficiency curve than the accelerator's generation has."""

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
        """The curve that times follow."""
        return self.curve or self.accelerator.efficiency

    @property
    def clock(self) -> float:
        """Share of a lone kernel's speed that this device sustains in training.

        A board with less power per promised FLOP/s than those fitted on (a PCIe card, a capped one) runs
        slower, by the square root: between the cube root of an ideal voltage curve and proportion. H100s
        capped at 500 W run torchtitan's 8B benchmark at .84 of the speed of H200s at 700 W.
        """
        curve, device = self.efficiency, self.accelerator
        if device.tdp_watts is None or "bf16" not in device.peak_flops:
            return curve.sustained_clock
        power = device.tdp_watts / (device.peak_flops["bf16"] / 1e12) / curve.watts_per_tflops
        return curve.sustained_clock * float(np.sqrt(min(1.0, power)))

    def matmul_rate(self, precision: Precision) -> float:
        """FLOP/s that large, aligned products sustain in training. Raises Unsupported without a peak."""
        curve, dtype = self.efficiency, MATMUL_DTYPE[precision]
        share = curve.fp8_share if dtype == "fp8" else curve.matmul_share
        return self.accelerator.peak(dtype) * share * self.clock

    def attention_rate(self, plan: Plan) -> float:
        """FLOP/s of flash attention on long sequences with wide heads; 16 bits even in fp8 training."""
        curve = self.efficiency
        dtype = "fp32" if plan.precision == "fp32" else "bf16"
        share = curve.attention_share[plan.implementation]
        return self.accelerator.peak(dtype) * share * self.clock

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
        """Seconds of fixed cost of one gather or scatter around such a ring: a hop per rank or node."""
        curve = self.efficiency
        within = curve.link_latency_seconds * (np.asarray(size) - 1)
        if self.n_gpus <= self.per_node:
            return within
        local = np.minimum(size, np.maximum(1, self.per_node / inner))
        across = curve.network_latency_seconds * (size / local - 1) + curve.link_latency_seconds * (local - 1)
        return np.where(inner * size <= self.per_node, within, across)
