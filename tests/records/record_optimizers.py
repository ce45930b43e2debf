"""Records the bytes of each optimizer's states after one step of a small LLaMA in fp32.

Writes optimizers.json beside it: state bytes without the step counters (a few bytes per tensor). Muon takes the
matrices of the layers and AdamW the rest, as its author runs it. With the `validate` extra installed:

    python tests/records/record_optimizers.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from record_activations import standard
from transformers import AutoConfig, AutoModelForCausalLM

CONFIG = standard("llama", 256, 4, 2, 704)
Parameters = list[torch.nn.Parameter]


def _simple(
    kind: type[torch.optim.Optimizer], **options: object
) -> Callable[..., list[torch.optim.Optimizer]]:
    return lambda matrices, others: [kind([*matrices, *others], **options)]  # type: ignore[arg-type]


OPTIMIZERS: dict[str, Callable[[Parameters, Parameters], list[torch.optim.Optimizer]]] = {
    "adamw": _simple(torch.optim.AdamW, fused=True),
    "adamw-foreach": _simple(torch.optim.AdamW, foreach=True),
    "amsgrad": _simple(torch.optim.AdamW, amsgrad=True),
    "sgd": _simple(torch.optim.SGD),
    "momentum": _simple(torch.optim.SGD, momentum=0.9),
    "adafactor": _simple(torch.optim.Adafactor),
    "muon": lambda matrices, others: [torch.optim.Muon(matrices), torch.optim.AdamW(others)],
}


def state_bytes(name: str) -> int:
    """Bytes of all states, step counters left out."""
    torch.manual_seed(0)
    rest = {k: v for k, v in CONFIG.items() if k != "model_type"}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(CONFIG["model_type"], **rest))
    inside = {id(p) for p in model.model.layers.parameters() if p.ndim == 2}
    matrices = [p for p in model.parameters() if id(p) in inside]
    others = [p for p in model.parameters() if id(p) not in inside]
    tokens = torch.zeros((1, 8), dtype=torch.long)
    model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
    total = 0
    for optimizer in OPTIMIZERS[name](matrices, others):
        optimizer.step()
        for state in optimizer.state.values():
            total += sum(v.nbytes for k, v in state.items() if k != "step" and isinstance(v, torch.Tensor))
    return total


def main() -> None:
    torch.set_num_threads(1)
    rows = [{"optimizer": name, "state_bytes": state_bytes(name)} for name in OPTIMIZERS]
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    document = {"versions": versions, "config": CONFIG, "rows": rows}
    Path(__file__).with_name("optimizers.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
