"""Claims about what attention costs: parameters, quadratic part, memory, feed-forward, sparse patterns."""

from __future__ import annotations

import math

from explorer import catalog
from explorer.claims import naive
from explorer.claims.blocks import gated, plain, published, trained_context
from explorer.claims.crossings import (
    attention_seconds,
    bytes_equal,
    flops_by_part,
    flops_equal,
    quadratic_share,
    saved_bytes,
    seconds_equal,
)
from explorer.claims.crossover import crossover
from explorer.claims.records import Claim, Finding, Variant
from explorer.cost.flops import flops
from explorer.cost.hardware import Hardware
from explorer.cost.kv_cache import kv_cache_bytes, serving_bytes
from explorer.cost.memory import memory
from explorer.cost.parameters import parameters
from explorer.design import AttentionKernel, Design, Plan, Recompute
from explorer.units import GIB

KORTHIKANTI = "Korthikanti et al. 2022 (arXiv:2205.05198), section 4.1"
FLASH = "Dao et al. 2022 (arXiv:2205.14135)"
NEAR = 1.25
"""A crossover within this factor of c = d counts as the claim's."""


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
        naive=f"12·L·d²: {naive.parameters(design.d_model, design.n_layers) / 1e9:.2f}B for llama-2-7b's d "
        "and L, "
        "whatever c is.",
        full=f"The exact count of llama-2-7b is {parameters(design).total / 1e9:.2f}B; at fixed depth it "
        "grows as "
        f"d^{elasticity:.2f}. Doubling c adds nothing with rotary positions and {grown:.1%} to GPT-2, whose "
        "positions are a learned table.",
        verdict="holds",
        figure=elasticity,
        unit="exponent of d",
        figure_name="growth of llama-2-7b's parameters with width, at fixed depth",
        reason="The exponent is just under two, and the context enters through a learned position table "
        "only.",
        variants=tuple(variants),
        sources=("exact parameter counts of the catalogue's models",),
    )


