"""torchtitan's model arguments and trainer file, as one Python module (release 0.2).

The module registers the model when torchtitan imports it, and prints the trainer's TOML when run.
"""

from __future__ import annotations

import ast
import tomllib
from typing import Any

from explorer.design import Design, Plan
from explorer.errors import ExplorerError, Unsupported
from explorer.formats.export import Export, lookup, only

_FLAVOR = "explorer"
_MODULE = "explorer_torchtitan"
# torchtitan's own values where an argument is left out (models/*/model/args.py).
_LLAMA3: dict[str, Any] = {
    "dim": 4096,
    "n_layers": 32,
    "n_heads": 32,
    "n_kv_heads": None,
    "vocab_size": 128256,
}
_LLAMA3 |= {"multiple_of": 256, "ffn_dim_multiplier": None}
_QWEN3: dict[str, Any] = {"dim": 1024, "n_layers": 28, "n_heads": 16, "n_kv_heads": 8, "vocab_size": 151936}
_QWEN3 |= {"head_dim": 128, "hidden_dim": 3072, "qk_norm": True, "enable_weight_tying": False}
_MODELS = {"TransformerModelArgs": _LLAMA3, "Qwen3ModelArgs": _QWEN3}


def read(text: str, source: str = "module") -> Design:
    """The design of the first model arguments in a module, at its trainer's sequence length."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ExplorerError(f"{source}:{error.lineno}: not Python: {error.msg}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MODELS:
            return _design(node, _context(tree), source)
    raise ExplorerError(f"{source}: no {' or '.join(_MODELS)} in it")


def write(export: Export) -> str:
    """The module; Unsupported for what torchtitan's Llama 3 and Qwen 3 models or its trainer lack."""
    design = export.design
    plain = design.d_head * design.n_heads == design.d_model and design.qk_norm == "none"
    name, args = _llama3(design) if plain and not design.tied_embeddings else _qwen3(design)
    kind = "TransformerModelArgs" if name == "llama3" else "Qwen3ModelArgs"
    args["max_seq_len"] = design.context_length
    call = f"{kind}(\n" + "".join(f"    {k}={v!r},\n" for k, v in args.items()) + ")"
    remarks = list(export.remarks)
    trainer = _trainer(export, name, remarks)
    text = "\n".join(
        [
            *(f"# {line}" for line in remarks),
            f"# Save as {_MODULE}.py; python {_MODULE}.py > job.toml;",
            "# then torchrun -m torchtitan.train --job.config_file job.toml",
            f"from torchtitan.models.{name} import {kind}, {name}_args",
            "",
            f'{name}_args["{_FLAVOR}"] = {call}',
            "",
            f'TRAINER = """\\\n{trainer}"""',
            "",
            'if __name__ == "__main__":',
            "    print(TRAINER)",
            "",
        ]
    )
    # The trainer file has its length from the same design; reading it takes longer than all the rest.
    export.refuse("torchtitan", _design(_call(call), int(design.context_length), "module"))
    return text


def _llama3(design: Design) -> tuple[str, dict[str, Any]]:
    """Llama 3 takes its inner width as a multiplier on ⅔·4·d, rounded up to a multiple."""
    d_ff = int(design.d_ff)
    multiple = min(d_ff & -d_ff, 1024)
    # The middle of what is rounded up to d_ff, with as few digits as do.
    middle = (d_ff - (multiple - 1) / 2 + 0.25) / int(8 * design.d_model / 3)
    candidates = [round(middle, digits) for digits in range(1, 17)]
    multiplier = next(m for m in candidates if _inner_width(int(design.d_model), m, multiple) == d_ff)
    return "llama3", {
        "dim": design.d_model,
        "n_layers": design.n_layers,
        "n_heads": design.n_heads,
        "n_kv_heads": design.n_kv_heads,
        "vocab_size": design.vocab_size,
        "multiple_of": multiple,
        "ffn_dim_multiplier": multiplier,
    }


