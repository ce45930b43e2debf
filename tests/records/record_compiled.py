"""Records the bytes per token that one compiled block keeps for the backward pass.

Writes compiled.json beside it. Only the block is compiled, as torchtune and torchtitan do. Inductor's own
partitioner and decompositions choose what is kept; the graphs then run without being turned into
kernels, which keeps the same tensors. Positions and masks, which all blocks share, are left out. With
the `validate` extra installed:

    python tests/records/record_compiled.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from record_activations import FAMILIES
from record_fake import DTYPES, Config, autocast, build
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch._inductor.decomposition import select_decomp_table
from torch.utils._pytree import tree_leaves

NAMES = ("arcee", "gemma", "gpt2", "gpt2-unfused", "llama", "llama-mha", "qwen3", "qwen3-mha")
CONTEXT = 32


def keep_graph(graph: torch.fx.GraphModule, _: Any) -> torch.fx.GraphModule:
    """No kernels: the graph's operations run one by one."""
    return graph


BACKEND = aot_autograd(
    fw_compiler=keep_graph,
    bw_compiler=keep_graph,
    partition_fn=min_cut_rematerialization_partition,
    decompositions=select_decomp_table(),
)


def block_of(model: torch.nn.Module) -> torch.nn.Module:
    """The only block of a one-layer model."""
    lists = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 1]
    return lists[0][0]


def saved_bytes(config: Config, precision: str, batch: int) -> int:
    """Bytes of the unique storages that the block keeps."""
    torch._dynamo.reset()
    model = build(config, DTYPES[precision], "flash")
    block = block_of(model)
    block.compile(backend=BACKEND, dynamic=False)
    own = {p.untyped_storage()._cdata for p in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            # The CPU's layer norm has its two statistics in bf16, the GPU's in fp32.
            statistics = tensor.shape[-1:] == (1,) and tensor.dtype == torch.bfloat16
            kept[storage._cdata] = storage.nbytes() * (2 if statistics else 1)
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)

    def enter(_: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        shared = tree_leaves((args[1:], {k: v for k, v in kwargs.items() if k != "hidden_states"}))
        own.update(t.untyped_storage()._cdata for t in shared if isinstance(t, torch.Tensor))
        hooks.__enter__()

    block.register_forward_pre_hook(enter, with_kwargs=True)
    block.register_forward_hook(lambda *_: hooks.__exit__(None, None, None))
    tokens = torch.zeros((batch, CONTEXT), dtype=torch.long)
    with autocast(precision):
        output = model(input_ids=tokens, use_cache=False)
    del output
    return sum(kept.values())


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for name in NAMES:
        layers = next(k for k in ("num_hidden_layers", "n_layer") if k in FAMILIES[name])
        config = FAMILIES[name] | {layers: 1}
        for precision in ("bf16", "amp", "fp32"):
            # Autocast's copies of the weights do not grow with the batch.
            one, two = (saved_bytes(config, precision, batch) for batch in (1, 2))
            rows.append({"family": name, "precision": precision, "layer": (two - one) / CONTEXT})
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    configs = {name: FAMILIES[name] for name in NAMES}
    document = {"versions": versions, "configs": configs, "rows": rows}
    Path(__file__).with_name("compiled.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
