"""1: parameters hardly depend on c, quadratically on d."""

from __future__ import annotations

import math

from explorer.claims import naive
from explorer.claims.blocks import published
from explorer.claims.records import Claim, Variant
from explorer.cost.parameters import parameters
from explorer.design import Design


def parameters_and_context() -> Claim:
    """1: parameters hardly depend on c, quadratically on d."""
    design = published("llama-2-7b")
    elasticity = _elasticity(design)
    learned = published("gpt2")
    doubled = learned.with_(context_length=2 * learned.context_length)
    grown = parameters(doubled).total / parameters(learned).total - 1
    variants = [
        Variant(
            axis="model",
            setting=name,
            figure=_elasticity(published(name)),
            unit="exponent of d",
            verdict="holds",
            note="depth held; what lies under 2 is the vocabulary's share, which grows as d",
        )
        for name in ("gpt2", "llama-7b", "llama-3-8b", "falcon-180b")
    ]
    variants.append(
        Variant(
            axis="shape",
            setting="depth grows with width",
            figure=elasticity + _depth_elasticity(design),
            unit="exponent of d",
            verdict="depends",
            note="at a fixed ratio d/L the count is nearly cubic in d",
        )
    )
    variants.append(
        Variant(
            axis="positions",
            setting="learned table (gpt2), c doubled",
            figure=float(100 * grown),
            unit="% more parameters",
            verdict="holds",
            note="rotary and ALiBi positions add nothing at all",
        )
    )
    return Claim(
        number=1,
        key="parameters",
        statement="Parameters hardly depend on c, quadratically on d.",
        naive=f"12·L·d²: {naive.parameters(design.d_model, design.n_layers) / 1e9:.2f}B for llama-2-7b's "
        "d and L, whatever c is.",
        full=f"The exact count of llama-2-7b is {parameters(design).total / 1e9:.2f}B; at fixed depth it "
        f"grows as d^{elasticity:.2f}. Doubling c adds nothing with rotary positions and {grown:.1%} to "
        "GPT-2, whose positions are a learned table.",
        verdict="holds",
        figure=elasticity,
        unit="exponent of d",
        figure_name="growth of llama-2-7b's parameters with width, at fixed depth",
        reason="The exponent is just under two, and the context enters through a learned position table "
        "only.",
        variants=tuple(variants),
        sources=("exact parameter counts of the catalogue's models",),
    )


def _elasticity(design: Design) -> float:
    """d log N / d log d at fixed depth and ratios, by a central difference."""
    step = 1e-4

    def count(f: float) -> float:
        wider = design.with_(
            d_model=design.d_model * f,
            d_ff=design.d_ff * f,
            n_heads=design.n_heads * f,
            n_kv_heads=design.n_kv_heads * f,
        )
        return float(parameters(wider).total)

    return math.log(count(1 + step) / count(1 - step)) / math.log((1 + step) / (1 - step))


def _depth_elasticity(design: Design) -> float:
    counts = parameters(design)
    return float(counts.per_layer * design.n_layers / counts.total)
