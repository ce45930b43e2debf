"""Compute over a model's life: training and the tokens it will serve (Sardana et al. 2024)."""

from __future__ import annotations

from typing import cast

import numpy as np

from explorer.units import Num


def lifetime_flops(*, train_flops: Num, forward_flops_per_token: Num, served_tokens: Num) -> Num:
    """Training FLOPs plus one forward pass per token expected to be served; broadcasts.

    Sardana et al. 2024 (arXiv:2401.00448) equation 2: 6·N·D_train + 2·N·D_inference, with the
    design's own counted FLOPs in place of 6·N and 2·N, so that long contexts pay for attention in
    serving as well. All three in one convention (causal or full).
    """
    return cast(Num, train_flops + np.multiply(forward_flops_per_token, served_tokens))
