"""Step time: limit cases, scaling and published runs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.catalog import accelerator
from explorer.cost import Hardware, flops, step_time
from explorer.cost.matmul_time import alignment, product
from explorer.cost.time import stage_layers, step_line
from explorer.design import Design, Plan
from explorer.errors import ExplorerError, Unsupported

A100 = Hardware(accelerator=accelerator("a100-sxm-80gb"), n_gpus=8)
H100 = Hardware(accelerator=accelerator("h100-sxm-80gb"), n_gpus=8)
MPT_7B = Design.of(
    2048, 4096, 32, ffn="gelu", vocab_size=50_368, norm="layernorm", position="learned", bias=True,
    tied_embeddings=True,
)  # fmt: skip
FSDP = Plan(precision="fsdp-mixed", micro_batch=6, global_batch=96, data_parallel=8, zero_stage=3)


def test_a_published_run():
    # llm-foundry, scripts/train/benchmarking/README.md: MPT-7B, 8 × A100 80 GB, 2,048 tokens: 4,641 tok/s.
    assert step_time(MPT_7B, FSDP, A100).tokens_per_second_per_gpu == pytest.approx(4641, rel=0.10)


def test_a_published_pipeline():
    # Korthikanti 2022, table 5: GPT-3 175B, tp 8, pp 8, selective recompute: 13.75 s, three chunks a stage.
    design = Design.of(
        2048, 12_288, 96, ffn="gelu", vocab_size=51_200, norm="layernorm", position="learned", bias=True,
        tied_embeddings=True,
    )  # fmt: skip
    plan = Plan(
        implementation="megatron", attention_kernel="naive", recompute="selective", dropout=True,
        micro_batch=1, global_batch=64, tensor_parallel=8, pipeline_parallel=8,
    )  # fmt: skip
    time = step_time(design, plan, Hardware(accelerator=accelerator("a100-sxm-80gb"), n_gpus=64))
    assert time.seconds - time.parts["pipeline"] * 2 / 3 == pytest.approx(13.75, rel=0.15)


def test_parts_sum_to_the_whole_and_the_line_is_the_same_time():
    time = step_time(MPT_7B, FSDP, A100)
    outside, per_layer = step_line(MPT_7B, FSDP, A100)
    assert time.seconds == pytest.approx(sum(time.parts.values()))
    assert outside + per_layer * stage_layers(MPT_7B, FSDP) == pytest.approx(time.seconds)


def test_never_above_the_peak():
    for c in (512, 4096, 65_536, 1_048_576):
        time = step_time(MPT_7B.with_(context_length=c), FSDP.with_(micro_batch=1, global_batch=8), A100)
        assert 0.01 < time.mfu < 1


def test_mfu_is_model_flops_over_peak():
    time = step_time(MPT_7B, FSDP, A100)
    tokens = 96 * 2048
    assert time.mfu == pytest.approx(
        flops(MPT_7B).train_per_token("causal") * tokens / (time.seconds * 8 * 312e12)
    )


def test_widths_off_the_tiles_are_charged():
    # BLOOM (bigscience, tr11 chronicles): h = 14,400 ran at 94 TFLOP/s, h = 13,824 at 120.
    rates = {}
    for width in (13_824, 14_400):
        design = Design.of(
            2048, width, 70, n_heads=width // 64, d_head=64, ffn="gelu", norm="layernorm", vocab_size=250_880
        )
        plan = Plan(
            implementation="megatron", tensor_parallel=4, micro_batch=2, global_batch=64, data_parallel=2
        )
        time = step_time(design, plan, A100)
        rates[width] = time.model_flops / time.parts["matmul"]
    assert 0.7 < rates[14_400] / rates[13_824] < 0.95


def test_alignment_is_by_the_largest_power_of_two():
    curve = A100.efficiency
    widths = np.array([4096.0, 4224.0, 4160.0, 4100.0, 4097.0])
    speed = alignment(widths, curve)
    assert np.all(np.diff(speed) < 0)
    assert speed[0] == 1


def test_the_three_products_of_training_sum_to_their_line():
    # Forward, input gradient and weight gradient one by one, each 2(mn + fill)(k + ramp).
    t, n, k = 4096.0, 11_008.0, 4096.0
    curve = A100.efficiency
    fill, ramp = curve.matmul_fill * 108, curve.matmul_ramp
    by_hand = sum((a * b + fill) * (c + ramp) for a, b, c in ((t, n, k), (t, k, n), (n, k, t)))
    rate = A100.matmul_rate("bf16")
    plan = Plan(precision="bf16")
    assert product(n, k, A100, plan)[1](t) == pytest.approx(2 * by_hand / rate)
    assert product(n, k, A100, plan)[0](t) == pytest.approx(2 * (t * n + fill) * (k + ramp) / rate)


def test_full_recompute_costs_less_than_a_third_more():
    none = step_time(MPT_7B, FSDP, A100).seconds
    for implementation in ("torch", "megatron"):
        plan = FSDP.with_(implementation=implementation)
        base = step_time(MPT_7B, plan, A100).seconds
        full = step_time(MPT_7B, plan.with_(recompute="full"), A100).seconds
        assert 1.1 < full / base < 1.36
    assert step_time(MPT_7B, FSDP.with_(recompute="selective-op"), A100).seconds > none


def test_the_bubble_is_that_of_1f1b():
    plan = Plan(
        implementation="megatron", pipeline_parallel=4, micro_batch=1, global_batch=16, data_parallel=2
    )
    time = step_time(MPT_7B, plan, A100)
    inside = sum(v for k, v in time.parts.items() if k in ("matmul", "attention", "elementwise", "launch"))
    # Eight micro-batches on four stages: three of eight run again empty.
    assert time.parts["pipeline"] == pytest.approx(inside * 3 / 8, rel=0.02)


def test_flash_overtakes_naive_as_context_grows():
    ratios = []
    for c in (1024, 4096, 16_384):
        design = MPT_7B.with_(context_length=c)
        plan = FSDP.with_(micro_batch=1, global_batch=8)
        naive = step_time(design, plan.with_(attention_kernel="naive"), A100).seconds
        ratios.append(naive / step_time(design, plan, A100).seconds)
    assert ratios[0] > 1
    assert ratios == sorted(ratios)


def test_a_slow_network_slows_only_what_crosses_it():
    plan = FSDP.with_(data_parallel=64, global_batch=384)
    near = Hardware(accelerator=accelerator("a100-sxm-80gb"), n_gpus=64)
    far = Hardware(accelerator=accelerator("a100-sxm-80gb"), n_gpus=64, network_bandwidth=1e9)
    fast, slow = step_time(MPT_7B, plan, near), step_time(MPT_7B, plan, far)
    assert slow.parts["data parallel"] > 3 * fast.parts["data parallel"]
    assert slow.parts["matmul"] == fast.parts["matmul"]


def test_small_kernels_wait_for_the_host():
    design = Design.of(128, 512, 12, d_head=64)
    time = step_time(design, Plan(micro_batch=1, global_batch=1), H100)
    assert time.parts["launch"] > 0.5 * time.seconds


def test_energy_is_bounded_by_tdp():
    time = step_time(MPT_7B, FSDP, A100)
    assert 0.35 * 400 * 8 * time.seconds < time.energy_joules <= 400 * 8 * time.seconds
    tpu = Hardware(accelerator=accelerator("tpu-v5e"), n_gpus=8)
    assert step_time(MPT_7B, FSDP, tpu).energy_joules is None


def test_price_needs_a_price():
    assert step_time(MPT_7B, FSDP, A100).price is None
    priced = Hardware(accelerator=A100.accelerator, n_gpus=8, price_per_gpu_hour=2.0, goodput=0.5)
    time = step_time(MPT_7B, FSDP, priced)
    assert time.price == pytest.approx(2.0 * 8 * time.seconds / 3600 / 0.5)


def test_a_measured_mfu_sets_the_level_and_keeps_the_shape():
    half = Hardware(accelerator=A100.accelerator, n_gpus=8, mfu=0.25)
    other = MPT_7B.with_(context_length=16_384)
    plan = FSDP.with_(micro_batch=1, global_batch=8)
    curve = step_time(other, plan, A100).mfu / step_time(MPT_7B, FSDP, A100).mfu
    scaled = step_time(other, plan, half).mfu / step_time(MPT_7B, FSDP, half).mfu
    assert scaled == pytest.approx(curve)
    assert step_time(MPT_7B, FSDP, half).mfu == pytest.approx(0.25, rel=0.15)


def test_no_peak_no_time():
    with pytest.raises(Unsupported, match="fp8"):
        step_time(MPT_7B, FSDP.with_(precision="fp8"), A100)
    with pytest.raises(ExplorerError, match="goodput"):
        Hardware(accelerator=A100.accelerator, goodput=0)


def test_assumptions_name_the_curve():
    text = " ".join(step_time(MPT_7B, FSDP, A100).assumptions)
    assert "llm-foundry" in text
    assert "not fitted" in " ".join(
        step_time(MPT_7B, FSDP, Hardware(accelerator=accelerator("l40s"), n_gpus=8)).assumptions
    )


def test_experts_cost_their_active_share():
    dense = Design.of(4096, 4096, 32, d_ff=2 * 14_336)
    sparse = Design.of(4096, 4096, 32, d_ff=14_336, n_experts=8, n_experts_active=2, d_ff_expert=14_336)
    plan = Plan(implementation="megatron", micro_batch=4, global_batch=32, data_parallel=8)
    ratio = step_time(sparse, plan, H100).parts["matmul"] / step_time(dense, plan, H100).parts["matmul"]
    assert 1.0 < ratio < 1.2


def test_a_window_costs_its_average():
    long = MPT_7B.with_(context_length=65_536)
    plan = FSDP.with_(micro_batch=1, global_batch=8)
    whole = step_time(long, plan, A100).parts["attention"]
    windowed = step_time(long.with_(window=4096), plan, A100).parts["attention"]
    assert windowed < 0.2 * whole


@settings(max_examples=30, deadline=None)
@given(
    st.integers(4, 96), st.integers(2, 60), st.sampled_from([512, 2048, 8192, 65_536]),
    st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_time_rises_with_every_size_and_arrays_equal_scalars(layers, heads, context, tp, pp):
    plan = Plan(
        implementation="megatron", tensor_parallel=tp, pipeline_parallel=pp, micro_batch=1, global_batch=8
    )
    one = Design.of(context, 256 * heads, layers, n_heads=4 * heads, d_head=64)
    base = step_time(one, plan, H100).seconds
    assert np.isfinite(base)
    for bigger in (
        one.with_(n_layers=layers + 4), one.with_(context_length=2 * context), one.with_(d_ff=2 * one.d_ff),
        one.with_(vocab_size=64_000),
    ):  # fmt: skip
        assert step_time(bigger, plan, H100).seconds > base
    table = one.with_(
        n_layers=np.array([layers, layers + 4.0]), context_length=np.array([context, context * 1.0])
    )
    assert step_time(table, plan, H100).seconds[0] == pytest.approx(base, rel=1e-12)
