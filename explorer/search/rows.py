"""A table's row per design: shape, figures, plan, limits. What trials, fronts and reports show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer import cost, quality
from explorer.search.evaluation import Evaluation, chosen_plans, rows
from explorer.units import QUANTILES, Num

if TYPE_CHECKING:
    from explorer.search.problem import Problem

SHAPE = ("context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff", "vocab_size")
FIGURES = (
    "n_params", "n_params_non_embedding", "n_params_active", "n_tokens", "train_flops", "gpu_hours", "days",
    "step_seconds", "tokens_per_second_per_gpu", "mfu", "kv_cache_bytes", "serving_bytes",
)  # fmt: skip
OPTIONAL = ("energy_kwh", "price", "lifetime_flops")
PLAN = (
    "micro_batch", "global_batch", "tensor_parallel", "pipeline_parallel", "context_parallel",
    "data_parallel", "zero_stage",
)  # fmt: skip
MEMORY = (
    "parameter_bytes", "gradient_bytes", "optimizer_bytes", "saved_activation_bytes", "peak_allocated_bytes",
    "peak_reserved_bytes",
)  # fmt: skip


def rows_of(problem: Problem, found: Evaluation) -> dict[str, NDArray[Any]]:
    """Columns (n,) of a table of evaluated designs; figures that no plan gives are NaN or infinite."""
    design = found.design
    n = len(np.atleast_1d(design.context_length))

    def column(value: Num) -> NDArray[Any]:
        return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)))

    table: dict[str, NDArray[Any]] = {name: column(getattr(design, name)) for name in SHAPE}
    table["ffn"] = np.full(n, design.ffn, dtype=object)
    table["attention"] = table["schedule"] = np.full(n, "", dtype=object)
    table["staged_from"], table["staged_share"] = column(design.staged_from), column(design.staged_share)
    table |= {name: column(getattr(found, name)) for name in FIGURES}
    table |= _loss(problem, found, column)
    for name in OPTIONAL:
        value = getattr(found, name)
        if value is not None:
            table[name] = column(value)
    table |= _memory(problem, found, n)
    table["peak_device_bytes"] = column(found.peak_device_bytes)
    table |= {name: column(getattr(found.planned, name)) for name in PLAN}
    table["recompute"] = np.array(np.broadcast_to(found.planned.recompute, (n,)).astype(object))
    training = np.maximum.reduce([column(found.used[k]) for k in found.n_tokens_by_limit])
    table |= {f"excess_{k}": column(v) for k, v in found.constraints.items()}
    table["excess_training"] = training - 1
    table["binding"] = _binding({**{k: column(v) for k, v in found.used.items()}})
    table["feasible"] = np.array(np.broadcast_to(found.feasible, (n,)))
    flags = quality.domain_flags(
        problem.law,
        n_params=problem.law_params(design),
        n_tokens=found.n_tokens,
        context_length=design.context_length,
        aspect=design.d_model / design.n_layers,
        staged_share=design.staged_share,
    )
    table["extrapolated"] = np.array(np.broadcast_to(quality.outside(flags), (n,)), dtype=bool)
    return table


def _loss(problem: Problem, found: Evaluation, column: Any) -> dict[str, NDArray[Any]]:
    """The loss with its quantiles, and the same on every corpus of the catalogue."""
    from explorer.catalog import corpora

    design = found.design
    arguments: dict[str, Any] = {
        "n_params": problem.law_params(design),
        "n_tokens": found.n_tokens,
        "context_length": design.context_length,
        "aspect": design.d_model / design.n_layers,
        "staged_from": design.staged_from,
        "staged_share": design.staged_share,
    }

    def quantiles(of: str, draws: quality.Posterior) -> dict[str, NDArray[Any]]:
        values = quality.loss_interval(draws, **arguments)
        return {f"{of}_{q}": column(v) for q, v in zip(QUANTILES, values, strict=True)}

    beside = quantiles("loss", problem.posterior)
    table = {"loss": column(found.loss), **beside}
    for name in corpora():
        if name in problem.elsewhere:
            centre, draws = problem.elsewhere[name]
            table[f"loss_{name}"] = column(quality.loss(centre, **arguments))
            table |= quantiles(f"loss_{name}", draws)
        else:
            table |= {key.replace("loss", f"loss_{name}"): table[key] for key in ("loss", *beside)}
    return table


def _memory(problem: Problem, found: Evaluation, n: int) -> dict[str, NDArray[Any]]:
    """What fills the memory at full context, under the chosen plans."""
    table = {name: np.full(n, np.nan) for name in MEMORY}
    one = found.design.with_(staged_from=0, staged_share=0)
    for index, plan in chosen_plans(found.planned, problem, (n,)):
        held = cost.memory(rows(one, (n,), index), plan)
        for name in MEMORY:
            table[name][index] = getattr(held, name)
    return table


def _binding(used: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Name of the limit that each design uses most of."""
    names = np.array(list(used), dtype=object)
    most: NDArray[Any] = names[np.argmax(np.stack(list(used.values())), axis=0)]
    return most
