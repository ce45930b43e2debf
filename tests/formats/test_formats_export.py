"""Designs and plans written down: read back unchanged, counted alike by Transformers, refused by name."""

from __future__ import annotations

import ast
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import catalog, formats
from explorer.cost import parameters
from explorer.design import Design, Plan
from explorer.errors import ExplorerError, UnknownName, Unsupported
from explorer.formats import megatron, nanogpt, torchtitan
from explorer.formats.export import Export

EXPORTS = json.loads((Path(__file__).parents[1] / "records" / "export.json").read_text())
LLAMA = catalog.model("llama-3-8b").design
GPT2 = catalog.model("gpt2").design
PLAN = Plan(
    implementation="megatron",
    micro_batch=2,
    global_batch=512,
    data_parallel=8,
    tensor_parallel=2,
    pipeline_parallel=4,
    zero_stage=1,
)


@pytest.mark.parametrize("name", EXPORTS["rows"])
def test_transformers_counts_the_same(name: str) -> None:
    row = EXPORTS["rows"][name]
    design = Design.of(*EXPORTS["sizes"], **row["design"])
    assert json.loads(formats.write(design, None, "hf")) == row["config"]
    assert parameters(design).total == row["total"]
    assert formats.read(row["config"]) == design


@pytest.mark.parametrize("name", EXPORTS["rows"])
def test_transformers_builds_it_here(name: str) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the `validate` extra")
    torch = pytest.importorskip("torch", reason="needs the `validate` extra")
    config = dict(EXPORTS["rows"][name]["config"])
    kind = config.pop("model_type")
    config.pop("architectures")
    with torch.device("meta"):
        built = transformers.AutoConfig.for_model(kind, **config)
        model = transformers.AutoModelForCausalLM.from_config(built)
    model.tie_weights()
    assert sum(p.numel() for p in model.parameters()) == EXPORTS["rows"][name]["total"]


def test_config_carries_plan_and_remarks() -> None:
    text = formats.write(LLAMA, PLAN, "hf", n_tokens=1e12, remarks=["expected peak memory: 71 GiB"])
    config = json.loads(text)
    assert config["explorer"]["plan"]["tensor_parallel"] == 2
    assert config["explorer"]["steps"] == -(-(10**12) // (512 * 8192))
    assert "expected peak memory: 71 GiB" in config["explorer"]["remarks"]
    assert formats.read(config) == LLAMA


def test_files_are_recognised_by_their_content(tmp_path: Path) -> None:
    for target, design in (("hf", LLAMA), ("megatron", LLAMA), ("torchtitan", LLAMA), ("nanogpt", GPT2)):
        path = tmp_path / formats.TARGETS[target]
        path.write_text(formats.write(design, None, target))
        assert formats.read(path) == design, target
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ExplorerError, match="not a known format"):
        formats.read(tmp_path / "notes.txt")


def test_megatron() -> None:
    text = formats.write(LLAMA, PLAN, "megatron", n_tokens=1e12, remarks=["expected speed: 9,100 tokens/s"])
    lines = text.splitlines()
    assert lines[0] == "# expected speed: 9,100 tokens/s"
    for line in (
        "--num-layers 32",
        "--num-query-groups 8",
        "--swiglu",
        "--disable-bias-linear",
        "--untie-embeddings-and-output-weights",
        "--tensor-model-parallel-size 2",
        "--sequence-parallel",
        "--micro-batch-size 2",
        "--use-distributed-optimizer",
        "--bf16",
        "--train-iters 238419",
    ):
        assert line in lines
    assert megatron.read(text) == LLAMA


def test_megatron_reads_a_shell_script() -> None:
    script = """
    GPT="--num-layers 24 --hidden-size 1024 \\
         --num-attention-heads 16 --seq-length 2048 \\
         --vocab-size=50304 --max-position-embeddings 2048"
    """
    design = megatron.read(script)
    # Megatron's defaults: learned positions, LayerNorm, GELU of 4·d, biases, tied embeddings.
    assert parameters(design).total == 50304 * 1024 + 2048 * 1024 + 24 * (12 * 1024**2 + 13 * 1024) + 2 * 1024
    with pytest.raises(ExplorerError, match="arguments: --hidden-size: missing"):
        megatron.read("--num-layers 24")
    with pytest.raises(ExplorerError, match="--num-layers: a whole number is needed, got 'x'"):
        megatron.read("--num-layers x --hidden-size 64 --num-attention-heads 1 --vocab-size 9 --seq-length 8")


def test_megatron_fuses_no_bias_into_what_has_none() -> None:
    # TransformerConfig raises on --bias-gelu-fusion with squared ReLU, and with GELU without biases.
    for ffn, fused in (("swiglu", True), ("relu2", False), ("gelu", False)):
        design = LLAMA.with_(ffn=ffn)
        text = formats.write(design, PLAN, "megatron")
        assert ("--no-bias-gelu-fusion" in text) != fused
        assert megatron.read(text) == design


@pytest.mark.parametrize("name", ["deepseek-v3", "gpt2", "qwen3-8b", "mixtral-8x7b", "qwen2-57b-a14b"])
def test_megatron_mixtures_and_latent_attention(name: str) -> None:
    design = catalog.model(name).design
    assert megatron.read(formats.write(design, None, "megatron")) == design


