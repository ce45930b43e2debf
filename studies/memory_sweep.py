"""Question: how do the best context, width and depth move when the memory of one GPU grows?

Takes the one-node budget, lets each GPU have 24, 40, 80 and 141 GB in turn (the limit on training
memory; the accelerator's speed stays the same), and tabulates the design with the lowest loss and the
one with the longest context. Run it with `python studies/memory_sweep.py`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import explorer
from explorer.units import GB, QUANTILES

MEMORIES_GB = (24, 40, 80, 141)


def sweep(study: Path, memories_gb: tuple[int, ...] = MEMORIES_GB) -> pd.DataFrame:
    """One row per memory limit and pick: context_length, d_model, n_layers, loss with its 5, 50 and 95% (nats per token)."""
    budget = explorer.load(study)
    # A card of 141 GB is an H200: an H100's compute with more memory.
    hardware = budget.hardware.model_copy(update={"accelerator": "h200-sxm-141gb"})
    rows = []
    for gb in memories_gb:
        limits = budget.limits.model_copy(update={"gpu_memory": gb * GB})
        result = explorer.run(budget.model_copy(update={"limits": limits, "hardware": hardware}))
        for pick in ("best-loss", "longest"):
            design = result.front.iloc[result.picks[pick]]
            rows.append(
                {
                    "gpu_memory_gb": gb,
                    "pick": pick,
                    "context_length": int(design["context_length"]),
                    "d_model": int(design["d_model"]),
                    "n_layers": int(design["n_layers"]),
                    "n_params": int(design["n_params"]),
                    "loss_nats": round(float(design["loss"]), 4),
                    **{f"loss_{q}_nats": round(float(design[f"loss_{q}"]), 3) for q in QUANTILES},
                    "peak_device_gb": round(float(design["peak_device_bytes"]) / GB, 1),
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    print(sweep(Path(__file__).with_name("one-node.yaml")).to_string(index=False))
