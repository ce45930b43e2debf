"""The trade without a budget file: training FLOPs alone, no vocabulary, one aspect ratio, continuous sizes.

What the idea comes to when neither memory nor a parameter limit stands in its way. Training FLOPs are
those of a model of N parameters on 20 tokens per parameter at a context of 2,048 (Hoffmann 2022).
"""

from __future__ import annotations

import numpy as np

from explorer.claims.blocks import plain
from explorer.claims.crossover import crossover
from explorer.claims.landscape import Landscape
from explorer.cost.flops import flops
from explorer.cost.parameters import parameters
from explorer.units import FloatArray

ASPECT = 100.0
"""d_model / n_layers, held."""
TOKENS_PER_PARAM = 20.0
REFERENCE = 2048.0


def landscape(
    n_params: float, *, per_octave: int = 48, span: float = 3.0, contexts: FloatArray | None = None
) -> Landscape:
    """Contexts × widths at the training FLOPs of `n_params`; sizes reach `span` octaves either way."""
    c = contexts if contexts is not None else context_grid(per_octave)
    d0 = width_of(n_params)
    # N grows as d³ here, so a third of the octaves of N are octaves of d.
    steps = int(np.ceil(span / 3 * per_octave * 3))
    d = d0 * 2.0 ** (np.arange(-steps, steps + 1) / (per_octave * 3))
    block = plain(0.0).with_(
        context_length=c[:, None],
        d_model=d[None, :],
        n_layers=d[None, :] / ASPECT,
        n_heads=d[None, :] / 128,
        n_kv_heads=d[None, :] / 128,
        d_ff=4 * d[None, :],
    )
    counts = np.asarray(parameters(block).matmul)
    cost = np.asarray(flops(block).train_per_token())
    tokens = budget(n_params) / cost
    return Landscape(
        contexts=c,
        d_model=d,
        n_layers=d / ASPECT,
        choices={},
        n_params=counts,
        n_law=counts,
        n_tokens=tokens,
        tokens_by_compute=tokens,
        tokens_of_data=np.inf,
        excess={},
        exists=np.ones(tokens.shape, dtype=bool),
    )


def budget(n_params: float) -> float:
    """Training FLOPs of `n_params` on TOKENS_PER_PARAM tokens each, at the reference context."""
    d = width_of(n_params)
    block = plain(REFERENCE, d, d / ASPECT)
    return TOKENS_PER_PARAM * n_params * float(flops(block).train_per_token())


def width_of(n_params: float) -> float:
    """The width at which the plain block of this aspect ratio has `n_params` weights."""
    return crossover(
        lambda d: parameters(plain(REFERENCE, d, d / ASPECT)).matmul, lambda d: n_params, low=8.0, high=1e6
    )


def context_grid(per_octave: int) -> FloatArray:
    """Contexts from 512 to 2^20 that hold the reference."""
    return 512.0 * 2.0 ** (np.arange(11 * per_octave + 1) / per_octave)
