"""At which context the quadratic part of attention equals the rest: in FLOPs, in seconds, in saved bytes.

Each is solved from the cost functions; none is written down. Results are context lengths in tokens;
inf where the quadratic part never catches up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from explorer.claims.crossover import crossover
from explorer.cost.activations import ledger
from explorer.cost.flops import Convention, flops
from explorer.cost.hardware import Hardware
from explorer.cost.time import step_time
from explorer.design import AttentionKernel, Design, Plan
from explorer.units import Num

Blocks = Callable[[Num], Design]
"""A design at a context length, or at several."""
TOKENS_PER_STEP = 65_536
"""Tokens of one timed step: enough that no launch overhead shows; a longer sequence stands alone."""


def flops_equal(
    block: Blocks,
    convention: Convention = "causal",
    *,
    kernel: AttentionKernel | None = None,
    against: Literal["linear", "feed-forward"] = "linear",
) -> float:
    """Context at which training FLOPs of scores and mix equal those of all weight matrices.

    Model FLOPs by default; with a `kernel`, what the device executes (flash repeats the scores in the
    backward pass). `against="feed-forward"`: the whole attention part, its projections included,
    against the feed-forward part.
    """
    if against == "feed-forward":
        return crossover(
            lambda c: _attention_part(block(c), convention), lambda c: _feed_forward(block(c), convention)
        )
    if kernel is None:
        return crossover(
            lambda c: flops(block(c)).attention_per_token(convention),
            lambda c: flops(block(c)).linear_per_token,
        )
    return crossover(
        lambda c: (
            flops(block(c)).hardware_train_per_token("none", kernel, convention)
            - 3 * flops(block(c)).linear_per_token
        ),
        lambda c: 3 * flops(block(c)).linear_per_token,
    )


def quadratic_share(design: Design, convention: Convention = "causal", *, head: bool = True) -> float:
    """Share of model FLOPs that scores and mix take at the design's own context."""
    return float(flops(design).attention_share(convention, head=head))


def flops_by_part(design: Design, convention: Convention = "causal") -> dict[str, float]:
    """Share of forward FLOPs per part: projections, scores and mix, feed-forward, head."""
    operations = flops(design).operations(convention)
    total = sum(float(v) for v in operations.values())
    parts = {"projections": 0.0, "scores and mix": 0.0, "feed-forward": 0.0, "head": 0.0}
    for name, value in operations.items():
        parts[_part(name)] += float(value) / total
    return parts


def _part(operation: str) -> str:
    if operation in ("attention scores", "attention mix"):
        return "scores and mix"
    if operation in ("output head", "embedding projections"):
        return "head"
    if "feed-forward" in operation or operation == "router":
        return "feed-forward"
    return "projections"


def _attention_part(design: Design, convention: Convention) -> Num:
    parts = flops(design).operations(convention)
    return sum(v for k, v in parts.items() if _part(k) in ("projections", "scores and mix"))


def _feed_forward(design: Design, convention: Convention) -> Num:
    parts = flops(design).operations(convention)
    return sum(v for k, v in parts.items() if _part(k) == "feed-forward")


def bytes_equal(block: Blocks, plan: Plan) -> float:
    """Context at which the saved bytes that grow with it pass all others a layer keeps, per token.

    inf where none grow: flash attention keeps no scores.
    """
    base = saved_bytes(block(0.0), plan)
    return crossover(lambda c: saved_bytes(block(c), plan) - base, lambda c: base)


def saved_bytes(design: Design, plan: Plan) -> Num:
    """Bytes per token that one layer keeps for the backward pass."""
    return ledger(design, plan).per_layer()


def seconds_equal(block: Blocks, hardware: Hardware, plan: Plan) -> float:
    """Context at which core attention takes half of the time of a training step (TOKENS_PER_STEP)."""
    return crossover(
        lambda c: attention_seconds(block(c), hardware, plan)[0],
        lambda c: attention_seconds(block(c), hardware, plan)[1],
        low=128.0,
        high=2.0**26,
    )


def attention_seconds(design: Design, hardware: Hardware, plan: Plan) -> tuple[Num, Num]:
    """Seconds of core attention (recomputation included where there is any) and of all the rest of a step."""
    n = np.maximum(1.0, TOKENS_PER_STEP / design.context_length)
    found = step_time(design, plan.with_(micro_batch=n, global_batch=n), hardware)
    attention = found.parts["attention"]
    return attention, found.seconds - attention
