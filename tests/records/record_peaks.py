"""Records peak bytes of a training step as PyTorch's memory tracker counts them on fake tensors.

Writes peaks.json beside it, half of the steps for every other model: forward, loss, backward, optimizer
step, twice; the second step is kept.
Attention is the fused causal kernel without a mask. With the `validate` extra installed:

    python tests/records/record_peaks.py
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from record_activations import FUSED, gpt2, standard
from record_fake import DTYPES, Config, autocast, build, fake_mode
from torch.distributed._tools.mem_tracker import MemTracker
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

CONFIGS: dict[str, Config] = {
    "gpt2-124m": gpt2(768, 12, **FUSED) | {"n_layer": 6, "vocab_size": 50257},
    "gpt2-350m": gpt2(1024, 16, **FUSED) | {"n_layer": 6, "vocab_size": 50257},
    "pythia-410m": standard("gpt_neox", 1024, 16, 16, 4096) | {"num_hidden_layers": 6, "vocab_size": 50304},
    "llama-1b": standard("llama", 2048, 32, 8, 8192, tie_word_embeddings=True)
    | {"num_hidden_layers": 6, "vocab_size": 128256},
    "llama-7b": standard("llama", 4096, 32, 32, 11008) | {"num_hidden_layers": 6, "vocab_size": 32000},
    "llama-deep": standard("llama", 1024, 16, 4, 2816) | {"num_hidden_layers": 12, "vocab_size": 32000},
    "qwen3-0.6b": standard("qwen3", 1024, 16, 8, 3072, head_dim=128, tie_word_embeddings=True)
    | {"num_hidden_layers": 6, "vocab_size": 151936},
    "gemma-2b": standard("gemma", 2048, 8, 1, 16384, head_dim=256, tie_word_embeddings=True)
    | {"num_hidden_layers": 6, "vocab_size": 256000},
}
# Micro-batch, context, precision, kernel, checkpointed, fused optimizer: fixed before any figure was seen.
STEPS = [
    (1, 2048, "bf16", "flash", False, True), (4, 1024, "bf16", "flash", False, True),
    (1, 4096, "amp", "flash", False, True), (2, 2048, "bf16", "flash", True, True),
    (1, 512, "bf16", "flash", False, False), (8, 2048, "amp", "flash", True, True),
    (2, 1024, "bf16", "naive", False, True), (2, 2048, "fp32", "flash", False, True),
]  # fmt: skip


def peak(config: Config, step: tuple[int, int, str, str, bool, bool]) -> int:
    """Bytes of the fullest moment."""
    batch, context, precision, kernel, checkpoint, fused = step
    ALL_MASK_ATTENTION_FUNCTIONS["sdpa"] = lambda *_, **__: None
    with fake_mode():
        model = build(config, DTYPES[precision], kernel)
        if checkpoint:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        tokens = torch.zeros((batch, context), dtype=torch.long)
        optimizer = torch.optim.AdamW(model.parameters(), fused=fused, foreach=not fused)
        tracker = MemTracker()
        tracker.track_external(model, optimizer)
        with tracker:
            for _ in range(2):
                tracker.reset_mod_stats()
                with autocast(precision):
                    loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                del loss
        return max(sum(device.values()) // 2 for device in tracker.get_tracker_snapshot("peak").values())


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for name, config in CONFIGS.items():
        for step in STEPS[len(rows) // 4 % 2 :: 2]:
            keys = ("micro_batch", "context", "precision", "kernel", "checkpointed", "fused_optimizer")
            rows.append({"model": name, **dict(zip(keys, step, strict=True)), "peak": peak(config, step)})
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    document = {"versions": versions, "configs": CONFIGS, "rows": rows}
    Path(__file__).with_name("peaks.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
