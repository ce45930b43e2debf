"""Records what Transformers makes of the configs that `explorer.formats.write` produces.

Writes export.json beside it: for designs a user may ask for, the config as written and the
parameters of the model that Transformers builds from it. Run from the repository's root with the
`validate` extra installed:

    python tests/records/record_export.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

from explorer import formats
from explorer.design import Design

SIZES = (8192, 1536, 6)
DESIGNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "grouped": {"n_kv_heads": 4, "d_ff": 5376},
    "free head": {"n_heads": 10, "d_head": 96, "n_kv_heads": 5},
    "tied": {"tied_embeddings": True},
    "gelu": {"ffn": "gelu"},
    "relu": {"ffn": "relu"},
    "geglu": {"ffn": "geglu"},
    "biases": {"bias": True},
    "qkv bias": {"qkv_bias": True},
    "qk-norm": {"qk_norm": "head"},
    "qk-norm over heads": {"qk_norm": "full"},
    "layernorm": {"ffn": "gelu", "norm": "layernorm", "bias": True},
    "layernorm, no biases": {"ffn": "gelu", "norm": "layernorm"},
    "learned": {
        "ffn": "gelu",
        "norm": "layernorm",
        "bias": True,
        "position": "learned",
        "tied_embeddings": True,
    },
    "alibi": {"ffn": "gelu", "norm": "layernorm", "position": "alibi", "tied_embeddings": True},
    "window": {"window": 1024},
    "local and global": {"window": 1024, "global_every": 3},
    "experts": {"n_experts": 8, "n_experts_active": 2, "d_ff": 1024},
    "narrow experts": {"n_experts": 16, "n_experts_active": 4, "d_ff_expert": 512, "qk_norm": "head"},
}


def main() -> None:
    rows = {}
    for name, changes in DESIGNS.items():
        design = Design.of(*SIZES, **changes)
        config = json.loads(formats.write(design, None, "hf"))
        settings = {k: v for k, v in config.items() if k not in ("model_type", "architectures")}
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **settings))
        model.tie_weights()
        assert type(model).__name__ == config["architectures"][0]
        total = sum(p.numel() for p in model.parameters())
        rows[name] = {"design": changes, "config": config, "total": total}
    versions = json.dumps({"torch": torch.__version__, "transformers": transformers.__version__})
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rows.items())
    text = f'{{"versions": {versions},\n"sizes": {json.dumps(SIZES)},\n"rows": {{\n{lines}\n}}}}\n'
    Path(__file__).with_name("export.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