def only_quadratic_step() -> Claim:
    """2: QKᵀ is c×c and the only quadratic step."""
    design = published("llama-2-7b", 8192)
    parts = flops(design).operations("full")
    scores = float(parts["attention scores"])
    share = scores / (scores + float(parts["attention mix"]))
    c = float(design.context_length)
    kept = {
        kernel: (
            saved_bytes(design, _plan(kernel)) - saved_bytes(design.with_(context_length=1.0), _plan(kernel))
        )
        * c
        for kernel in ("naive", "flash")
    }
    one = 2 * c * c
    return Claim(
        number=2,
        key="quadratic-step",
        statement="QKᵀ is c×c and the only quadratic step.",
        naive=f"One c×c matrix: at c = {c:,.0f} and 2 bytes a number, {one / GIB:.3f} GiB.",
        full="It is one per head and layer, and mixing the values (AV) is quadratic too: QKᵀ is "
        f"{share:.0%} of the "
        f"quadratic FLOPs. A naive kernel keeps {kept['naive'] / GIB:.1f} GiB of such matrices per layer and "
        f"sequence of {c:,.0f} tokens in llama-2-7b; flash attention keeps none.",
        verdict="depends",
        figure=100 * share,
        unit="% of the quadratic FLOPs",
        figure_name="QKᵀ's part of the quadratic FLOPs",
        reason="Right that nothing outside attention is quadratic; but half of that is AV, and whether any "
        "of it "
        "occupies memory depends on the kernel.",
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


def equality_at_c_equals_d() -> Claim:
    """3: at c = d, attention equals the feed-forward part, so c < d makes no sense."""
    d = 4096.0
    root = crossover(lambda c: float(naive.attention(c, d)), lambda c: float(naive.feed_forward(c, d)))

    def block(c: float) -> Design:
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
        full=f"With every matrix counted and a causal mask, the quadratic part equals all linear parts at "
        f"c = {causal:.1f}d ({full:.1f}d counted without the mask); at c = d it is {at_d['causal']:.1%} of "
        "the model "
        f"FLOPs ({at_d['full']:.1%}).",
        verdict="fails",
        figure=causal,
        unit="× d",
        figure_name="context at which the quadratic part equals all linear parts, causal model FLOPs",
        reason="There are twelve matrices of d² where the sentence counts seven, and the mask halves the "
        "quadratic "
        "part; only a kernel that writes the scores to memory comes near c = d, in seconds.",
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


def memory_of_8k() -> Claim:
    """8: do I still need much more memory for 8k than 2k?"""
    models = ("llama-2-7b", "llama-3-8b")
    ratios = {name: _memory_ratios(name) for name in models}
    main = ratios["llama-2-7b"]
    variants = [
        Variant(
            axis=axis,
            setting=f"{name}: {setting}",
            figure=value,
            unit="× the memory at 2k",
            verdict="holds" if value > 1.5 else "fails",
        )
        for name in models
        for (axis, setting), value in ratios[name].items()
    ]
    same = main["training", "flash, equal tokens in flight"]
    one = main["training", "flash, one sequence"]
    bare = main["training", "naive kernel, equal tokens in flight"]
    served, batched = main["inference", "batch 1"], main["inference", "batch 16"]
    return Claim(
        number=8,
        key="memory-8k",
        statement="Do I still need much more memory for 8k than 2k?",
        naive="c² grows sixteenfold.",
        full=f"Training llama-2-7b on 8 GPUs (FSDP, flash): {same:.2f} times the memory at equal tokens in "
        "flight, "
        f"{one:.2f} times with one sequence each; with a naive kernel {bare:.1f} times. Serving it: "
        f"{served:.2f} "
        f"times at batch 1, {batched:.2f} times at batch 16, where the cache outweighs the weights.",
        verdict="depends",
        figure=same,
        unit="× the memory at 2k",
        figure_name="training memory at 8k over 2k, flash attention, equal tokens in flight",
        reason="With flash attention what is kept grows with the tokens in flight, not with the context; "
        "serving "
        "grows with the cache, which fewer key-value heads shrink.",
        variants=tuple(variants),
        sources=("ledger of saved activations and peak instants of the cost model", FLASH),
    )


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
        f"{weights:.0%} of the "
        f"parameters; attention with its projections overtakes it at c = {over:.1f}d "
        f"({over * design.d_model:,.0f} tokens).",
        verdict="holds",
        figure=float(over),
        unit="× d",
        figure_name="context at which all of attention overtakes the feed-forward part (llama-7b, causal)",
        reason=f"At their training contexts the feed-forward part comes first in {first} of the "
        f"catalogue's {n} "
        "dense models; in the memory of a naive kernel attention does.",
        variants=tuple(variants),
        table=rows,
        sources=("FLOPs and saved bytes by operation of the cost model",),
    )


def sparse_attention() -> Claim:
    """10: sparse attention is what makes long inputs affordable."""
    own = {name: _sparse_saving(name, 768.0, 12.0, 4096.0, "full") for name in SPARSE}
    large = {
        c: _sparse_saving("longformer", 4096.0, 32.0, c, "causal")
        for c in (4096.0, 8192.0, 32768.0, 131072.0)
    }
    reach = flops_equal(lambda c: plain(c, 4096.0), "causal")
    rows = tuple(
        {
            "pattern": name,
            "d_model": d,
            "context_length": c,
            "counting": counting,
            "training_flops_saved_share": _sparse_saving(name, d, layers, c, counting),
        }
        for name in SPARSE
        for d, layers, counting in ((768.0, 12.0, "full"), (4096.0, 32.0, "causal"))
        for c in (2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 131072.0)
    )
    naive_bytes = saved_bytes(plain(4096.0, 768.0, d_head=64), _plan("naive"))
    flash_bytes = saved_bytes(plain(4096.0, 768.0, d_head=64), _plan("flash"))
    return Claim(
        number=10,
        key="sparse-attention",
        statement="Sparse attention (Longformer, BigBird) is what makes long inputs affordable.",
        naive="c² becomes c·w: at c = 4,096 and w = 512, an eighth of the cost.",
        full=f"At their own size (d = 768, c = 4,096, no causal mask) Longformer's pattern saves "
        f"{own['longformer']:.0%} of the training FLOPs and BigBird's {own['bigbird']:.0%}; at d = 4,096 "
        "with a "
        f"causal mask a window of 512 saves {large[8192.0]:.0%} at 8k and {large[131072.0]:.0%} at 128k. "
        "Their "
        f"memory came from naive kernels: those keep {naive_bytes / flash_bytes:.1f} times what flash "
        "attention does.",
        verdict="depends",
        figure=100 * own["longformer"],
        unit="% of training FLOPs saved",
        figure_name="saving of Longformer's pattern at its own size and context",
        reason=f"Below c = 12d ({reach:,.0f} tokens at d = 4,096) full attention costs less than all the "
        "rest "
        "together, and flash attention, not sparsity, made its memory linear; far beyond, sparsity decides.",
        variants=tuple(
            Variant(
                axis="pattern",
                setting=f"{name}, d = 768, c = 4,096, full",
                figure=100 * saved,
                unit="% of training FLOPs saved",
                verdict="depends",
            )
            for name, saved in own.items()
        )
        + tuple(
            Variant(
                axis="context",
                setting=f"window 512, d = 4,096, c = {c:,.0f}, causal",
                figure=100 * saved,
                unit="% of training FLOPs saved",
                verdict="holds" if saved > 0.5 else "fails",
            )
            for c, saved in large.items()
        ),
        table=rows,
        gaps=("the loss under a sparse pattern: no law prices it, so only costs are compared",),
        sources=(
            "Longformer (arXiv:2004.05150): window 512",
            "BigBird (arXiv:2007.14062) appendix E: blocks of 64; 2 global, 3 window, 3 random",
            FLASH,
        ),
    )


