"""Where a law may be believed: its fitted domain, and what it cannot see at all."""

from __future__ import annotations

from functools import reduce
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from explorer.catalog.laws import Interval, Law, priors
from explorer.quality.coefficients import prior
from explorer.units import Num

Flag: TypeAlias = bool | np.bool_ | NDArray[np.bool_]

BLIND_LEVERS: dict[str, str] = {
    "n_kv_heads": "no law prices fewer key-value heads",
    "n_heads": "no law prices the number of heads at a given width",
    "d_head": "no law prices the width of a head",
    "ffn": "no law prices the feed-forward kind",
    "d_ff": "no law prices the feed-forward ratio; it counts through N only",
    "vocab_size": "losses per token are not comparable across vocabularies",
    "window": "no law prices a sliding window or a sparse pattern: the loss is that of full attention",
    "n_experts": "the laws are of dense models",
    "position": "no law prices the position encoding",
    "norm": "no law prices the kind of norm",
}
"""Levers to which every law here is blind, and why; they may be searched only if listed."""


def domain_flags(
    law: Law,
    *,
    n_params: Num,
    n_tokens: Num,
    context_length: Num,
    aspect: Num | None = None,
    staged_share: Num | None = None,
) -> dict[str, Flag]:
    """Per dimension, True where a design lies outside what the law was fitted on.

    Keys: n_params, n_tokens, tokens_per_param, context_length; with `aspect` (d_model / n_layers) also
    aspect (shape or size beyond the runs behind the aspect factor); with `staged_share` (0: constant
    schedule) also staged_share. Each array has the shape of its own arguments.
    """
    domain = law.domain
    flags: dict[str, Flag] = {
        "n_params": _beyond(n_params, domain.n_params),
        "n_tokens": _beyond(n_tokens, domain.n_tokens),
        "tokens_per_param": _beyond(np.divide(n_tokens, n_params), domain.tokens_per_param),
        "context_length": _beyond(context_length, domain.context_length),
    }
    if aspect is not None:
        sizes, shapes = (
            prior(law, "aspect", "n_params")["range"],
            prior(law, "aspect", "aspect_range")["range"],
        )
        flags["aspect"] = _beyond(n_params, sizes) | _beyond(aspect, shapes)
    if staged_share is not None:
        flags["staged_share"] = _beyond(staged_share, staged_share_range()) & (np.asarray(staged_share) > 0)
    return flags


def outside(flags: dict[str, Flag]) -> Flag:
    """True where any dimension is extrapolated; shapes broadcast together."""
    return reduce(np.logical_or, flags.values())


def staged_share_range() -> Interval:
    """Shares of the training tokens at the long window for which the recovery has sources."""
    low, high = priors()["recovery"]["share"]["range"]
    return float(low), float(high)


def _beyond(value: Num, bounds: Any) -> Flag:
    low, high = bounds
    return cast(Flag, (np.asarray(value) < low) | (np.asarray(value) > high))
