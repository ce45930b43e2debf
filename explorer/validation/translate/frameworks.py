"""Which program ran: what a row does not say is its default."""

from __future__ import annotations

from explorer.validation.measurements import Measurement


def is_megatron(row: Measurement) -> bool:
    """Whether a row ran Megatron-LM or a descendant of it."""
    text = f"{row.group} {row.config.get('framework', '')} {row.source}".lower()
    return any(
        word in text
        for word in ("megatron", "korthikanti", "vtrain", "bloom", "bigscience", "deepspeed", "narayanan")
    )


def is_before_flash(row: Measurement) -> bool:
    """Megatron runs before it had flash attention (2019-2022): with dropout, no distributed optimizer."""
    old = ("vtrain", "megatron-2020", "megatron-a100", "korthikanti", "bloom", "bigscience", "narayanan")
    return any(word in row.group.lower() for word in old)


def is_torchtitan(row: Measurement) -> bool:
    return "torchtitan" in f"{row.group} {row.config.get('framework', '')}".lower()


def is_transformers_gpt2(row: Measurement) -> bool:
    """Transformers' GPT-2 as it comes: dropout .1 and the tanh GELU in separate operations (GPT2Config)."""
    return str(row.config.get("model", "")).lower().startswith("hf gpt2")


def is_llama_like(row: Measurement) -> bool:
    name = str(row.config.get("model", "")).lower()
    return any(family in name for family in ("llama", "mistral", "qwen", "smollm", "yi-", "deepseek"))


def is_compiled(row: Measurement) -> bool:
    return row.config.get("compile") not in (None, False, "eager") or has_technique(row, "+compile")


_TECHNIQUES = (
    "baseline (unpacked)", "+packed", "+compile", "+chunked CE", "+activation ckpt", "+optimizer-in-bwd",
    "+act offload", "+8bit AdamW",
)  # fmt: skip


def has_technique(row: Measurement, technique: str) -> bool:
    """Whether a row of torchtune's cumulative table includes a technique."""
    last = str(row.config.get("techniques_cumulative", ""))
    return last in _TECHNIQUES and _TECHNIQUES.index(last) >= _TECHNIQUES.index(technique)
