"""2: QKᵀ is c×c and the only quadratic step."""

from __future__ import annotations

from explorer.claims.blocks import published
from explorer.claims.crossings import saved_bytes
from explorer.claims.ledger.common import (
    FLASH,
    KORTHIKANTI,
    plan_of,
)
from explorer.claims.records import Claim, Variant
from explorer.cost.flops import flops
from explorer.units import GIB


def only_quadratic_step() -> Claim:
    """2: QKᵀ is c×c and the only quadratic step."""
    design = published("llama-2-7b", 8192)
    parts = flops(design).operations("full")
    scores = float(parts["attention scores"])
    share = scores / (scores + float(parts["attention mix"]))
    c = float(design.context_length)
    kept = {
        kernel: c
        * float(
            saved_bytes(design, plan_of(kernel))
            - saved_bytes(design.with_(context_length=1.0), plan_of(kernel))
        )
        for kernel in ("naive", "flash")
    }
    one = 2 * c * c
    return Claim(
        number=2,
        key="quadratic-step",
        statement="QKᵀ is c×c and the only quadratic step.",
        naive=f"One c×c matrix: at c = {c:,.0f} and 2 bytes a number, {one / GIB:.3f} GiB.",
        full="It is one per head and layer, and mixing the values (AV) is quadratic too: QKᵀ is "
        f"{share:.0%} of the quadratic FLOPs. A naive kernel keeps {kept['naive'] / GIB:.1f} GiB of such "
        f"matrices per layer and sequence of {c:,.0f} tokens in llama-2-7b; flash attention keeps none.",
        verdict="depends",
        figure=100 * share,
        unit="% of the quadratic FLOPs",
        figure_name="QKᵀ's part of the quadratic FLOPs",
        reason="Right that nothing outside attention is quadratic; but half of that is AV, and whether "
        "any of it occupies memory depends on the kernel.",
        variants=tuple(
            Variant(
                axis="kernel",
                setting=kernel,
                figure=kept[kernel] / GIB,
                unit="GiB kept per layer and sequence",
                verdict="holds" if kept[kernel] > 0 else "fails",
                note=f"llama-2-7b, c = {c:,.0f}, bf16",
            )
            for kernel in ("naive", "flash")
        ),
        sources=(FLASH, KORTHIKANTI),
    )
