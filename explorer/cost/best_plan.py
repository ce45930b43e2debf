"""The fastest plan that fits, for every design of a grid.

For a given context, width and plan both the step time and every instant of memory are affine in the
layers of the fullest stage. So a plan fits up to a depth that is solved, not scanned, and its time at
any depth costs one multiply-add: designs × plans are never evaluated one by one. Blocks of the grid
stay in cache, whatever its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from explorer.cost.grid import Grid, Part
from explorer.cost.hardware import Hardware
from explorer.cost.memory import (
    RESERVED_PER_ALLOCATED,
    outside_allocator_bytes,
    peaks_bytes,
    stage_instants,
)
from explorer.cost.plans import NUMERIC, Setting, enumerate_plans, plan_is_possible
from explorer.cost.precision import storage
from explorer.cost.time import step_line
from explorer.design import Design, Plan, arrays
from explorer.units import FloatArray, Num

# Elements per temporary: 256k float64 are two megabytes, about a second-level cache.
_BLOCK = 262_144


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """The best plan of every design; arrays of the designs' shape.

    Where nothing fits, the plan is the one that needs least memory. Where no plan can be laid out at
    all, step time and memory are infinite and the plan's numbers 0.
    """

    step_seconds: FloatArray
    """Wall time of one optimizer step at the design's full context; goodput not applied."""
    seconds_per_token: FloatArray
    """Wall time per training token on all GPUs together; of a staged schedule, over both its parts."""
    global_batch: FloatArray
    """Sequences per step."""
    n_gpus: FloatArray
    micro_batch: FloatArray
    tensor_parallel: FloatArray
    pipeline_parallel: FloatArray
    context_parallel: FloatArray
    data_parallel: FloatArray
    zero_stage: FloatArray
    recompute: np.ndarray[Any, Any]
    """Name of the recompute mode."""
    peak_allocated_bytes: FloatArray
    peak_reserved_bytes: FloatArray
    peak_device_bytes: FloatArray
    fits: np.ndarray[Any, Any]
    """Whether any plan fits the memory limit."""
    least_device_bytes: FloatArray
    """Where nothing fits, the smallest peak over all plans; elsewhere the chosen plan's peak."""
    n_evaluated: int
    """Designs × plans that were decided."""

    def plan(self, setting: Setting, index: tuple[int, ...]) -> Plan:
        """The plan of one design as a `Plan` of plain numbers."""
        numbers = {name: int(getattr(self, name)[index]) for name in NUMERIC}
        return setting.plan.with_(
            **numbers, recompute=str(self.recompute[index]), global_batch=int(self.global_batch[index])
        )


def best_plan(design: Design, setting: Setting, hardware: Hardware, memory_limit_bytes: float) -> Planned:
    """For every design of an open grid or table, the fastest plan whose device peak fits.

    `design`'s fields broadcast to some shape S; the answer has shape S (at least one axis). Ties go to
    the plan that comes first in `enumerate_plans`.
    """
    planned = _constant(design, setting, hardware, memory_limit_bytes)
    if not np.any(np.asarray(design.staged_from)):
        return planned
    # Most tokens run at the short window, each stage under its own best plan.
    staged = np.asarray(design.staged_from) > 0
    window = np.where(staged, design.staged_from, design.context_length)
    start = design.with_(context_length=window, staged_from=0, staged_share=0)
    short = _constant(start, setting, hardware, memory_limit_bytes)
    share = np.where(staged, design.staged_share, 1.0)
    per_token = share * planned.seconds_per_token + (1 - share) * short.seconds_per_token
    return replace(
        planned,
        seconds_per_token=per_token,
        fits=planned.fits & short.fits,
        n_evaluated=planned.n_evaluated + short.n_evaluated,
    )


