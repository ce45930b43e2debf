"""Transformers models without weights: parameters are fake tensors, so any size runs on any machine.

Shared by the recorders of activations, FLOPs and peaks. Operations are dispatched as on a CPU, whose
fused attention keeps the same tensors as the GPU's flash attention (Q, K, V, output, log-sum-exp).
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM

logging.disable(logging.WARNING)

Config = dict[str, Any]
DTYPES = {"bf16": torch.bfloat16, "amp": torch.float32, "fp32": torch.float32}
KERNELS = {"flash": "sdpa", "naive": "eager"}
DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop", "hidden_dropout", "attention_dropout", "dropout")


def build(config: Config, dtype: torch.dtype, kernel: str, dropout: float = 0.0) -> torch.nn.Module:
    """The causal language model of `config`, to be run inside `fake_mode`."""
    kind = config["model_type"]
    rest = {k: v for k, v in config.items() if k != "model_type"}
    settings = AutoConfig.for_model(kind, **rest)
    for name in DROPOUTS:
        if hasattr(settings, name):
            inside_attention = name in ("attn_pdrop", "attention_dropout")
            setattr(settings, name, 0.0 if inside_attention and kernel == "flash" else dropout)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(settings, attn_implementation=KERNELS[kernel])
    seen: dict[int, torch.nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                if id(parameter) not in seen:
                    value = torch.zeros(parameter.shape, dtype=dtype)
                    seen[id(parameter)] = torch.nn.Parameter(value)
                module._parameters[name] = seen[id(parameter)]
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)
    return model.train()


@contextmanager
def fake_mode():
    """Tensors made inside have shapes and storages, and no data."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode


def autocast(precision: str):
    """bf16 autocast for `amp`, nothing otherwise."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "amp")
