"""Hugging Face `config.json`, read and written; `model_type` decides what its keys mean."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from explorer.design import Design
from explorer.errors import ExplorerError, Unsupported, nearest
from explorer.formats.export import lacking
from explorer.formats.huggingface.chat import read_chatglm, read_qwen
from explorer.formats.huggingface.config import Config, Json
from explorer.formats.huggingface.families import FAMILIES, Family

__all__ = ["FAMILIES", "Family", "model_types", "read", "write"]

# Configs of image-and-text models; a design is their language part.
_COMPOSITE = {"gemma3": "gemma3_text", "mistral3": "mistral"}
# Released with their own code instead of a class in Transformers.
_OWN_CODE = {"qwen": read_qwen, "chatglm": read_chatglm}

_PLAIN = {"relu": "relu", "relu2": "relu2"} | dict.fromkeys(
    ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python", "quick_gelu"), "gelu"
)
_GATED = {"silu": "swiglu", "swish": "swiglu"} | {k: "geglu" for k, v in _PLAIN.items() if v == "gelu"}


def model_types() -> tuple[str, ...]:
    """Every `model_type` that can be read."""
    return tuple(sorted([*FAMILIES, *_COMPOSITE, *_OWN_CODE]))


def read(config: str | Path | Json) -> Design:
    """The design that a Hugging Face config describes.

    `config` is a path to a config.json, the folder it lies in, or its content. Keys that
    Transformers fills in are filled in alike; a missing or mistyped key raises ExplorerError with
    file and key, a `model_type` that is not known raises Unsupported with its name.
    """
    loaded = Config.load(config)
    if loaded.get("model_type") is None:
        raise ExplorerError(f"{loaded.source}: model_type: missing; it decides what the other keys mean")
    kind = loaded.text("model_type")
    if kind in _OWN_CODE:
        return Design(**_OWN_CODE[kind](loaded))
    if kind in _COMPOSITE:
        loaded, kind = loaded.part("text_config"), _COMPOSITE[kind]
        loaded.given.setdefault("model_type", kind)
    if kind not in FAMILIES:
        near = nearest(kind, model_types())
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(model_types())}"
        raise Unsupported(f"{loaded.source}: model_type: '{kind}' is not known; {hint}")
    return Design(**_fields(loaded, FAMILIES[kind]))


def write(design: Design) -> dict[str, Any]:
    """A config whose model in Transformers is `design`, of the first model type that can express it.

    The training schedule is no part of a model and is left out. Raises Unsupported, naming what
    the nearest model type lacks, where none can.
    """
    wanted = design.with_(staged_from=0, staged_share=0)
    best: tuple[int, str] | None = None
    for kind, family in FAMILIES.items():
        try:
            config = _keys(wanted, kind, family)
            found = Design(**_fields(Config(config, kind), family))
        except ExplorerError:
            continue
        n_lacking = sum(getattr(found, f.name) != getattr(wanted, f.name) for f in fields(Design))
        if not n_lacking:
            return config
        if best is None or n_lacking < best[0]:
            best = n_lacking, f"{kind} cannot express {lacking(wanted, found)}"
    if best is None:
        raise Unsupported(
            "no Hugging Face model type has a number of heads that is not whole; set d_head to a divisor"
        )
    raise Unsupported(f"no Hugging Face model type expresses this design; the nearest, {best[1]}")


def _fields(config: Config, family: Family) -> dict[str, Any]:
    """Design fields of a config of `family`."""
    config.defaults = dict(family.defaults)
    config.rename(family.aliases)
    found: dict[str, Any] = {}
    for name in ("d_model", "n_layers", "n_heads", "vocab_size", "context_length"):
        found[name] = config.size(family.sizes[name])
    d, heads = found["d_model"], found["n_heads"]
    found["d_ff"] = _inner_width(config, family, d)
    found |= family.traits
    for key, names in family.flags.items():
        found |= dict.fromkeys(names, config.flag(key))
    if family.activation:
        found["ffn"] = _activation(config, family)
    for quirk in family.quirks:
        found |= quirk.read(config, found)

    kv = family.sizes.get("n_kv_heads")
    found.setdefault("n_kv_heads", (config.maybe(kv) if kv else None) or heads)
    if heads % found["n_kv_heads"]:
        raise config.error(kv or "num_kv_heads", f"a divisor of {heads} heads", found["n_kv_heads"])
    head = config.maybe(family.sizes["d_head"]) if "d_head" in family.sizes else None
    derived = head is None and "d_head" not in found
    if (derived or family.divides) and d % heads:
        raise config.error(family.sizes["d_model"], f"a multiple of {heads} heads", d)
    found.setdefault("d_head", head or d // heads)
    return found


def _inner_width(config: Config, family: Family, d: int) -> int:
    """d_ff; four times d where the key is absent and Transformers fills it in so (GPT-2, Falcon)."""
    key = family.sizes.get("d_ff")
    if key is None or (family.fourfold and config.get(key) is None):
        return 4 * d
    return config.size(key)


def _keys(design: Design, kind: str, family: Family) -> dict[str, Any]:
    """Config of `family` as near to `design` as it gets."""
    keys: dict[str, Any] = {"architectures": [family.architecture], "model_type": kind}
    keys |= {key: _whole(name, getattr(design, name)) for name, key in family.sizes.items()}
    keys |= {key: bool(getattr(design, names[0])) for key, names in family.flags.items()}
    if family.activation:
        keys[family.activation] = {"swiglu": "silu", "relu": "relu", "relu2": "relu2"}.get(
            design.ffn, "gelu_pytorch_tanh"
        )
    for quirk in family.quirks:
        keys |= quirk.write(design)
    # The classes' own special tokens may lie beyond the vocabulary; they are the tokenizer's to say.
    return keys | dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))


def _activation(config: Config, family: Family) -> str:
    name = config.text(family.activation)
    known = _GATED if family.gated else _PLAIN
    if name not in known:
        raise Unsupported(
            f"{config.source}: {family.activation}: '{name}' is not modelled; known: {', '.join(known)}"
        )
    return known[name]


def _whole(name: str, value: Any) -> int:
    if int(value) != value:
        raise Unsupported(f"{name} must be whole, got {value}")
    return int(value)