def _constant(design: Design, setting: Setting, hardware: Hardware, limit: float) -> Planned:
    """`best_plan` at one context length."""
    plans = enumerate_plans(setting, hardware)
    n_plans = sum(np.size(block.micro_batch) for block in plans)
    grid = Grid.of(design)
    seconds = np.empty(grid.shape)
    choice = np.empty(grid.shape, dtype=np.int64)
    fits = np.empty(grid.shape, dtype=bool)
    for part in grid.parts(max(1, _BLOCK // n_plans)):
        answer = _decide(part, plans, setting, hardware, limit)
        for whole, block in zip((seconds, choice, fits), answer, strict=True):
            part.write(whole, block)
    return _planned(design, setting, hardware, plans, seconds, choice, fits, n_plans)


def _decide(
    part: Part, plans: Sequence[Plan], setting: Setting, hardware: Hardware, limit: float
) -> tuple[FloatArray, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Seconds, index of the plan and whether it fits, each of shape (cells, depths)."""
    lines = [_Lines.of(part, block, setting, hardware, limit) for block in plans]
    offsets = np.cumsum([0, *(np.size(block.micro_batch) for block in plans)])
    outside = np.concatenate([line.outside for line in lines], axis=1)
    per_layer = np.concatenate([line.per_layer for line in lines], axis=1)
    deepest = np.concatenate([line.deepest for line in lines], axis=1)
    index = np.concatenate([line.index + o for line, o in zip(lines, offsets, strict=False)])
    stages = np.concatenate([line.stages for line in lines])
    n, depths = outside.shape[0], part.depths.shape[-1]
    seconds = np.full((n, depths), np.inf)
    choice: np.ndarray[Any, Any] = np.full((n, depths), -1)
    if not index.size:
        return seconds, choice, np.zeros((n, depths), dtype=bool)

    if depths == 1:
        layers = _stage_depths(part.depths, stages)[:, 0]
        times = np.where(layers <= deepest, outside + per_layer * layers, np.inf)
        best = np.argmin(times, axis=1)[:, np.newaxis]
        seconds = np.take_along_axis(times, best, axis=1)
        choice = index[best]
    else:
        layers = _stage_depths(part.depths, stages)[0]
        keep = ~_dominated(outside, per_layer, deepest, stages, float(part.depths.max()))
        for cell in range(n):
            some = np.flatnonzero(keep[cell])
            if not some.size:
                continue
            deep = layers[:, some]
            times = outside[cell, some] + per_layer[cell, some] * deep
            times[deep > deepest[cell, some]] = np.inf
            best = np.argmin(times, axis=1)
            seconds[cell] = times[np.arange(depths), best]
            choice[cell] = index[some[best]]
    fits = np.isfinite(seconds)
    if not fits.all():
        _least(part, lines, offsets, seconds, choice, fits)
    return seconds, choice, fits


@dataclass(frozen=True, slots=True)
class _Lines:
    """Times and memory of one recompute mode's plans that some cell can lay out: shapes (cells, plans)."""

    outside: FloatArray
    """Seconds outside the layers; infinite where the plan cannot be laid out."""
    per_layer: FloatArray
    deepest: FloatArray
    """Layers per stage up to which the plan fits."""
    stages: FloatArray
    index: np.ndarray[Any, Any]
    """Position of each plan in its block."""
    small: np.ndarray[Any, Any]
    """Plans among which is the one that needs least memory."""
    small_instants: list[tuple[FloatArray, FloatArray]]
    """Bytes (outside, per layer) of every instant of the small plans."""

    @classmethod
    def of(cls, part: Part, plan: Plan, setting: Setting, hardware: Hardware, limit: float) -> _Lines:
        design = part.design.expand()
        plan = plan.with_(global_batch=setting.global_batch(design))
        possible = part.flat(plan_is_possible(design, plan), np.size(plan.micro_batch))
        index = np.flatnonzero(possible.any(axis=0))
        possible = possible[:, index]
        plan = plan.with_(**{name: np.atleast_1d(getattr(plan, name))[index] for name in NUMERIC})
        if not index.size:
            none = np.empty((possible.shape[0], 0))
            return cls(none, none, none, none[0], index, index, [])
        outside, per_layer = (part.flat(line, index.size) for line in step_line(design, plan, hardware))
        room = (limit - outside_allocator_bytes(plan, hardware.accelerator)) / RESERVED_PER_ALLOCATED
        instants = list(stage_instants(design, plan).values())
        deepest: Num = np.inf
        for instant in instants:
            # An instant that a plan does not have takes no bytes and allows any depth.
            with np.errstate(divide="ignore"):
                deepest = np.minimum(deepest, (room - instant.outside) / instant.per_layer)
        small = _least_candidates(part, plan)
        held = [
            (part.flat(i.outside, index.size)[:, small], part.flat(i.per_layer, index.size)[:, small])
            for i in instants
        ]
        return cls(
            outside=np.where(possible, outside, np.inf),
            per_layer=per_layer,
            deepest=part.flat(np.floor(deepest), index.size),
            stages=np.asarray(plan.pipeline_parallel),
            index=index,
            small=small,
            small_instants=held,
        )


def _least_candidates(part: Part, plan: Plan) -> np.ndarray[Any, Any]:
    """Plans of which one needs least memory: memory rises with the micro-batch, but for gradients that are
    made anew. These are spared where each micro-batch goes through the pipeline in the first round.
    """
    micro = np.asarray(plan.micro_batch)
    smallest = micro == micro.min()
    if storage(plan.precision, plan.implementation).gradients_persist:
        return np.flatnonzero(smallest)
    rounds = plan.global_batch / (plan.micro_batch * plan.data_parallel)
    single: Num = np.asarray(rounds <= plan.pipeline_parallel, dtype=np.float64)
    return np.flatnonzero(smallest | part.flat(single, micro.size).any(axis=0))


def _stage_depths(depths: FloatArray, stages: FloatArray) -> FloatArray:
    """Layers of the fullest stage, (…, depths, plans); infinite where there are more stages than layers."""
    depths = depths[..., np.newaxis]
    return np.where(depths >= stages, np.ceil(depths / stages), np.inf)


def _dominated(
    outside: FloatArray, per_layer: FloatArray, deepest: FloatArray, stages: FloatArray, deepest_design: float
) -> np.ndarray[Any, Any]:
    """Plans that another with as many stages beats at every depth at which they fit, (cells, plans).

    Rivals are the fastest plans at a few depths. Both times are straight lines, so being slower at both
    ends of the range is being slower throughout; of equals the first stays, as in a full scan.
    """
    beaten = ~np.isfinite(outside)
    rows = np.arange(outside.shape[0])[:, np.newaxis]
    for count in np.unique(stages):
        group = np.flatnonzero(stages == count)
        last = np.ceil(deepest_design / count)
        a, b, deep = outside[:, group], per_layer[:, group], np.minimum(deepest[:, group], last)
        first_end, other_end = a + b, a + b * np.maximum(deep, 1)
        out = beaten[:, group] | (deep < 1)
        for probe in np.unique(np.ceil(last * np.array([0.02, 0.1, 0.25, 0.5, 1.0]))):
            at = np.where(deep >= probe, a + b * probe, np.inf)
            rival = np.argmin(at, axis=1)[:, np.newaxis]
            ra, rb, rdeep = a[rows, rival], b[rows, rival], deep[rows, rival]
            end = ra + rb * np.maximum(deep, 1)
            slower = (ra + rb <= first_end) & (end <= other_end)
            tie = (ra + rb == first_end) & (end == other_end)
            earlier = rival < np.arange(group.size)
            out |= slower & (rdeep >= deep) & (~tie | earlier) & (rival != np.arange(group.size))
        beaten[:, group] = out
    return beaten


def _least(
    part: Part,
    lines: list[_Lines],
    offsets: np.ndarray[Any, Any],
    seconds: FloatArray,
    choice: np.ndarray[Any, Any],
    fits: np.ndarray[Any, Any],
) -> None:
    """Where nothing fits, the plan with the smallest peak, written into `seconds` and `choice`."""
    kept = [(line, o) for line, o in zip(lines, offsets, strict=False) if line.index.size]
    lines, offsets = [line for line, _ in kept], np.array([o for _, o in kept])
    outside = np.concatenate([line.outside[:, line.small] for line in lines], axis=1)
    per_layer = np.concatenate([line.per_layer[:, line.small] for line in lines], axis=1)
    index = np.concatenate([line.index[line.small] + o for line, o in zip(lines, offsets, strict=False)])
    stages = np.concatenate([line.stages[line.small] for line in lines])
    never = ~np.isfinite(outside)
    # Every mode has the same instants, in the same order.
    instants = [
        tuple(np.concatenate(both, axis=1) for both in zip(*pairs, strict=True))
        for pairs in zip(*(line.small_instants for line in lines), strict=True)
    ]
    missing = np.flatnonzero(~fits.all(axis=1))
    step = max(1, _BLOCK // (part.depths.shape[-1] * index.size))
    for start in range(0, missing.size, step):
        cells = missing[start : start + step]
        deep = np.flatnonzero(~fits[cells].all(axis=0))
        depths = part.depths[:, deep] if part.depths.shape[0] == 1 else part.depths[cells]
        layers = _stage_depths(depths, stages)
        peak = np.zeros((cells.size, deep.size, index.size))
        for fixed, slope in instants:
            np.maximum(peak, fixed[cells, np.newaxis] + slope[cells, np.newaxis] * layers, out=peak)
        peak[np.broadcast_to(never[cells, np.newaxis], peak.shape)] = np.inf
        best = np.argmin(peak, axis=2)
        value = np.take_along_axis(peak, best[..., np.newaxis], axis=2)[..., 0]
        rows = cells[:, np.newaxis]
        time = outside[rows, best] + per_layer[rows, best] * np.take_along_axis(
            np.broadcast_to(layers, peak.shape), best[..., np.newaxis], axis=2
        )[..., 0]  # fmt: skip
        wanted = ~fits[np.ix_(cells, deep)] & np.isfinite(value)
        here = tuple(grid[wanted] for grid in np.meshgrid(cells, deep, indexing="ij"))
        choice[here] = index[best[wanted]]
        seconds[here] = time[wanted]


def _planned(
    design: Design,
    setting: Setting,
    hardware: Hardware,
    plans: Sequence[Plan],
    seconds: FloatArray,
    choice: np.ndarray[Any, Any],
    fits: np.ndarray[Any, Any],
    n_plans: int,
) -> Planned:
    """The chosen plans' numbers and peaks."""
    known = choice >= 0
    numbers = {
        name: np.where(known, np.concatenate([getattr(p, name) for p in plans])[choice], 0.0)
        for name in NUMERIC
    }
    modes = np.repeat([p.recompute for p in plans], [np.size(p.micro_batch) for p in plans])
    recompute = modes[choice]
    batch = np.broadcast_to(setting.global_batch(design), seconds.shape).astype(np.float64)
    peak, reserved = np.full(seconds.shape, np.inf), np.full(seconds.shape, np.inf)
    for plan in plans:
        for chunk in _chunks(np.flatnonzero(known & (recompute == plan.recompute))):
            some = {name: column.reshape(-1)[chunk] for name, column in numbers.items()}
            chosen = plan.with_(**some, global_batch=batch.reshape(-1)[chunk])
            rows = _rows(design, seconds.shape, chunk)
            peak.reshape(-1)[chunk], reserved.reshape(-1)[chunk] = peaks_bytes(rows, chosen)
    laid_out = setting.plan.with_(data_parallel=hardware.n_gpus)
    device = reserved + outside_allocator_bytes(laid_out, hardware.accelerator)
    return Planned(
        step_seconds=seconds,
        seconds_per_token=seconds / (batch * design.context_length),
        global_batch=batch,
        n_gpus=np.where(known, float(hardware.n_gpus), 0.0),
        **numbers,
        recompute=recompute,
        peak_allocated_bytes=peak,
        peak_reserved_bytes=reserved,
        peak_device_bytes=device,
        fits=fits,
        least_device_bytes=device,
        n_evaluated=seconds.size * n_plans,
    )


def _chunks(index: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    return [index[i : i + _BLOCK] for i in range(0, index.size, _BLOCK)]


def _rows(design: Design, shape: tuple[int, ...], index: np.ndarray[Any, Any]) -> Design:
    """Some designs of a grid as a table."""
    where = np.unravel_index(index, shape)
    columns = {}
    for name, values in arrays(design).items():
        values = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
        columns[name] = values[tuple(w if n > 1 else 0 for w, n in zip(where, values.shape, strict=True))]
    return design.with_(**columns)
