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


def test_limits_claims_list_and_schema_answer() -> None:
    assert explore("limits", "llama-3-8b", "--accelerator", "h100-sxm-80gb", "--n-gpus", "8").returncode == 0
    assert len(json.loads(explore("claims", "--json").stdout)) == 11
    for shelf in ("models", "accelerators", "laws", "corpora"):
        assert json.loads(explore("list", shelf, "--json").stdout)
    assert "properties" in json.loads(explore("schema").stdout)
