"""Records what selective checkpointing per operation keeps of one block, in bytes per token.

Writes selective.json beside it. torchtitan's policy keeps the results of fused attention and of every second
matrix product; here a dispatch mode watches the block's forward pass and counts those results. The
layer's input, which checkpointing keeps as well, is added. With the `validate` extra installed:

    python tests/records/record_selective.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from record_activations import FAMILIES
from record_compiled import block_of
from record_fake import DTYPES, Config, build
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

NAMES = ("llama", "llama-mha", "qwen3", "mixtral", "latent", "latent-plain-queries", "deepseek")
BATCH, CONTEXT = 2, 32


class Policy(TorchDispatchMode):
    """Bytes of the results that torchtitan's `_save_list` keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        product = func is torch.ops.aten.mm.default
        self.products += product
        if "scaled_dot_product" in func.name() or (product and self.products % 2):
            self.bytes += sum(t.nbytes for t in tree_leaves(result) if isinstance(t, torch.Tensor))
        return result


def kept(config: Config) -> float:
    """Bytes per token of a one-layer model's block in bf16."""
    model = build(config, DTYPES["bf16"], "flash")
    policy = Policy()
    block = block_of(model)
    block.register_forward_pre_hook(lambda *_: policy.__enter__() and None)
    block.register_forward_hook(lambda *_: policy.__exit__(None, None, None))
    model(input_ids=torch.zeros((BATCH, CONTEXT), dtype=torch.long), use_cache=False)
    return policy.bytes / (BATCH * CONTEXT) + 2 * config["hidden_size"]


def main() -> None:
    torch.set_num_threads(1)
    configs = {name: FAMILIES[name] | {"num_hidden_layers": 1} for name in NAMES}
    rows = [{"family": name, "layer": kept(config)} for name, config in configs.items()]
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    document = {"versions": versions, "configs": configs, "rows": rows}
    Path(__file__).with_name("selective.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
