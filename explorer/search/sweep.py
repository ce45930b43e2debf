"""A budget's whole lattice, factorised: open grids that share their widths, plans eliminated inside.

Each block is one width with every other axis open, so a term is computed once per the axes it depends on
and depth, for which time and memory are straight lines, enters last. Before a plan is looked for, two
bounds decide: closed forms of parameters and serving memory rule out what is too large, and objectives
at the best that hardware could ever do (every operation at the peak rate) rule out what is dominated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer import quality
from explorer.cost import flops, kv_cache_bytes, parameters, serving_bytes
from explorer.cost.hardware import MATMUL_DTYPE
from explorer.cost.time import hardware_level
from explorer.design import Design
from explorer.search.space import AXES, Box, IntArray
from explorer.units import FloatArray, Num

if TYPE_CHECKING:
    from explorer.search.problem import Problem

MOST_CELLS = 1 << 19
"""Grid cells of a block held at once; longer blocks are cut along their other axes."""
_SPLIT = ("vocab_size", "d_head", "n_kv_heads", "context_length")

Dominated = Callable[[FloatArray], NDArray[np.bool_]]


@dataclass(frozen=True)
class Block:
    """What came of one block: its designs that are feasible, and how many were looked at."""

    points: IntArray
    """(n, 9) the feasible ones."""
    figures: FloatArray
    """(n, m) their objectives."""
    n_decided: int
    """Designs of the lattice in the block."""
    n_evaluated: int
    """Those whose plans were looked for."""


def sweep(problem: Problem, dominated: Dominated) -> Iterator[Block]:
    """Every block of the lattice, wide and narrow in turn. `dominated` tells which rows of coordinates
    are beaten by what was found so far; it is asked with lower bounds."""
    for box in boxes(problem):
        yield _block(problem, box, dominated)


def boxes(problem: Problem) -> Iterator[Box]:
    """The lattice as open grids of one width each, in an order that meets good designs early."""
    lattice = problem.lattice
    widths = np.flatnonzero(lattice.valid_heads.any(axis=(0, 1)))
    for ffn in range(len(lattice.ffn)):
        for attention in range(len(lattice.attention)):
            for width in widths[_spread(len(widths))]:
                yield from _cut(problem, ffn, attention, {"d_model": [int(width)]})


def _cut(problem: Problem, ffn: int, attention: int, within: dict[str, Any]) -> Iterator[Box]:
    """A block cut along its other axes until it is small enough."""
    box = problem.lattice.box(ffn, attention, within)
    if np.prod([float(n) for n in box.shape]) <= MOST_CELLS:
        yield box
        return
    sizes = {name: len(box.indices[AXES.index(name) - 2]) for name in _SPLIT}
    name = max(sizes, key=lambda n: sizes[n])
    if sizes[name] == 1:
        yield box
        return
    for half in np.array_split(box.indices[AXES.index(name) - 2], 2):
        yield from _cut(problem, ffn, attention, {**within, name: half})


def _spread(n: int) -> IntArray:
    """0 … n − 1 with the middle first, then the middles of what is left."""
    order: list[int] = []
    spans = [(0, n)]
    while spans:
        low, high = spans.pop(0)
        if low < high:
            middle = (low + high) // 2
            order.append(middle)
            spans += [(low, middle), (middle + 1, high)]
    return np.array(order, dtype=np.int64)


def _block(problem: Problem, box: Box, dominated: Dominated) -> Block:
    lattice = problem.lattice
    on_lattice = np.broadcast_to(lattice.box_valid(box), box.shape)
    n_decided = int(np.count_nonzero(on_lattice))
    nothing = Block(np.empty((0, len(AXES)), np.int64), np.empty((0, len(problem.objectives))), n_decided, 0)
    # What cannot be small enough at any context falls away before the grid is opened further.
    alive = on_lattice & (np.asarray(problem.screen_designs(box.design)) <= 0)
    if not alive.any():
        return nothing
    bound = _bounds(problem, box.design)
    if bound is not None:
        flat = np.flatnonzero(alive)
        lower = np.stack([np.broadcast_to(b, box.shape).reshape(-1)[flat] for b in bound], axis=1)
        alive = alive.reshape(-1)
        alive[flat[dominated(lower)]] = False
        alive = alive.reshape(box.shape)
        if not alive.any():
            return nothing
    # The smallest box around what is left.
    kept = [
        np.flatnonzero(alive.any(axis=tuple(a for a in range(alive.ndim) if a != axis)))
        for axis in range(alive.ndim)
    ]
    alive = alive[np.ix_(*kept)]
    within = {name: i[k] for name, i, k in zip(AXES[2:], box.indices, kept, strict=True)}
    inner = lattice.box(box.ffn, box.attention, within)
    found = problem.evaluate(inner.design)
    feasible = alive & found.feasible
    flat = np.flatnonzero(feasible)
    figures = np.stack(
        [
            np.broadcast_to(np.asarray(found.metric(o.name)), inner.shape).reshape(-1)[flat]
            for o in problem.objectives
        ],
        axis=1,
    )
    return Block(inner.points(flat), figures, n_decided, int(np.count_nonzero(alive)))


_BOUNDED = frozenset(
    ("context_length", "n_params", "n_params_non_embedding", "n_params_active", "kv_cache_bytes",
     "serving_bytes", "n_tokens", "loss")
)  # fmt: skip


def unbounded(problem: Problem) -> tuple[str, ...]:
    """Objectives for which no plan-free bound is known: with one of them nothing is ruled out as dominated."""
    wrong_way = (("n_tokens", "minimize"), ("loss", "maximize"))
    return tuple(
        o.name for o in problem.objectives if o.name not in _BOUNDED or (o.name, o.direction) in wrong_way
    )


def _bounds(problem: Problem, design: Design) -> list[FloatArray] | None:
    """For each objective, coordinates that no plan can beat; None where one of them has no such bound."""
    return None if unbounded(problem) else estimate(problem, design)


def estimate(problem: Problem, design: Design) -> list[FloatArray]:
    """For each objective, its coordinates if every operation ran at the peak and every plan fitted.

    Where no such figure exists (memory under a plan), zero.
    """
    known: dict[str, Callable[[], Num]] = {
        "context_length": lambda: design.context_length,
        "n_params": lambda: parameters(design).total,
        "n_params_non_embedding": lambda: parameters(design).non_embedding,
        "n_params_active": lambda: parameters(design).active,
        "kv_cache_bytes": lambda: _kv_cache(problem, design),
        "serving_bytes": lambda: _serving(problem, design),
        "n_tokens": lambda: _ideal(problem, design)[0],
        "train_flops": lambda: _ideal(problem, design)[0] * _ideal(problem, design)[2],
        "gpu_hours": lambda: _ideal_seconds(problem, design),
        "days": lambda: _ideal_seconds(problem, design),
        "energy_kwh": lambda: _ideal_seconds(problem, design),
        "price": lambda: _ideal_seconds(problem, design),
        "tokens_per_second_per_gpu": lambda: 1 / _ideal(problem, design)[1],
        "step_seconds": lambda: _ideal(problem, design)[1],
        "loss": lambda: _least_loss(problem, design),
    }
    return [o.coordinates(known.get(o.name, lambda: 1.0)()) for o in problem.objectives]


def _kv_cache(problem: Problem, design: Design) -> Num:
    serving = problem.budget.limits.serving
    return kv_cache_bytes(design, 1, serving.kv_bits if serving else 16)


def _serving(problem: Problem, design: Design) -> Num:
    s = problem.budget.limits.serving
    return serving_bytes(design, s.batch if s else 1, s.weight_bits if s else 16, s.kv_bits if s else 16)


def _ideal(problem: Problem, design: Design) -> tuple[Num, Num, Num]:
    """Training tokens, seconds per token and model FLOPs per token, every operation at the peak rate."""
    hardware = problem.hardware
    staged = (np.asarray(design.staged_from) > 0) & (np.asarray(design.staged_from) < design.context_length)
    per_token = flops(design).train_per_token("causal")
    if np.any(staged):
        window = np.where(staged, design.staged_from, design.context_length)
        share = np.where(staged, design.staged_share, 1.0)
        short = flops(design.with_(context_length=window)).train_per_token("causal")
        per_token = share * per_token + (1 - share) * short
    peak = hardware.accelerator.peak(MATMUL_DTYPE[problem.setting.plan.precision])
    level = min(hardware_level(hardware, problem.setting.plan), 1.0)
    seconds = level * per_token / (peak * hardware.n_gpus)
    allowed = problem.tokens_by_limit(seconds, per_token)
    most: Num = np.inf
    for value in allowed.values():
        most = np.minimum(most, value)
    return np.maximum(most, 1.0), seconds, per_token


def _ideal_seconds(problem: Problem, design: Design) -> Num:
    """Seconds of the whole training at the peak rate: what hours, energy and price grow with."""
    n_tokens, seconds, _ = _ideal(problem, design)
    return n_tokens * seconds


def _least_loss(problem: Problem, design: Design) -> Num:
    """The loss at the most tokens: no law here rises with them."""
    return quality.loss(
        problem.coefficients,
        n_params=problem.law_params(design),
        n_tokens=_ideal(problem, design)[0],
        context_length=design.context_length,
        aspect=design.d_model / design.n_layers,
        staged_from=design.staged_from,
        staged_share=design.staged_share,
    )
