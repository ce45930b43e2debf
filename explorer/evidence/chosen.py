"""A row of a table as a design, and the best plan of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.design import Design, Plan, tables

if TYPE_CHECKING:
    from explorer.cost import Planned
    from explorer.search.problem import Problem


def design_of(problem: Problem, row: Any) -> Design:
    """The design of a row of a trials table."""
    names = ("context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff", "vocab_size")
    attention = next(a for a in problem.lattice.attention if str(a) == str(row["attention"]))
    given: dict[str, Any] = {
        **{name: int(row[name]) for name in names},
        **{k: int(v) for k, v in attention._asdict().items() if v},
        **(problem.lattice.fixed or {}),
        "ffn": str(row["ffn"]),
        "staged_from": float(row["staged_from"]),
        "staged_share": float(row["staged_share"]),
    }
    return Design(**given)


def plan_of(problem: Problem, design: Design) -> Plan | None:
    """The best plan of one design at its full context; None where nothing can run it."""
    return plans_of(problem, [design])[0]


def plans_of(problem: Problem, designs: Sequence[Design]) -> list[Plan | None]:
    """The best plan of each design at its full context, looked for together."""
    known = _plans(problem)
    # Several parts of a report ask for the same few designs; a schedule's short part has a plan of its own.
    constant = [design.with_(staged_from=0, staged_share=0) for design in designs]
    missing = [design for design in dict.fromkeys(constant) if design not in known]
    for places, table in tables(missing):
        planned = problem.evaluate(table).planned
        known |= {missing[place]: plan_at(problem, planned, row) for row, place in enumerate(places)}
    return [known[design] for design in constant]


@lru_cache(maxsize=8)
def _plans(problem: Problem) -> dict[Design, Plan | None]:
    """What was found for a problem so far."""
    return {}


def plan_at(problem: Problem, planned: Planned, index: int) -> Plan | None:
    """The plan in one place of a planned table; None where nothing can run it."""

    def at(name: str) -> Any:
        value = np.asarray(getattr(planned, name)).reshape(-1)
        return value[min(index, len(value) - 1)]

    if not np.isfinite(at("step_seconds")):
        return None
    names = (
        "micro_batch", "global_batch", "tensor_parallel", "pipeline_parallel", "context_parallel",
        "data_parallel", "zero_stage",
    )  # fmt: skip
    return problem.setting.plan.with_(
        recompute=str(at("recompute")), **{name: int(at(name)) for name in names}
    )


def short_of(design: Design) -> Design:
    """The design as a staged schedule starts it: at the short window."""
    return design.with_(context_length=design.staged_from, staged_from=0, staged_share=0)
