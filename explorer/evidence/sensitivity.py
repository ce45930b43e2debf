"""What a little more of each lever does to one design: loss, memory and hours around it.

The neighbours on the lattice are laid out as the design is (same micro-batch, recompute and parallel
sizes), because a better plan at one neighbour would hide what the lever itself costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from explorer import quality
from explorer.cost import flops, peak_device_bytes, step_time
from explorer.design import Design, Plan, arrays
from explorer.evidence.chosen import plans_of, short_of
from explorer.evidence.grouped import Record, grouped, stacked
from explorer.search.space import feed_forward_width
from explorer.units import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from explorer.search.problem import Problem
    from explorer.search.space import Lattice

COLUMNS = ("row", "lever", "low", "high", "loss", "loss_same_tokens", "memory", "hours", "tokens")
LEVERS = ("context_length", "d_model", "n_layers")
MORE = np.log(1.1)
"""Effects are given per ten percent more of a lever, at the slope between the neighbours."""


def sensitivities(problem: Problem, designs: Mapping[int, Design]) -> pd.DataFrame:
    """Per design (`row`, its key) and lever: the neighbours `low` and `high`, and what 10% more of the lever does.

    `loss` (nats/token) under the budget, where a dearer token means fewer of them; `loss_same_tokens` at
    the design's own tokens; `memory` (peak device bytes), `hours` at the same tokens and `tokens` under
    the budget as shares of 1.
    """
    import pandas as pd

    lines = list(_lines(problem, designs))
    tables = []
    for places, three in _grouped(problem, lines):
        effects = _effects(problem, three)
        ends = np.array([lines[k].ends for k in places])
        span = np.log(ends[:, 2] / ends[:, 0])
        slopes = {name: (v[:, 2] - v[:, 0]) / span * MORE for name, v in effects.items()}
        shares = {name: np.expm1(slopes.pop(name)) for name in ("memory", "hours", "tokens")}
        tables.append(pd.DataFrame(slopes | shares, index=places))
    if not tables:
        return pd.DataFrame(columns=list(COLUMNS))
    whole = pd.concat(tables).sort_index()
    return whole.assign(
        row=[a.key for a in lines],
        lever=[a.lever for a in lines],
        low=[a.ends[0] for a in lines],
        high=[a.ends[2] for a in lines],
    )[list(COLUMNS)]


class _Line(NamedTuple):
    """One lever of one design: its value between its neighbours, as laid out."""

    key: int
    lever: str
    ends: tuple[float, float, float]
    design: Design
    plan: Plan
    short: Plan | None
    """The plan at the short window of a staged design."""


def _lines(problem: Problem, designs: Mapping[int, Design]) -> Iterator[_Line]:
    every = list(designs.values())
    staged = [design for design in every if design.staged_from]
    plans = dict(zip(every, plans_of(problem, every), strict=True))
    starts = dict(zip(staged, plans_of(problem, [short_of(design) for design in staged]), strict=True))
    steps = _Steps(problem)
    for key, design in designs.items():
        plan = plans[design]
        if plan is None:
            continue
        for lever in LEVERS:
            here = float(np.asarray(getattr(design, lever)))
            listed = steps.of(lever, design, plan)
            at = int(np.searchsorted(listed, here))
            near = listed[max(at - 1, 0) : at + 2]
            if len(near) > 1:
                yield _Line(
                    key, lever, (float(near[0]), here, float(near[-1])), design, plan, starts.get(design)
                )


class _Steps:
    """The values a lever may take around a design: looked up for every design of a front, found a few times."""

    def __init__(self, problem: Problem) -> None:
        self._lattice = problem.lattice
        self._known: dict[tuple[Any, ...], FloatArray] = {}

    def of(self, lever: str, design: Design, plan: Plan) -> FloatArray:
        key: tuple[Any, ...] = (lever, float(design.staged_from))
        if lever == "d_model":
            key = (lever, design.d_head, 0 if design.n_kv_heads == design.n_heads else design.n_kv_heads)
        elif lever == "n_layers":
            key = (lever, design.n_layers % plan.pipeline_parallel, plan.pipeline_parallel)
        if key not in self._known:
            self._known[key] = self._found(*key)
        return self._known[key]

    def _found(self, lever: str, *given: float) -> FloatArray:
        lattice = self._lattice
        if lever == "context_length":
            return lattice.context_length[lattice.context_length > given[0]]
        if lever == "n_layers":
            # Whole stages only: the fullest stage takes as long with one layer less elsewhere.
            rest, stages = given
            whole: FloatArray = lattice.n_layers[lattice.n_layers % stages == rest]
            return whole
        # Widths on which the design's heads stay whole.
        heads = lattice.d_model / float(given[0])
        groups = float(given[1]) or 1.0
        fits: FloatArray = lattice.d_model[(heads == np.rint(heads)) & (np.rint(heads) % groups == 0)]
        return fits


class _Three(NamedTuple):
    """Designs at the three values of a lever each, row after row, and the plans they are laid out by."""

    designs: Design
    plan: Plan
    short: Plan | None


def _grouped(problem: Problem, lines: Sequence[_Line]) -> Iterator[tuple[list[int], _Three]]:
    """(places, tables of the lines there): one per lever and combination of categorical fields."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, line in enumerate(lines):
        key = (line.lever, line.short is None, None if line.short is None else line.short.recompute)
        groups.setdefault(key, []).append(place)
    for of_lever in groups.values():
        for own, designs, plan in grouped([(lines[k].design, lines[k].plan) for k in of_lever]):
            places = [of_lever[k] for k in own]
            short = [lines[k].short for k in places]
            values = np.array([lines[k].ends for k in places]).reshape(-1)
            yield (
                places,
                _Three(
                    _moved(_thrice(designs), lines[places[0]].lever, values, problem.lattice),
                    _thrice(plan),
                    _thrice(stacked([s for s in short if s is not None])) if short[0] is not None else None,
                ),
            )


