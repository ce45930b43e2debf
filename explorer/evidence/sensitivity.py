"""What a little more of each lever does to one design: loss, memory and hours around it.

The neighbours on the lattice are laid out as the design is (same micro-batch, recompute and parallel
sizes), because a better plan at one neighbour would hide what the lever itself costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer import quality
from explorer.cost import flops, peak_device_bytes, step_time
from explorer.design import Design, Plan
from explorer.evidence.chosen import plan_of, short_of
from explorer.search.space import feed_forward_width
from explorer.units import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from explorer.search.problem import Problem

COLUMNS = ("row", "lever", "low", "high", "loss", "loss_same_tokens", "memory", "hours", "tokens")
MORE = np.log(1.1)
"""Effects are given per ten percent more of a lever, at the slope between the neighbours."""


def sensitivities(problem: Problem, designs: Mapping[int, Design]) -> pd.DataFrame:
    """Per design (`row`, its key) and lever: the neighbours `low` and `high`, and what 10% more of the lever does.

    `loss` (nats/token) under the budget, where a dearer token means fewer of them; `loss_same_tokens` at
    the design's own tokens; `memory` (peak device bytes), `hours` at the same tokens and `tokens` under
    the budget as shares of 1.
    """
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    for k, design in designs.items():
        plan = plan_of(problem, design)
        short = plan_of(problem, short_of(design)) if design.staged_from else None
        if plan is not None:
            rows += [(k, *line) for line in _around(problem, design, plan, short)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _around(problem: Problem, design: Design, plan: Plan, short: Plan | None) -> list[tuple[Any, ...]]:
    lattice = problem.lattice
    found = []
    for name, steps in (
        ("context_length", lattice.context_length[lattice.context_length > float(design.staged_from)]),
        ("d_model", _widths(problem, design)),
        # Whole stages only: the fullest stage takes as long with one layer less elsewhere.
        ("n_layers", lattice.n_layers[(lattice.n_layers - design.n_layers) % plan.pipeline_parallel == 0]),
    ):
        here = float(np.asarray(getattr(design, name)))
        at = int(np.searchsorted(steps, here))
        near = steps[max(at - 1, 0) : at + 2]
        if len(near) < 2:
            continue
        ends = np.array([near[0], here, near[-1]])
        effects = _effects(problem, _moved(problem, design, name, ends), plan, short)
        span = float(np.log(ends[-1] / ends[0]))
        slopes = {k: float(v[-1] - v[0]) / span * MORE for k, v in effects.items()}
        shares = {k: float(np.expm1(slopes[k])) for k in ("memory", "hours", "tokens")}
        found.append(
            (
                name, float(ends[0]), float(ends[-1]), slopes["loss"], slopes["loss_same_tokens"],
                shares["memory"], shares["hours"], shares["tokens"],
            )
        )  # fmt: skip
    return found


def _widths(problem: Problem, design: Design) -> FloatArray:
    """Listed widths on which the design's heads stay whole."""
    widths = problem.lattice.d_model
    heads = widths / float(np.asarray(design.d_head))
    groups = 1.0 if design.n_kv_heads == design.n_heads else float(np.asarray(design.n_kv_heads))
    fits: FloatArray = widths[(heads == np.rint(heads)) & (np.rint(heads) % groups == 0)]
    return fits


def _moved(problem: Problem, design: Design, name: str, values: FloatArray) -> Design:
    """The design with one lever at several values; with the width go heads and feed-forward width."""
    if name != "d_model":
        return design.with_(**{name: values})
    heads = values / design.d_head
    same = design.n_kv_heads == design.n_heads
    ratios = np.array([f.ratio for f in problem.lattice.ffn if f.kind == design.ffn])
    widths = feed_forward_width(np.asarray(design.d_model, dtype=np.float64), ratios)
    ratio = ratios[np.argmin(np.abs(widths - design.d_ff))]
    return design.with_(
        d_model=values,
        n_heads=heads,
        n_kv_heads=heads if same else design.n_kv_heads,
        d_ff=feed_forward_width(values, ratio),
    )


def _effects(problem: Problem, designs: Design, plan: Plan, short: Plan | None) -> dict[str, FloatArray]:
    """Loss (nats) and logarithms of memory, hours and tokens of three designs, the given one in the middle."""
    n = 3

    def column(value: Any) -> FloatArray:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (n,))

    constant = designs.with_(staged_from=0, staged_share=0)
    share = designs.staged_share if short is not None else 1.0
    seconds = share * _seconds(problem, constant, plan)
    per_token = share * flops(constant).train_per_token("causal")
    memory = peak_device_bytes(constant, plan)
    if short is not None:
        start = short_of(designs)
        seconds = seconds + (1 - share) * _seconds(problem, start, short)
        per_token = per_token + (1 - share) * flops(start).train_per_token("causal")
        memory = np.maximum(memory, peak_device_bytes(start, short))
    tokens = column(
        np.minimum.reduce([column(v) for v in problem.tokens_by_limit(seconds, per_token).values()])
    )
    arguments = {
        "n_params": column(problem.law_params(designs)),
        "context_length": column(designs.context_length),
        "aspect": column(designs.d_model / designs.n_layers),
        "staged_from": designs.staged_from,
        "staged_share": designs.staged_share,
    }
    return {
        "loss": column(quality.loss(problem.coefficients, n_tokens=tokens, **arguments)),
        "loss_same_tokens": column(quality.loss(problem.coefficients, n_tokens=tokens[1], **arguments)),
        "memory": np.log(column(memory)),
        "hours": np.log(column(seconds)),
        "tokens": np.log(tokens),
    }


def _seconds(problem: Problem, design: Design, plan: Plan) -> Any:
    """Wall seconds per training token under one plan, whose batch stays the same in tokens."""
    step = step_time(design, plan.with_(global_batch=problem.setting.global_batch(design)), problem.hardware)
    return step.seconds / step.tokens