def _inner_width(d: int, multiplier: float | None, multiple: int) -> int:
    """Width of Llama 3's FeedForward (models/llama3/model/model.py)."""
    width = int(2 * (4 * d) / 3)
    if multiplier is not None:
        width = int(multiplier * width)
    return multiple * ((width + multiple - 1) // multiple)


def _qwen3(design: Design) -> tuple[str, dict[str, Any]]:
    return "qwen3", {
        "dim": design.d_model,
        "n_layers": design.n_layers,
        "n_heads": design.n_heads,
        "n_kv_heads": design.n_kv_heads,
        "vocab_size": design.vocab_size,
        "head_dim": design.d_head,
        "hidden_dim": design.d_ff,
        "qk_norm": design.qk_norm == "head",
        "enable_weight_tying": design.tied_embeddings,
    }


def _design(call: ast.Call, context: int | None, source: str) -> Design:
    kind = call.func.id if isinstance(call.func, ast.Name) else ""
    args: dict[str, Any] = dict(_MODELS[kind])
    try:
        args |= {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
    except ValueError:
        raise ExplorerError(f"{source}:{call.lineno}: {kind}: plain values are needed") from None
    for name in ("dim", "n_layers", "n_heads", "vocab_size"):
        if type(args[name]) is not int or args[name] < 1:
            raise ExplorerError(
                f"{source}:{call.lineno}: {name}: a whole number is needed, got {args[name]!r}"
            )
    if args.get("moe_enabled"):
        raise Unsupported(
            f"{source}:{call.lineno}: moe_enabled: mixtures are not read from torchtitan; give a config.json"
        )
    d, heads = args["dim"], args["n_heads"]
    fields: dict[str, Any] = {
        "n_heads": heads,
        "n_kv_heads": args["n_kv_heads"] or heads,
        "vocab_size": args["vocab_size"],
    }
    if kind == "TransformerModelArgs":
        width = _inner_width(d, args["ffn_dim_multiplier"], args["multiple_of"])
        fields |= {"d_head": d // heads, "d_ff": width}
    else:
        fields |= {"d_head": args["head_dim"], "d_ff": args["hidden_dim"]}
        fields |= {"tied_embeddings": args["enable_weight_tying"]}
        fields |= {"qk_norm": "head" if args["qk_norm"] else "none"}
    return Design.of(context or args.get("max_seq_len", 131072), d, args["n_layers"], **fields)


def _call(text: str) -> ast.Call:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    return call


def _context(tree: ast.Module) -> int | None:
    """Sequence length of the module's trainer file, if it holds one."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            try:
                length = tomllib.loads(str(node.value.value)).get("training", {}).get("seq_len")
            except tomllib.TOMLDecodeError:
                continue
            if isinstance(length, int):
                return length
    return None


def _trainer(export: Export, name: str, remarks: list[str]) -> str:
    sections: dict[str, dict[str, Any]] = {
        "model": {"name": name, "flavor": _FLAVOR},
        "training": {"seq_len": export.design.context_length},
        "experimental": {"custom_import": _MODULE},
    }
    if export.plan:
        for section, values in _training(export.plan, remarks).items():
            sections.setdefault(section, {}).update(values)
    if export.steps:
        sections["training"]["steps"] = export.steps
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{k} = {_toml(v)}" for k, v in values.items()), ""]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _training(plan: Plan, remarks: list[str]) -> dict[str, dict[str, Any]]:
    optimizers = {"adamw": "fused", "adamw-foreach": "foreach"}
    implementation = lookup("torchtitan", "optimizer", plan.optimizer, optimizers)
    only(
        "torchtitan", plan,
        attention_kernel="flash", cross_entropy="full", dropout=False, offload_optimizer=False,
        offload_activations=False,
    )  # fmt: skip
    recompute = {
        "none": {"mode": "none"},
        "selective": {"mode": "selective", "selective_ac_option": "op"},
        "selective-op": {"mode": "selective", "selective_ac_option": "op"},
        "full": {"mode": "full"},
    }
    checkpoint = lookup("torchtitan", "recompute", plan.recompute, recompute)
    if plan.recompute == "selective":
        remarks.append("planned with attention recomputed; torchtitan's own per-operation choice keeps less")
    sharded = plan.zero_stage > 0
    # Stage 3 gathers the parameters again for the backward pass; without that they stay, as in stage 2.
    reshard = {0: "default", 1: "never", 2: "never", 3: "always"}[int(plan.zero_stage)]
    if plan.zero_stage == 1:
        remarks.append("planned with optimizer states sharded (ZeRO 1); torchtitan shards gradients as well")
    mixed = {"dtype": "float32", "mixed_precision_param": "bfloat16"}
    precisions = {
        "fp32": {"dtype": "float32", "mixed_precision_param": "float32"},
        "bf16": {"dtype": "bfloat16", "mixed_precision_param": "bfloat16"},
        "fp8": mixed,
    } | dict.fromkeys(("amp", "fsdp-mixed", "bf16-mixed"), mixed)
    precision = lookup("torchtitan", "precision", plan.precision, precisions)
    if plan.precision == "bf16-mixed":
        remarks.append(
            "planned as bf16-mixed; torchtitan keeps fp32 weights and computes in bf16 (fsdp-mixed)"
        )
    if plan.implementation != "torch":
        remarks.append(f"planned for {plan.implementation}; torchtitan's modules keep more activations")
    pipelined = plan.pipeline_parallel > 1
    local = plan.global_batch // plan.data_parallel if pipelined else plan.micro_batch
    parallelism: dict[str, Any] = {
        "data_parallel_replicate_degree": 1 if sharded else plan.data_parallel,
        "data_parallel_shard_degree": plan.data_parallel if sharded else 1,
        "fsdp_reshard_after_forward": reshard,
        "tensor_parallel_degree": plan.tensor_parallel,
        "pipeline_parallel_degree": plan.pipeline_parallel,
        "context_parallel_degree": plan.context_parallel,
    }
    if pipelined:
        parallelism |= {"pipeline_parallel_schedule": "1F1B"}
        parallelism |= {"pipeline_parallel_microbatch_size": plan.micro_batch}
    return {
        "model": {"converters": ["quantize.linear.float8"]} if plan.precision == "fp8" else {},
        "training": {
            "local_batch_size": local,
            "global_batch_size": plan.global_batch,
            **precision,
        },
        "optimizer": {
            "name": "AdamW",
            "implementation": implementation,
            **({"early_step_in_backward": True} if plan.optimizer_in_backward else {}),
        },
        **({"compile": {"enable": True}} if plan.compiled else {}),
        "parallelism": parallelism,
        "activation_checkpoint": checkpoint,
    }
