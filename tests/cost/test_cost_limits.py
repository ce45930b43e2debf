"""Solved limits against the memory model itself and a plain scan."""

from __future__ import annotations

import numpy as np
import pytest

from explorer import catalog
from explorer.cost import FORMATS
from explorer.cost.hardware import Hardware
from explorer.cost.limits import largest_whole, limits
from explorer.cost.memory import memory, peak_device_bytes
from explorer.design import Design, Plan

LLAMA3 = Design.of(8192, 4096, 32, d_ff=14336, n_kv_heads=8, vocab_size=128256)


@pytest.mark.parametrize("answer", [0, 1, 2, 3, 1000, 1023, 1024, 1025, 999_999])
def test_bisection_finds_the_last_that_fits(answer: int) -> None:
    assert largest_whole(lambda n: n <= answer) == answer


def test_a_mode_asked_for_is_among_the_answers() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"))
    rows = limits(
        catalog.model("gpt2").design, Plan(recompute="selective", attention_kernel="naive"), hardware
    )
    by = {row.setting: row.largest_context for row in rows if row.purpose == "training"}
    assert set(by) == {"none", "selective-op", "full", "selective"}
    assert by["none"] < by["selective"]


def test_what_never_ends_has_no_limit() -> None:
    assert largest_whole(lambda _: True) is None
    # Every layer keeps 128 keys: another token takes no memory.
    hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"))
    rows = limits(LLAMA3.with_(window=128), Plan(), hardware)
    served = [row for row in rows if row.purpose == "serving"]
    assert all(row.largest_context is None and row.fits for row in served)
    assert all("does not grow" in row.context_instant for row in served)
    assert all(row.largest_micro_batch for row in served)


@pytest.mark.parametrize("n_gpus", [1, 3, 8, 16])
@pytest.mark.parametrize("name", ["llama-3-8b", "mixtral-8x7b", "gemma-2-9b"])
def test_answer_fits_and_one_more_does_not(name: str, n_gpus: int) -> None:
    device = catalog.accelerator("b200-sxm-180gb")
    hardware = Hardware(accelerator=device, n_gpus=n_gpus)
    design = catalog.model(name).design
    here = int(design.context_length)
    rows = limits(design, Plan(), hardware)
    training = [row for row in rows if row.purpose == "training"]
    assert {row.setting for row in training} == {"none", "selective-op", "full"}
    for row in training:
        plan = row.plan
        assert plan is not None

        def peak(context: int, micro_batch: int, plan: Plan = plan) -> float:
            batch = micro_batch * plan.data_parallel * plan.pipeline_parallel
            sized = design.with_(context_length=context)
            return float(peak_device_bytes(sized, plan.with_(micro_batch=micro_batch, global_batch=batch)))

        step = plan.context_parallel
        assert plan.n_gpus == n_gpus
        assert peak(row.largest_context + step, 1) > row.memory_limit_bytes
        assert peak(here, row.largest_micro_batch + 1) > row.memory_limit_bytes
        if row.largest_context:
            assert peak(row.largest_context, 1) <= row.memory_limit_bytes
            assert row.context_tokens_per_second > 0
        if row.largest_micro_batch:
            assert peak(here, row.largest_micro_batch) <= row.memory_limit_bytes
        # The moment that stops it is the largest one just beyond.
        batch = plan.data_parallel * plan.pipeline_parallel
        beyond = design.with_(context_length=row.largest_context + step)
        assert (
            row.context_instant == memory(beyond, plan.with_(micro_batch=1, global_batch=batch)).peak_instant
        )


def test_a_scan_finds_the_same() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("rtx-4090"))
    design = catalog.model("gpt2").design
    row = next(r for r in limits(design, Plan(), hardware) if r.setting == "none")
    contexts = np.arange(1.0, 2.0 * row.largest_context)
    plan = Plan(micro_batch=1, global_batch=1)
    fits = peak_device_bytes(design.with_(context_length=contexts), plan) <= row.memory_limit_bytes
    assert row.largest_context == fits.sum() == np.flatnonzero(~fits)[0]


def test_recomputing_more_never_shortens_the_context() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"), n_gpus=8)
    rows = limits(LLAMA3, Plan(), hardware)
    by = {(row.setting, row.layout): row.largest_context for row in rows}
    for layout in {row.layout for row in rows if row.purpose == "training"}:
        assert by["none", layout] <= by["selective-op", layout] <= by["full", layout]


def test_serving_gains_context_from_fewer_bits() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"))
    rows = [row for row in limits(LLAMA3, Plan(), hardware) if row.purpose == "serving"]
    by = {row.setting: row for row in rows}
    assert list(by) == [form.name for form in FORMATS]
    assert (
        by["bf16"].largest_context < by["int8 weights"].largest_context < by["int4 weights"].largest_context
    )
    # 131,072 B of cache per token (K and V, 8 heads of 128, 32 layers, 2 B); weights: 8,030,261,248 of 2 B;
    # then 32 layers of 218,103,808 weights of 1 B, and the rest of 2 B; the cache then at 8 bits.
    room = hardware.accelerator.memory_bytes - 0.47 * 2**30
    layers = 32 * 218_103_808
    mixed = layers + 2 * (8_030_261_248 - layers)
    assert by["bf16"].largest_context == (room - 2 * 8_030_261_248) // 131_072
    assert by["int8 weights"].largest_context == (room - mixed) // 131_072
    assert by["fp8 weights and cache"].largest_context == (room - mixed) // 65_536
    assert by["bf16"].largest_micro_batch == (room - 2 * 8_030_261_248) // (131_072 * 8192)


def test_serving_splits_over_the_ranks_that_heads_allow() -> None:
    def layouts(name: str, n_gpus: int) -> set[str]:
        hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"), n_gpus=n_gpus)
        rows = limits(catalog.model(name).design, Plan(), hardware)
        return {row.layout for row in rows if row.purpose == "serving"}

    assert layouts("llama-3-8b", 1) == {"one GPU"}
    assert layouts("llama-3-8b", 16) == {"one GPU, 16 replicas", "tensor parallel 8, 2 replicas"}
    # 71 heads (Falcon 7B) divide by nothing.
    assert layouts("falcon-7b", 8) == {"one GPU, 8 replicas"}


def test_a_device_without_a_peak_has_limits_and_no_speed() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("v100-sxm-32gb"), n_gpus=8)
    rows = [row for row in limits(LLAMA3, Plan(), hardware) if row.purpose == "training"]
    assert any(row.fits for row in rows)
    assert all(row.context_tokens_per_second is None for row in rows)


def test_nothing_fits_is_zero() -> None:
    hardware = Hardware(accelerator=catalog.accelerator("h100-sxm-80gb"))
    rows = limits(LLAMA3, Plan(), hardware, memory_limit_bytes=2**20)
    assert all(not row.fits and row.largest_micro_batch == 0 for row in rows)
