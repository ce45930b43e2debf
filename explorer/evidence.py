"""What a report draws beside the trials, computed once from the model: planes, sweeps, anatomies.

Everything here is at the law's central values; intervals are the claims room's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer import quality
from explorer.catalog import models
from explorer.claims.crossings import flops_equal, seconds_equal
from explorer.cost import Planned, parameters
from explorer.cost.anatomy import anatomy
from explorer.design import Design, Plan
from explorer.result import Evidence

if TYPE_CHECKING:
    import pandas as pd
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial

    from explorer.claims.landscape import Landscape
    from explorer.claims.setting import Setting
    from explorer.search.problem import Problem
    from explorer.search.study import Search

NEAR = (0.25, 2.0)
"""Published models are shown when their parameters are within these multiples of the parameter limit."""
TAKEN_APART = 3
"""Published models taken apart beside the best design: those nearest to it in parameters."""
ALMOST = 0.05
"""A limit within this share of its end is named as the one that binds, before training compute."""


def gather(problem: Problem, setting: Setting, search: Search, best: int) -> Evidence:
    """The evidence of a finished search; `best` is a row of its front."""
    row = search.front.iloc[best]
    design = design_of(problem, row)
    shown = _models(problem)
    return Evidence(
        plane=plane(problem, setting),
        sweep=_sweep(problem, design),
        anatomies=tuple(_anatomy(problem, design_of(problem, r)) for _, r in search.front.iterrows()),
        models=shown,
        importance=_importance(search),
        crossover=_crossover(problem, design),
        model_anatomies=_model_anatomies(problem, float(row["n_params"])),
    )


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
    planned = problem.evaluate(design).planned
    return _plan_at(problem, planned, 0)


def plane(problem: Problem, setting: Setting) -> pd.DataFrame:
    """Best design for each (context_length, d_model): lowest loss if any is feasible, else least excess."""
    import pandas as pd

    grids = [_with_losses(problem, setting, g) for g in setting.grids]
    listed = np.isin(grids[0][0].contexts, problem.lattice.context_length)
    rows: list[dict[str, Any]] = []
    for width in np.unique(grids[0][0].d_model):
        for c in np.flatnonzero(listed):
            rows.append(_cell(setting, grids, float(width), int(c)))
    return pd.DataFrame(rows)


def _with_losses(
    problem: Problem, setting: Setting, g: Landscape
) -> tuple[Landscape, dict[str, Any], Any, Any]:
    """A landscape with the loss on every corpus (C, S), the largest excess and what is extrapolated."""
    arguments: dict[str, Any] = {
        "n_params": g.n_law,
        "n_tokens": g.n_tokens,
        "context_length": g.contexts[:, None],
        "aspect": (g.d_model / g.n_layers)[None, :],
        "staged_from": g.staged_from,
        "staged_share": g.staged_share,
    }
    losses = {name: quality.loss(setting.central(name), **arguments) for name in setting.corpora}
    flags = quality.domain_flags(
        problem.law, **{k: v for k, v in arguments.items() if k not in ("staged_from", "staged_share")}
    )
    outside = np.broadcast_to(np.asarray(quality.outside(flags)), g.shape)
    worst = np.full(g.shape, -np.inf)
    for value in g.excess.values():
        worst = np.maximum(worst, value)
    return g, losses, np.where(g.exists, worst, np.inf), outside


def _cell(setting: Setting, grids: list[Any], width: float, c: int) -> dict[str, Any]:
    """The row of one context and width, over every depth, schedule and other lever."""
    best: tuple[bool, float] | None = None
    chosen: dict[str, Any] = {}
    for g, losses, worst, outside in grids:
        shapes = np.flatnonzero(g.d_model == width)
        excess = worst[c, shapes]
        fits = excess <= 0
        score = np.where(fits, losses[setting.asked][c, shapes], excess) if fits.any() else excess
        at = int(np.argmin(np.where(fits, score, np.inf) if fits.any() else score))
        key = (not bool(fits[at]), float(score[at]))
        if not np.isfinite(key[1]) or (best is not None and key >= best):
            continue
        best, s = key, int(shapes[at])
        used = {k: float(np.broadcast_to(v, g.shape)[c, s]) for k, v in g.excess.items()}
        most = max(used, key=used.__getitem__)
        feasible = bool(fits[at])
        chosen = {
            "n_layers": float(g.n_layers[s]),
            "n_params": float(np.broadcast_to(g.n_params, g.shape)[c, s]),
            "loss": float(losses[setting.asked][c, s]),
            "feasible": feasible,
            "binding": most if not feasible or used[most] > -ALMOST else "training",
            "extrapolated": bool(outside[c, s]),
            **{f"loss_{name}": float(v[c, s]) for name, v in losses.items()},
        }
    return {"context_length": float(grids[0][0].contexts[c]), "d_model": float(width), **chosen}


def _plan_at(problem: Problem, planned: Planned, index: int) -> Plan | None:
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


def _anatomy(problem: Problem, design: Design) -> dict[str, Any]:
    plan = plan_of(problem, design)
    return anatomy(design, plan, problem.hardware) if plan is not None else {}


def _sweep(problem: Problem, design: Design) -> pd.DataFrame:
    """The design at every listed context under its best plan there: memory, FLOPs and time by part."""
    import pandas as pd

    contexts = problem.lattice.context_length
    planned = problem.evaluate(
        design.with_(context_length=contexts, staged_from=0.0, staged_share=0.0)
    ).planned
    rows: list[tuple[float, str, str, float]] = []
    for k, c in enumerate(contexts):
        plan = _plan_at(problem, planned, k)
        if plan is None:
            continue
        found = anatomy(
            design.with_(context_length=int(c), staged_from=0, staged_share=0), plan, problem.hardware
        )
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
        "gradients, logits, working memory": rest,
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


def _models(problem: Problem) -> pd.DataFrame:
    """Published models whose size is near the budget's."""
    import pandas as pd

    cap = float(problem.budget.limits.parameters)
    rows = [
        (m.name, m.context_length_pretrain, int(m.design.d_model), int(m.design.n_layers), n)
        for m in models().values()
        if NEAR[0] * cap <= (n := int(parameters(m.design).total)) <= NEAR[1] * cap
    ]
    return pd.DataFrame(rows, columns=["name", "context_length", "d_model", "n_layers", "n_params"])


