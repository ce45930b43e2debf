"""KV cache and serving memory: published figures, windows, and the same alone as in tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import catalog
from explorer.cost import kv_cache_bytes, kv_cache_bytes_per_token, parameters, serving_bytes
from explorer.cost.kv_cache import served_weight_bytes
from explorer.design import Design


# Bytes per token in bf16: 2 (K and V) · 2 bytes · n_kv_heads · d_head · n_layers; with latent
# attention (rank + rotary part) · 2 bytes · n_layers (DeepSeek-V2, arXiv:2405.04434, table 1).
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-7b", 524_288),
        ("llama-2-70b", 327_680),
        ("llama-3-8b", 131_072),
        ("falcon-7b", 8_192),
        ("deepseek-v3", 70_272),
    ],
)
def test_bytes_per_token(name: str, expected: int) -> None:
    design = catalog.model(name).design
    assert kv_cache_bytes_per_token(design) == expected
    assert kv_cache_bytes(design) == expected * design.context_length
    assert kv_cache_bytes(design, batch=3, kv_bits=8) == 1.5 * expected * design.context_length


def test_every_layer_windowed() -> None:
    # Mistral 7B (arXiv:2310.06825, section 2): at 32k tokens the window of 4,096 cuts the cache 8-fold.
    design = catalog.model("mistral-7b").design.with_(context_length=32768)
    assert kv_cache_bytes(design) * 8 == kv_cache_bytes(design.with_(window=0))


def test_local_and_global_layers() -> None:
    # Gemma 3 27B: 62 layers, every sixth global, so 10 hold everything and 52 hold 1,024 tokens.
    design = catalog.model("gemma-3-27b").design
    per_layer = 2 * 2 * 16 * 128
    assert kv_cache_bytes(design) == per_layer * (10 * 32768 + 52 * 1024)


def test_sparse_patterns() -> None:
    base = Design.of(65536, 4096, 32, window=512)
    full = kv_cache_bytes(base.with_(window=0))
    assert kv_cache_bytes(base) == full * 512 / 65536
    assert kv_cache_bytes(base.with_(global_tokens=64)) == full * 576 / 65536
    # A key drawn at random may lie anywhere.
    assert kv_cache_bytes(base.with_(random_tokens=3)) == full
    # A window wider than the context holds the context.
    assert kv_cache_bytes(base.with_(window=131072)) == full


def test_serving_is_weights_and_cache() -> None:
    design = catalog.model("llama-2-7b").design
    cache = kv_cache_bytes(design, batch=4)
    assert serving_bytes(design, batch=4) == 2 * parameters(design).total + cache
    # Llama 2 7B: 32 layers of 202,375,168 weights; tables, head and norms (262,410,240) stay at 16 bits.
    layers, rest = 32 * 202_375_168, 262_410_240
    assert layers + rest == parameters(design).total
    assert serving_bytes(design, batch=4, weight_bits=8) == layers + 2 * rest + cache
    assert serving_bytes(design, batch=4, weight_bits=32) == 4 * (layers + rest) + cache


def test_published_quantised_checkpoints() -> None:
    design = catalog.model("llama-3.1-8b").design
    # AWQ INT4 at 5.7 GB (n-shot.com, running Llama 3.1 efficiently, 2024), where N / 2 bytes would be 4.0.
    assert served_weight_bytes(design, 4) == pytest.approx(5.7e9, rel=0.01)
    # fp8: one byte per weight of the layers (6.98e9), two per entry of table and head (2 · 525,336,576).
    assert served_weight_bytes(design, 8) == pytest.approx(6.979e9 + 4 * 525_336_576, rel=1e-3)
    table = design.with_(n_layers=np.array([32.0, 64.0]))
    assert served_weight_bytes(table, np.array([4.0, 16.0]))[0] == served_weight_bytes(design, 4)


@given(
    st.integers(256, 131072),
    st.integers(1, 64),
    st.integers(1, 16),
    st.integers(0, 8192),
    st.integers(0, 8),
    st.sampled_from([0, 40]),
)
def test_one_equals_many_and_monotone(
    c: int, layers: int, kv: int, window: int, every: int, rank: int
) -> None:
    sizes = {"n_heads": 2 * kv, "n_kv_heads": kv, "d_head": 64}
    sizes |= {"kv_lora_rank": rank, "d_head_v": 64 if rank else 0}
    one = Design.of(c, 2048, layers, window=window, global_every=every, **sizes)
    many = one.with_(
        context_length=np.array([c, c + 1.0]),
        n_layers=np.array([layers, layers + 1.0]),
        window=np.array([float(window), float(window)]),
        global_every=np.array([float(every), float(every)]),
    )
    alone, table = kv_cache_bytes(one), np.asarray(kv_cache_bytes(many))
    assert isinstance(alone, float)
    assert table[0] == alone
    assert table[1] >= table[0] > 0
    np.testing.assert_array_equal(serving_bytes(many)[0], serving_bytes(one))


def test_open_grid() -> None:
    c = np.array([1024.0, 8192.0])[:, None, None]
    L = np.array([8.0, 12.0, 16.0])[None, None, :]
    grid = kv_cache_bytes(Design.of(c, 2048, L, window=2048, global_every=4))
    assert np.shape(grid) == (2, 1, 3)
    assert grid[1, 0, 1] == kv_cache_bytes(Design.of(8192, 2048, 12, window=2048, global_every=4))
