"""A block of designs × plans, whose terms are computed once per distinct combination, equals its pairs."""

import numpy as np
import pytest

from explorer.catalog import accelerator, model
from explorer.cost import Hardware, Setting, enumerate_plans, peak_device_bytes, step_seconds, step_time
from explorer.cost.distinct import distinct, spread
from explorer.cost.plans import NUMERIC
from explorer.design import Design, Plan, arrays

SHAPES = ("llama-3-8b", "mixtral-8x7b", "deepseek-v3", "gpt2-xl", "gemma-2-9b")


def table(name: str) -> Design:
    """Three depths and contexts of a published shape."""
    return model(name).design.with_(
        context_length=np.array([1024.0, 8192.0, 65_536.0]), n_layers=np.array([13.0, 32.0, 64.0])
    )


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    ("implementation", "precision", "kernel"),
    [
        ("megatron", "bf16-mixed", "flash"),
        ("torch", "fsdp-mixed", "flash"),
        ("torch", "amp", "naive"),
        ("megatron", "fp8", "flash"),
    ],
)
def test_a_block_equals_its_pairs(name, implementation, precision, kernel):
    hardware = Hardware(accelerator=accelerator("h100-sxm-80gb"), n_gpus=64)
    template = Plan(implementation=implementation, precision=precision, attention_kernel=kernel)
    setting = Setting(plan=template)
    designs = table(name)
    for plan in enumerate_plans(setting, hardware):
        size = np.size(plan.micro_batch)
        assert size > 100
        block = designs.expand()
        filled = plan.with_(global_batch=setting.global_batch(block))
        together = peak_device_bytes(block, filled), step_seconds(block, filled, hardware)
        # The same pairs as flat columns, in which no plan has an axis of its own.
        flat = designs.with_(**{k: np.repeat(v, size) for k, v in arrays(designs).items()})
        own = plan.with_(**{k: np.tile(getattr(plan, k), 3) for k in NUMERIC})
        own = own.with_(global_batch=setting.global_batch(flat))
        alone = peak_device_bytes(flat, own), step_seconds(flat, own, hardware)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one.reshape(-1), other, rtol=1e-12)
        np.testing.assert_allclose(step_time(block, filled, hardware).seconds, together[1], rtol=1e-12)


def test_distinct_columns_are_spread_back():
    hardware = Hardware(accelerator=accelerator("h100-sxm-80gb"), n_gpus=8)
    plan = enumerate_plans(Setting(), hardware)[0]
    block = table("llama-3-8b").expand()
    names = ("tensor_parallel", "micro_batch")
    fewer, index = distinct(block, plan, names)
    assert np.size(fewer.micro_batch) == 4 * 7
    for name in names:
        np.testing.assert_array_equal(spread(getattr(fewer, name), index), getattr(plan, name))
    # A table of pairs has no axis of plans, and a single plan none at all.
    assert distinct(table("llama-3-8b"), plan, names)[1] is None
    assert distinct(block, Plan(), names) == (Plan(), None)
    assert spread(3.0, index) == 3.0
