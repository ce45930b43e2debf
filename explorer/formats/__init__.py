"""How designs come and go: Hugging Face, Megatron-LM, torchtitan, nanoGPT."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from explorer.design import Design, Plan
from explorer.errors import ExplorerError, UnknownName
from explorer.files import read_text, to_json, why
from explorer.formats import huggingface, megatron, nanogpt, torchtitan
from explorer.formats.export import Export
from explorer.formats.huggingface import model_types

__all__ = ["TARGETS", "Export", "model_types", "named", "read", "write", "written"]

TARGETS = {
    "hf": "config.json",
    "megatron": "megatron.args",
    "torchtitan": "explorer_torchtitan.py",
    "nanogpt": "nanogpt.py",
}
"""What `write` knows, with the customary name of its file."""


def read(config: str | Path | Mapping[str, Any]) -> Design:
    """The design in a file of any known format: a Hugging Face config.json (or the folder it lies
    in, or its content), Megatron-LM arguments, a torchtitan module, a nanoGPT config.

    Raises ExplorerError with file and key for what is missing or mistyped, Unsupported for an
    architecture or switch that no design expresses.
    """
    if isinstance(config, Mapping):
        return huggingface.read(config)
    path = Path(config)
    if path.is_dir() or path.suffix == ".json" or not path.is_file():
        return huggingface.read(path)
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ExplorerError(f"{path}: must be a readable file, got: {why(error)}") from None
    if text.lstrip().startswith("{"):
        return huggingface.read(path)
    return _of_text(text, str(path))


def _of_text(text: str, where: str) -> Design:
    """The design that a text of any known format describes."""
    if text.lstrip().startswith("{"):
        try:
            config = json.loads(text)
        except json.JSONDecodeError as error:
            raise ExplorerError(f"{where}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
        return huggingface.read(config)
    if "--num-layers" in text:
        return megatron.read(text, where)
    if "ModelArgs(" in text:
        return torchtitan.read(text, where)
    if "n_embd" in text:
        return nanogpt.read(text, where)
    raise ExplorerError(
        f"{where}: not a known format: a Hugging Face config.json, Megatron-LM arguments (--num-layers …), "
        "a torchtitan module (…ModelArgs(…)) or a nanoGPT config (n_embd = …) is needed"
    )


def named(name_or_path: str) -> Design:
    """The design of a catalogue model, in a file or folder that exists, or on standard input ('-').

    Raises UnknownName with the nearest models, ExplorerError for a file that is not there or not a design.
    """
    from explorer.catalog import model

    path = Path(name_or_path)
    if name_or_path == "-":
        return _of_text(read_text("-"), "stdin")
    if path.exists():
        return read(path)
    if path.suffix == ".json":
        raise ExplorerError(f"{name_or_path} must exist; it is a Hugging Face config.json")
    return model(name_or_path).design


def write(
    design: Design,
    plan: Plan | None,
    target: str,
    *,
    n_tokens: float | None = None,
    remarks: Sequence[str] = (),
) -> str:
    """The text of a file that trains `design` by `plan` under `target` (one of `TARGETS`).

    `n_tokens` fixes the number of steps. `remarks` (expected memory, tokens/s) and what the target
    does otherwise than planned become comments, in a config.json the key `explorer`. Raises
    Unsupported with the name of everything the target cannot express.
    """
    if target not in TARGETS:
        raise UnknownName("export target", target, TARGETS)
    return written(Export.of(design, plan, n_tokens, remarks), target)


def written(export: Export, target: str) -> str:
    """The text of one of `TARGETS` for an export that was put together before."""
    writers = {
        "hf": _config_json,
        "megatron": megatron.write,
        "torchtitan": torchtitan.write,
        "nanogpt": nanogpt.write,
    }
    return writers[target](export)


def _config_json(export: Export) -> str:
    config = huggingface.write(export.design)
    # A config.json has no comments and describes no training; Transformers carries unknown keys along.
    notes: dict[str, Any] = {}
    if export.plan:
        notes["plan"] = {f.name: getattr(export.plan, f.name) for f in fields(export.plan)}
    if export.steps:
        notes["steps"] = export.steps
    if export.remarks:
        notes["remarks"] = list(export.remarks)
    return to_json(config | ({"explorer": notes} if notes else {}))
