"""Records what the trainers' own programs say of the files that `explorer.formats.write` produces.

Writes arguments.json beside it: for every file of EXPORTS that it has taken to Megatron-LM's parser, and to torchtitan's
config manager and model classes, the names that those know, their types and choices. An export that a trainer refuses
stops the script. Run from the repository's root, with sources of Megatron-LM (core_v0.19.0), torchtitan (v0.2.2)
and nanoGPT and an environment that has torch, triton, tyro, torchdata, datasets and this package:

    python tests/records/record_arguments.py MEGATRON TORCHTITAN NANOGPT
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import sys
import tempfile
import typing
from pathlib import Path
from typing import Any

from explorer import catalog, formats
from explorer.cost import parameters
from explorer.design import Design, Plan

LLAMA = catalog.model("llama-3-8b").design
GPT2 = catalog.model("gpt2").design
QWEN3 = catalog.model("qwen3-8b").design
ARCEE = LLAMA.with_(ffn="relu2", d_ff=18432)
EIGHT = Plan(implementation="megatron", micro_batch=2, global_batch=509, data_parallel=2, zero_stage=1)
SPLIT = EIGHT.with_(tensor_parallel=2, pipeline_parallel=2, context_parallel=2, data_parallel=1, zero_stage=0)

EXPORTS: dict[str, list[tuple[Design, Plan]]] = {
    "megatron": [
        (LLAMA, EIGHT),
        (LLAMA, SPLIT),
        (LLAMA.with_(window=1024, global_every=4, attention_sinks=True), EIGHT.with_(recompute="selective")),
        (GPT2, EIGHT.with_(recompute="full", dropout=True, fused_activation=False, optimizer="sgd")),
        (catalog.model("deepseek-v3").design, EIGHT.with_(recompute="full")),
        (catalog.model("qwen2-57b-a14b").design, EIGHT),
        (QWEN3, EIGHT.with_(zero_stage=3, optimizer="adamw")),
        (QWEN3, EIGHT.with_(optimizer="muon")),
        (LLAMA.with_(qkv_bias=True), EIGHT.with_(zero_stage=2, precision="fp32")),
        (LLAMA.with_(position="none"), EIGHT.with_(precision="fp8", attention_kernel="naive")),
        (LLAMA, EIGHT.with_(offload_optimizer=True, fused_activation=False)),
        (ARCEE, EIGHT),
    ],
    "torchtitan": [
        (LLAMA, EIGHT),
        (LLAMA, SPLIT.with_(recompute="selective-op")),
        (QWEN3, EIGHT.with_(recompute="full", zero_stage=3, optimizer="adamw-foreach")),
        (LLAMA.with_(tied_embeddings=True), EIGHT.with_(zero_stage=0, recompute="selective", precision="fp32")),
        (LLAMA, EIGHT.with_(precision="fp8", compiled=True)),
        (LLAMA, EIGHT.with_(precision="bf16", optimizer_in_backward=True)),
    ],
    "nanogpt": [(GPT2, Plan(precision="amp", micro_batch=12, global_batch=475, data_parallel=8))],
}  # fmt: skip
"""Target → designs and plans that together use every argument that can be written."""


def text(target: str, design: Design, plan: Plan) -> str:
    """What is handed to the trainer."""
    return formats.write(design, plan, target, n_tokens=1e11)


def megatron(folder: Path) -> dict[str, Any]:
    """Megatron-LM's flags; each export is parsed and validated as pretrain_gpt.py does."""
    sys.path.insert(0, str(folder))
    # Their code is for Python 3.12.
    typing.override = getattr(typing, "override", lambda function: function)  # type: ignore[attr-defined]
    from megatron.core.package_info import __version__
    from megatron.training import arguments

    # The generation of the device that they ask for: Hopper's.
    arguments.get_device_arch_version = lambda: 9
    parser = arguments.add_megatron_arguments(argparse.ArgumentParser(allow_abbrev=False))
    for design, plan in EXPORTS["megatron"]:
        told = text("megatron", design, plan)
        words = [word for line in told.splitlines() if line[:1] != "#" for word in line.split(" ", 1)]
        found = parser.parse_args([*words, "--lr", "1e-4", "--tokenizer-type", "NullTokenizer"])
        found.world_size, found.rank = int(plan.n_gpus), 0
        found._is_global_batch_size_explicitly_specified = True
        os.environ.pop("CUDA_DEVICE_MAX_CONNECTIONS", None)
        if "# run with CUDA_DEVICE_MAX_CONNECTIONS=1\n" in told:
            os.environ["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
        assert found.num_layers == design.n_layers
        arguments.validate_args(found)
        assert found.data_parallel_size == plan.data_parallel
    flags = {}
    for action in parser._actions:
        for option in action.option_strings:
            choices = [getattr(c, "name", c) for c in action.choices or ()]
            # None: a switch; a list: takes one of these values, or any if there are none.
            flags[option.removeprefix("--")] = None if action.nargs == 0 else choices
    return {"version": f"core {__version__}", "flags": written(flags, "megatron")}


def written(known: dict[str, Any], target: str) -> dict[str, Any]:
    """Of the names a trainer knows, those that exports use."""
    lines = [line for exported in EXPORTS[target] for line in text(target, *exported).splitlines()]
    flags = {line[2:].split()[0] for line in lines if line.startswith("--")}
    assert flags <= set(known), flags - set(known)
    return {name: known[name] for name in sorted(flags)}


def torchtitan(folder: Path) -> dict[str, Any]:
    """torchtitan's config sections and model arguments; each export is loaded, and its model built."""
    sys.path.insert(0, str(folder))
    import torch
    from torchtitan.config import ConfigManager, JobConfig

    models: dict[str, Any] = {}
    for number, (design, plan) in enumerate(EXPORTS["torchtitan"]):
        with tempfile.TemporaryDirectory() as scratch:
            module = Path(scratch) / f"export_{number}.py"
            module.write_text(text("torchtitan", design, plan), "utf-8")
            sys.path.insert(0, scratch)
            trainer = importlib.import_module(module.stem).TRAINER
            job = Path(scratch) / "job.toml"
            job.write_text(trainer, "utf-8")
            config = ConfigManager().parse_args(["--job.config_file", str(job)])
            sys.path.pop(0)
        name = config.model.name
        family = importlib.import_module(f"torchtitan.models.{name}")
        arguments = getattr(family, f"{name}_args")[config.model.flavor]
        arguments.update_from_config(config)
        kind = {"llama3": "Transformer", "qwen3": "Qwen3Model"}[name]
        with torch.device("meta"):
            model = getattr(family, kind)(arguments)
        counted = sum(p.numel() for p in model.parameters())
        assert counted == parameters(design).total, (counted, parameters(design).total)
        degree = (
            config.parallelism.data_parallel_replicate_degree * config.parallelism.data_parallel_shard_degree
        )
        assert config.training.global_batch_size % (config.training.local_batch_size * degree) == 0
        models[type(arguments).__name__] = sorted(f.name for f in dataclasses.fields(arguments))
    sections = {
        f.name: {
            g.name: [str(c) for c in typing.get_args(g.type)] if typing.get_origin(g.type) is typing.Literal else []
            for g in dataclasses.fields(f.type)
        }
        for f in dataclasses.fields(JobConfig)
        if f.name in ("model", "training", "optimizer", "parallelism", "activation_checkpoint", "compile", "experimental")
    }  # fmt: skip
    return {"version": "0.2.2", "sections": sections, "models": models}


def nanogpt(folder: Path) -> list[str]:
    """The names that nanoGPT's train.py lets a config file set; the export sets no other."""
    import ast

    known = [
        node.targets[0].id
        for node in ast.parse((folder / "train.py").read_text("utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    return known[: known.index("config_keys")]


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]]
    found = {
        "megatron": megatron(folders[0]),
        "torchtitan": torchtitan(folders[1]),
        "nanogpt": nanogpt(folders[2]),
    }
    target = Path(__file__).with_name("arguments.json")
    target.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
