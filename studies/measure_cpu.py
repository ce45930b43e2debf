"""Question: does the model know what a training step takes on a CPU, and what memory it needs?

`train` is an evaluator: it lets `numpy_transformer.py`, in a process of its own, train a design for a few
steps, and answers with the step time and the peak of allocated memory. A report of it comes from

    explore run studies/measure_cpu.yaml --evaluator studies/measure_cpu.py:train

Run as a program, this first measures the core's own peaks and the level of its efficiency at one design in
the middle of the space, gives both to the model (`hardware.accelerator`, `hardware.mfu`), and prints how
far off the model is with and without the level: `python studies/measure_cpu.py [TRIALS]`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROGRAM = HERE / "numpy_transformer.py"
ONE_CORE = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")}
COLUMNS = (
    "context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff", "vocab_size",
    "micro_batch", "global_batch",
)  # fmt: skip


def train(design: Mapping[str, Any]) -> dict[str, float]:
    """Measured `step_seconds` and `peak_allocated_bytes` of one design, a row of a trials table."""
    return _ask(json.dumps({name: float(design[name]) for name in COLUMNS}))


def _ask(argument: str) -> dict[str, float]:
    """What the program prints, run in a fresh process on one core; RuntimeError with its last words."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), argument],
        capture_output=True,
        text=True,
        env={**os.environ, **ONE_CORE},
    )
    if done.returncode:
        last = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        raise RuntimeError(last[-1])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def on_this_core(budget: Any) -> Any:
    """The budget with this core's own measured peaks in the place of the file's."""
    peaks = _ask("peaks")
    core = budget.hardware.accelerator.model_copy(
        update={"peak_flops": {"fp32": peaks["flops"]}, "hbm_bandwidth": peaks["bytes_per_second"]}
    )
    return _with_hardware(budget, accelerator=core)


def calibrated(budget: Any) -> Any:
    """The budget with `hardware.mfu` such that the middle design of the space takes as long as measured."""
    import numpy as np

    from explorer.cost.time import hardware_level
    from explorer.search import Problem

    # Any given level will do to find out what the reference's is without one.
    problem = Problem(budget)
    level = hardware_level(Problem(_with_hardware(budget, mfu=0.5)).hardware, problem.setting.plan)
    middle = np.array([[size // 2 for size in problem.lattice.sizes]])
    row = {name: values[0] for name, values in problem.columns(middle).items()}
    ratio = float(row["step_seconds"]) / train(row)["step_seconds"]
    return _with_hardware(budget, mfu=min(1.0, 0.5 * level * ratio))


def _with_hardware(budget: Any, **changes: Any) -> Any:
    return budget.model_copy(update={"hardware": budget.hardware.model_copy(update=changes)})


def main(trials: int) -> None:
    """Print model against measurement, as the file has it and with this core's own level."""
    import explorer

    here = on_this_core(explorer.load(HERE / "measure_cpu.yaml"))
    for label, budget in (("peaks alone", here), ("peaks and level", calibrated(here))):
        result = explorer.run(budget, trials=trials, evaluator=train, n_draws=0)
        print(f"{label} (hardware.mfu: {budget.hardware.mfu or 'not given'})")
        for line in result.lines():
            print(f"  {line}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
