"""Peak memory as a function: rises with every size, one design equals many, figures stay finite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.catalog import accelerator
from explorer.cost import Hardware, Setting, best_plan, limits, memory, peak_device_bytes
from explorer.design import Design, Plan
from explorer.units import GIB

SIZES = ("context_length", "d_model", "n_layers", "vocab_size", "d_ff")
PLANS = (
    Plan(),
    Plan(precision="amp", attention_kernel="naive", micro_batch=2, global_batch=2),
    Plan(recompute="full", data_parallel=8, zero_stage=3, global_batch=8),
    Plan(precision="bf16", compiled=True, cross_entropy="chunked-cast", optimizer_in_backward=True),
    Plan(precision="fsdp-mixed", pipeline_parallel=2, zero_stage=3, data_parallel=4, global_batch=32),
    Plan(implementation="megatron", tensor_parallel=2, pipeline_parallel=2, global_batch=8),
)


def design(context: int = 1024, heads: int = 8, layers: int = 8, vocab: int = 8192) -> Design:
    return Design.of(context, 128 * heads, layers, n_kv_heads=heads, vocab_size=vocab, d_ff=512 * heads)


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: f"{p.implementation}-{p.precision}-{p.recompute}")
@pytest.mark.parametrize("name", SIZES)
@settings(max_examples=25, deadline=None)
@given(
    context=st.integers(1, 64).map(lambda k: 256 * k),
    heads=st.integers(1, 32),
    layers=st.integers(2, 64).map(lambda k: 2 * k),
    vocab=st.integers(1, 32).map(lambda k: 4096 * k),
)
def test_monotone_in_every_size(
    name: str, plan: Plan, context: int, heads: int, layers: int, vocab: int
) -> None:
    one = design(context, heads, layers, vocab)
    step = {"d_model": 256, "d_ff": 256, "n_layers": 2, "context_length": 256, "vocab_size": 4096}[name]
    changes = {name: getattr(one, name) + step}
    if name == "d_model":
        changes |= {"n_heads": one.n_heads + 2, "n_kv_heads": one.n_kv_heads + 2}
    before, after = memory(one, plan), memory(one.with_(**changes), plan)
    assert np.isfinite(after.peak_device_bytes)
    assert after.peak_device_bytes >= before.peak_device_bytes
    for moment, bytes_then in before.instants.items():
        assert after.instants[moment] >= bytes_then


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: f"{p.implementation}-{p.precision}-{p.recompute}")
@settings(max_examples=25, deadline=None)
@given(
    contexts=st.lists(st.integers(1, 64).map(lambda k: 256 * k), min_size=1, max_size=4),
    layers=st.lists(st.integers(1, 64).map(lambda k: 2 * k), min_size=1, max_size=4),
)
def test_one_design_equals_a_grid(plan: Plan, contexts: list[int], layers: list[int]) -> None:
    grid = design().with_(
        context_length=np.array(contexts, dtype=float)[:, None],
        n_layers=np.array(layers, dtype=float)[None, :],
    )
    many = memory(grid, plan).peak_device_bytes
    lean = peak_device_bytes(grid, plan)
    assert np.shape(many) == (len(contexts), len(layers))
    for i, c in enumerate(contexts):
        for k, depth in enumerate(layers):
            one = memory(design(context=c, layers=depth), plan).peak_device_bytes
            assert many[i, k] == pytest.approx(one, rel=1e-12)
            assert lean[i, k] == pytest.approx(one, rel=1e-12)


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: f"{p.implementation}-{p.precision}-{p.recompute}")
def test_what_lies_outside_the_allocator_is_the_devices_own(plan: Plan) -> None:
    cuda = accelerator("h100-sxm-80gb")
    bare = replace(cuda, context_bytes=0.0)
    small = replace(cuda, context_bytes=1e9)
    collectives = 1.45 * GIB if plan.n_gpus > 1 else 0.0
    held = {}
    for device, context in ((None, 0.47 * GIB), (cuda, 0.47 * GIB), (bare, 0.0), (small, 1e9)):
        one = memory(design(), plan, device)
        held[context] = one
        assert one.peak_device_bytes - one.peak_reserved_bytes == pytest.approx(context + collectives, abs=1)
        assert one.peak_device_bytes == peak_device_bytes(design(), plan, device)
        assert any("context takes" in said for said in one.assumptions) == (context > 0)
    assert held[0.0].peak_reserved_bytes == held[1e9].peak_reserved_bytes


def test_without_a_context_what_the_device_has_holds_more() -> None:
    cuda = accelerator("rtx-4090")
    bare, shape = replace(cuda, context_bytes=0.0), design(context=512)
    alone = Plan(micro_batch=1, global_batch=1)
    limit = float(memory(shape, alone, bare).peak_device_bytes)
    for device, fits in ((bare, True), (cuda, False)):
        hardware = Hardware(accelerator=device)
        setting = Setting(plan=alone, global_batch_tokens=512, fixed={"recompute": "none"})
        assert bool(np.all(best_plan(shape, setting, hardware, limit).fits)) == fits
        rows = limits(shape, alone, hardware, memory_limit_bytes=limit)
        longest = next(row for row in rows if row.setting == "none").largest_context
        assert (longest is not None and longest >= 512) == fits
