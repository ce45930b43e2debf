"""What a ledger of saved activations is made of, and how its entries add up on one GPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from explorer.units import Num

if TYPE_CHECKING:
    from explorer.design import Design, Plan

Split: TypeAlias = Literal["sequence", "width", "heads", "kv", "whole"]


class Entry(NamedTuple):
    """Bytes per token that one operation keeps, and how tensor parallelism splits them."""

    operation: str
    bytes_per_token: Num
    split: Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """Saved bytes per token: of one layer, and once outside the layers."""

    attention: tuple[Entry, ...]
    """Attention half of every layer, its norms included."""
    ffn: tuple[Entry, ...]
    """Feed-forward half of every (mixture) layer."""
    dense_ffn: tuple[Entry, ...] = ()
    """Feed-forward half of the leading dense layers of a mixture; empty without any."""
    outside: tuple[Entry, ...] = ()
    """Final norm, output head and loss, on the last stage."""
    embedding: tuple[Entry, ...] = ()
    """Embedding dropout, on the first stage."""
    assumptions: tuple[str, ...] = field(default=())

    @property
    def layer(self) -> tuple[Entry, ...]:
        """Everything one (mixture) layer keeps."""
        return self.attention + self.ffn

    def per_layer(self, plan: Plan | None = None, design: Design | None = None) -> Num:
        """Bytes per token of one layer on one GPU; without a plan, of the whole layer."""
        return total(self.layer, plan, design)

    def per_token_outside(self, plan: Plan | None = None, design: Design | None = None) -> Num:
        """Bytes per token outside the layers, the embedding's included."""
        return total(self.outside + self.embedding, plan, design)


def total(entries: tuple[Entry, ...], plan: Plan | None = None, design: Design | None = None) -> Num:
    """Sum of entries in bytes per token, split as the plan's tensor parallelism splits each."""
    if plan is None or not np.any(np.asarray(plan.tensor_parallel) > 1):
        return sum(entry.bytes_per_token for entry in entries)
    tp = plan.tensor_parallel
    sums: dict[str, Num] = {}
    for entry in entries:
        sums[entry.split] = sums.get(entry.split, 0) + entry.bytes_per_token
    split = (sums.get("width", 0) + sums.get("heads", 0)) / tp
    sequence = sums.get("sequence", 0)
    if plan.sequence_parallel:
        sequence = sequence / tp
    kv = sums.get("kv", 0)
    ranks = np.minimum(tp, design.n_kv_heads) if design is not None else tp
    return split + sequence + kv / ranks + sums.get("whole", 0)
