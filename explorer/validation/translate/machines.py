"""On which accelerators, and on how many."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from explorer.catalog.accelerators import Accelerator, accelerators
from explorer.cost.hardware import Hardware
from explorer.validation.measurements import Inexpressible
from explorer.validation.translate.fields import first_of


def hardware_of(config: Mapping[str, Any]) -> Hardware:
    """The machines a row ran on. Raises Inexpressible for accelerators the catalogue lacks."""
    text = machine(config)
    device = accelerator_named(text)
    if "bf16" not in device.peak_flops and "fp16" in device.peak_flops:
        # Published runs on such devices used fp16, whose costs are those of the model's 16-bit type.
        device = replace(device, peak_flops={**device.peak_flops, "bf16": device.peak_flops["fp16"]})
    bandwidth = None
    section = re.search(r"(\d+) ?Gbps node-node", str(config.get("section", "")))
    per_node = 16 if "dgx-2" in text.lower() else None
    if section:
        bandwidth = float(section[1]) / 8 * 1e9 / device.gpus_per_node
    return Hardware(
        accelerator=device, n_gpus=n_gpus_of(config), network_bandwidth=bandwidth, gpus_per_node=per_node
    )


def accelerator_named(text: str) -> Accelerator:
    """A catalogue accelerator under its usual spellings; the larger memory where it is not stated."""
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    known = accelerators()
    if text in known:
        return known[text]
    for pattern, name in _GPUS:
        if re.search(pattern, plain):
            return known[name]
    raise Inexpressible(reason=f"no accelerator '{text}' in the catalogue")


def machine(config: Mapping[str, Any]) -> str:
    return str(first_of(config, "gpu", "hw", "gpus", "accelerator") or "")


def n_gpus_of(config: Mapping[str, Any]) -> int:
    """As stated, or as the machine's name says it (`8xA100`); else one."""
    count = first_of(config, "n_gpus")
    if not isinstance(count, int | float):
        found = re.match(r"(\d+)\s*x", machine(config).lower())
        count = int(found[1]) if found else 1
    return int(count)


_GPUS = (
    ("gh200", "gh200-96gb"), ("h200", "h200-sxm-141gb"), ("h100pcie", "h100-pcie-80gb"),
    ("h10096gb", "h100-sxm-96gb-500w"), ("h100", "h100-sxm-80gb"),
    ("(?<!g)b200", "b200-sxm-180gb"),
    ("a100pcie40gb|a10040gbpcie", "a100-pcie-40gb"), ("a100pcie", "a100-pcie-80gb"),
    ("a10040gb|a100sxm40gb|a100sxm440gb", "a100-sxm-40gb"), ("a100", "a100-sxm-80gb"),
    ("v100.*16gb", "v100-sxm-16gb"), ("v100", "v100-sxm-32gb"),
    ("mi250x", "mi250x"), ("mi300x", "mi300x"), ("l40s", "l40s"), ("a10g?$", "a10"),
    ("3090", "rtx-3090"), ("4090", "rtx-4090"), ("5090", "rtx-5090"),
    ("tpuv4", "tpu-v4"), ("tpuv5e", "tpu-v5e"), ("tpuv5p", "tpu-v5p"), ("tpuv6e", "tpu-v6e"),
)  # fmt: skip