# Longformer (arXiv:2004.05150) section 4: window of 512. BigBird (arXiv:2007.14062) appendix E, internal
# transformer construction: blocks of 64, two of them global, three in the window, three random.
SPARSE: dict[str, dict[str, float]] = {
    "longformer": {"window": 512.0},
    "bigbird": {"window": 192.0, "global_tokens": 128.0, "random_tokens": 192.0},
}


def _sparse_saving(name: str, d: float, layers: float, c: float, counting: str) -> float:
    dense = plain(c, d, layers, 64.0)
    sparse = dense.with_(**SPARSE[name])
    convention = "causal" if counting == "causal" else "full"
    cost = [float(flops(x).train_per_token(convention)) for x in (dense, sparse)]  # type: ignore[arg-type]
    return 1 - cost[1] / cost[0]


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
            plan = _plan(kernel, recompute)
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
        ("gpt2", _plan("naive")),
        ("llama-7b", _plan("naive")),
        ("gpt-neox-20b", _plan("naive")),
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


def _memory_ratios(name: str) -> dict[tuple[str, str], float]:
    def training(c: float, sequences: float, kernel: AttentionKernel, recompute: Recompute = "none") -> float:
        plan = Plan(
            attention_kernel=kernel,
            recompute=recompute,
            zero_stage=3,
            data_parallel=8,
            micro_batch=sequences,
            global_batch=8 * sequences,
        )
        return float(memory(published(name, c), plan).peak_device_bytes)

    def serving(batch: float) -> float:
        return float(
            serving_bytes(published(name, 8192.0), batch) / serving_bytes(published(name, 2048.0), batch)
        )

    return {
        ("training", "flash, equal tokens in flight"): training(8192.0, 1, "flash")
        / training(2048.0, 4, "flash"),
        ("training", "flash, one sequence"): training(8192.0, 1, "flash") / training(2048.0, 1, "flash"),
        ("training", "flash, full recompute, one sequence"): training(8192.0, 1, "flash", "full")
        / training(2048.0, 1, "flash", "full"),
        ("training", "naive kernel, equal tokens in flight"): training(8192.0, 1, "naive")
        / training(2048.0, 4, "naive"),
        ("training", "naive kernel, one sequence"): training(8192.0, 1, "naive")
        / training(2048.0, 1, "naive"),
        ("inference", "batch 1"): serving(1),
        ("inference", "batch 16"): serving(16),
        ("inference", "cache alone"): float(
            kv_cache_bytes(published(name, 8192.0)) / kv_cache_bytes(published(name, 2048.0))
        ),
    }


def _kept_by_feed_forward(design: Design) -> list[Variant]:
    from explorer.cost.activations import ledger, total

    found = []
    for kernel in ("flash", "naive"):
        kept = ledger(design, _plan(kernel))
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


def _plan(kernel: str, recompute: str = "none") -> Plan:
    return Plan(attention_kernel=kernel, recompute=recompute, precision="bf16")  # type: ignore[arg-type]


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
