"""Plans: what a cluster offers, and the fastest that fits against a scan of every design and plan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.catalog import accelerator
from explorer.cost import Hardware, Setting, best_plan, enumerate_plans, peak_device_bytes, step_time
from explorer.cost.plans import NUMERIC, plan_is_possible
from explorer.design import CrossEntropy, Design, Optimizer, Plan, arrays, choices
from explorer.errors import ExplorerError, UnknownName

NODE = Hardware(accelerator=accelerator("h100-sxm-80gb"), n_gpus=8)
CARD = Hardware(accelerator=accelerator("rtx-4090"), n_gpus=1)
CLUSTER = Hardware(accelerator=accelerator("h100-sxm-80gb"), n_gpus=512)
MEGATRON = Setting(plan=Plan(implementation="megatron"))


def grid(axes=(0, 1, 2)):
    """A small open grid; `axes` says where context, width and depth lie."""

    def along(values, axis):
        shape = [1, 1, 1]
        shape[axis] = -1
        return np.asarray(values, dtype=np.float64).reshape(shape)

    d = along([1024, 2048, 4096, 8192], axes[1])
    return Design(
        context_length=along([2048, 16_384, 131_072], axes[0]), d_model=d,
        n_layers=along([8, 9, 32, 61, 96], axes[2]),
        n_heads=d / 128, n_kv_heads=8.0, d_head=128.0, d_ff=3.5 * d, vocab_size=32_000.0,
    )  # fmt: skip


def row(design, index):
    """One design of a grid, as plain numbers."""
    columns = arrays(design)
    values = np.broadcast_arrays(*columns.values())
    return design.with_(**{name: float(v[index]) for name, v in zip(columns, values, strict=True)})


def scan(design, setting, hardware, limit):
    """Seconds of the fastest plan that fits and the smallest peak, by looking at every plan."""
    fastest, least = np.inf, np.inf
    for block in enumerate_plans(setting, hardware):
        plan = block.with_(global_batch=float(setting.global_batch(design)))
        possible = plan_is_possible(design, plan) & (design.n_layers >= plan.pipeline_parallel)
        peak = np.where(possible, peak_device_bytes(design, plan), np.inf)
        seconds = np.where(peak <= limit, step_time(design, plan, hardware).seconds, np.inf)
        fastest, least = min(fastest, seconds.min()), min(least, peak.min())
    return fastest, least


@pytest.mark.parametrize(
    ("hardware", "implementation"),
    [(NODE, "megatron"), (NODE, "torch"), (CARD, "torch"), (CLUSTER, "megatron")],
)
def test_the_best_plan_is_the_one_a_scan_finds(hardware, implementation):
    setting = Setting(plan=Plan(implementation=implementation), global_batch_tokens=4e6)
    design = grid()
    limit = hardware.accelerator.memory_bytes
    found = best_plan(design, setting, hardware, limit)
    assert found.fits.shape == (3, 4, 5)
    for index in np.ndindex(3, 4, 5):
        if (sum(index) + hardware.n_gpus) % 3:
            continue
        fastest, least = scan(row(design, index), setting, hardware, limit)
        assert found.fits[index] == np.isfinite(fastest)
        if found.fits[index]:
            assert found.step_seconds[index] == pytest.approx(fastest, rel=1e-9)
            plan = found.plan(setting, index)
            assert plan.n_gpus == hardware.n_gpus
            assert step_time(row(design, index), plan, hardware).seconds == pytest.approx(fastest, rel=1e-9)
            peak = peak_device_bytes(row(design, index), plan)
            assert found.peak_device_bytes[index] == pytest.approx(peak, rel=1e-9)
            assert peak <= limit
        else:
            assert found.least_device_bytes[index] == pytest.approx(least, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    n_gpus=st.sampled_from([1, 2, 8, 16, 64]),
    implementation=st.sampled_from(["torch", "megatron"]),
    precision=st.sampled_from(["fp32", "amp", "bf16", "bf16-mixed", "fsdp-mixed"]),
    optimizer=st.sampled_from(choices(Optimizer)),
    cross_entropy=st.sampled_from(choices(CrossEntropy)),
    batch=st.sampled_from([3e4, 2e5, 1e6]),
    limit=st.floats(4e9, 1.2e11),
    n_kv_heads=st.sampled_from([2.0, 8.0]),
    vocab=st.sampled_from([32_000.0, 256_000.0]),
    tied=st.booleans(),
    experts=st.booleans(),
)
def test_every_figure_is_a_scans(
    n_gpus,
    implementation,
    precision,
    optimizer,
    cross_entropy,
    batch,
    limit,
    n_kv_heads,
    vocab,
    tied,
    experts,
):
    template = Plan(implementation=implementation, precision=precision, optimizer=optimizer,
                    cross_entropy=cross_entropy)  # fmt: skip
    setting = Setting(plan=template, global_batch_tokens=batch)
    hardware = Hardware(accelerator=accelerator("h100-sxm-80gb"), n_gpus=n_gpus)
    d = np.array([1024.0, 4096.0])[None, :, None]
    mixture = {"n_experts": 8, "n_experts_active": 2, "d_ff_expert": d} if experts else {}
    design = Design(
        context_length=np.array([1024.0, 32_768.0])[:, None, None], d_model=d,
        n_layers=np.array([2.0, 7.0, 32.0])[None, None, :],
        n_heads=d / 128, n_kv_heads=n_kv_heads, d_head=128.0, d_ff=3.5 * d, vocab_size=vocab,
        tied_embeddings=tied, **mixture,
    )  # fmt: skip
    found = best_plan(design, setting, hardware, limit)
    for index in np.ndindex(2, 2, 3):
        fastest, least = scan(row(design, index), setting, hardware, limit)
        assert found.fits[index] == np.isfinite(fastest)
        if found.fits[index]:
            assert found.step_seconds[index] == pytest.approx(fastest, rel=1e-12)
            peak = peak_device_bytes(row(design, index), found.plan(setting, index))
            assert found.peak_device_bytes[index] == pytest.approx(peak, rel=1e-12)
            assert peak <= limit
        else:
            assert found.least_device_bytes[index] == pytest.approx(least, rel=1e-12)


def test_axes_may_lie_anywhere_and_a_table_gives_the_same():
    limit = NODE.accelerator.memory_bytes
    one = best_plan(grid(), MEGATRON, NODE, limit)
    other = best_plan(grid((2, 0, 1)), MEGATRON, NODE, limit)
    assert np.array_equal(np.moveaxis(other.step_seconds, (2, 0, 1), (0, 1, 2)), one.step_seconds)
    design = grid()
    columns = {
        name: np.ascontiguousarray(np.broadcast_to(getattr(design, name), (3, 4, 5))).reshape(-1)
        for name in ("context_length", "d_model", "n_layers", "n_heads", "d_ff")
    }
    table = best_plan(design.with_(**columns), MEGATRON, NODE, limit)
    assert np.allclose(table.step_seconds, one.step_seconds.reshape(-1), rtol=1e-12)
    for name in (*NUMERIC, "recompute"):
        assert np.array_equal(getattr(table, name), getattr(one, name).reshape(-1)), name


def test_one_design_is_a_grid_of_one():
    found = best_plan(Design.of(4096, 2048, 24), MEGATRON, NODE, 8e10)
    assert found.step_seconds.shape == (1,)
    assert found.fits[0]
    assert found.seconds_per_token[0] == pytest.approx(found.step_seconds[0] / (found.global_batch[0] * 4096))


def test_a_longer_context_has_fewer_sequences_to_spread():
    setting = Setting(plan=Plan(implementation="megatron"), global_batch_tokens=1e6)
    design = Design.of(np.array([4096.0, 131_072.0]), 2048, 24)
    found = best_plan(design, setting, CLUSTER, CLUSTER.accelerator.memory_bytes)
    assert list(found.global_batch) == [244, 8]
    assert found.data_parallel[1] <= 8
    assert found.context_parallel[1] * found.tensor_parallel[1] * found.pipeline_parallel[1] >= 64


def test_what_cannot_be_laid_out_is_infinitely_slow():
    # One sequence a step, too short to split over 512 GPUs in any way.
    setting = Setting(plan=Plan(implementation="megatron"), global_batch_tokens=1024)
    found = best_plan(Design.of(1024, 512, 4, d_head=128), setting, CLUSTER, 8e10)
    assert not found.fits[0]
    assert np.isinf(found.step_seconds[0])
    assert found.n_gpus[0] == 0


def test_what_the_user_fixes_stays():
    setting = Setting(
        plan=Plan(implementation="megatron"),
        fixed={"tensor_parallel": 2, "recompute": "full", "micro_batch": [2, 4]},
    )
    found = best_plan(grid(), setting, NODE, 8e10)
    assert set(np.unique(found.tensor_parallel[found.fits])) == {2}
    assert set(np.unique(found.recompute)) == {"full"}
    assert set(np.unique(found.micro_batch[found.fits])) <= {2, 4}
    with pytest.raises(UnknownName, match="tensor_parallel"):
        Setting(fixed={"tensor_paralel": 2})
    with pytest.raises(ExplorerError, match="fills 8 GPUs"):
        enumerate_plans(Setting(fixed={"tensor_parallel": 3}), NODE)


def test_every_plan_fills_the_cluster_within_its_rules():
    for hardware in (CARD, NODE, CLUSTER):
        for implementation, stages in (("megatron", {0, 1}), ("torch", {0, 1, 2, 3})):
            blocks = enumerate_plans(Setting(plan=Plan(implementation=implementation)), hardware)
            assert len({block.recompute for block in blocks}) == len(blocks)
            for block in blocks:
                assert np.all(block.n_gpus == hardware.n_gpus)
                assert np.all(block.tensor_parallel <= 8)
                assert set(block.zero_stage) <= stages
                rows = np.stack([getattr(block, name) for name in NUMERIC])
                assert np.unique(rows, axis=1).shape == rows.shape


def test_a_staged_design_pays_for_its_short_window():
    constant = best_plan(Design.of(32_768, 4096, 32), MEGATRON, NODE, 8e10)
    short = best_plan(Design.of(4096, 4096, 32), MEGATRON, NODE, 8e10)
    staged = best_plan(Design.of(32_768, 4096, 32, staged_from=4096, staged_share=0.1), MEGATRON, NODE, 8e10)
    expected = 0.1 * constant.seconds_per_token + 0.9 * short.seconds_per_token
    assert staged.seconds_per_token == pytest.approx(expected)
    assert staged.step_seconds == constant.step_seconds


def test_more_memory_is_never_slower():
    slow = best_plan(grid(), MEGATRON, NODE, 4e10)
    fast = best_plan(grid(), MEGATRON, NODE, 14e10)
    both = slow.fits & fast.fits
    assert np.all(fast.fits | ~slow.fits)
    assert np.all(fast.step_seconds[both] <= slow.step_seconds[both] * (1 + 1e-12))