def test_torchtitan() -> None:
    text = formats.write(LLAMA, PLAN, "torchtitan", n_tokens=1e12)
    ast.parse(text)
    assert "multiple_of=1024" in text
    assert "ffn_dim_multiplier=1.3" in text
    trainer = tomllib.loads(text.split('"""')[1].removeprefix("\\\n"))
    assert trainer["training"]["seq_len"] == 8192
    # In a pipeline the local batch is what the pipeline splits.
    assert trainer["training"]["local_batch_size"] == 64
    assert trainer["parallelism"]["pipeline_parallel_microbatch_size"] == 2
    assert trainer["parallelism"]["data_parallel_shard_degree"] == 8
    assert trainer["training"]["steps"] == 238419
    assert "# planned as bf16-mixed" in text
    assert torchtitan.read(text) == LLAMA


def test_nanogpt() -> None:
    plan = Plan(precision="amp", micro_batch=12, global_batch=480, data_parallel=8)
    keys: dict[str, Any] = {}
    exec(formats.write(GPT2, plan, "nanogpt", n_tokens=3e11), keys)
    assert (keys["n_layer"], keys["n_embd"], keys["block_size"], keys["bias"]) == (12, 768, 1024, True)
    assert (keys["batch_size"], keys["gradient_accumulation_steps"]) == (12, 40)
    # nanoGPT's train_gpt2.py: 600,000 steps of 491,520 tokens "makes total number of tokens be 300B".
    assert abs(keys["max_iters"] / 600_000 - 1) < 0.02
    assert nanogpt.read("n_layer = 24").d_model == 768
    with pytest.raises(ExplorerError, match="n_layer: int is needed, got '24'"):
        nanogpt.read("n_layer = '24'")


@pytest.mark.parametrize(
    ("design", "plan", "target", "named"),
    [
        (LLAMA, None, "nanogpt", "set n_kv_heads = 32, d_ff = 16384, ffn = gelu, "),
        (GPT2, PLAN, "nanogpt", "tensor_parallel = 2"),
        (GPT2, Plan(recompute="full"), "nanogpt", "recompute = full"),
        (LLAMA.with_(norms_per_layer=4), None, "megatron", "norms_per_layer = 4"),
        (LLAMA.with_(norm="layernorm-nobias"), None, "megatron", "norm = layernorm-nobias"),
        (LLAMA.with_(ffn="geglu"), None, "megatron", "ffn = geglu"),
        (LLAMA.with_(window=512, global_tokens=8), None, "megatron", "global_tokens = 8"),
        (LLAMA.with_(vocab_size=32001), PLAN, "megatron", "vocabulary of 32001"),
        (LLAMA, PLAN.with_(optimizer="adafactor"), "megatron", "optimizer = adafactor"),
        (
            LLAMA,
            PLAN.with_(recompute="selective-op"),
            "megatron",
            "recompute = selective-op; set training.plan.recompute to none, selective or full, or "
            "training.implementation to megatron",
        ),
        (LLAMA, PLAN.with_(optimizer="muon", zero_stage=3), "megatron", "zero_stage = 3"),
        (LLAMA, PLAN.with_(offload_activations=True), "megatron", "offload_activations = true; set "),
        (
            LLAMA.with_(qkv_bias=True),
            None,
            "torchtitan",
            "qkv_bias = true; set qkv_bias = false (in a budget: space.bias)",
        ),
        (catalog.model("mixtral-8x7b").design, None, "torchtitan", "n_experts = 8, "),
        (LLAMA, PLAN.with_(cross_entropy="chunked"), "torchtitan", "cross_entropy = chunked"),
        (
            LLAMA.with_(position="alibi"),
            None,
            "hf",
            "position = alibi; set position = rope (in a budget: space.position)",
        ),
    ],
)
def test_what_a_target_lacks_is_refused_by_name(
    design: Design, plan: Plan | None, target: str, named: str
) -> None:
    with pytest.raises(Unsupported, match=r"cannot express|megatron pads") as caught:
        formats.write(design, plan, target)
    assert named in str(caught.value)
    # One line, with what to set instead.
    assert "\n" not in str(caught.value)
    assert "; set " in str(caught.value) or "; choose " in str(caught.value)


def test_unknown_target() -> None:
    with pytest.raises(UnknownName, match="did you mean megatron"):
        formats.write(LLAMA, None, "megaton")


def test_only_one_whole_design_is_written() -> None:
    with pytest.raises(Unsupported, match="d_model holds 2 values"):
        formats.write(LLAMA.with_(d_model=np.array([4096.0, 5120.0])), None, "hf")
    with pytest.raises(Unsupported, match="d_ff must be whole"):
        formats.write(LLAMA.with_(d_ff=14336.5), None, "hf")
    # What a search hands over is float64.
    floats = LLAMA.with_(d_model=np.float64(4096), n_layers=np.array(32.0))
    assert formats.write(floats, None, "hf") == formats.write(LLAMA, None, "hf")


def test_a_staged_schedule_is_said_and_left_out() -> None:
    staged = LLAMA.with_(staged_from=4096, staged_share=0.05)
    text = formats.write(staged, PLAN, "megatron")
    assert "# schedule: train the first 95% of the tokens at sequences of 4096" in text
    assert megatron.read(text) == LLAMA


@given(
    st.integers(8, 128),
    st.integers(1, 96),
    st.integers(1, 40000),
    st.sampled_from([64, 128]),
    st.sampled_from([1, 2, 4]),
    st.booleans(),
)
def test_llama_shapes_survive_every_writer(
    heads: int, layers: int, d_ff: int, d_head: int, group: int, tied: bool
) -> None:
    design = Design.of(
        4096,
        heads * d_head,
        layers,
        d_head=d_head,
        n_kv_heads=heads // group if heads % group == 0 else heads,
        d_ff=d_ff,
        tied_embeddings=tied,
    )
    for module in (megatron, torchtitan):
        assert module.read(module.write(Export.of(design, None, None, ()))) == design
    assert formats.read(json.loads(formats.write(design, None, "hf"))) == design
