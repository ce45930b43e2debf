"""FLOPs against torch's counter, published figures, brute force over positions, and limit cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer import formats
from explorer.cost.flops import flops, keys_per_query
from explorer.design import Design
from explorer.errors import UnknownName

RECORDS = json.loads((Path(__file__).parents[1] / "records" / "flops.json").read_text())
LLAMA = Design.of(2048, 4096, 32, d_ff=11008)


@pytest.mark.parametrize("model", RECORDS["configs"])
def test_equal_to_torchs_counter_to_the_unit(model: str) -> None:
    design = formats.read(dict(RECORDS["configs"][model]))
    for row in (row for row in RECORDS["rows"] if row["model"] == model):
        found = flops(design.with_(context_length=row["context"]))
        tokens = row["batch"] * row["context"]
        assert found.forward_per_sequence("full") * row["batch"] == row["forward"]
        assert found.train_per_token("full") * tokens == row["train"]
        # OPT-350M's norm comes last in its block, so that PyTorch's recomputation skips no product.
        if model != "opt-350m":
            assert found.hardware_train_per_token("full", "naive", "full") * tokens == row["checkpointed"]


@pytest.mark.parametrize(("design", "expected"), [
    (LLAMA, 14_287_896_576),
    (LLAMA.with_(d_ff=14336, n_kv_heads=8, vocab_size=128256), 16_083_058_688),
    (Design.of(2048, 12288, 96, n_heads=96, ffn="gelu", norm="layernorm", bias=True, position="learned",
               vocab_size=50257, tied_embeddings=True), 358_791_143_424),
])  # fmt: skip
def test_forward_per_token_of_known_models(design: Design, expected: int) -> None:
    assert flops(design).forward_per_token("full") == expected
    assert flops(design).forward_per_sequence("full") == expected * 2048


def test_causal_attention_is_half() -> None:
    found = flops(LLAMA)
    assert found.attention_per_token("full") == 2 * found.attention_per_token("causal")
    assert found.attention_per_token("full") == 4 * 4096 * 2048 * 32


def test_operations_sum_to_the_forward_pass() -> None:
    latent = {"kv_lora_rank": 512, "q_lora_rank": 1536, "d_head_rope": 64, "d_head_v": 128, "d_head": 192}
    mixture = {"n_experts": 8, "n_experts_active": 2, "d_ff_expert": 1024, "n_dense_layers": 3}
    for design in (
        LLAMA,
        LLAMA.with_(n_kv_heads=4, ffn="gelu"),
        LLAMA.with_(**latent),
        LLAMA.with_(**mixture),
    ):
        for convention in ("causal", "full"):
            found = flops(design)
            assert sum(found.operations(convention).values()) == found.forward_per_token(convention)


def test_gqa_does_not_reduce_attention() -> None:
    assert flops(LLAMA).attention_per_token() == flops(LLAMA.with_(n_kv_heads=4)).attention_per_token()


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 50), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_pattern_is_the_average_over_positions(c: int, window: int, near: int, random: int) -> None:
    design = LLAMA.with_(context_length=c, window=window, global_tokens=near, random_tokens=random)
    # Midpoints of the unit intervals integrate the continuous count exactly, but for the interval of a kink.
    position = np.arange(c) + 0.5
    seen = np.minimum(position, window)
    to_globals = np.minimum(near, np.maximum(position - window, 0))
    at_random = np.minimum(random, np.maximum(position - window - near, 0))
    expected = np.mean(seen + to_globals + at_random)
    assert keys_per_query(design) == pytest.approx(expected, rel=1e-9)


def test_whole_window_is_full_attention() -> None:
    for convention in ("causal", "full"):
        whole = flops(LLAMA).forward_per_sequence(convention)
        assert flops(LLAMA.with_(window=2048)).forward_per_sequence(convention) == whole
        assert flops(LLAMA.with_(window=1, global_every=1)).forward_per_sequence(convention) == whole
    local = flops(LLAMA.with_(window=256, global_every=4))
    assert local.attention_per_token() == 2 * 2 * 4096 * (8 * 1024 + 24 * 256 * (1 - 256 / 4096))


def test_quadratic_part_equals_the_linear_at_six_and_twelve_widths() -> None:
    # q = d, GELU 4d, without the head: c = 6d counted full, 12d counted causal.
    for convention, multiple in (("full", 6), ("causal", 12)):
        design = Design.of(multiple * 1024, 1024, 4, ffn="gelu")
        assert flops(design).attention_share(convention, head=False) == pytest.approx(0.5)
    at_d = Design.of(1024, 1024, 4, ffn="gelu")
    assert flops(at_d).attention_share("full", head=False) == pytest.approx(0.143, abs=5e-4)
    assert flops(at_d).attention_share("causal", head=False) == pytest.approx(0.077, abs=5e-4)


def test_recomputation() -> None:
    found = flops(LLAMA)
    attention, layers = found.attention_per_token(), found.linear_per_token - found.head_per_token
    assert found.recompute_per_token("none") == 0
    assert found.recompute_per_token("selective") == attention
    assert found.recompute_per_token("full", implementation="megatron") == layers + attention
    assert found.recompute_per_token("full") == layers + attention - 2 * 11008 * 4096 * 32
    passes = found.passes("full", "flash", "full", "megatron")
    assert list(passes.values()) == [
        found.forward_per_token("full"),
        2 * found.forward_per_token("full"),
        0.5 * found.attention_per_token("full"),
        layers + found.attention_per_token("full"),
    ]
    assert sum(passes.values()) == found.hardware_train_per_token("full", "flash", "full", "megatron")
    flash = found.hardware_train_per_token("none", "flash")
    assert flash - found.train_per_token() == 0.5 * attention


@given(st.sampled_from(["context_length", "d_model", "n_layers", "d_ff", "vocab_size", "window"]),
       st.integers(1, 64))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_monotone_in_every_size(name: str, more: int) -> None:
    base = LLAMA.with_(window=512, global_every=4)
    larger = base.with_(**{name: getattr(base, name) + more})
    for convention in ("causal", "full"):
        low, high = (flops(d).forward_per_sequence(convention) for d in (base, larger))
        assert low <= high


def test_arrays_equal_scalars_and_counts_are_exact() -> None:
    c, L = np.array([1024.0, 131072.0])[:, None], np.array([8.0, 126.0])
    grid = flops(Design.of(c, 16384, L, window=np.array([0.0, 4096.0]))).forward_per_sequence()
    for i in range(2):
        for j in range(2):
            one = Design.of(int(c[i, 0]), 16384, int(L[j]), window=(0, 4096)[j])
            assert grid[i, j] == flops(one).forward_per_sequence()


def test_unknown_convention() -> None:
    with pytest.raises(UnknownName, match="causal"):
        flops(LLAMA).forward_per_token("half")  # type: ignore[arg-type]
