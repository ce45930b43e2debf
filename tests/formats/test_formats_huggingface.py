"""Hugging Face configs: read as Transformers reads them, refused by name, written back unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from explorer import formats
from explorer.cost import parameters
from explorer.design import Design
from explorer.errors import ExplorerError, Unsupported

RECORDS = json.loads((Path(__file__).parents[1] / "records" / "parameters.json").read_text())
LLAMA = RECORDS["models"]["llama-2-7b"]["config"]


def test_reads_a_file_and_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA))
    assert formats.read(path) == formats.read(tmp_path) == formats.read(str(path)) == formats.read(LLAMA)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "lama"}, "model_type: 'lama' is not known; did you mean llama?"),
        ({"model_type": "zzz"}, "model_type: 'zzz' is not known; known: arcee,"),
        ({"model_type": None}, "model_type: missing"),
        ({"model_type": 3}, "model_type: a string is needed, got 3"),
        ({"hidden_size": None}, "hidden_size: missing, and a llama config needs it"),
        ({"num_hidden_layers": "32"}, "num_hidden_layers: a whole number of at least 1 is needed, got '32'"),
        ({"num_hidden_layers": 32.5}, "num_hidden_layers: a whole number"),
        ({"num_hidden_layers": True}, "num_hidden_layers: a whole number"),
        ({"vocab_size": 0}, "vocab_size: a whole number of at least 1 is needed, got 0"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings: true or false is needed, got 'no'"),
        ({"hidden_act": "xielu"}, "hidden_act: 'xielu' is not modelled"),
        ({"num_key_value_heads": 5}, "num_key_value_heads: a divisor of 32 heads is needed, got 5"),
        ({"hidden_size": 4097}, "hidden_size: a multiple of 32 heads is needed, got 4097"),
    ],
)
def test_one_clear_line_names_file_and_key(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA | changes))
    with pytest.raises(ExplorerError) as caught:
        formats.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_model_type_is_unsupported() -> None:
    with pytest.raises(Unsupported):
        formats.read(LLAMA | {"model_type": "mamba"})


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_absent_sizes_are_not_guessed(key: str) -> None:
    with pytest.raises(ExplorerError, match=f"{key}: missing"):
        formats.read({k: v for k, v in LLAMA.items() if k != key})


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", ":1:2: not JSON"), ("[]", "a JSON object is needed, got list")],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ExplorerError, match=message):
        formats.read(path)
    with pytest.raises(ExplorerError, match="no such file"):
        formats.read(tmp_path / "absent.json")


def test_windows() -> None:
    read = lambda name, **more: formats.read(RECORDS["models"][name]["config"] | more)  # noqa: E731
    assert (read("mistral-7b").window, read("mistral-7b").global_every) == (4096, 0)
    assert read("mistral-7b", sliding_window=None).window == 0
    assert (read("gemma-2-9b").window, read("gemma-2-9b").global_every) == (4096, 2)
    assert (read("gemma-3-4b").window, read("gemma-3-4b").global_every) == (1024, 6)
    assert read("gemma-3-4b").n_global_layers == 5
    assert (read("command-r7b").window, read("command-r7b").global_every) == (4096, 4)
    assert (read("gpt-neo-1.3b").window, read("gpt-neo-1.3b").n_global_layers) == (256, 12)
    # Qwen 2 names a window and leaves it off.
    assert read("qwen2-7b", sliding_window=131072, use_sliding_window=False).window == 0
    types = ["sliding_attention", "full_attention"] * 14
    assert read("qwen2-7b", use_sliding_window=True, sliding_window=4096, layer_types=types).global_every == 2
    with pytest.raises(Unsupported, match="17 global layers of 28 are no regular pattern"):
        read("qwen2-7b", use_sliding_window=True, sliding_window=4096, max_window_layers=17)
    with pytest.raises(ExplorerError, match="layer_types: 34 of full_attention or sliding_attention"):
        read("gemma-3-4b", layer_types=["sliding_attention"])


def test_windows_from_a_first_global_layer_and_from_a_late_one() -> None:
    variants = {name: row["config"] for name, row in RECORDS["variants"].items()}
    read = lambda name, **more: formats.read(variants[name] | more)  # noqa: E731
    # CWM's layers 0, 4, 8, ... are global: three of nine.
    assert read("cwm/0").n_global_layers == 2
    assert read("cwm/0", num_hidden_layers=9).n_global_layers == 3
    assert (read("exaone4/3").window, read("exaone4/3").global_every) == (4096, 2)
    # dots.llm1's layers are windowed from the 62nd on, and there are eight.
    assert read("dots1/0").window == 0
    assert read("dots1/0", max_window_layers=0).window == 4096
    with pytest.raises(ExplorerError, match="mlp_layer_types: 8 of dense or sparse is needed"):
        read("glm4_moe_lite/1", mlp_layer_types=["dense"])
    with pytest.raises(Unsupported, match="use_bias: True is not modelled"):
        read("ernie4_5_moe/0", use_bias=True)


def test_the_language_part_of_an_image_model() -> None:
    # As google/gemma-3-4b-it states it: vocabulary and heads are left to Transformers' defaults.
    text = {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 34,
        "sliding_window": 1024,
    }
    config = {"model_type": "gemma3", "text_config": {**text, "model_type": "gemma3_text"}}
    assert parameters(formats.read(config)).total == RECORDS["models"]["gemma-3-4b"]["total"]
    with pytest.raises(ExplorerError, match="text_config: hidden_size: missing"):
        formats.read({"model_type": "gemma3", "text_config": {}})


def test_own_code_models() -> None:
    # Qwen-7B counts both halves of the gated width; GLM-4-9B pads its vocabulary.
    qwen = {
        "model_type": "qwen",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "intermediate_size": 22016,
        "vocab_size": 151936,
        "kv_channels": 128,
        "seq_length": 8192,
        "no_bias": True,
    }
    assert parameters(formats.read(qwen)).total == 7_721_324_544
    glm = {
        "model_type": "chatglm",
        "hidden_size": 4096,
        "num_layers": 40,
        "num_attention_heads": 32,
        "ffn_hidden_size": 13696,
        "padded_vocab_size": 151552,
        "kv_channels": 128,
        "multi_query_attention": True,
        "multi_query_group_num": 2,
        "add_qkv_bias": True,
        "add_bias_linear": False,
        "seq_length": 131072,
        "tie_word_embeddings": False,
    }
    assert parameters(formats.read(glm)).total == RECORDS["models"]["glm-4-9b"]["total"]


def test_llm_foundry_mpt() -> None:
    config = RECORDS["models"]["mpt-7b"]["config"] | {
        "no_bias": False,
        "attn_config": {"alibi": False},
        "vocab_size": 50368,
        "max_seq_len": 8192,
    }
    assert parameters(formats.read(config)).total == 6_684_024_832


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("deepseek-v2", {"mlp_bias": True}),
        ("gpt2", {"add_cross_attention": True}),
        ("mpt-7b", {"attn_config": {"alibi": True, "qk_ln": True}}),
    ],
)
def test_switches_without_a_model_are_refused(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="not modelled"):
        formats.read(RECORDS["models"][name]["config"] | changes)


def test_every_published_design_is_written_and_read_back() -> None:
    from explorer.formats import huggingface

    for part in ("models", "variants"):
        for name, row in RECORDS[part].items():
            design = formats.read(row["config"])
            try:
                written = huggingface.write(design)
            except Unsupported as refusal:
                pytest.fail(f"{name}: {refusal}")
            assert formats.read(json.loads(json.dumps(written))) == design, name


def test_a_design_of_our_own_is_a_llama() -> None:
    from explorer.formats import huggingface

    design = Design.of(16384, 3200, 30, d_head=128, n_kv_heads=5, d_ff=11264)
    assert huggingface.write(design)["model_type"] == "llama"
    assert huggingface.write(design.with_(qkv_bias=True))["model_type"] == "qwen2"
    # The schedule is no part of the model.
    assert huggingface.write(design.with_(staged_from=4096, staged_share=0.1))["model_type"] == "llama"
    with pytest.raises(Unsupported, match=r"global_tokens = 64"):
        huggingface.write(design.with_(window=512, global_tokens=64))
    with pytest.raises(Unsupported, match="position = alibi"):
        huggingface.write(design.with_(position="alibi"))
