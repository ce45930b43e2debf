"""What a result says, picked out once: the names, rows and shares that sentences, tables and charts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from explorer.catalog.metrics import METRICS, Metric
from explorer.report import words
from explorer.units import QUANTILES

if TYPE_CHECKING:
    import pandas as pd

    from explorer.claims.records import CorpusTrade
    from explorer.result import Result

PICK_LABELS = {"best-loss": "lowest loss", "knee": "knee", "longest": "longest context"}
BINDING = 0.99
"""A limit used to at least this share is said to bind."""


@dataclass(frozen=True)
class Facts:
    """A result with the questions a page asks of it."""

    result: Result

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.result.budget.name)

    @property
    def corpus(self) -> str:
        """The corpus the budget asks about."""
        corpus = self.result.budget.quality.corpus
        return str(getattr(corpus, "name", corpus))

    @property
    def law(self) -> str:
        """The law the loss comes from."""
        return str(self.result.provenance.get("law", self.result.budget.quality.law))

    @property
    def hardware(self) -> str:
        """8 × h100-sxm-80gb."""
        hardware = self.result.budget.hardware
        return f"{words.whole(hardware.gpus)} × {getattr(hardware.accelerator, 'name', hardware.accelerator)}"

    @cached_property
    def corpora(self) -> tuple[str, ...]:
        """Corpora the trials carry a loss for; the asked one alone where they carry only that."""
        prefix = "loss_"
        names = [c.removeprefix(prefix) for c in self.result.trials.columns if c.startswith(prefix)]
        found = [n for n in names if not n.endswith(QUANTILES)]
        return tuple(found) if self.corpus in found else (self.corpus,)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The corpora but the asked one."""
        return tuple(name for name in self.corpora if name != self.corpus)

    @property
    def measured(self) -> bool:
        """Whether the trials were measured; the exact fronts are the model's and not to be drawn beside them."""
        return bool(self.result.search.evaluator)

    @cached_property
    def others(self) -> pd.DataFrame:
        """Designs on another front than the run's that are taken apart and have files, as those of the front."""
        evidence = self.result.evidence
        found = evidence.others if evidence is not None else None
        return self.result.trials.iloc[:0] if found is None else found

    @cached_property
    def proven(self) -> tuple[str, ...]:
        """Corpora on which the exact front is known."""
        evidence = self.result.evidence
        known = {self.corpus, *(evidence.corpus_fronts if evidence is not None else ())}
        return tuple(name for name in self.corpora if name in known)

    @cached_property
    def objectives(self) -> tuple[tuple[Metric, str], ...]:
        """Metric and direction of each objective."""
        return tuple((METRICS[o.metric], str(o.direction)) for o in self.result.budget.objectives)

    @cached_property
    def y(self) -> Metric:
        """What the front is drawn against upwards: the loss, or else the first objective."""
        return next((m for m, _ in self.objectives if m.name == "loss"), self.objectives[0][0])

    @cached_property
    def x(self) -> Metric:
        """What the front is drawn along: the first objective that is not upwards, or the context length."""
        return next((m for m, _ in self.objectives if m.name != self.y.name), METRICS["context_length"])

    def direction(self, metric: Metric) -> str:
        """Which way of a metric is better here."""
        return next((d for m, d in self.objectives if m.name == metric.name), metric.direction)

    @cached_property
    def best_number(self) -> int:
        """The front's row with the lowest loss."""
        return int(self.result.picks.get("best-loss", 0))

    @cached_property
    def best(self) -> pd.Series[Any]:
        """The design with the lowest loss."""
        return self.result.front.iloc[self.best_number]

    @cached_property
    def picks(self) -> dict[int, str]:
        """Front row → what it is called; several names where one design is several picks."""
        names: dict[int, list[str]] = {}
        for name, row in self.result.picks.items():
            names.setdefault(int(row), []).append(PICK_LABELS.get(name, name.replace("-", " ")))
        return {row: ", ".join(labels) for row, labels in names.items()}

    @property
    def asked(self) -> CorpusTrade | None:
        """The trade on the asked corpus."""
        return self.result.trade.asked if self.result.trade else None

    def limit(self, name: str) -> str:
        """A limit's name in words; where training has one limit alone, it is called by its own name."""
        training = self.result.budget.limits.training
        given = [k for k in type(training).model_fields if getattr(training, k) is not None]
        return words.limit(given[0] if name == "training" and len(given) == 1 else name)

    def limits(self, row: Mapping[str, Any] | pd.Series[Any]) -> dict[str, float]:
        """Each limit → the share of it that a design uses; 1 is all of it."""
        return {
            k.removeprefix("excess_"): 1 + float(row[k])
            for k in self._excesses
            # A plan either exists or not; no share of it is used.
            if row[k] == row[k] and (k != "excess_plan" or row[k] > 0)
        }

    @cached_property
    def _excesses(self) -> list[str]:
        return [str(k) for k in self.result.trials.columns if str(k).startswith("excess_")]

    def binding(self, row: Mapping[str, Any] | pd.Series[Any]) -> list[str]:
        """The limits a design uses up, the fullest first."""
        used = sorted(self.limits(row).items(), key=lambda kv: -kv[1])
        return [k for k, share in used if share >= BINDING]

    def reason(self, row: Mapping[str, Any] | pd.Series[Any]) -> str:
        """Why a design is infeasible: each broken limit and how far it is exceeded."""
        over = sorted(self.limits(row).items(), key=lambda kv: -kv[1])
        return "; ".join(f"{self.limit(k)} {over_by(share - 1)}" for k, share in over if share > 1 + 1e-9)

    def outside(self, number: int) -> tuple[str, ...]:
        """The law's quantities that a row of the front has outside what the law was fitted on."""
        evidence = self.result.evidence
        return evidence.outside[number] if evidence is not None and number < len(evidence.outside) else ()

    @cached_property
    def inside(self) -> dict[str, dict[str, Any]]:
        """The best designs within the law's domain that are not the best design itself, by how far within."""
        evidence = self.result.evidence
        if self.measured:
            # They are the model's, and its losses follow from times that were not measured.
            return {}
        keys = ("context_length", "d_model", "n_layers", "staged_from")
        best = tuple(float(self.best.get(k, 0) or 0) for k in keys)
        rows = dict(evidence.inside) if evidence is not None else {}
        return {k: row for k, row in rows.items() if tuple(float(row.get(n) or 0) for n in keys) != best}

    @cached_property
    def extrapolated_share(self) -> float | None:
        """Share of the front outside the law's domain; None where the tables do not say."""
        front = self.result.front
        if "extrapolated" not in front or not len(front):
            return None
        return float(flags(front["extrapolated"]).mean())


