"""Single designs and the model from the command line, against published figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import explore


@pytest.mark.parametrize(
    ("name", "n_params"),
    [
        ("gpt2", 124_439_808),
        ("llama-2-7b", 6_738_415_616),
        ("llama-3-8b", 8_030_261_248),
        ("mistral-7b", 7_241_732_096),
        ("falcon-7b", 6_921_720_704),
        ("qwen2-7b", 7_615_616_512),
    ],
)
def test_inspect_counts_published_models_exactly(name: str, n_params: int) -> None:
    done = explore("inspect", name, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"]["n_params"] == n_params


def test_inspect_by_flags_and_from_a_config(tmp_path: Path) -> None:
    flags = explore("inspect", "--context-length", "8192", "--d-model", "4096", "--n-layers", "32", "--json")
    assert json.loads(flags.stdout)["parameters"]["n_params"] == 6_738_415_616
    config = {
        "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "intermediate_size": 11008, "vocab_size": 32000, "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), "utf-8")
    done = explore("inspect", str(path), "--json")
    assert json.loads(done.stdout)["parameters"]["n_params"] == 6_738_415_616


def test_inspect_mistakes_are_lines_and_exit_2() -> None:
    done = explore("inspect", "llama-2-7b", "--d-model", "12x", "--recompute", "ful")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 2
    assert explore("inspect", "llama-2-7").returncode == 2


def test_evaluate_reads_stdin_and_writes_stdout() -> None:
    done = explore("evaluate", "-", text="context_length,d_model,n_layers\n4096,4096,32\n")
    assert done.returncode == 0, done.stderr
    header, row = (line.split(",") for line in done.stdout.strip().splitlines())
    assert float(dict(zip(header, row, strict=True))["n_params"]) == 6_738_415_616


def test_inspect_serves() -> None:
    flags = ("--micro-batch", "4", "--weight-bits", "4", "--kv-bits", "8", "--accelerator", "a100-sxm-80gb")
    served = json.loads(explore("inspect", "llama-3-8b", *flags, "--json").stdout)["serving"]
    # Four sequences of 8,192 tokens at half of 131,072 B; the fixed time of 32 layers is 1.6 ms.
    assert served["cache_bytes"] == 4 * 8192 * 65_536
    assert served["batch"] == 4
    assert served["decode_tokens_per_second"] == pytest.approx(4 / served["decode_seconds_per_token"])
    assert served["decode_seconds_per_token"] > 1.6e-3 + served["cache_bytes"] / 2.039e12
    assert served["prefill_seconds"] > 2 * 6.98e9 * 4 * 8192 / 312e12
    assert [form["weight_bits"] for form in served["formats"]] == [16, 8, 8, 4, 4]
    text = explore("inspect", "llama-3-8b", *flags).stdout
    assert "4-bit weights" in text or "int4 weights, 8-bit cache" in text
    assert "tokens/s" in text


def test_limits_answer_as_table_and_json() -> None:
    asked = ("limits", "llama-3-8b", "--accelerator", "h100-sxm-80gb", "--n-gpus", "8")
    found = json.loads(explore(*asked, "--json").stdout)
    rows = {(row["purpose"], row["setting"], row["layout"]): row for row in found["rows"]}
    assert {row["setting"] for row in found["rows"] if row["purpose"] == "training"} >= {"none", "full"}
    served = rows["serving", "bf16", "tensor parallel 8"]
    assert served["largest_micro_batch"] == 606
    assert served["context_stopped_by"] == "weights and cache"
    longer = rows["training", "full", "context parallel 8, ZeRO 3"]["largest_context"]
    assert longer > rows["training", "none", "context parallel 8, ZeRO 3"]["largest_context"] > 0
    table = explore(*asked)
    assert table.returncode == 0
    lines = [line.split("\t") for line in table.stdout.splitlines()]
    assert len(lines) == 2 + len(found["rows"])
    assert "tokens/s" in table.stderr
    assert explore("limits", "llama-3-8b", "--gpu-memory", "1GiB").returncode == 3
    for wrong in (("--weight-bits", "3"), ("--tensor-parallel", "3"), ("--n-gpus", "0")):
        refused = explore("limits", "llama-3-8b", *wrong)
        assert refused.returncode == 2
        assert len(refused.stderr.strip().splitlines()) == 1


def test_claims_list_and_schema_answer() -> None:
    assert len(json.loads(explore("claims", "--json").stdout)) == 11
    for shelf in ("models", "accelerators", "laws", "corpora"):
        assert json.loads(explore("list", shelf, "--json").stdout)
    assert "properties" in json.loads(explore("schema").stdout)
