"""The ledger: every statement of the idea, taken apart on the cost functions and the loss law.

1 to 3 and 8 to 10 need no law: they are counts. 4 to 7 and 11 are judged by a law, with its posterior.
No search is made; what a budget's own limits do to the idea is `claims.trade`'s question.
"""

from __future__ import annotations

from functools import cache

from explorer import quality
from explorer.claims import ledger_cost, ledger_quality
from explorer.claims.records import Claim


def ledger(law: str = "besiroglu-2024", n_draws: int = 200, seed: int = 0) -> list[Claim]:
    """All eleven claims, in their order. `n_draws` = 0 leaves the intervals out."""
    return list(_ledger(law, n_draws, seed))


@cache
def _ledger(law_name: str, n_draws: int, seed: int) -> tuple[Claim, ...]:
    law = quality.law(law_name)
    claims = (
        ledger_cost.parameters_and_context(),
        ledger_cost.only_quadratic_step(),
        ledger_cost.equality_at_c_equals_d(),
        ledger_quality.published_contexts(law, n_draws, seed),
        ledger_quality.short_for_cheapness(),
        ledger_quality.smaller_width(law, n_draws, seed),
        ledger_quality.not_in_benchmarks(law, n_draws, seed),
        ledger_cost.memory_of_8k(),
        ledger_cost.feed_forward_uses_most(),
        ledger_cost.sparse_attention(),
        ledger_quality.interpolated_positions(law, n_draws, seed),
    )
    return tuple(sorted(claims, key=lambda c: c.number))
