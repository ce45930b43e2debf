"""`evaluate`: known answers, one row or many alike, every mistake named by its row."""

import numpy as np
import pandas as pd
import pytest

from explorer.errors import InputErrors
from explorer.search.columns import COLUMNS, OUTPUTS
from explorer.search.table import evaluate, evaluate_file

LLAMA = {"context_length": 4096, "d_model": 4096, "n_layers": 32, "d_ff": 11008}


def test_a_published_model_and_the_defaults_around_it():
    found = evaluate(pd.DataFrame([LLAMA]))
    assert found["n_params"][0] == 6_738_415_616  # LLaMA-2-7B's published count
    # 2 FLOPs per weight in matmuls, causal attention at half, times the sequence.
    weights = 6_738_415_616 - 32_000 * 4096 - 65 * 4096
    assert found["forward_flops_per_sequence"][0] == 2 * weights * 4096 + 2 * 32 * 4096 * 4096**2
    assert found["kv_cache_bytes"][0] == 524_288 * 4096
    assert set(OUTPUTS) <= set(found.columns)
    assert np.isfinite(found[list(OUTPUTS)].to_numpy(float)).all()


def test_rows_are_answered_alike_alone_and_together_and_in_order():
    rows = [
        LLAMA,
        {"context_length": 2048, "d_model": 768, "n_layers": 12, "ffn": "gelu", "bias": "yes"},
        {"context_length": 16384, "d_model": 2048, "n_layers": 24, "schedule": "staged", "corpus": "code"},
        {"context_length": 8192, "d_model": 4096, "n_layers": 32, "n_kv_heads": 8, "n_gpus": 8,
         "zero_stage": 3, "precision": "fsdp-mixed", "recompute": "full"},
        {"context_length": 4096, "d_model": 4096, "n_layers": 32, "n_experts": 8, "n_experts_active": 2},
    ]  # fmt: skip
    together = evaluate(pd.DataFrame(rows))
    for k, row in enumerate(rows):
        alone = evaluate(pd.DataFrame([row]))
        for name in OUTPUTS:
            np.testing.assert_allclose(together[name][k], alone[name][0], rtol=1e-12, err_msg=name)
    assert np.isnan(together["loss"][4])
    assert together["n_params_active"][4] < together["n_params"][4]


def test_a_staged_schedule_is_cheaper_than_its_context_throughout():
    base = {"context_length": 65536, "d_model": 2048, "n_layers": 24, "n_tokens": 1e11}
    constant, staged = (
        evaluate(pd.DataFrame([{**base, "schedule": s}])).iloc[0] for s in ("constant", "staged")
    )
    assert staged["train_flops_per_token"] < constant["train_flops_per_token"]
    assert staged["gpu_hours"] < constant["gpu_hours"]


def test_every_mistake_is_named_by_its_row():
    table = pd.DataFrame(
        {"context_length": [4096, "x", 4096], "d_model": [4096, 4096, 1000], "n_layers": [32, 2.5, 8],
         "ffn": ["swigl", "gelu", ""], "tied_embeddings": ["yes", "maybe", ""]}
    )  # fmt: skip
    with pytest.raises(InputErrors) as caught:
        evaluate(table)
    text = str(caught.value)
    assert "row 0: ffn: one of gelu, relu, relu2, swiglu, geglu, got 'swigl'; did you mean swiglu?" in text
    assert "row 1: context_length: a number such as 4096, got 'x'" in text
    assert "row 1: n_layers: a whole number above 0, got 2.5" in text
    assert "row 1: tied_embeddings: yes or no, got 'maybe'" in text
    with pytest.raises(InputErrors, match="row 0: n_heads = d_model / d_head must be whole"):
        evaluate(table.iloc[2:].reset_index(drop=True))


def test_columns_are_checked_before_cells(tmp_path):
    with pytest.raises(InputErrors) as caught:
        evaluate(pd.DataFrame([{"context_length": 1, "d_modl": 3, "loss": 2}]))
    assert "unknown column 'd_modl'; did you mean d_model?" in str(caught.value)
    assert "unknown column 'loss'; is an answer, not an input" in str(caught.value)
    assert "column 'n_layers' is needed" in str(caught.value)


def test_a_file_in_a_file_out_with_lines_named(tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("context_length,d_model,n_layers,n_tokens\n8k,4096,32,2T\n4096,2048,16,\n")
    evaluate_file(source, target)
    back = pd.read_csv(target)
    assert list(back.columns[:4]) == ["context_length", "d_model", "n_layers", "n_tokens"]
    assert back["n_params"].notna().all()
    source.write_text("context_length,d_model,n_layers\n4096,4096,32\n4096,-1,32\n")
    with pytest.raises(InputErrors, match=r"in.csv:3: d_model: a whole number above 0, got '-1'"):
        evaluate_file(source, target)


def test_an_empty_table_stays_one():
    found = evaluate(pd.DataFrame(columns=["context_length", "d_model", "n_layers"]))
    assert len(found) == 0
    assert set(OUTPUTS) <= set(found.columns)


def test_every_column_of_the_table_is_read():
    row = {**LLAMA, **{n: c.options[0] for n, c in COLUMNS.items() if c.options}}
    row |= {"zero_stage": 1, "n_gpus": 8, "tensor_parallel": 2, "weight_bits": 8, "kv_bits": 8}
    assert np.isfinite(evaluate(pd.DataFrame([row]))["step_seconds"][0])
