"""9: in practice the MLP uses the most."""

from __future__ import annotations

from explorer import catalog
from explorer.claims.blocks import published, trained_context
from explorer.claims.crossings import (
    flops_by_part,
    flops_equal,
)
from explorer.claims.ledger.common import plan_of
from explorer.claims.records import Claim, Finding, Variant
from explorer.cost.activations import ledger, total
from explorer.cost.parameters import parameters
from explorer.design import Design


def feed_forward_uses_most() -> Claim:
    """9: in practice the MLP uses the most."""
    design = published("llama-7b")
    share = flops_by_part(design)
    over = (
        flops_equal(lambda c: design.with_(context_length=c), "causal", against="feed-forward")
        / design.d_model
    )
    counts = parameters(design)
    weights = float(counts.ffn / counts.total)
    rows = tuple(
        {
            "context_length": c,
            **{
                f"{k.replace(' ', '_')}_share": v
                for k, v in flops_by_part(design.with_(context_length=c)).items()
            },
        }
        for c in (2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 131072.0)
    )
    dense = [m.design for m in catalog.models().values() if not m.design.n_experts]
    n, first = len(dense), sum(_most(x) == "holds" for x in dense)
    variants = [
        Variant(
            axis="model",
            setting=name,
            figure=100 * flops_by_part(published(name))["feed-forward"],
            unit="% of model FLOPs",
            verdict=_most(published(name)),
            note=f"at its training context of {trained_context(name):,.0f}",
        )
        for name in ("gpt2", "llama-7b", "llama-2-70b", "llama-3-8b", "falcon-180b")
    ]
    variants += [
        Variant(
            axis="measure",
            setting="parameters",
            figure=100 * weights,
            unit="% of parameters",
            verdict="holds",
        ),
        *_kept_by_feed_forward(design),
    ]
    return Claim(
        number=9,
        key="feed-forward",
        statement="In practice the MLP uses the most.",
        naive="4cd against c² + 3cd: the larger one as long as c < d.",
        full=f"In llama-7b at c = 2,048 it takes {share['feed-forward']:.0%} of the FLOPs and "
        f"{weights:.0%} of the parameters; attention with its projections overtakes it at c = {over:.1f}d "
        f"({over * design.d_model:,.0f} tokens).",
        verdict="holds",
        figure=float(over),
        unit="× d",
        figure_name="context at which all of attention overtakes the feed-forward part (llama-7b, causal)",
        reason=f"At their training contexts the feed-forward part comes first in {first} of the "
        f"catalogue's {n} dense models; in the memory of a naive kernel attention does.",
        variants=tuple(variants),
        table=rows,
        sources=("FLOPs and saved bytes by operation of the cost model",),
    )


def _kept_by_feed_forward(design: Design) -> list[Variant]:
    found = []
    for kernel in ("flash", "naive"):
        kept = ledger(design, plan_of(kernel))
        share = float(total(kept.ffn)) / float(kept.per_layer())
        found.append(
            Variant(
                axis="measure",
                setting=f"saved bytes, {kernel}",
                figure=100 * share,
                unit="% of a layer's bytes",
                verdict="holds" if share > 0.5 else "fails",
                note=f"c = {design.context_length:,.0f}",
            )
        )
    return found


def _most(design: Design) -> Finding:
    share = flops_by_part(design)
    attention = share["projections"] + share["scores and mix"]
    return "holds" if share["feed-forward"] > attention else "fails"
