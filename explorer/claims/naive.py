"""The idea's own algebra, kept as it is made, so that a reader sees where the full model parts from it.

Multiplications per token of one layer: attention (c² + 3cd) / c, the feed-forward part 4cd / c, both
in units of d. It takes QKᵀ for the whole of attention's quadratic part, counts the three input
projections without the output one, one of the feed-forward part's two matrices, no backward pass
and no causal mask.
"""

from __future__ import annotations

from explorer.units import Num


def attention(context_length: Num, d_model: Num) -> Num:
    """c² + 3cd: QKᵀ and the projections to queries, keys and values, per sequence and unit of d."""
    return context_length**2 + 3 * context_length * d_model


def feed_forward(context_length: Num, d_model: Num) -> Num:
    """4cd: one projection to the inner width of 4d, per sequence and unit of d."""
    return 4 * context_length * d_model


def parameters(d_model: Num, n_layers: Num) -> Num:
    """12·L·d²: every matrix of a layer, nothing that depends on the context."""
    return 12 * n_layers * d_model**2
