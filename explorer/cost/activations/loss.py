"""What the loss keeps until the backward pass."""

from __future__ import annotations

from explorer.cost.activations.entries import Entry
from explorer.cost.precision import Storage
from explorer.design import Design, Plan


def loss_entries(design: Design, plan: Plan, kinds: Storage) -> tuple[Entry, ...]:
    if plan.cross_entropy == "chunked":
        return ()
    if plan.cross_entropy == "fused" or (plan.cross_entropy == "chunked-cast" and plan.compiled):
        # Logits as the product makes them, and one log-sum-exp; the gradient is made in place of neither.
        return (Entry("logits", kinds.activation * design.vocab_size + 4, "width"),)
    return (Entry("log-probabilities", 4 * design.vocab_size, "width"),)
