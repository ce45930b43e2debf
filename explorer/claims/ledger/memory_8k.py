"""8: do I still need much more memory for 8k than 2k?"""

from __future__ import annotations

from explorer.claims.blocks import published
from explorer.claims.ledger.common import FLASH
from explorer.claims.records import Claim, Variant
from explorer.cost.kv_cache import kv_cache_bytes, serving_bytes
from explorer.cost.memory import memory
from explorer.design import AttentionKernel, Plan, Recompute


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
        full=f"Training llama-2-7b on 8 GPUs (FSDP, flash): {same:.2f} times the memory at equal tokens "
        f"in flight, {one:.2f} times with one sequence each; with a naive kernel {bare:.1f} times. "
        f"Serving it: {served:.2f} times at batch 1, {batched:.2f} times at batch 16, where the cache "
        "outweighs the weights.",
        verdict="depends",
        figure=same,
        unit="× the memory at 2k",
        figure_name="training memory at 8k over 2k, flash attention, equal tokens in flight",
        reason="With flash attention what is kept grows with the tokens in flight, not with the context; "
        "serving grows with the cache, which fewer key-value heads shrink.",
        variants=tuple(variants),
        sources=("ledger of saved activations and peak instants of the cost model", FLASH),
    )


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
