"""What may be spent: the section `budget` of budget.yaml. Every limit is an upper bound."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator
from pydantic.config import ConfigDict

from explorer.budget.fields import Amount, Count, Section, Size, Whole


class TrainingLimits(Section):
    """Upper bounds on the training; all that are given hold together, and the tightest decides."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    flops: Count | None = None
    """Model FLOPs of the whole training (2 per multiply-add, causal attention at half, no recompute)."""
    tokens: Count | None = None
    """Training tokens: how much data there is."""
    gpu_hours: Count | None = None
    """GPU-hours of the whole training."""
    days: Amount | None = None
    """Calendar days of training on all of the hardware."""

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if not self.given:
            raise ValueError("at least one of flops, tokens, gpu_hours, days")
        return self

    @property
    def given(self) -> dict[str, float]:
        """The limits that are set, by name."""
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value is not None}


class Serving(Section):
    """A card that the trained model must also fit when it serves: weights and the full-context KV cache."""

    gpu_memory: Size
    """Memory of the serving GPU, bytes with a unit, e.g. 24GiB."""
    batch: Whole = 1
    """Sequences served at once, each at full context."""
    weight_bits: Literal[4, 8, 16, 32] = 16
    """Bits per weight of the layers; below 16, embeddings, head and norms stay at 16."""
    kv_bits: Literal[4, 8, 16, 32] = 16
    """Bits per key or value in the cache."""
    tokens: Count | None = None
    """Tokens expected to be served over the model's life (for the objective lifetime_flops)."""


class Limits(Section):
    """What may be spent; every limit is an upper bound."""

    parameters: Count
    """Largest total number of parameters, e.g. 8B."""
    gpu_memory: Size | None = None
    """Peak device memory per training GPU, bytes with a unit, e.g. 80GiB; default: all the device has."""
    training: TrainingLimits
    """Limits on the training: flops, tokens, gpu_hours, days; at least one."""
    serving: Serving | None = None
    """Optional: the model must also fit this card when it serves."""
