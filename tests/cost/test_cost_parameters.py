"""Parameter counts: equal to what Transformers builds, to the unit, alone and on grids."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import formats
from explorer.cost import parameters
from explorer.design import Design

RECORDS = json.loads((Path(__file__).parents[1] / "records" / "parameters.json").read_text())
SIZES = ("context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff", "vocab_size")


@pytest.mark.parametrize("part", ["models", "variants"])
def test_equals_transformers_to_the_unit(part: str) -> None:
    assert len(RECORDS[part]) > 140
    for name, row in RECORDS[part].items():
        counted = parameters(formats.read(row["config"]))
        assert (name, counted.total, counted.active) == (name, row["total"], row["active"])
        assert isinstance(counted.total, int)


# Totals as their publishers state them (safetensors index of the checkpoint or model card).
@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("gpt2", 124_439_808),
        ("llama-2-7b", 6_738_415_616),
        ("llama-3-8b", 8_030_261_248),
        ("mistral-7b", 7_241_732_096),
        ("mixtral-8x7b", 46_702_792_704),
        ("qwen2-7b", 7_615_616_512),
        ("falcon-7b", 6_921_720_704),
        ("mpt-7b", 6_649_286_656),
        ("bloom-176b", 176_247_271_424),
        ("gemma-7b", 8_537_680_896),
        ("command-r-35b", 34_980_831_232),
        ("starcoder-15b", 15_517_456_384),
    ],
)
def test_records_agree_with_published_totals(name: str, total: int) -> None:
    assert RECORDS["models"][name]["total"] == total


def test_mixtral_active() -> None:
    # arXiv:2401.04088, section 1: "13B active parameters".
    assert RECORDS["models"]["mixtral-8x7b"]["active"] == 12_879_925_248


def test_matmul_weights_of_llama_7b() -> None:
    # 32 layers of 4·d² + 3·d·d_ff and the head: half of the 13.2 GFLOPs a token costs without attention.
    counted = parameters(Design.of(2048, 4096, 32))
    assert counted.matmul == 32 * (4 * 4096**2 + 3 * 4096 * 11008) + 32000 * 4096


def test_non_embedding_leaves_out_every_vocabulary_and_position_table() -> None:
    tied = Design.of(1024, 768, 12, n_heads=12, ffn="gelu", position="learned", tied_embeddings=True)
    untied = tied.with_(tied_embeddings=False, position="rope")
    assert parameters(tied).non_embedding == parameters(untied).non_embedding
    # Kaplan 2020, equation 2.1: N ≈ 12·L·d², exact but for the norms.
    assert parameters(tied.with_(norm="layernorm-noweight")).non_embedding == 12 * 12 * 768**2


def test_mpt_as_benchmarked_by_llm_foundry() -> None:
    # llm-foundry scripts/train/benchmarking: V·d + c·d + L(12d² + 13d) + 2d, here MPT-7B at 8,192.
    design = Design.of(
        8192,
        4096,
        32,
        n_heads=32,
        ffn="gelu",
        norm="layernorm",
        position="learned",
        bias=True,
        tied_embeddings=True,
        vocab_size=50368,
    )
    assert parameters(design).total == 6_684_024_832


def test_shared_exact_counts() -> None:
    """Every exact parameter count among the shared measurements."""
    folder = os.environ.get("EXPLORER_DATA")
    if not folder or not (Path(folder) / "measured.jsonl").exists():
        pytest.skip("EXPLORER_DATA does not name the folder of shared measurements")
    lines = (Path(folder) / "measured.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["what"] == "param_count"]
    assert len(rows) > 30
    for row in rows:
        assert parameters(_described(row["config"])).total == row["value"], row["config"]["model"]


def _described(config: dict[str, Any]) -> Design:
    learned = config.get("pos_emb") == "learned" or config.get("pos") is not None
    positions = config["pos"] if isinstance(config.get("pos"), int) else config.get("seq", 2048)
    return Design.of(
        positions,
        config["hidden"],
        config["layers"],
        n_heads=config["heads"],
        n_kv_heads=config.get("kv_heads", config["heads"]),
        **({"d_head": config["head_dim"]} if "head_dim" in config else {}),
        d_ff=config["ffn"],
        vocab_size=config["vocab"],
        ffn="swiglu" if config.get("gated") else "gelu",
        tied_embeddings=config["tied"],
        norm=config["norm"],
        position="learned" if learned else "rope",
        **({"bias": True} if config.get("bias") else {"qkv_bias": config.get("qkv_bias", False)}),
        qk_norm="head" if config.get("qk_norm") else "none",
        n_experts=config.get("experts", 0),
        n_experts_active=config.get("topk", 0),
    )


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """Any design, mixtures and latent attention among them."""
    size = lambda most: draw(st.integers(1, most))  # noqa: E731
    kv = size(8)
    more: dict[str, Any] = {}
    if draw(st.booleans()):
        more = {"n_experts": (n := size(64)), "n_experts_active": draw(st.integers(1, n))}
        more |= {"n_experts_shared": draw(st.integers(0, 2)), "d_ff_expert": size(4096)}
    if draw(st.booleans()):
        more |= {"kv_lora_rank": size(512), "q_lora_rank": draw(st.integers(0, 512))}
        more |= {"d_head_v": size(256), "d_head_rope": 1}
    return Design(
        context_length=size(131072),
        d_model=size(16384),
        n_layers=size(128),
        n_heads=kv * size(16),
        n_kv_heads=kv,
        d_head=size(256) + 1,
        d_ff=size(65536),
        vocab_size=size(262144),
        ffn=draw(st.sampled_from(["gelu", "swiglu"])),
        norm=draw(st.sampled_from(["layernorm", "rmsnorm", "layernorm-nobias", "layernorm-noweight"])),
        position=draw(st.sampled_from(["learned", "rope"])),
        qk_norm=draw(st.sampled_from(["none", "head", "full"])),
        tied_embeddings=draw(st.booleans()),
        qkv_bias=draw(st.booleans()),
        output_bias=draw(st.booleans()),
        ffn_bias=draw(st.booleans()),
        head_bias=draw(st.booleans()),
        router_bias=draw(st.booleans()),
        shared_expert_gate=draw(st.booleans()),
        attention_sinks=draw(st.booleans()),
        **more,
    )


@given(designs())
def test_parts_add_up_and_active_is_within_total(design: Design) -> None:
    p = parameters(design)
    parts = p.embedding + p.projection + p.position + p.attention + p.ffn + p.norms + p.head
    assert parts == p.total == p.outside + p.per_layer * design.n_layers
    assert 0 < p.matmul <= p.active + p.head_matmul <= p.total + p.head_matmul
    assert 0 <= p.non_embedding <= p.total


@given(designs(), st.sampled_from(SIZES))
def test_monotone_in_every_size(design: Design, name: str) -> None:
    larger = design.with_(**{name: getattr(design, name) + 1})
    assert parameters(larger).total >= parameters(design).total
    assert parameters(larger).active >= parameters(design).active
    assert parameters(larger).matmul >= parameters(design).matmul


@given(designs())
def test_one_equals_many(design: Design) -> None:
    """Every numeric field as an array gives the integer's value, exactly."""
    values = {f.name: getattr(design, f.name) for f in fields(Design)}
    numeric = {k: v for k, v in values.items() if isinstance(v, int) and not isinstance(v, bool)}
    table = design.with_(**{k: np.array([v, v], dtype=float) for k, v in numeric.items()})
    for kind in ("total", "active", "non_embedding", "matmul"):
        one, many = getattr(parameters(design), kind), getattr(parameters(table), kind)
        assert isinstance(one, int)
        np.testing.assert_array_equal(many, [one, one])


