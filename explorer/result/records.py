"""What came out of a run, as records: tables, front, picks, evidence, verdict, provenance.

Tables name their units in their columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from explorer.budget import Budget
    from explorer.claims.records import Claim, Trade, Verdict
    from explorer.result.search import SearchSummary


def design_columns(table: pd.DataFrame) -> list[str]:
    """The columns that tell one design of a table from another."""
    sizes = ("context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff", "vocab_size")
    return [c for c in (*sizes, "ffn", "attention", "staged_from", "staged_share") if c in table]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the report draws beside the trials: one record per chart, computed once."""

    plane: pd.DataFrame
    """Best feasible design for each (context_length, d_model): `loss` with quantiles, `n_layers`, `n_params`, `feasible`,
    `binding` (the limit closest to its end, or the one exceeded most where nothing is feasible),
    `extrapolated`."""
    sweep: pd.DataFrame
    """The best design over context lengths, long form: `context_length`, `quantity` (`memory_bytes`,
    `flops_per_token`, `seconds_per_token`), `part`, `value`."""
    anatomies: pd.DataFrame
    """The rows of the front (`key`), and after them those of `others`, taken apart at full context (`stage` is
    `full`), staged designs also at their short window (`short`): `context_length`, then a column per part:
    `memory: …` in bytes per GPU, `flops: …` in model FLOPs per training token, `time: …` in seconds per token of
    the whole job."""
    models: pd.DataFrame
    """Published models near the budget: `name`, `context_length`, `d_model`, `n_layers`, `n_params`."""
    importance: pd.DataFrame
    """`lever`, `objective`, `importance` (PED-ANOVA over the trials; shares of 1)."""
    crossover: Mapping[str, float]
    """`flops`: context at which attention's quadratic FLOPs equal the linear ones for the best design,
    causal; `seconds`: the same in step time (nan where there is none)."""
    model_anatomies: pd.DataFrame | None = None
    """Published models taken apart as `anatomies` are, `key` their name, at their own context under the budget's
    hardware."""
    sensitivities: pd.DataFrame | None = None
    """What 10% more of a lever does around each row of the front and of `others`: `row`, `lever`, `low` and `high` (the
    neighbours compared), `loss` and `loss_same_tokens` (nats/token), `memory`, `hours`, `tokens` (shares)."""
    outside: tuple[tuple[str, ...], ...] = ()
    """Per row of the front, the quantities of the law outside what it was fitted on."""
    inside: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """The feasible designs of lowest loss within the law's domain: `wholly`, and `context` (in context and
    schedule); rows as the front's, with `outside`. A key is missing where there is none."""
    domain: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Quantity → the range that the law was fitted on."""
    corpus_fronts: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """The exact front on every other corpus, rows as the trials'."""
    baseline: dict[str, Any] | None = None
    """The named baseline at its own shape and context under the same limits; a row as the front's."""
    exports: dict[str, Any] = field(default_factory=dict)
    """`lines`, `names` (target → file name) and `texts`: target → row of the front, and after them of `others` (as
    text) → the numbers of its lines, or why the target cannot express it."""
    others: pd.DataFrame | None = None
    """Designs that are on another front than the run's, whichever corpus and axes a reader chooses; rows as the
    trials', numbered on from the front's last."""


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
    """Where nothing is feasible: the designs closest to feasibility, with the excess over each limit; where the
    model knows feasible ones, the closest trials (none where all failed)."""
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

    @property
    def missed(self) -> bool:
        """Whether the model knows feasible designs, and no trial has turned out to be one."""
        return not self.feasible and len(self.exact_front) > 0

    def budget_use(self, row: int) -> dict[str, float]:
        """Share of each limit that a row of the front uses (1 = all of it)."""
        prefix = "excess_"
        columns = [c for c in self.front.columns if c.startswith(prefix)]
        return {c.removeprefix(prefix): 1.0 + float(self.front[c].iloc[row]) for c in columns}

    def summary(self) -> dict[str, Any]:
        """What `summary.json` holds: the answer, structured, small enough to read."""
        from explorer.result.files import summary

        return summary(self)

    def save(self, folder: str | Path) -> Path:
        """Write the run's data files into `folder` (each atomically) and return the folder."""
        from explorer.result.files import save

        return save(self, Path(folder))

    def lines(self) -> list[str]:
        """The answer in sentences: the verdict, and how good the search was; `picked` has the designs."""
        from explorer.result.words import lines

        return lines(self)

    def picked(self) -> pd.DataFrame:
        """The designs a reader asks for first, one per row, under headings with units.

        Indexed by pick; empty where no design meets every limit. All columns are in `front`.
        """
        from explorer.result.words import picked

        return picked(self)

    def _repr_html_(self) -> str:
        """The verdict and the designs a reader asks for first, with units, for notebooks."""
        from explorer.result.words import html

        return html(self)
