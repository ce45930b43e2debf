"""All claims of the ledger, made anew."""

from __future__ import annotations

from explorer import quality
from explorer.claims.ledger.cheapness import short_for_cheapness
from explorer.claims.ledger.equality import equality_at_c_equals_d
from explorer.claims.ledger.feed_forward import feed_forward_uses_most
from explorer.claims.ledger.interpolation import interpolated_positions
from explorer.claims.ledger.memory_8k import memory_of_8k
from explorer.claims.ledger.parameters import parameters_and_context
from explorer.claims.ledger.published_contexts import published_contexts
from explorer.claims.ledger.quadratic_step import only_quadratic_step
from explorer.claims.ledger.short_benchmarks import not_in_benchmarks
from explorer.claims.ledger.smaller_width import smaller_width
from explorer.claims.ledger.sparse import sparse_attention
from explorer.claims.records import Claim


def every(law: quality.Law, n_draws: int, seed: int) -> tuple[Claim, ...]:
    """The eleven, in their order (see `ledger`)."""
    return (
        parameters_and_context(),
        only_quadratic_step(),
        equality_at_c_equals_d(),
        published_contexts(law, n_draws, seed),
        short_for_cheapness(),
        smaller_width(law, n_draws, seed),
        not_in_benchmarks(law, n_draws, seed),
        memory_of_8k(),
        feed_forward_uses_most(),
        sparse_attention(),
        interpolated_positions(law, n_draws, seed),
    )
