"""How many designs × plans a second the cost model answers: parameters, FLOPs, peak memory, step time.

    python tests/benchmarks/bench_cost.py

One evaluation is one design under one plan: its peak device memory and its step time, from the ledger and
the efficiency curve, each a number of its own in an array of that many; its parameters and training FLOPs,
which no plan changes, are computed once per design and counted with it. Timed, in CPU seconds of one core:

- an open grid of contexts, widths and depths against every plan of a node,
- a table of unrelated designs (random context, width, depth) against every plan of a node,
- unrelated pairs: as many designs as plans, each pair its own,
- the search for the fastest plan that fits, per design, which decides on pairs without answering each,
- and a plain-Python closed form of the four figures, pair by pair.

Blocks stay in cache, so the memory in use does not grow with the number asked for.
"""

from __future__ import annotations

import os
import resource
import sys
import time

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# ruff: noqa: E402
import numpy as np

from explorer.catalog import accelerator
from explorer.cost import (
    Hardware,
    Setting,
    best_plan,
    enumerate_plans,
    flops,
    parameters,
    peak_device_bytes,
    step_seconds,
)
from explorer.cost.plans import NUMERIC
from explorer.design import Design, Plan

NODE = Hardware(accelerator=accelerator("h100-sxm-80gb"), n_gpus=8)
SETTING = Setting(plan=Plan(implementation="megatron"))
# Rows of a table per block, and pairs of a block of unrelated ones: arrays of half and a tenth of a megabyte.
ROWS, PAIRS = 192, 8192


def rows(n: int, rng: np.random.Generator) -> Design:
    """A table of random designs."""
    d = 128.0 * rng.integers(8, 97, n)
    return Design(
        context_length=256.0 * 2.0 ** rng.integers(2, 10, n), d_model=d,
        n_layers=rng.integers(8, 97, n) * 1.0,
        n_heads=d / 128, n_kv_heads=8.0, d_head=128.0, d_ff=3.5 * d, vocab_size=32_000.0,
    )  # fmt: skip


def grid(n_contexts: int, n_widths: int, n_depths: int) -> Design:
    """An open grid of designs."""
    c = 256.0 * np.rint(4 * 2.0 ** (np.arange(n_contexts) / 4)).reshape(-1, 1, 1)
    d = np.rint(np.linspace(8, 96, n_widths)).reshape(1, -1, 1) * 128
    depths = np.linspace(8, 96, n_depths).round().reshape(1, 1, -1)
    return Design(
        context_length=c, d_model=d, n_layers=depths, n_heads=d / 128, n_kv_heads=8.0, d_head=128.0,
        d_ff=3.5 * d, vocab_size=32_000.0,
    )  # fmt: skip


def _answer(design: Design, plan: Plan, shape: tuple[int, ...], designs: tuple[int, ...]) -> None:
    """All four figures, of the promised shapes."""
    filled = plan.with_(global_batch=SETTING.global_batch(design))
    totals = parameters(design).total, flops(design).train_per_token()
    figures = peak_device_bytes(design, filled), step_seconds(design, filled, NODE)
    assert np.shape(figures[0]) == np.shape(figures[1]) == shape
    assert np.shape(totals[0]) == np.shape(totals[1]) == designs


def table_rate(n: int, one_each: bool = False) -> tuple[float, float]:
    """Evaluations per second of n pairs, and the seconds taken: a table of designs against every plan, or
    (`one_each`) every design under a plan of its own.
    """
    plan = enumerate_plans(SETTING, NODE)[0]
    size = np.size(plan.micro_batch)
    rng = np.random.default_rng(0)
    pairs = PAIRS if one_each else ROWS * size
    blocks = max(1, round(n / pairs))
    start = time.process_time()
    for _ in range(blocks):
        if one_each:
            index = rng.integers(0, size, pairs)
            own = plan.with_(**{name: getattr(plan, name)[index] for name in NUMERIC})
            _answer(rows(pairs, rng), own, (pairs,), (pairs,))
        else:
            _answer(rows(ROWS, rng).expand(), plan, (ROWS, size), (ROWS, 1))
    seconds = time.process_time() - start
    return blocks * pairs / seconds, seconds


def grid_rate(n: int) -> tuple[float, float]:
    """The same four figures of every pair on an open grid, block by block: one context, some widths, all
    depths, all plans. Terms are computed on the axes they depend on, and depth enters last.
    """
    plan = enumerate_plans(SETTING, NODE)[0]
    size = np.size(plan.micro_batch)
    part = grid(1, 2, 89)
    pairs = 2 * 89 * size
    blocks = max(1, round(n / pairs))
    start = time.process_time()
    for i in range(blocks):
        design = part.with_(context_length=1024.0 * (1 + i % 64)).expand()
        _answer(design, plan, (1, 2, 89, size), (1, 2, 89, 1))
    seconds = time.process_time() - start
    return blocks * pairs / seconds, seconds


def plain_rate(n: int) -> float:
    """Evaluations per second of a closed form in plain Python: 12Ld² and its like, no ledger, no curve."""
    start = time.process_time()
    total = 0.0
    for i in range(n):
        c, d, layers, tp, micro = 2048 * (1 + i % 8), 1024 * (1 + i % 7), 8 + i % 80, 1 << (i % 4), 1 + i % 4
        n_params = layers * (2 * d * d + 2 * d * 1024 + 3 * d * 3.5 * d + 2 * d) + 2 * 32_000 * d + d
        per_token = 6 * n_params + 6 * layers * c * d
        state = 18 * n_params / tp
        saved = layers * micro * c * (34 * d) / tp + 12 * micro * c * 32_000 / tp
        peak = 1.04 * max(state + saved, state) + 2e9
        seconds = per_token * 4e6 / (8 * 989e12 * 0.4)
        total += peak + seconds
    assert total > 0
    return n / (time.process_time() - start)


def peak_mib() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _line(label: str, rate: float, seconds: float) -> str:
    return f"{label:62s} {rate / 1e6:7.2f} million/s {seconds:7.2f} s {peak_mib():6.0f} MiB"


def main() -> int:
    """Print every rate; 1 where the grid or the table falls short of three million a second."""
    table_rate(100_000)
    rate = plain_rate(200_000)
    print(_line("plain Python closed form, one by one", rate, 200_000 / rate))
    grids = []
    for n in (10**5, 10**6, 10**7, 10**8):
        rate, seconds = grid_rate(n)
        grids.append(rate)
        print(_line(f"open grid, {n:.0e} designs × plans, every figure of each", rate, seconds))
    tables = []
    for n in (10**5, 10**6, 10**7):
        rate, seconds = table_rate(n)
        tables.append(rate)
        print(_line(f"table of unrelated designs, {n:.0e} designs × plans", rate, seconds))
    print(_line("unrelated pairs of design and plan, 1e+06", *table_rate(10**6, one_each=True)))
    for shape in ((8, 12, 12), (29, 24, 45), (29, 89, 89)):
        start = time.process_time()
        found = best_plan(grid(*shape), SETTING, NODE, NODE.accelerator.memory_bytes)
        seconds = time.process_time() - start
        label = f"open grid, {found.n_evaluated:.0e} designs × plans, best plan of each design"
        print(_line(label, found.n_evaluated / seconds, seconds))
    reached = min(max(grids), max(tables)) >= 3e6
    print("target: 3 million/s on one core, " + ("reached" if reached else "missed"))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
