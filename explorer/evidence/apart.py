"""Designs and published models taken apart: memory, FLOPs and time by part, alone and over the context."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.catalog import models
from explorer.claims.crossings import flops_equal, seconds_equal
from explorer.cost import parameters
from explorer.cost.parts import parts
from explorer.design import Design, Plan
from explorer.evidence.chosen import plan_of, plans_of, short_of
from explorer.evidence.grouped import grouped
from explorer.units import Num

if TYPE_CHECKING:
    import pandas as pd

    from explorer.search.problem import Problem

NEAR = (0.25, 2.0)
"""Published models are shown when their parameters are within these multiples of the parameter limit."""
TAKEN_APART = 3
"""Published models taken apart beside the best design: those nearest to it in parameters."""


STAGES = ("full", "short")
"""A design at its full context, and a staged one at its short window."""


def taken_apart(problem: Problem, designs: Mapping[Any, Design]) -> pd.DataFrame:
    """Key by key what each design's memory, FLOPs and time are made of, under its best plan.

    `key`, `stage`, `context_length`, then one column per part, named `memory: weights`: bytes per GPU, model
    FLOPs per training token, seconds per token. A design that nothing can run is left out.
    """
    lines: list[tuple[Any, str, Design]] = []
    for key, design in designs.items():
        lines.append((key, STAGES[0], design.with_(staged_from=0, staged_share=0)))
        if design.staged_from:
            lines.append((key, STAGES[1], short_of(design)))
    plans = plans_of(problem, [design for *_, design in lines])
    run = [(*line, plan) for line, plan in zip(lines, plans, strict=True) if plan is not None]
    return _table(problem, run)


def _table(problem: Problem, lines: Sequence[tuple[Any, str, Design, Plan]]) -> pd.DataFrame:
    import pandas as pd

    tables = []
    for places, designs, plans in grouped([(design, plan) for *_, design, plan in lines]):
        found = parts(designs, plans, problem.hardware)
        columns = {f"{q}: {part}": value for q, by_part in found.items() for part, value in by_part.items()}
        tables.append(pd.DataFrame(columns, index=places))
    if not tables:
        return pd.DataFrame(columns=["key", "stage", "context_length"])
    whole = pd.concat(tables).sort_index()
    whole.insert(0, "key", [line[0] for line in lines])
    whole.insert(1, "stage", [line[1] for line in lines])
    whole.insert(2, "context_length", [float(line[2].context_length) for line in lines])
    return whole


def sweep(problem: Problem, design: Design) -> pd.DataFrame:
    """The design at every listed context under its best plan there: memory, FLOPs and time by part."""
    import pandas as pd

    constant = design.with_(staged_from=0, staged_share=0)
    at = [constant.with_(context_length=int(c)) for c in problem.lattice.context_length]
    plans = plans_of(problem, at)
    found = _table(
        problem, [("", "", d, plan) for d, plan in zip(at, plans, strict=True) if plan is not None]
    )
    tables = []
    for column in found.columns[3:]:
        quantity, part = column.split(": ")
        name, gather = SWEPT[quantity]
        tables.append(
            pd.DataFrame(
                {"context_length": found["context_length"], "quantity": name, "part": gather(part), "value": found[column]}
            )
        )  # fmt: skip
    if not tables:
        return pd.DataFrame(columns=["context_length", "quantity", "part", "value"])
    whole = pd.concat(tables)
    whole = whole[(whole["value"] > 0) | (whole["quantity"] != "seconds_per_token")]
    keys = ["quantity", "part", "context_length"]
    summed = whole.groupby(keys, sort=False)["value"].sum().reset_index()
    return summed[["context_length", "quantity", "part", "value"]]


def _memory_part(part: str) -> str:
    """What is neither state nor saved changes from moment to moment: over the contexts it is one part."""
    working = ("gradients", "logits and gradients", "temporaries")
    return "gradients, temporaries" if part in working else part


def _flops_part(operation: str) -> str:
    """The quadratic part apart."""
    if operation in ("attention scores", "attention mix"):
        return "attention, quadratic"
    if "head" in operation or "embedding" in operation:
        return "head"
    return "feed-forward" if "feed-forward" in operation or operation == "router" else "attention, linear"


SWEPT: dict[str, tuple[str, Callable[[str], str]]] = {
    "memory": ("memory_bytes", _memory_part),
    "flops": ("flops_per_token", _flops_part),
    "time": ("seconds_per_token", str),
}


def published(problem: Problem) -> pd.DataFrame:
    """Published models whose size is near the budget's."""
    import pandas as pd

    cap = float(problem.budget.limits.parameters)
    rows = [
        (m.name, m.context_length_pretrain, int(m.design.d_model), int(m.design.n_layers), n)
        for m in models().values()
        if NEAR[0] * cap <= (n := int(parameters(m.design).total)) <= NEAR[1] * cap
    ]
    return pd.DataFrame(rows, columns=["name", "context_length", "d_model", "n_layers", "n_params"])


def models_apart(problem: Problem, n_params: float) -> pd.DataFrame:
    """The published models nearest in size, at their own context, under the budget's hardware and their best
    plan there; `key` is the model's name."""
    every = models()
    nearest = sorted(
        every, key=lambda name: abs(np.log(float(parameters(every[name].design).total) / n_params))
    )
    # Some of them may not run here.
    for many in (TAKEN_APART, 4 * TAKEN_APART, len(nearest)):
        found = taken_apart(problem, {name: every[name].design for name in nearest[:many]})
        if len(kept := list(dict.fromkeys(found["key"]))[:TAKEN_APART]) == TAKEN_APART:
            break
    return found[found["key"].isin(kept)].reset_index(drop=True)


def crossover(problem: Problem, design: Design) -> dict[str, float]:
    """Contexts at which attention's quadratic part is as large as all the rest, for one shape."""
    plan = plan_of(problem, design)

    def at(c: Num) -> Design:
        return design.with_(context_length=c, staged_from=0, staged_share=0)

    found = {"flops": flops_equal(at), "seconds": float("nan")}
    if plan is not None:
        alone = problem.setting.plan.with_(recompute=plan.recompute)
        found["seconds"] = seconds_equal(at, problem.hardware, alone)
    return found
