"""5: short windows were chosen for cheaper training."""

from __future__ import annotations

from typing import Any

from explorer import catalog
from explorer.claims.blocks import published
from explorer.claims.crossings import (
    attention_seconds,
    saved_bytes,
)
from explorer.claims.ledger.common import (
    JUDGED,
    plan_of,
)
from explorer.claims.records import Claim, Finding, Variant
from explorer.cost.flops import flops
from explorer.cost.hardware import Hardware


def short_for_cheapness() -> Claim:
    """5: short windows were chosen for cheaper training."""
    rows: list[dict[str, Any]] = []
    for name in JUDGED:
        design = published(name)
        wide = design.with_(context_length=float(design.d_model))
        dearer = float(flops(wide).train_per_token() / flops(design).train_per_token()) - 1
        bytes_ratio = {
            kernel: saved_bytes(wide, plan_of(kernel)) / saved_bytes(design, plan_of(kernel))
            for kernel in ("naive", "flash")
        }
        rows.append(
            {
                "model": name,
                "context_length": float(design.context_length),
                "d_model": float(design.d_model),
                "extra_flops_at_c_equal_d": dearer,
                "extra_seconds_flash": _dearer_seconds(name, "flash"),
                "extra_seconds_naive": _dearer_seconds(name, "naive"),
                "saved_bytes_ratio_naive": bytes_ratio["naive"],
                "saved_bytes_ratio_flash": bytes_ratio["flash"],
            }
        )
    main = next(r for r in rows if r["model"] == "llama-2-70b")
    gpt3 = next(r for r in rows if r["model"] == "gpt3-175b")
    return Claim(
        number=5,
        key="cheaper-training",
        statement="Short windows were chosen for cheaper training.",
        naive="c² makes a window of d twice as dear as a short one.",
        full=f"c = d would have cost Llama-2-70B {main['extra_flops_at_c_equal_d']:.1%} more training "
        f"FLOPs and {main['extra_seconds_flash']:.0%} more time with flash attention. With the naive "
        f"kernels of 2020, GPT-3 would have kept {gpt3['saved_bytes_ratio_naive']:.1f} times the "
        f"activations and taken {gpt3['extra_seconds_naive']:.0%} more time.",
        verdict="depends",
        figure=100 * float(main["extra_flops_at_c_equal_d"]),
        unit="% more training FLOPs",
        figure_name="what c = d instead of 4,096 would have cost Llama-2-70B",
        reason="True of kernels that write the scores to memory; with flash attention the saving is a "
        "few percent.",
        variants=tuple(
            Variant(axis=axis, setting=f"{r['model']}, {kernel}", figure=figure, unit=unit, verdict=verdict)
            for r in rows
            for axis, kernel, figure, unit, verdict in _cheapness(r)
        ),
        table=tuple(rows),
        gaps=(
            "why their authors chose these windows: what is computed is what a longer one would have cost",
        ),
        sources=("FLOPs, ledger and roofline of the cost model on a100-sxm-80gb",),
    )


def _dearer_seconds(name: str, kernel: str) -> float:
    """Extra time per token at c = d, on the accelerator of these models' day."""
    hardware = Hardware(accelerator=catalog.accelerator("a100-sxm-80gb"))
    design = published(name)
    times = []
    for c in (float(design.context_length), float(design.d_model)):
        attention, rest = attention_seconds(design.with_(context_length=c), hardware, plan_of(kernel))
        times.append(float(attention + rest))
    return times[1] / times[0] - 1


def _cheapness(row: dict[str, Any]) -> list[tuple[str, str, float, str, Finding]]:
    """Variants of one model: FLOPs, seconds and bytes; the claim holds where c = d costs a quarter more."""
    found: list[tuple[str, str, float, str, Finding]] = []
    for axis, kernel, key in (
        ("FLOPs", "any kernel", "extra_flops_at_c_equal_d"),
        ("seconds", "flash", "extra_seconds_flash"),
        ("seconds", "naive", "extra_seconds_naive"),
    ):
        extra = float(row[key])
        found.append((axis, kernel, 100 * extra, "% more at c = d", "holds" if extra > 0.25 else "fails"))
    for kernel in ("naive", "flash"):
        ratio = float(row[f"saved_bytes_ratio_{kernel}"])
        found.append(
            ("saved bytes per token", kernel, ratio, "× at c = d", "holds" if ratio > 1.25 else "fails")
        )
    return found
