"""A run's design leaves with its plan and what is expected of it, and reads back as the same design."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from program import explore

from explorer import formats
from explorer.cost import parameters
from explorer.design import Design
from explorer.errors import Unsupported
from explorer.formats import megatron, torchtitan
from explorer.pipeline import export
from explorer.result import Result, load
from explorer.units import format_bytes, format_loss

READ: dict[str, Callable[[str], Design]] = {
    "hf": lambda text: formats.read(json.loads(text)),
    "megatron": megatron.read,
    "torchtitan": torchtitan.read,
}


@pytest.fixture(scope="module")
def result(one_node: Path) -> Result:
    return load(one_node)


@pytest.mark.parametrize("pick", ["best-loss", "longest", "knee", "0"])
@pytest.mark.parametrize("target", READ)
def test_every_pick_reads_back_with_its_plan(target: str, pick: str, one_node: Path, result: Result) -> None:
    text = export(str(one_node), target, pick)
    row = result.front.iloc[int(pick) if pick.isdigit() else result.picks[pick]]
    design = READ[target](text)
    assert parameters(design).total == row["n_params"]
    assert design.context_length == row["context_length"]
    assert format_bytes(1008 * 2**20) == "1008 MiB"
    assert f"expected peak device memory: {format_bytes(float(row['peak_device_bytes']))} per GPU" in text
    assert f"predicted loss: {format_loss(row)} nats per token on books" in text
    assert f"expected throughput: {row['tokens_per_second_per_gpu']:,.0f} tokens/s per GPU" in text
    told = plan(target, text)
    round_ = row["data_parallel"] * row["micro_batch"]
    assert told.pop("global_batch") == -(-row["global_batch"] // round_) * round_
    for name, value in told.items():
        assert value == row[name], name
    assert f"micro-batch {row['micro_batch']:.0f} of " in text
    assert f"recompute {row['recompute']}, ZeRO stage {row['zero_stage']:.0f}" in text


def plan(target: str, text: str) -> dict[str, Any]:
    """How the exported file trains, by the names of the front's columns."""
    sizes = ("micro_batch", "global_batch", "tensor_parallel", "pipeline_parallel", "context_parallel")
    if target == "hf":
        told = json.loads(text)["explorer"]["plan"]
        return {name: told[name] for name in (*sizes, "data_parallel", "zero_stage", "recompute")}
    if target == "megatron":
        flags = dict(
            line[2:].split(" ", 1) for line in text.splitlines() if line.startswith("--") and " " in line
        )
        names = ("micro-batch-size", "global-batch-size", "tensor-model-parallel-size",
                 "pipeline-model-parallel-size", "context-parallel-size")  # fmt: skip
        return {ours: int(flags[theirs]) for ours, theirs in zip(sizes, names, strict=True)}
    ast.parse(text)
    told = tomllib.loads(text.split('"""')[1].removeprefix("\\\n"))
    return {
        "global_batch": told["training"]["global_batch_size"],
        "tensor_parallel": told["parallelism"]["tensor_parallel_degree"],
        "context_parallel": told["parallelism"]["context_parallel_degree"],
    }


def test_what_a_target_lacks_is_told_by_name(one_node: Path) -> None:
    with pytest.raises(Unsupported, match=r"nanogpt cannot express n_kv_heads = 8, .*ffn = swiglu"):
        export(str(one_node), "nanogpt", "knee")
    done = explore("export", str(one_node), "--to", "nanogpt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("; --to hf or megatron or torchtitan can\n")
    assert explore("export", str(one_node), "--to", "hf", "--pick", "9999").returncode == 2
