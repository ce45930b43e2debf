"""Serving: published figures and limit cases."""

import numpy as np
import pytest

from explorer.catalog import accelerator, model
from explorer.cost import Hardware, kv_cache_bytes, parameters, serving
from explorer.design import Design

A100 = Hardware(accelerator=accelerator("a100-sxm-40gb"))
H100 = Hardware(accelerator=accelerator("h100-sxm-80gb"))
GPT_13B = Design.of(
    512, 5120, 40, ffn="gelu", norm="layernorm", position="learned", bias=True, vocab_size=51_200
)


# Published tokens per second at batch 1. gpt-fast's README, Llama 2 7B and 70B on A100-80GB (the constants were
# fitted on it), then what was held out: an MI250X die, and 13B under FasterTransformer on A100-40GB (kipply
# 2022, 512 tokens in the cache).
@pytest.mark.parametrize(
    ("name", "device", "bits", "tp", "rate", "within"),
    [
        ("llama-2-7b", "a100-sxm-80gb", 16, 1, 104.9, 0.02),
        ("llama-2-7b", "a100-sxm-80gb", 8, 1, 155.58, 0.02),
        ("llama-2-7b", "a100-sxm-80gb", 16, 4, 254.02, 0.02),
        ("llama-2-70b", "a100-sxm-80gb", 16, 4, 38.01, 0.05),
        ("llama-2-70b", "a100-sxm-80gb", 4, 1, 25.25, 0.2),
        ("mixtral-8x7b", "a100-sxm-80gb", 16, 4, 118.23, 0.2),
        ("llama-2-7b", "mi250x", 16, 1, 76.33, 0.15),
        ("13b", "a100-sxm-40gb", 16, 1, 1 / 0.022, 0.05),
        ("13b", "a100-sxm-40gb", 16, 2, 1 / 0.0135, 0.1),
    ],
)
def test_published_decoding(name, device, bits, tp, rate, within):
    design = GPT_13B if name == "13b" else model(name).design.with_(context_length=100)
    hardware = Hardware(accelerator=accelerator(device), n_gpus=tp)
    time = serving(design, hardware, weight_bits=bits, tensor_parallel=tp)
    assert time.decode_tokens_per_second == pytest.approx(rate, rel=within)


@pytest.mark.parametrize("name", ["llama-3-8b", "mixtral-8x7b", "deepseek-v3", "gemma-2-9b"])
@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("batch", [1, 64])
def test_never_faster_than_the_memory_or_the_products(name, bits, batch):
    design = model(name).design
    device = H100.accelerator
    time = serving(design, H100, batch=batch, weight_bits=bits, kv_bits=8)
    counts = parameters(design)
    # A token reads its active weights and its cache; a prompt multiplies every token with them.
    least = counts.per_layer_active * design.n_layers * bits / 8 + time.cache_bytes
    assert time.decode_seconds > least / device.hbm_bandwidth
    assert time.decode_seconds > 2 * counts.matmul * batch / device.peak("bf16")
    assert time.prefill_seconds > 2 * counts.per_layer_matmul * design.n_layers * batch * (
        design.context_length / device.peak("bf16")
    )
    short = serving(design.with_(context_length=1), H100, weight_bits=bits)
    assert short.prefill_seconds > counts.per_layer_active * design.n_layers * bits / 8 / device.hbm_bandwidth


def test_fp8_products_read_prompts_faster_where_the_device_has_them():
    wide, narrow = (serving(GPT_13B, H100, batch=16, weight_bits=8, fp8_products=p) for p in (False, True))
    assert 1.2 < wide.prefill_seconds / narrow.prefill_seconds < 2
    held, same = (serving(GPT_13B, A100, batch=16, weight_bits=8, fp8_products=p) for p in (False, True))
    assert held.prefill_seconds == same.prefill_seconds


def test_a_device_without_bf16_serves_in_fp16():
    v100 = Hardware(accelerator=accelerator("v100-sxm-32gb"))
    assert serving(GPT_13B, v100).decode_seconds > 2 * parameters(GPT_13B).matmul / 9e11


def test_eager_decoding_waits_for_the_host():
    # litgpt, tutorials/quantize.md: Llama 2 7B in 16 bits on an A100-40GB writes 30.97 tokens a second.
    time = serving(model("llama-2-7b").design.with_(context_length=128), A100, compiled=False)
    assert time.decode_tokens_per_second == pytest.approx(30.97, rel=0.03)


def test_quantised_weights_decode_faster_and_leave_prefill():
    wide, narrow = (serving(GPT_13B, H100, weight_bits=b) for b in (16, 4))
    assert 2 < wide.decode_seconds / narrow.decode_seconds <= 4
    assert narrow.prefill_seconds == pytest.approx(wide.prefill_seconds, rel=0.05)
    assert narrow.weight_bytes < 0.3 * wide.weight_bytes


def test_a_batch_shares_the_weights():
    one, many = (serving(GPT_13B, H100, batch=b) for b in (1, 16))
    assert many.decode_seconds < 2 * one.decode_seconds
    assert many.decode_tokens_per_second > 8 * one.decode_tokens_per_second


def test_the_cache_counts_at_long_context():
    design = Design.of(131_072, 4096, 32, d_ff=14_336, n_kv_heads=8)
    full, narrow = (serving(design, H100, batch=4, kv_bits=b) for b in (16, 8))
    assert full.cache_bytes == kv_cache_bytes(design, 4)
    assert narrow.decode_seconds < 0.7 * full.decode_seconds
    multi = serving(design.with_(n_kv_heads=32), H100, batch=4)
    assert multi.decode_seconds > 2 * full.decode_seconds


def test_a_window_keeps_the_cache_short():
    design = Design.of(131_072, 4096, 32, d_ff=14_336, n_kv_heads=8)
    windowed = serving(design.with_(window=4096), H100, batch=4)
    assert windowed.decode_seconds < 0.5 * serving(design, H100, batch=4).decode_seconds


def test_latent_attention_has_a_small_cache():
    design = model("deepseek-v3").design.with_(context_length=32_768)
    time = serving(design, Hardware(accelerator=accelerator("h200-sxm-141gb"), n_gpus=8), tensor_parallel=8)
    assert time.cache_bytes == pytest.approx(70_272 * 32_768)
    assert np.isfinite(time.prefill_seconds)


def test_a_batch_meets_more_experts():
    design = model("mixtral-8x7b").design.with_(context_length=128)
    one, many = (serving(design, H100, batch=b).decode_seconds for b in (1, 64))
    active, whole = parameters(design).active, parameters(design).total
    fixed = 2 * 5e-5 * design.n_layers
    assert one - fixed == pytest.approx(2 * active / (0.818 * H100.accelerator.hbm_bandwidth), rel=0.1)
    assert many / one > 0.7 * whole / active


def test_tensor_parallel_splits_weights_and_cache():
    one, two = (serving(GPT_13B, A100, tensor_parallel=tp) for tp in (1, 2))
    assert two.weight_bytes == one.weight_bytes / 2
    assert two.cache_bytes == one.cache_bytes / 2
    assert 1.2 < one.decode_seconds / two.decode_seconds < 2


def test_arrays_equal_scalars():
    contexts = np.array([1024.0, 8192.0])
    table = serving(GPT_13B.with_(context_length=contexts), A100, batch=2)
    for i, c in enumerate(contexts):
        one = serving(GPT_13B.with_(context_length=float(c)), A100, batch=2)
        assert table.prefill_seconds[i] == pytest.approx(one.prefill_seconds)
        assert table.decode_seconds[i] == pytest.approx(one.decode_seconds)
