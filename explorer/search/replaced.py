"""Measured figures in the place of modelled ones, and what follows from them.

A measured step time (or throughput) decides how many tokens the training limits allow, hence the loss,
the hours, the price. A measured peak of allocated or reserved memory decides the device's peak, and that
whether the design fits. What was measured itself (a loss) has the last word. The first stage of a staged
schedule, which has a plan of its own, stays as modelled: measure at the design's full context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer.search.outcome import Outcome
from explorer.search.rows import rows_of
from explorer.search.space import IntArray
from explorer.units import QUANTILES, FloatArray

if TYPE_CHECKING:
    from explorer.cost import Planned
    from explorer.search.evaluation import Evaluation
    from explorer.search.problem import Problem

LIMITED = {"peak_device_bytes": "gpu_memory", "n_params": "parameters", "serving_bytes": "serving"}
"""Metric → the limit it is held against."""


def replaced(
    problem: Problem, point: IntArray, answer: Mapping[str, float]
) -> tuple[Outcome, dict[str, NDArray[Any]]]:
    """Outcome and row (arrays of one) of one design, lattice indices (9,), of which `answer` was measured."""
    ((_, modelled),) = problem.evaluated(point[None])
    design = modelled.design
    memory = _memory(modelled.planned, answer)
    found = problem.evaluate(design, _replanned(problem, modelled, answer, memory))
    known = {**memory, **answer}
    if float(np.ravel(design.staged_from)[0]) > 0:
        # Measured at full context, asked for over both stages: it is in `found` with its share.
        known.pop("tokens_per_second_per_gpu", None)
    figures = np.array(
        [[known.get(o.name, float(np.ravel(found.metric(o.name))[0])) for o in problem.objectives]]
    )
    constraints: dict[str, FloatArray] = {
        name: np.array(np.ravel(excess), dtype=np.float64) for name, excess in found.constraints.items()
    }
    limits = _limits(problem)
    for name, value in known.items():
        limit = LIMITED.get(name, "")
        if limit in limits:
            constraints[limit] = np.array([value / limits[limit] - 1])
    row = {k: v for k, v in rows_of(problem, found).items() if k not in ("attention", "schedule")}
    row |= {name: np.array([value]) for name, value in known.items()}
    if "loss" in known:
        # The draws are of the model's loss; around a measured one they would say nothing.
        row |= {f"loss_{q}": np.array([np.nan]) for q in QUANTILES}
    row |= {f"excess_{name}": excess for name, excess in constraints.items()}
    return Outcome(problem.objectives, figures, constraints), row


def _memory(plan: Planned, answer: Mapping[str, float]) -> dict[str, float]:
    """The memory peaks that follow from a measured one, by the model's own steps from one to the next."""
    allocated, reserved, device = (
        float(values[0])
        for values in (plan.peak_allocated_bytes, plan.peak_reserved_bytes, plan.peak_device_bytes)
    )
    found = {}
    if "peak_allocated_bytes" in answer:
        found["peak_reserved_bytes"] = answer["peak_allocated_bytes"] * reserved / allocated
    now = answer.get("peak_reserved_bytes", found.get("peak_reserved_bytes"))
    if now is not None:
        found["peak_device_bytes"] = now + device - reserved
    return {name: value for name, value in found.items() if name not in answer}


def _replanned(
    problem: Problem, modelled: Evaluation, answer: Mapping[str, float], memory: Mapping[str, float]
) -> Planned:
    """The best plan with the time and memory that were measured of it."""
    plan = modelled.planned
    changes: dict[str, Any] = {}
    seconds = answer.get("step_seconds")
    step_tokens = plan.global_batch * np.asarray(modelled.design.context_length)
    if seconds is None and "tokens_per_second_per_gpu" in answer:
        per_token = 1 / (answer["tokens_per_second_per_gpu"] * problem.hardware.n_gpus)
        seconds = float(per_token * step_tokens[0])
    if seconds is not None:
        changes |= {"step_seconds": np.array([seconds]), "seconds_per_token": seconds / step_tokens}
    device = answer.get("peak_device_bytes", memory.get("peak_device_bytes"))
    if device is not None:
        changes |= {
            "least_device_bytes": np.array([device]),
            "fits": np.array([device <= problem.memory_limit_bytes]),
        }
    return replace(plan, **changes)


def _limits(problem: Problem) -> dict[str, float]:
    """Limits that a measured figure is compared with directly."""
    serving = problem.budget.limits.serving
    limits = {"gpu_memory": problem.memory_limit_bytes, "parameters": problem.budget.limits.parameters}
    return limits if serving is None else {**limits, "serving": serving.gpu_memory}