def _thrice(table: Record) -> Record:
    """Every row three times in a row."""
    changes = {name: np.repeat(values, 3) for name, values in arrays(table).items()}
    return table.with_(**changes)


def _moved(designs: Design, lever: str, values: FloatArray, lattice: Lattice) -> Design:
    """The designs with one lever at the values; with the width go heads and feed-forward width."""
    if lever != "d_model":
        return designs.with_(**{lever: values})
    heads = values / designs.d_head
    same = np.asarray(designs.n_kv_heads == designs.n_heads)
    ratios = np.array([f.ratio for f in lattice.ffn if f.kind == designs.ffn])
    widths = feed_forward_width(np.asarray(designs.d_model, dtype=np.float64)[:, None], ratios)
    ratio = ratios[np.argmin(np.abs(widths - np.asarray(designs.d_ff)[:, None]), axis=1)]
    return designs.with_(
        d_model=values,
        n_heads=heads,
        n_kv_heads=np.where(same, heads, designs.n_kv_heads),
        d_ff=feed_forward_width(values, ratio),
    )


def _effects(problem: Problem, three: _Three) -> dict[str, FloatArray]:
    """Loss (nats) and logarithms of memory, hours and tokens, a row per line; the given design is in the middle."""
    designs, plan, short = three
    n = len(np.asarray(designs.context_length))

    def column(value: Any) -> FloatArray:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (n,))

    constant = designs.with_(staged_from=0, staged_share=0)
    share = designs.staged_share if short is not None else 1.0
    seconds = share * _seconds(problem, constant, plan)
    per_token = share * flops(constant).train_per_token("causal")
    memory = peak_device_bytes(constant, plan, problem.hardware.accelerator)
    if short is not None:
        start = short_of(designs)
        seconds = seconds + (1 - share) * _seconds(problem, start, short)
        per_token = per_token + (1 - share) * flops(start).train_per_token("causal")
        memory = np.maximum(memory, peak_device_bytes(start, short, problem.hardware.accelerator))
    tokens = column(
        np.minimum.reduce([column(v) for v in problem.tokens_by_limit(seconds, per_token).values()])
    )
    own = np.repeat(tokens.reshape(-1, 3)[:, 1], 3)
    arguments = {
        "n_params": column(problem.law_params(designs)),
        "context_length": column(designs.context_length),
        "aspect": column(designs.d_model / designs.n_layers),
        "staged_from": designs.staged_from,
        "staged_share": designs.staged_share,
    }
    effects = {
        "loss": quality.loss(problem.coefficients, n_tokens=tokens, **arguments),
        "loss_same_tokens": quality.loss(problem.coefficients, n_tokens=own, **arguments),
        "memory": np.log(column(memory)),
        "hours": np.log(column(seconds)),
        "tokens": np.log(tokens),
    }
    return {name: column(value).reshape(-1, 3) for name, value in effects.items()}


def _seconds(problem: Problem, design: Design, plan: Plan) -> Any:
    """Wall seconds per training token under one plan, whose batch stays the same in tokens."""
    step = step_time(design, plan.with_(global_batch=problem.setting.global_batch(design)), problem.hardware)
    return step.seconds / step.tokens
