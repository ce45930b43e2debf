"""What the posterior costs: all arms on four corpora, re-optimised over the whole lattice in every draw.

Run it with `python tests/benchmarks/bench_trade.py [BUDGET.yaml] [DRAWS]`. It prints CPU seconds of
asking the cost model once and of the draws after that.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import explorer
from explorer.claims import trade
from explorer.claims.setting import Setting
from explorer.search.problem import Problem

STUDY = Path(__file__).parents[2] / "studies" / "one-node.yaml"


def main(study: str | Path = STUDY, n_draws: int = 300) -> None:
    """Times one budget."""
    problem = Problem(explorer.load(study))
    start = time.process_time()
    setting = Setting.of(problem)
    asked = time.process_time()
    made = trade(problem, n_draws=n_draws, setting=setting)
    done = time.process_time()
    designs = sum(g.shape[0] * g.shape[1] for g in setting.grids)
    arms = len(made.asked.arms)
    print(f"cost model: {designs:,} designs in {asked - start:.2f} CPU s")
    print(
        f"trade: {n_draws} draws × {len(made.corpora)} corpora × {arms} arms, and again at ν = 0, "
        f"in {done - asked:.2f} CPU s"
    )


if __name__ == "__main__":
    study, draws = [*sys.argv[1:], *[STUDY, 300][len(sys.argv) - 1 :]]
    main(study, int(draws))