def over_by(excess: float) -> str:
    """How far a limit is exceeded: percent, or a factor where percent stops being readable."""
    return f"{words.percent(excess)} over" if excess < 1 else f"exceeded {words.number(1 + excess, 2)}-fold"


def flags(column: pd.Series[Any]) -> pd.Series[bool]:
    """Truth of a column that holds truth values or lists of what is outside, as text."""
    return column.map(lambda v: bool(v) and v not in ("", "[]", "()", "none", "False"))


def schedule(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """`constant`, or `staged: 4,096 tokens, last 5% at full length`."""
    start = float(row.get("staged_from", 0) or 0)
    if not start > 0:
        return "constant"
    return f"staged ({words.whole(start)}, last {100 * float(row['staged_share']):g}% at c)"


def trained(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """`, trained at 8,192 tokens and for the last 5% of the tokens at c`; nothing for a constant schedule."""
    start = float(row.get("staged_from", 0) or 0)
    if not start > 0:
        return ""
    share = f"{100 * float(row['staged_share']):g}%"
    return f" (staged: windows of {words.whole(start)} tokens first, of c for the last {share} of the tokens)"


def ways(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """How the GPUs share the work: TP 4 × PP 2 × CP 64."""
    return plan(row).split(", ")[0]


def plan(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """The plan in one line: micro-batch, recompute, parallel sizes."""

    def size(key: str) -> int:
        value = row.get(key, 1)
        return int(value) if value == value and value is not None else 1

    ways = [
        ("TP", "tensor_parallel"),
        ("PP", "pipeline_parallel"),
        ("CP", "context_parallel"),
        ("DP", "data_parallel"),
    ]
    split = " × ".join(f"{short} {size(key)}" for short, key in ways if size(key) > 1) or "one GPU"
    recompute = str(row.get("recompute", "none"))
    kept = {"none": "no recompute", "selective": "selective recompute", "full": "full recompute"}
    zero = f", ZeRO-{size('zero_stage')}" if row.get("zero_stage", 0) and size("data_parallel") > 1 else ""
    return (
        f"{split}{zero}, micro-batch {size('micro_batch')}, {kept.get(recompute, recompute + ' recompute')}"
    )


def shape(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """c = 27,648, d = 3,584, L = 44."""
    c, d, layers = (words.whole(float(row[k])) for k in ("context_length", "d_model", "n_layers"))
    return f"c = {c} tokens, d = {d}, L = {layers}"
