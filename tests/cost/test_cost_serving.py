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


def test_a_published_decode():
    # kipply 2022, transformer inference arithmetic: 13B on an A100 40 GB, 512 tokens: 22.0 ms a token.
    assert serving(GPT_13B, A100).decode_seconds == pytest.approx(0.022, rel=0.2)


def test_decoding_is_bound_by_the_weights():
    time = serving(GPT_13B.with_(context_length=16), H100, compiled=True)
    moved = (
        2 * parameters(GPT_13B).matmul / (H100.accelerator.hbm_bandwidth * H100.efficiency.bandwidth_share)
    )
    assert time.decode_seconds == pytest.approx(moved, rel=0.05)


def test_a_batch_shares_the_weights():
    one, many = (serving(GPT_13B, H100, batch=b, compiled=True) for b in (1, 16))
    assert many.decode_seconds < 2 * one.decode_seconds
    assert many.decode_tokens_per_second > 8 * one.decode_tokens_per_second


def test_quantised_weights_decode_faster_and_leave_prefill():
    wide, narrow = (serving(GPT_13B, H100, weight_bits=b, compiled=True) for b in (16, 4))
    assert 2.5 < wide.decode_seconds / narrow.decode_seconds <= 4
    assert narrow.prefill_seconds == pytest.approx(wide.prefill_seconds, rel=0.05)
    assert narrow.weight_bytes == wide.weight_bytes / 4


def test_the_cache_counts_at_long_context():
    design = Design.of(131_072, 4096, 32, d_ff=14_336, n_kv_heads=8)
    full, narrow = (serving(design, H100, batch=4, kv_bits=b, compiled=True) for b in (16, 8))
    assert full.cache_bytes == kv_cache_bytes(design, 4)
    assert narrow.decode_seconds < 0.7 * full.decode_seconds
    multi = serving(design.with_(n_kv_heads=32), H100, batch=4, compiled=True)
    assert multi.decode_seconds > 2 * full.decode_seconds


def test_a_window_keeps_the_cache_short():
    design = Design.of(131_072, 4096, 32, d_ff=14_336, n_kv_heads=8)
    windowed = serving(design.with_(window=4096), H100, batch=4, compiled=True)
    assert windowed.decode_seconds < 0.5 * serving(design, H100, batch=4, compiled=True).decode_seconds


def test_latent_attention_has_a_small_cache():
    design = model("deepseek-v3").design.with_(context_length=32_768)
    time = serving(design, Hardware(accelerator=accelerator("h200-sxm-141gb"), n_gpus=8), tensor_parallel=8)
    assert time.cache_bytes == pytest.approx(70_272 * 32_768)
    assert np.isfinite(time.prefill_seconds)


def test_a_batch_meets_more_experts():
    design = model("mixtral-8x7b").design
    one, many = (serving(design, H100, batch=b, compiled=True).decode_seconds for b in (1, 64))
    active, whole = parameters(design).active, parameters(design).total
    assert one == pytest.approx(2 * active / 2.7e12, rel=0.25)
    assert many / one > 0.7 * whole / active


def test_tensor_parallel_splits_weights_and_cache():
    one, two = (serving(GPT_13B, A100, tensor_parallel=tp, compiled=True) for tp in (1, 2))
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
