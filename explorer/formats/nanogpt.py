"""nanoGPT's config file: assignments that its train.py takes over (karpathy/nanoGPT, train.py, model.py)."""

from __future__ import annotations

import ast
from typing import Any

from explorer.design import Design
from explorer.errors import ExplorerError
from explorer.formats.export import Export, lookup, only

# train.py's own values where a config leaves them out.
_DEFAULTS = {
    "n_layer": 12,
    "n_head": 12,
    "n_embd": 768,
    "block_size": 1024,
    "bias": False,
    "vocab_size": 50304,
}


def read(text: str, source: str = "config") -> Design:
    """The design of a nanoGPT config."""
    try:
        tree = ast.parse(text)
        keys: dict[str, Any] = dict(_DEFAULTS)
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name in _DEFAULTS:
                    keys[name] = ast.literal_eval(node.value)
    except (SyntaxError, ValueError) as error:
        raise ExplorerError(f"{source}: not a nanoGPT config: {error}") from None
    for name, value in keys.items():
        kind = bool if name == "bias" else int
        if type(value) is not kind or (kind is int and value < 1):
            raise ExplorerError(f"{source}: {name}: {kind.__name__} is needed, got {value!r}")
    d, heads, bias = keys["n_embd"], keys["n_head"], keys["bias"]
    if d % heads:
        raise ExplorerError(f"{source}: n_embd: a multiple of {heads} heads is needed, got {d}")
    return Design.of(
        keys["block_size"],
        d,
        keys["n_layer"],
        n_heads=heads,
        vocab_size=keys["vocab_size"],
        ffn="gelu",
        norm="layernorm" if bias else "layernorm-nobias",
        position="learned",
        bias=bias,
        tied_embeddings=True,
    )


def write(export: Export) -> str:
    """A config for `python train.py config.py`; Unsupported for what nanoGPT's GPT or its loop lacks."""
    design = export.design
    keys: dict[str, Any] = {
        "n_layer": design.n_layers,
        "n_head": design.n_heads,
        "n_embd": design.d_model,
        "block_size": design.context_length,
        "bias": design.ffn_bias,
        "vocab_size": design.vocab_size,
    }
    lines = [f"{name} = {value!r}" for name, value in keys.items()]
    export.refuse("nanogpt", read("\n".join(lines)))
    lines[-1] += "  # train.py reads it from data/<dataset>/meta.pkl, or takes 50304"
    remarks = list(export.remarks)
    if export.plan:
        lines += _training(export, remarks)
    return "\n".join([*(f"# {line}" for line in remarks), *lines]) + "\n"


def _training(export: Export, remarks: list[str]) -> list[str]:
    plan = export.plan
    assert plan is not None
    only(
        "nanogpt", plan,
        tensor_parallel=1, pipeline_parallel=1, context_parallel=1, zero_stage=0, recompute="none", optimizer="adamw",
        attention_kernel="flash", cross_entropy="full", offload_optimizer=False, offload_activations=False,
        optimizer_in_backward=False,
    )  # fmt: skip
    mixed = dict.fromkeys(("amp", "bf16-mixed", "fsdp-mixed"), "bfloat16")
    dtype = lookup("nanogpt", "precision", plan.precision, {"fp32": "float32"} | mixed)
    if plan.precision not in ("fp32", "amp"):
        remarks.append(f"planned as {plan.precision}; nanoGPT keeps fp32 weights under autocast (amp)")
    lines = [
        f"batch_size = {plan.micro_batch}",
        f"gradient_accumulation_steps = {plan.global_batch // plan.micro_batch}  # over all GPUs",
        f"dropout = {0.1 if plan.dropout else 0.0}",
        f"dtype = {dtype!r}",
        f"compile = {plan.compiled}",
    ]
    if export.steps:
        lines += [f"max_iters = {export.steps}", f"lr_decay_iters = {export.steps}"]
    return lines
