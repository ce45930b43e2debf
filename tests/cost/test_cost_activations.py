"""The ledger against autograd's own count, published formulas and its own symmetries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from explorer import formats
from explorer.cost.activations import ledger, total
from explorer.design import Design, Plan
from explorer.errors import Unsupported

FOLDER = Path(__file__).parents[1] / "records"
RECORDS = json.loads((FOLDER / "activations.json").read_text())
COMPILED = json.loads((FOLDER / "compiled.json").read_text())
SELECTIVE = json.loads((FOLDER / "selective.json").read_text())
# LLaMA-7B's and GPT-2 small's shapes.
LLAMA = Design.of(2048, 4096, 32, d_ff=11008)
GPT2 = Design.of(1024, 768, 12, n_heads=12, ffn="gelu", norm="layernorm", position="learned", bias=True,
                 vocab_size=50257, tied_embeddings=True)  # fmt: skip


@pytest.mark.parametrize("family", RECORDS["configs"])
def test_ledger_equals_what_autograd_keeps(family: str) -> None:
    design = formats.read(dict(RECORDS["configs"][family]))
    rows = [row for row in RECORDS["rows"] if row["family"] == family]
    assert rows
    for row in rows:
        plan = Plan(precision=row["precision"], attention_kernel=row["kernel"], dropout=row["dropout"] > 0,
                    fused_activation=family != "gpt2-unfused")  # fmt: skip
        book = ledger(design.with_(context_length=row["context"]), plan)
        dense = book.dense_ffn and design.n_dense_layers >= design.n_layers
        layer = book.attention + book.dense_ffn if dense else book.layer
        assert total(layer) == row["layer"], row
        assert total(book.outside + book.embedding) == row["outside"], row


@pytest.mark.parametrize("family", COMPILED["configs"])
def test_compiled_ledger_equals_what_the_partitioner_keeps(family: str) -> None:
    design = formats.read(dict(COMPILED["configs"][family]))
    rows = [row for row in COMPILED["rows"] if row["family"] == family]
    assert {row["precision"] for row in rows} == {"bf16", "amp", "fp32"}
    for row in rows:
        plan = Plan(precision=row["precision"], compiled=True, fused_activation=family != "gpt2-unfused")
        assert total(ledger(design, plan).layer) == row["layer"], row


@pytest.mark.parametrize("row", SELECTIVE["rows"], ids=lambda row: row["family"])
def test_selective_per_operation_keeps_what_the_policy_picks(row: dict[str, float]) -> None:
    family = str(row["family"])
    design = formats.read(dict(SELECTIVE["configs"][family]))
    if family.startswith("latent"):
        # The recorded layer is one of the dense ones.
        design = design.with_(n_experts=0, n_experts_active=0, n_experts_shared=0, n_dense_layers=0)
    plan = Plan(precision="bf16", recompute="selective-op")
    assert total(ledger(design, plan).layer) == row["layer"]


def test_compiled_blocks_keep_no_last_product_and_never_more() -> None:
    for mode in ("none", "selective-op", "full"):
        eager, compiled = (
            total(ledger(LLAMA, Plan(recompute=mode, compiled=flag)).layer) for flag in (False, True)
        )
        assert compiled <= eager
    # Measured with torchtitan's policy: layer input, q, v, attention output, log-sum-exp and gate.
    d, ff = 4096, 11008
    kept = total(ledger(LLAMA, Plan(recompute="selective-op", compiled=True)).layer)
    assert kept == 2 * d + 2 * d + 2 * d + 2 * d + 4 * 32 + 2 * ff
    with pytest.raises(Unsupported):
        ledger(LLAMA, Plan(compiled=True, attention_kernel="naive"))
    with pytest.raises(Unsupported):
        ledger(LLAMA, Plan(compiled=True, implementation="megatron"))


def test_repeated_keys_and_values_are_as_wide_as_the_queries() -> None:
    grouped = LLAMA.with_(n_kv_heads=8)
    for compiled in (False, True):
        plan = Plan(compiled=compiled)
        one, many = (total(ledger(grouped, plan.with_(repeated_kv=flag)).layer) for flag in (False, True))
        assert many - one == 2 * 2 * (4096 - 8 * 128)


def test_unfused_gelu_under_autocast() -> None:
    # 20d + 16ff + 4h + 16 bytes: the cube and what follows are fp32 on a GPU.
    book = ledger(GPT2, Plan(precision="amp", fused_activation=False))
    assert total(book.layer) == 20 * 768 + 16 * 3072 + 4 * 12 + 16


def test_megatron_is_korthikanti() -> None:
    # arXiv:2205.05198, equations 1, 2, 4 and section 5: sbh(34 + 5as/h), sbh(10 + 24/t + 5as/ht), 34/t.
    d, h, c = 6144, 64, 2048
    design = Design.of(c, d, 48, n_heads=h, ffn="gelu", norm="layernorm", position="learned", bias=True)
    plan = Plan(implementation="megatron", attention_kernel="naive", dropout=True)
    assert total(ledger(design, plan).layer) == 34 * d + 5 * h * c
    for t in (2, 8):
        split = plan.with_(tensor_parallel=t, sequence_parallel=False)
        assert total(ledger(design, split).layer, split, design) == 10 * d + 24 * d / t + 5 * h * c / t
        whole = plan.with_(tensor_parallel=t)
        assert total(ledger(design, whole).layer, whole, design) == (34 * d + 5 * h * c) / t
    selective = plan.with_(recompute="selective")
    assert total(ledger(design, selective).layer) == 34 * d
    full = plan.with_(recompute="full")
    assert total(ledger(design, full).layer) == 2 * d


def test_megatron_equals_torch_gpt2_less_statistics() -> None:
    for kernel in ("flash", "naive"):
        for dropout in (False, True):
            torch = total(ledger(GPT2, Plan(attention_kernel=kernel, dropout=dropout)).layer)
            fused = Plan(attention_kernel=kernel, dropout=dropout, implementation="megatron")
            assert total(ledger(GPT2, fused).layer) == torch - 16


def test_selective_recompute_saves_little_under_flash() -> None:
    plan = Plan()
    none = total(ledger(LLAMA, plan).layer)
    selective = total(ledger(LLAMA, plan.with_(recompute="selective")).layer)
    assert 0.99 < selective / none < 1
    naive = total(ledger(LLAMA, plan.with_(attention_kernel="naive")).layer)
    assert total(ledger(LLAMA, plan.with_(attention_kernel="naive", recompute="selective")).layer) < naive / 2


@pytest.mark.parametrize(("design", "plan", "multiple"), [
    (GPT2.with_(n_heads=6, n_kv_heads=6, d_head=128), Plan(implementation="megatron", dropout=True), 6.8),
    (GPT2, Plan(), 16),
    (LLAMA, Plan(), 7.6),
])  # fmt: skip
def test_quadratic_part_passes_the_rest_at_a_multiple_of_d_head(
    design: Design, plan: Plan, multiple: float
) -> None:
    naive = plan.with_(attention_kernel="naive")
    one, two = (total(ledger(design.with_(context_length=c), naive).layer) for c in (1, 2))
    per_position = two - one
    crossing = (one - per_position) / per_position
    assert crossing / design.d_head == pytest.approx(multiple, rel=0.02)


def test_every_second_product_keeps_less_than_everything_in_every_block() -> None:
    mixture = LLAMA.with_(n_experts=8, n_experts_active=2, d_ff_expert=1024)
    latent = LLAMA.with_(kv_lora_rank=512, q_lora_rank=1536, d_head_rope=64, d_head_v=128, d_head=192)
    for design in (LLAMA, GPT2, mixture, latent):
        for kernel in ("flash", "naive"):
            plan = Plan(attention_kernel=kernel)
            kept = [total(ledger(design, plan.with_(recompute=mode)).layer)
                    for mode in ("full", "selective-op", "selective", "none")]  # fmt: skip
            assert kept == sorted(kept)


def test_arrays_equal_scalars() -> None:
    d, c = np.array([1024.0, 4096.0]), np.array([512.0, 8192.0])[:, None]
    grid = Design.of(c, d, 8)
    for kernel in ("flash", "naive"):
        for implementation in ("torch", "megatron"):
            plan = Plan(attention_kernel=kernel, implementation=implementation)
            values = np.broadcast_to(total(ledger(grid, plan).layer), (2, 2))
            for i in range(2):
                for j in range(2):
                    one = Design.of(c[i, 0], d[j], 8)
                    assert values[i, j] == total(ledger(one, plan).layer)