def _model_anatomies(problem: Problem, n_params: float) -> dict[str, dict[str, Any]]:
    """The published models nearest in size, under the budget's hardware and their best plan there."""
    counted = {m.name: (m, float(parameters(m.design).total)) for m in models().values()}
    nearest = sorted(counted, key=lambda name: abs(np.log(counted[name][1] / n_params)))
    found: dict[str, dict[str, Any]] = {}
    for name in nearest:
        if len(found) == TAKEN_APART:
            break
        parts = _anatomy(problem, counted[name][0].design)
        if parts:
            found[name] = parts
    return found


def _importance(search: Search) -> pd.DataFrame:
    """PED-ANOVA importance of every lever for every objective over the study's trials (shares of 1).

    Watanabe et al. 2023, arXiv:2304.10255. Empty where the trials are too few to say.
    """
    import pandas as pd
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    names, directions = search.study.metric_names or [], search.study.directions
    rows: list[tuple[str, str, float]] = []
    for k, objective in enumerate(names):
        with warnings.catch_warnings():
            # It warns that low targets count as good, which is what they are made to be.
            warnings.simplefilter("ignore", UserWarning)
            try:
                shares = get_param_importances(
                    search.study,
                    evaluator=PedAnovaImportanceEvaluator(),
                    target=_lower_is_better(k, directions[k]),
                )
            except (RuntimeError, ValueError):
                continue
        rows += [(lever, objective, float(share)) for lever, share in shares.items()]
    return pd.DataFrame(rows, columns=["lever", "objective", "importance"])


def _lower_is_better(k: int, direction: StudyDirection) -> Callable[[FrozenTrial], float]:
    sign = -1.0 if direction.name == "MAXIMIZE" else 1.0
    return lambda trial: sign * float(trial.values[k])  # noqa: PD011


def _crossover(problem: Problem, design: Design) -> dict[str, float]:
    """Contexts at which attention's quadratic part is as large as all the rest, for one shape."""
    plan = plan_of(problem, design)

    def at(c: float) -> Design:
        return design.with_(context_length=c, staged_from=0, staged_share=0)

    found = {"flops": flops_equal(at), "seconds": float("nan")}
    if plan is not None:
        alone = problem.setting.plan.with_(recompute=plan.recompute)
        found["seconds"] = seconds_equal(at, problem.hardware, alone)
    return found
