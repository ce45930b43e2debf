"""The model scored against measurements: errors per group and kind, held against stated budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from explorer.catalog.cited import ErrorBudget, error_budget
from explorer.validation.measurements import Measurement
from explorer.validation.predict import predict


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredRow:
    """One measurement and what the model says to it, or why it says nothing."""

    what: str
    group: str
    value: Any
    predicted: float | None
    unit: str
    reason: str
    """Why there is no prediction; empty where there is one."""
    label: str = ""
    """Model and machine, to find the row again."""

    @property
    def error(self) -> float | None:
        """Relative error, predicted / measured − 1; None without a prediction."""
        if self.predicted is None or not isinstance(self.value, int | float) or not self.value:
            return None
        return self.predicted / float(self.value) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupScore:
    """Errors of the rows of one group and kind."""

    group: str
    what: str
    n: int
    """Rows with a prediction."""
    n_unexpressed: int
    median_error: float
    p90_error: float
    bias: float
    """Median of predicted / measured − 1."""
    worst: str
    """Row with the largest error."""
    worst_error: float
    budget_median: float
    budget_p90: float
    within_budget: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """Every group and every row."""

    groups: tuple[GroupScore, ...]
    rows: tuple[ScoredRow, ...]
    within_budget: bool = field(default=True)

    def lines(self, rows: bool = False) -> list[str]:
        """The scores as a person reads them."""
        head = f"{'group':18s} {'what':28s} {'n':>5s} {'median':>7s} {'p90':>7s} {'bias':>7s}"
        head += "  budget        worst"
        lines = [head]
        for g in self.groups:
            mark = "" if g.within_budget else "  ABOVE ITS BUDGET"
            lines.append(
                f"{g.group[:18]:18s} {g.what[:28]:28s} {g.n:5d} {g.median_error:7.1%} {g.p90_error:7.1%} "
                f"{g.bias:+7.1%}  {g.budget_median:4.0%} / {g.budget_p90:4.0%}  {g.worst_error:+.0%} "
                f"{g.worst}{mark}"
            )
        lines += self._gaps()
        if rows:
            for row in self.rows:
                said = (
                    row.reason if row.predicted is None else f"{row.predicted:.6g} ({row.error or 0.0:+.1%})"
                )
                lines.append(f"{row.group} {row.what} {row.label}: {row.value} {row.unit}: {said}")
        verdict = "within" if self.within_budget else "not within"
        n = sum(g.n for g in self.groups)
        lines.append(f"{n} row{'' if n == 1 else 's'} scored, {verdict} the stated error budgets")
        return lines

    def markdown(self) -> list[str]:
        """One row per group, as the README shows it."""
        from explorer.validation.fit_efficiency import fitted_on

        lines = [
            "| measurements | what | rows | median error | 90th percentile | bias | budget | fitted on |",
            "|---|---|--:|--:|--:|--:|--:|:-:|",
        ]
        for g in self.groups:
            role = "yes" if fitted_on(g.group, g.what) else "no"
            lines.append(
                f"| {g.group} | `{g.what}` | {g.n:,} | {g.median_error:.1%} | {g.p90_error:.1%} | "
                f"{g.bias:+.1%} | {g.budget_median:.0%} / {g.budget_p90:.0%} | {role} |"
            )
        return lines

    def _gaps(self) -> list[str]:
        """Rows without a prediction, counted by reason."""
        counts: dict[tuple[str, str, str], int] = {}
        for row in self.rows:
            if row.predicted is None:
                key = (row.group, row.what, row.reason)
                counts[key] = counts.get(key, 0) + 1
        return [
            f"{group:18s} {what:28s} {n:5d} not expressed: {why}" for (group, what, why), n in counts.items()
        ]


def score(rows: Sequence[Measurement]) -> Scores:
    """Score every row; groups are judged by their own budget, or by that of their `what`."""
    answers = predict(rows)
    scored = tuple(
        ScoredRow(
            what=row.what, group=row.group, value=row.value, unit=row.unit, label=_label(row),
            predicted=answer if isinstance(answer, float) else None,
            reason=answer if isinstance(answer, str) else "",
        )
        for row, answer in zip(rows, answers, strict=True)
    )  # fmt: skip
    kinds: dict[tuple[str, str], list[ScoredRow]] = {}
    for one in scored:
        kinds.setdefault((one.group, one.what), []).append(one)
    groups = tuple(
        _group(group, what, members)
        for (group, what), members in kinds.items()
        if any(m.error is not None for m in members)
    )
    return Scores(groups=groups, rows=scored, within_budget=all(g.within_budget for g in groups))


def _group(group: str, what: str, members: list[ScoredRow]) -> GroupScore:
    judged = [m for m in members if m.error is not None]
    errors = np.array([m.error for m in judged], dtype=np.float64)
    size = np.abs(errors)
    worst = judged[int(np.argmax(size))]
    budget: ErrorBudget = error_budget(group, what)
    median, p90 = float(np.median(size)), float(np.quantile(size, 0.9))
    return GroupScore(
        group=group, what=what, n=len(judged), n_unexpressed=len(members) - len(judged),
        median_error=median, p90_error=p90, bias=float(np.median(errors)),
        worst=worst.label, worst_error=float(worst.error or 0.0),
        budget_median=budget.median, budget_p90=budget.p90,
        within_budget=median <= budget.median and p90 <= budget.p90,
    )  # fmt: skip


def _label(row: Measurement) -> str:
    """The parts of a configuration that tell rows apart."""
    keys = (
        "model",
        "hidden",
        "layers",
        "seq",
        "n_gpus",
        "gpu",
        "micro_batch",
        "tp",
        "pp",
        "recompute",
        "m",
        "n",
        "k",
        "impl",
    )
    return " ".join(
        f"{k}={row.config[k]}" if k != "model" else str(row.config[k]) for k in keys if k in row.config
    )
