"""Solved limits against the memory model itself and a plain scan."""

from __future__ import annotations

import pytest

from explorer import catalog
from explorer.cost.hardware import Hardware
from explorer.cost.limits import largest_whole, limits
from explorer.cost.memory import peak_device_bytes
from explorer.design import Design, Plan

LLAMA3 = Design.of(8192, 4096, 32, d_ff=14336, n_kv_heads=8, vocab_size=128256)


@pytest.mark.parametrize("answer", [0, 1, 2, 3, 1000, 1023, 1024, 1025, 999_999])
def test_bisection_finds_the_last_that_fits(answer: int) -> None:
    assert largest_whole(lambda n: n <= answer) == answer


def test_answer_fits_and_one_more_does_not() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"), n_gpus=8)
    rows = limits(LLAMA3, Plan(), hardware)
    training = [row for row in rows if row.purpose == "training" and row.fits]
    assert {row.setting for row in training} == {"none", "selective-op", "full"}
    for row in training:
        plan = row.plan
        assert plan is not None

        def peak(context: int, micro_batch: int, plan: Plan = plan) -> float:
            batch = micro_batch * plan.data_parallel * plan.pipeline_parallel
            sized = LLAMA3.with_(context_length=context)
            return float(peak_device_bytes(sized, plan.with_(micro_batch=micro_batch, global_batch=batch)))

        step = plan.context_parallel
        assert peak(row.largest_context, 1) <= row.memory_limit_bytes
        assert peak(row.largest_context + step, 1) > row.memory_limit_bytes
        assert peak(8192, row.largest_micro_batch + 1) > row.memory_limit_bytes
        if row.largest_micro_batch:
            assert peak(8192, row.largest_micro_batch) <= row.memory_limit_bytes
        assert row.context_instant


def test_recomputing_more_never_shortens_the_context() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"), n_gpus=8)
    rows = limits(LLAMA3, Plan(), hardware)
    by = {(row.setting, row.layout): row.largest_context for row in rows}
    for layout in {row.layout for row in rows if row.purpose == "training"}:
        assert by["none", layout] <= by["selective-op", layout] <= by["full", layout]


def test_serving_gains_context_from_fewer_bits() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"))
    rows = [row for row in limits(LLAMA3, Plan(), hardware) if row.purpose == "serving"]
    contexts = [row.largest_context for row in rows]
    assert contexts == sorted(contexts)
    # 8-bit weights: 8,030,261,248 B; 131,072 B of cache per token (COST.md's forms).
    free = hardware.accelerator.memory_bytes - 8_030_261_248 - 0.47 * 2**30
    assert rows[1].largest_context == int(free // 131_072)


def test_nothing_fits_is_zero() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"))
    rows = limits(LLAMA3, Plan(), hardware, memory_limit_bytes=2**20)
    assert all(not row.fits and row.largest_micro_batch == 0 for row in rows)
