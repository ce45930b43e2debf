"""What came out of a run: tables, front, evidence, verdict, provenance; saved to and loaded from a folder.

Files (see README, "What a run writes"): `trials.parquet`, `front.csv`, `summary.json`, `evidence.json`,
`budget.yaml`. Rendering is `explorer.report`'s. Tables name their units in their columns.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import ExplorerError

if TYPE_CHECKING:
    import pandas as pd

    from explorer.budget import Budget
    from explorer.claims.records import Claim, Trade, Verdict


@dataclass(frozen=True, kw_only=True)
class SearchSummary:
    """How the front was found and how close it is to the exact one."""

    sampler: str
    seed: int
    n_trials: int
    n_feasible: int
    n_lattice: int
    """Designs on the lattice; what cannot be built is not among them."""
    n_proved: int
    """Designs the exact front is proven over (evaluated or discarded by a bound)."""
    model_evaluations: int
    """Designs the sampler itself looked at with the model."""
    hypervolume: float
    hypervolume_exact: float
    hypervolume_share: float
    """hypervolume / hypervolume_exact of the asked trials alone."""
    igd_plus: float
    epsilon: float
    seconds: float
    curve: tuple[tuple[int, float], ...] = ()
    """(trials told, share of the exact hypervolume) as the search went on."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the report draws beside the trials: one record per chart, computed once."""

    plane: pd.DataFrame
    """Best feasible design for each (context_length, d_model): `loss`, `n_layers`, `n_params`, `feasible`,
    `binding` (the limit closest to its end, or the one exceeded most where nothing is feasible),
    `extrapolated`."""
    sweep: pd.DataFrame
    """The best design over context lengths, long form: `context_length`, `quantity` (`memory_bytes`,
    `flops_per_token`, `seconds_per_token`), `part`, `value`."""
    anatomies: tuple[dict[str, Any], ...]
    """One per row of the front, in its order: parameters, flops, memory, time taken apart."""
    models: pd.DataFrame
    """Published models near the budget: `name`, `context_length`, `d_model`, `n_layers`, `n_params`."""
    importance: pd.DataFrame
    """`lever`, `objective`, `importance` (PED-ANOVA over the trials; shares of 1)."""
    crossover: Mapping[str, float]
    """`flops`: context at which attention's quadratic FLOPs equal the linear ones for the best design,
    causal; `seconds`: the same in step time (nan where there is none)."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything a run found. `result.front` is a pandas table, `result.verdict` prints as a sentence."""

    budget: Budget
    trials: pd.DataFrame
    """Every asked design, feasible or not, in order of asking."""
    front: pd.DataFrame
    """Feasible non-dominated trials, best first objective first, with `on_exact_front`."""
    exact_front: pd.DataFrame
    cloud: pd.DataFrame
    """Designs the search looked at without asking for them (bounded sample; may be empty)."""
    picks: Mapping[str, int]
    """Row numbers of the front by name: `best-loss`, `longest`, `knee`."""
    search: SearchSummary
    claims: tuple[Claim, ...]
    trade: Trade | None
    """None where nothing is feasible."""
    verdict: Verdict | None
    evidence: Evidence | None
    nearest: pd.DataFrame
    """Where nothing is feasible: the designs closest to feasibility, with the excess over each limit."""
    assumptions: tuple[str, ...]
    notes: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds per phase."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Versions, law, seed, budget fingerprint."""

    @property
    def feasible(self) -> bool:
        """Whether any design meets every limit."""
        return bool(len(self.front))
