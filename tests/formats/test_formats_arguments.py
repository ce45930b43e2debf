"""What is written for a trainer has the names, types and choices that the trainer's own program knows."""

from __future__ import annotations

import ast
import importlib.util
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from explorer.design import Design, Plan

RECORDS = Path(__file__).parents[1] / "records"
KNOWN = json.loads((RECORDS / "arguments.json").read_text("utf-8"))

_spec = importlib.util.spec_from_file_location("record_arguments", RECORDS / "record_arguments.py")
assert _spec is not None
assert _spec.loader is not None
record = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(record)


def cases(target: str) -> Any:
    """Designs and plans that use every argument, one test each."""
    return pytest.mark.parametrize(("design", "plan"), record.EXPORTS[target])


@cases("megatron")
def test_megatron_knows_every_flag(design: Design, plan: Plan) -> None:
    for line in record.text("megatron", design, plan).splitlines():
        if line.startswith("#"):
            continue
        name, _, value = line.removeprefix("--").partition(" ")
        choices = KNOWN["megatron"]["flags"][name]
        assert bool(value) == (choices is not None), line
        assert not choices or value in choices, line


def test_the_exports_use_every_recorded_flag() -> None:
    used = {
        line[2:].split()[0]
        for design, plan in record.EXPORTS["megatron"]
        for line in record.text("megatron", design, plan).splitlines()
        if line.startswith("--")
    }
    assert used == set(KNOWN["megatron"]["flags"])


@cases("torchtitan")
def test_torchtitan_knows_every_key(design: Design, plan: Plan) -> None:
    text = record.text("torchtitan", design, plan)
    tree = ast.parse(text)
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and not node.args)
    assert isinstance(call.func, ast.Name)
    assert {k.arg for k in call.keywords} <= set(KNOWN["torchtitan"]["models"][call.func.id])
    trainer = tomllib.loads(text.split('"""')[1].removeprefix("\\\n"))
    for section, values in trainer.items():
        for name, value in values.items():
            choices = KNOWN["torchtitan"]["sections"][section][name]
            assert not choices or value in choices, f"{section}.{name} = {value}"


@cases("nanogpt")
def test_nanogpt_knows_every_name(design: Design, plan: Plan) -> None:
    keys: dict[str, Any] = {}
    exec(record.text("nanogpt", design, plan), keys)
    assert set(keys) - {"__builtins__", "vocab_size"} <= set(KNOWN["nanogpt"])
    # train.py: `assert gradient_accumulation_steps % ddp_world_size == 0`.
    assert keys["gradient_accumulation_steps"] % plan.data_parallel == 0


@pytest.mark.parametrize("target", record.EXPORTS)
def test_the_plan_and_its_whole_rounds_are_told(target: str) -> None:
    for design, plan in record.EXPORTS[target]:
        text = record.text(target, design, plan)
        round_ = plan.data_parallel * plan.micro_batch
        batch = -(-plan.global_batch // round_) * round_
        assert (
            f"# micro-batch {plan.micro_batch} of {batch} sequences a step, recompute {plan.recompute}"
            in text
        )
        assert (f"# planned with {plan.global_batch} sequences a step; {batch} fill" in text) == (
            batch != plan.global_batch
        )
