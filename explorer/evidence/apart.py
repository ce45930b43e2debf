"""Designs and published models taken apart: memory, FLOPs and time by part, alone and over the context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.catalog import models
from explorer.claims.crossings import flops_equal, seconds_equal
from explorer.cost import parameters
from explorer.cost.anatomy import anatomy
from explorer.design import Design
from explorer.evidence.chosen import plan_at, plan_of, short_of

if TYPE_CHECKING:
    import pandas as pd

    from explorer.search.problem import Problem

NEAR = (0.25, 2.0)
"""Published models are shown when their parameters are within these multiples of the parameter limit."""
TAKEN_APART = 3
"""Published models taken apart beside the best design: those nearest to it in parameters."""


def taken_apart(problem: Problem, design: Design) -> dict[str, Any]:
    """The anatomy at full context under the best plan there; of a staged design, under `short`, the same at
    its short window. Empty where nothing can run it."""
    plan = plan_of(problem, design)
    if plan is None:
        return {}
    found = anatomy(design, plan, problem.hardware)
    if design.staged_from:
        start = short_of(design)
        short = plan_of(problem, start)
        if short is not None:
            found["short"] = anatomy(start, short, problem.hardware)
    return found


def sweep(problem: Problem, design: Design) -> pd.DataFrame:
    """The design at every listed context under its best plan there: memory, FLOPs and time by part."""
    import pandas as pd

    contexts = problem.lattice.context_length
    planned = problem.evaluate(
        design.with_(context_length=contexts, staged_from=0.0, staged_share=0.0)
    ).planned
    rows: list[tuple[float, str, str, float]] = []
    for k, c in enumerate(contexts):
        plan = plan_at(problem, planned, k)
        if plan is None:
            continue
        at = design.with_(context_length=int(c), staged_from=0, staged_share=0)
        found = anatomy(at, plan, problem.hardware, with_serving=False)
        for quantity, parts in (
            ("memory_bytes", memory_parts(found)),
            ("flops_per_token", flops_parts(found)),
            ("seconds_per_token", time_parts(found)),
        ):
            rows += [(float(c), quantity, part, float(value)) for part, value in parts.items()]
    return pd.DataFrame(rows, columns=["context_length", "quantity", "part", "value"])


def memory_parts(found: dict[str, Any]) -> dict[str, float]:
    """What fills one GPU at the peak of the step; the parts sum to the device's peak."""
    held = found["memory"]
    after_backward = held["peak_instant"] in ("end of backward", "optimizer step")
    activations = 0.0 if after_backward else float(held["saved_activation_bytes"])
    weights, states = float(held["parameter_bytes"]), float(held["optimizer_bytes"])
    rest = max(float(held["peak_allocated_bytes"]) - weights - states - activations, 0.0)
    return {
        "weights": weights,
        "optimizer states": states,
        "saved activations": activations,
        "gradients, working memory": rest,
        "allocator slack": float(held["peak_reserved_bytes"] - held["peak_allocated_bytes"]),
        "context and communication": float(held["peak_device_bytes"] - held["peak_reserved_bytes"]),
    }


def flops_parts(found: dict[str, Any]) -> dict[str, float]:
    """Model FLOPs per training token (three times the forward ones), the quadratic part apart."""
    parts = {"attention, quadratic": 0.0, "attention, linear": 0.0, "feed-forward": 0.0, "head": 0.0}
    for name, value in found["flops"]["forward_flops_per_token_by_operation"].items():
        if name in ("attention scores", "attention mix"):
            part = "attention, quadratic"
        elif "head" in name or "embedding" in name:
            part = "head"
        elif "feed-forward" in name or name == "router":
            part = "feed-forward"
        else:
            part = "attention, linear"
        parts[part] += 3 * float(value)
    return parts


def time_parts(found: dict[str, Any]) -> dict[str, float]:
    """Seconds per token of the whole job, by part of the step."""
    tokens = float(found["time"]["tokens_per_step"])
    return {k: float(v) / tokens for k, v in found["time"]["parts_seconds"].items() if float(v) > 0}


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


def models_apart(problem: Problem, n_params: float) -> dict[str, dict[str, Any]]:
    """The published models nearest in size, at their own context, under the budget's hardware and their best
    plan there."""
    counted = {m.name: (m, float(parameters(m.design).total)) for m in models().values()}
    nearest = sorted(counted, key=lambda name: abs(np.log(counted[name][1] / n_params)))
    found: dict[str, dict[str, Any]] = {}
    for name in nearest:
        if len(found) == TAKEN_APART:
            break
        parts = taken_apart(problem, counted[name][0].design)
        if parts:
            found[name] = parts
    return found


def crossover(problem: Problem, design: Design) -> dict[str, float]:
    """Contexts at which attention's quadratic part is as large as all the rest, for one shape."""
    plan = plan_of(problem, design)

    def at(c: float) -> Design:
        return design.with_(context_length=c, staged_from=0, staged_share=0)

    found = {"flops": flops_equal(at), "seconds": float("nan")}
    if plan is not None:
        alone = problem.setting.plan.with_(recompute=plan.recompute)
        found["seconds"] = seconds_equal(at, problem.hardware, alone)
    return found
