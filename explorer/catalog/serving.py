"""How fast weights are read and layers issued while a model writes tokens, by published measurements."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingCurve:
    """Constants of decoding, each with its source in `serving.json`."""

    bandwidth_share: dict[int, float]
    """Share of the memory bandwidth at which weights are read, by bits per weight."""
    layer_seconds: float
    """Fixed time of a layer whose kernels are launched together."""
    mixture_layer_factor: float
    """The same of a layer with routed experts, relative to a dense one."""
    exchange_seconds: float
    """One small all-reduce within a node."""
    eager_layer_seconds: float
    """Host time of a layer in eager PyTorch."""
    fitted_on: str


@cache
def serving_curve() -> ServingCurve:
    """The constants of `serving.json`."""
    data = json.loads((files(__package__) / "serving.json").read_text("utf-8"))
    shares = {int(bits): float(v) for bits, v in data.pop("bandwidth_share").items() if bits.isdigit()}
    fitted_on = data.pop("fitted_on")
    return ServingCurve(
        bandwidth_share=shares,
        fitted_on=fitted_on,
        **{name: float(row["value"]) for name, row in data.items()},
    )