def test_open_grid_stays_factorised() -> None:
    """Counts without a learned position table never touch the context axis."""
    c = np.geomspace(1024, 65536, 7)[:, None, None]
    d = np.arange(1024.0, 8192, 512)[None, :, None]
    L = np.arange(8.0, 64, 4)[None, None, :]
    grid = parameters(Design.of(c, d, L))
    assert grid.total.shape == (1, d.size, L.size)
    assert grid.per_layer.shape == (1, d.size, 1)
    for i, j in ((0, 0), (5, 3), (13, 13)):
        alone = parameters(Design.of(2048, int(d[0, i, 0]), int(L[0, 0, j]))).total
        assert grid.total[0, i, j] == alone


def test_dense_and_mixture_rows_in_one_table() -> None:
    table = Design.of(
        np.array([4096.0, 4096.0]),
        np.array([4096.0, 4096.0]),
        np.array([32.0, 32.0]),
        n_kv_heads=8,
        d_ff=14336,
        n_experts=np.array([0.0, 8.0]),
        n_experts_active=np.array([0.0, 2.0]),
    )
    np.testing.assert_array_equal(parameters(table).total, [7_241_732_096, 46_702_792_704])
    np.testing.assert_array_equal(parameters(table).active, [7_241_732_096, 12_879_925_248])


def test_exact_beyond_ten_trillion() -> None:
    design = Design.of(4096, 65536, 256, d_head=128, vocab_size=512_000)
    exact = parameters(design).total
    assert exact > 10**13
    array = design.with_(d_model=np.array([65536.0]), n_layers=np.array([256.0]))
    assert int(parameters(array).total[0]) == exact
