"""What a design is worth under a budget: every metric, every constraint, for a grid or a table at once.

Each design is trained on as many tokens as all training limits allow together under its best plan.
A staged design spends most of its tokens at the short window, with a plan of its own there.
Constraints are relative excesses over the limit: feasible at or below zero. A design that breaks a
limit still has finite figures (those of its least hungry plan), so that a search can see how far off
it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from explorer.design import Design
from explorer.units import Num

if TYPE_CHECKING:
    from explorer.cost import Planned

HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Figures of the designs asked about; every array broadcasts to the designs' shape."""

    design: Design
    n_params: Num
    n_params_non_embedding: Num
    n_params_active: Num
    n_tokens: Num
    train_flops: Num
    loss: Num
    gpu_hours: Num
    days: Num
    energy_kwh: Num
    step_seconds: Num
    tokens_per_second_per_gpu: Num
    mfu: Num
    peak_device_bytes: Num
    kv_cache_bytes: Num
    serving_bytes: Num
    lifetime_flops: Num | None
    price: Num | None
    n_tokens_by_limit: Mapping[str, Num]
    """Training tokens that each training limit alone would allow; the least is n_tokens."""
    used: Mapping[str, Num]
    """Share of each limit that is used; 1 at the limit."""
    constraints: Mapping[str, Num]
    """Relative excess over each limit; feasible at or below zero."""
    planned: Planned
    """The best plan at context_length."""
    planned_short: Planned | None = None
    """The best plan at the short window of staged designs; None where none is staged."""

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """Whether every constraint holds."""
        worst: Num = -1.0
        for value in self.constraints.values():
            worst = np.maximum(worst, value)
        return np.asarray(worst) <= 0

    def metric(self, name: str) -> Num:
        """A metric of the metric table by name; AttributeError where the budget does not give it."""
        value = getattr(self.design if name == "context_length" else self, name)
        if value is None:
            raise AttributeError(f"{name} needs more than the budget says")
        return value
