"""From the words of a published measurement to a design, a plan and hardware.

Frameworks differ in what they leave unsaid: the defaults filled in here are theirs (Megatron's GPT has
LayerNorm, biases, learned positions, a tied head and dropout; torchtitan shards with FSDP and mixed
precision), each stated where it is set. What the model has no words for is refused with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from explorer.cost.hardware import Hardware
from explorer.design import Design, Plan
from explorer.validation.measurements import Inexpressible, Measurement
from explorer.validation.translate.designs import design_of, published_design
from explorer.validation.translate.fields import number
from explorer.validation.translate.frameworks import is_compiled, is_megatron
from explorer.validation.translate.machines import accelerator_named, hardware_of, machine, n_gpus_of
from explorer.validation.translate.plans import plan_of

__all__ = [
    "Run",
    "accelerator_named",
    "design_of",
    "hardware_of",
    "interleave",
    "is_megatron",
    "layout",
    "published_design",
    "training_run",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A training run in the model's words."""

    design: Design
    plan: Plan
    hardware: Hardware
    interleave: int = 1
    """Model chunks per pipeline stage: divides the bubble."""
    fused: bool = False
    """Compiled: element-wise kernels are fused, so times follow the fused kernels' constants."""


def training_run(row: Measurement) -> Run:
    """The run a training row measured. Raises Inexpressible."""
    config = row.config
    design, plan = layout(row)
    hardware = hardware_of(config)
    n_gpus = int(plan.n_gpus)
    return Run(
        design=design,
        plan=plan,
        hardware=replace(hardware, n_gpus=n_gpus),
        interleave=interleave(row),
        fused=is_compiled(row),
    )


def interleave(row: Measurement) -> int:
    """Model chunks per pipeline stage."""
    return int(number(row.config, "interleave", "vp", default=1))


def layout(row: Measurement) -> tuple[Design, Plan]:
    """What ran and how it was laid out, also where the machine is not stated. Raises Inexpressible."""
    _refuse_other_methods(row)
    if machine(row.config):
        hardware_of(row.config)
    design = design_of(row)
    return design, plan_of(row, design, n_gpus_of(row.config))


def _refuse_other_methods(row: Measurement) -> None:
    """What is not pre-training as the model knows it."""
    config = row.config
    text = " ".join(str(config.get(k, "")) for k in ("method", "techniques_cumulative", "recipe")).lower()
    if "lora" in text or "adapter" in text or "trainable" in config:
        raise Inexpressible(
            reason="adapter fine-tuning: most weights are frozen; out of a pre-training model's domain"
        )
    if "quant" in config and str(config["quant"]).lower() not in ("none", ""):
        raise Inexpressible(reason="training on quantised weights is out of domain")
    if str(config.get("method", "")).lower() == "full" and str(config.get("hw", "")).startswith("1x"):
        raise Inexpressible(reason="torchtune on one GPU: which optimizer ran, paged or not, is not stated")
    if "nanogpt" in f"{config.get('model', '')} {row.source}".lower() and config.get("attention") is None:
        raise Inexpressible(reason="nanoGPT had unfused, then flash attention: which one ran is not stated")
    if "unpacked" in text:
        raise Inexpressible(reason="unpacked batches: their real token count is not stated")
    if "8bit" in text:
        raise Inexpressible(reason="which 8-bit optimizer ran, with what temporaries, is not stated")
    if "rowwise" in str(config.get("precision", "")):
        raise Inexpressible(reason="fp8 with a scale per row is not modelled, only per tensor")
    if config.get("cpu_offload") or "cpu offload" in text:
        raise Inexpressible(reason="host offload of parameters is not modelled")
