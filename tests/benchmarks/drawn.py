"""Budgets drawn by a seed, so that `auto` is judged on some that nobody saw while it was built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

import explorer
from explorer.catalog import accelerators
from explorer.catalog.metrics import METRICS
from explorer.errors import ExplorerError
from explorer.search.problem import Problem

GIB = 1 << 30
SIZES = {1: (0.3, 3), 8: (2, 15), 64: (8, 40), 256: (20, 80)}
"""Parameters in billions, least and most, by how many GPUs there are."""
THIRD = ("", "n_params", "kv_cache_bytes", "n_tokens", "train_flops", "gpu_hours", "step_seconds", "mfu", "energy_kwh",
         "peak_device_bytes")  # fmt: skip
"""Third objective beside loss and context length; empty for none."""


def drawn(n: int, seed: int) -> Iterator[Problem]:
    """`n` budgets of a seed; those that cannot be loaded are drawn anew."""
    rng = np.random.default_rng(seed)
    found = 0
    while found < n:
        asked = _budget(rng, f"drawn-{seed}-{found}")
        try:
            problem = Problem(explorer.load(json.dumps(asked)))
        except ExplorerError:
            continue
        found += 1
        yield problem


def _budget(rng: np.random.Generator, name: str) -> dict[str, Any]:
    names = sorted(
        n for n, a in accelerators().items() if a.tdp_watts is not None and not n.startswith("tpu")
    )
    accelerator = accelerators()[str(rng.choice(names))]
    gpus = int(rng.choice(list(SIZES)))
    least, most = SIZES[gpus]
    size = 1e9 * float(np.exp(rng.uniform(np.log(least), np.log(most))))
    widest = int(rng.choice([4096, 8192, 12288]))
    days = float(rng.uniform(3, 60))
    third = str(rng.choice(THIRD))
    schedules = [
        "constant",
        {"staged": {"from": 4096, "share": 0.05}},
        {"staged": {"from": 2048, "share": 0.2}},
    ]
    budget: dict[str, Any] = {
        "parameters": round(size),
        "gpu_memory": f"{accelerator.memory_bytes / GIB * rng.uniform(0.4, 1):.1f}GiB",
        "training": {"days": days} if rng.random() < 0.5 else {"gpu_hours": round(days * 24 * gpus)},
    }
    if rng.random() < 0.3:
        budget["serving"] = {"gpu_memory": f"{rng.uniform(2, 4) * size / GIB + 2:.1f}GiB", "batch": 1}
    return {
        "name": name,
        "budget": budget,
        "hardware": {"accelerator": accelerator.name, "gpus": gpus},
        "space": {
            "context_length": {"from": 1024, "to": int(rng.choice([65536, 131072])), "per_octave": 4, "multiple_of": 256},
            "d_model": {"from": 512 if gpus == 1 else 1024, "to": widest, "multiple_of": int(rng.choice([128, 256, 512]))},
            "n_layers": {"from": 4, "to": int(rng.choice([48, 80]))},
            "d_head": [64, 128] if rng.random() < 0.3 else int(rng.choice([64, 128])),
            "n_kv_heads": ["all", 8, [4, 8]][rng.integers(3)],
            "ffn": {"kind": "swiglu", "ratio": 3.5},
            "vocab_size": int(rng.choice([32000, 128256])),
            "schedule": schedules[: rng.integers(1, 4)],
        },
        "training": {
            "implementation": str(rng.choice(["torch", "megatron"])),
            "global_batch_tokens": int(rng.choice([1 << 17, 1 << 19, 1_000_000, 4_000_000])),
        },
        "quality": {"law": "besiroglu-2024", "corpus": str(rng.choice(["web", "books", "code"]))},
        "objectives": [{METRICS[g].direction: g} for g in ("loss", "context_length", third) if g],
    }  # fmt: skip
