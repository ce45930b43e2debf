"""3: at c = d, attention equals the feed-forward part, so c < d makes no sense."""

from __future__ import annotations

from explorer import catalog
from explorer.claims import naive
from explorer.claims.blocks import gated, plain, published
from explorer.claims.crossings import (
    attention_seconds,
    bytes_equal,
    flops_equal,
    quadratic_share,
    seconds_equal,
)
from explorer.claims.crossover import crossover
from explorer.claims.ledger.common import (
    FLASH,
    KORTHIKANTI,
    plan_of,
)
from explorer.claims.records import Claim, Finding, Variant
from explorer.cost.hardware import Hardware
from explorer.design import Design, Plan
from explorer.units import Num

NEAR = 1.25
"""A crossover within this factor of c = d counts as the claim's."""


def equality_at_c_equals_d() -> Claim:
    """3: at c = d, attention equals the feed-forward part, so c < d makes no sense."""
    d = 4096.0
    root = crossover(lambda c: naive.attention(c, d), lambda c: naive.feed_forward(c, d))

    def block(c: Num) -> Design:
        return plain(c, d)

    causal, full = flops_equal(block, "causal") / d, flops_equal(block, "full") / d
    at_d = {"causal": quadratic_share(plain(d, d), "causal"), "full": quadratic_share(plain(d, d), "full")}
    variants = [
        _crossing("counting", "causal, model FLOPs", causal),
        _crossing("counting", "full, model FLOPs", full),
        _crossing(
            "counting", "causal, flash's backward counted", flops_equal(block, "causal", kernel="flash") / d
        ),
        _crossing(
            "counting", "full, flash's backward counted", flops_equal(block, "full", kernel="flash") / d
        ),
        _crossing(
            "against",
            "causal, all of attention against the feed-forward part",
            flops_equal(block, "causal", against="feed-forward") / d,
        ),
        _crossing(
            "against",
            "full, all of attention against the feed-forward part",
            flops_equal(block, "full", against="feed-forward") / d,
        ),
        _crossing("FFN", "SwiGLU of 3.5d, causal", flops_equal(lambda c: gated(c, d), "causal") / d),
        _crossing(
            "GQA",
            "8 of 32 heads for keys and values, SwiGLU of 3.5d, causal",
            flops_equal(lambda c: gated(c, d, 0.25), "causal") / d,
        ),
    ]
    variants += _seconds_variants(d)
    variants += _bytes_variants()
    return Claim(
        number=3,
        key="equality",
        statement="At c = d, attention (c² + 3cd) equals the feed-forward part (4cd), so c < d makes no "
        "sense.",
        naive=f"c² + 3cd = 4cd at c = {root / d:.2f}d: with c = d both are 4d².",
        full="With every matrix counted and a causal mask, the quadratic part equals all linear parts at "
        f"c = {causal:.1f}d ({full:.1f}d counted without the mask); at c = d it is {at_d['causal']:.1%} "
        f"of the model FLOPs ({at_d['full']:.1%}).",
        verdict="fails",
        figure=causal,
        unit="× d",
        figure_name="context at which the quadratic part equals all linear parts, causal model FLOPs",
        reason="There are twelve matrices of d² where the sentence counts seven, and the mask halves the "
        "quadratic part; only a kernel that writes the scores to memory comes near c = d, in seconds.",
        variants=tuple(variants),
        table=tuple(
            {
                "context_length": c,
                "context_over_width": c / d,
                "quadratic_share_causal": quadratic_share(plain(c, d), "causal"),
                "quadratic_share_full": quadratic_share(plain(c, d), "full"),
            }
            for c in (2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131072.0)
        ),
        sources=("FLOPs of every operation, 2 per multiply-add", FLASH, KORTHIKANTI),
    )


def _crossing(axis: str, setting: str, multiple: float, unit: str = "× d", note: str = "") -> Variant:
    """The claim's own crossover is at d; a variant holds where it lies near that."""
    verdict: Finding = "holds" if 1 / NEAR <= multiple <= NEAR else "fails"
    return Variant(axis=axis, setting=setting, figure=multiple, unit=unit, verdict=verdict, note=note)


def _seconds_variants(d: float) -> list[Variant]:
    """Crossover in seconds of a training step on one accelerator."""
    found = []
    for name in ("a100-sxm-80gb", "h100-sxm-80gb"):
        hardware = Hardware(accelerator=catalog.accelerator(name))
        for kernel, recompute in (("flash", "none"), ("flash", "full"), ("naive", "none")):
            plan = plan_of(kernel, recompute)
            multiple = seconds_equal(lambda c: plain(c, d, 32.0), hardware, plan) / d
            attention, rest = attention_seconds(plain(d, d, 32.0), hardware, plan)
            setting = f"{name}, {kernel}" + ("" if recompute == "none" else ", full recompute")
            note = f"at c = d core attention takes {attention / (attention + rest):.0%} of the step"
            if recompute != "none":
                note += "; what is recomputed counts among the rest"
            found.append(_crossing("seconds", setting, multiple, note=note))
    return found


def _bytes_variants() -> list[Variant]:
    """Crossover in saved bytes: a multiple of the head width, whatever the width of the model."""
    fused = Plan(implementation="megatron", attention_kernel="naive", dropout=True)
    found = []
    for name, plan in (
        ("korthikanti", fused),
        ("gpt2", plan_of("naive")),
        ("llama-7b", plan_of("naive")),
        ("gpt-neox-20b", plan_of("naive")),
    ):
        design = plain(2048.0) if name == "korthikanti" else published(name)
        crossing = bytes_equal(lambda c, x=design: x.with_(context_length=c), plan)  # type: ignore[misc]
        label = "fused block 34d + 5hc" if name == "korthikanti" else name
        found.append(
            Variant(
                axis="saved bytes",
                setting=f"{label}, naive kernel",
                figure=crossing / float(design.d_head),
                unit="× d_head",
                verdict="fails",
                note=f"c = {crossing:,.0f}, whatever d is",
            )
        )
    flash = bytes_equal(lambda c: plain(c), fused.with_(attention_kernel="flash"))
    found.append(
        Variant(
            axis="saved bytes",
            setting="flash",
            figure=flash,
            unit="× d_head",
            verdict="fails",
            note="never: no scores are kept",
        )
    )
    return found
