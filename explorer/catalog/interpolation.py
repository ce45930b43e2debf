"""Published losses of models read beyond their training window by interpolated positions, untrained."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpolation:
    """One measurement: a model at a window it was never trained at."""

    model: str
    method: Literal["linear", "NTK"]
    context_trained: int
    context: int
    perplexity_trained: float
    """At the training window, positions as trained."""
    perplexity: float
    """At the longer window, positions interpolated."""
    source: str

    @property
    def gain(self) -> float:
        """What the longer window brings, nats per token; negative where the loss rises."""
        return math.log(self.perplexity_trained / self.perplexity)


@cache
def interpolations() -> tuple[Interpolation, ...]:
    """Every measurement of the catalogue."""
    text = files("explorer.catalog").joinpath("interpolation.json").read_text(encoding="utf-8")
    return tuple(Interpolation(**row) for row in json.loads(text)["rows"])
