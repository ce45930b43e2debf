"""What the activations of one micro-batch take: kept, worked with, and in the loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.cost.activations import Ledger, ledger, total
from explorer.cost.distinct import distinct, spread
from explorer.cost.precision import storage
from explorer.design import Design, Plan
from explorer.units import Num

CHUNKS = 8
"""Chunks of the logits under a chunked loss (torchtune's CEWithChunkedOutputLoss: 8)."""

_PER_MICRO_BATCH = ("tensor_parallel", "context_parallel", "micro_batch")
"""What a micro-batch's activations on one rank depend on."""


class MicroBatch(NamedTuple):
    """Bytes of one micro-batch's activations on one rank, free of n_layers."""

    kept: Num
    """What one layer keeps."""
    working: Num
    """What running it backward adds: recomputed and temporary."""
    whole: Num
    """Both, of a layer that keeps everything."""
    ends: Num
    """Final norm, head and loss."""
    entry: Num
    """Embedding."""
    dense: Num
    """What the leading dense layers keep beyond as many mixture layers, all together."""
    loss_forward: Num
    loss_backward: Num
    head_backward: Num
    """The logits' gradient less what the loss has freed, while the head's product runs backward."""
    stranded: Num
    sent: Num
    """A stage's output."""

    @classmethod
    def of(cls, design: Design, plan: Plan, book: Ledger) -> MicroBatch:
        """`book` is the ledger of the plan, which the plan's numbers do not change."""
        fewer, index = distinct(design, plan, _PER_MICRO_BATCH)
        kinds = storage(plan.precision, plan.implementation)
        tokens = fewer.micro_batch * design.context_length / fewer.context_parallel
        per_token = total(book.layer, fewer, design)
        whole = per_token
        if plan.recompute != "none":
            whole = total(ledger(design, fewer.with_(recompute="none")).layer, fewer, design)
        transient = _transient(design, fewer)
        dense: Num = 0
        if book.dense_ffn:
            extra = total(book.dense_ffn, fewer, design) - total(book.ffn, fewer, design)
            dense = design.n_dense_layers * tokens * extra
        loss_forward, loss_backward = _loss_transients(design, fewer, tokens)
        head_backward: Num = 0
        if plan.cross_entropy != "full":
            freed = tuple(e for e in book.outside if e.operation in ("logits", "log-probabilities"))
            head_backward = _head_transients(design, fewer, tokens) - total(freed, fewer, design) * tokens
        sent = kinds.residual * design.d_model * tokens
        found = cls(
            kept=per_token * tokens,
            working=((whole - per_token) + transient) * tokens,
            whole=(whole + transient) * tokens,
            ends=total(book.outside, fewer, design) * tokens,
            entry=total(book.embedding, fewer, design) * tokens if book.embedding else 0,
            dense=dense,
            loss_forward=loss_forward,
            loss_backward=loss_backward,
            head_backward=head_backward,
            stranded=_stranded(design, fewer, tokens),
            sent=sent / fewer.tensor_parallel if plan.sequence_parallel else sent,
        )
        return cls(*(spread(value, index) for value in found))


def _transient(design: Design, plan: Plan) -> Num:
    """Temporary bytes per token while one layer runs backward."""
    scale = storage(plan.precision, plan.implementation).activation / 2
    ffn = (8 if design.gated else 2) * design.d_ff * scale / plan.tensor_parallel
    if plan.attention_kernel == "flash":
        return ffn
    scores = 6 * design.n_heads * design.context_length * scale / plan.tensor_parallel
    return np.maximum(ffn, scores)


def _loss_transients(design: Design, plan: Plan, tokens: Num) -> tuple[Num, Num]:
    """Temporary bytes of the loss beyond the saved log-probabilities, forward and backward.

    Forward: logits in the working precision and in fp32; backward: the gradient of the
    log-probabilities and of the logits, both fp32. A fused loss (torch.compile, Liger) keeps the
    logits as the product made them and makes their gradient; a chunked one does all of it by chunks.
    """
    V = design.vocab_size / plan.tensor_parallel
    forward = 4 if plan.precision == "fp32" else 6
    extra = 4 * design.d_model if plan.precision == "amp" else 0
    if plan.cross_entropy == "fused":
        size = storage(plan.precision, plan.implementation).activation
        return extra * tokens, size * V * tokens
    if plan.cross_entropy == "chunked-cast":
        size = storage(plan.precision, plan.implementation).activation
        if plan.compiled:
            return extra * tokens, (size / CHUNKS * V + extra) * tokens
        return ((size + 4 / CHUNKS) * V + extra) * tokens, (8 / CHUNKS * V + extra) * tokens
    if plan.cross_entropy == "chunked":
        share = 1 / CHUNKS
        return (forward + 4) * V * tokens * share, 12 * V * tokens * share
    # Split over the vocabulary, PyTorch's loss_parallel makes both gradients at once, out of place: one
    # array more (torch.distributed.tensor.parallel.loss, _nll_loss_and_log_softmax_backward).
    more = 4 * np.greater(plan.tensor_parallel, 1) if plan.implementation == "torch" else 0
    return (forward * V + extra) * tokens, (8 + more) * V * tokens


def _head_transients(design: Design, plan: Plan, tokens: Num) -> Num:
    """Bytes of the logits' gradient while the head's product runs backward.

    By chunks, autograd runs every chunk's loss backward before the products, then adds up weight
    gradients: at the second chunk all but the first one's logits are left.
    """
    size = storage(plan.precision, plan.implementation).activation
    logits = size * design.vocab_size / plan.tensor_parallel * tokens
    if plan.cross_entropy == "chunked-cast":
        return (1 - 1 / CHUNKS) * logits
    return logits if plan.cross_entropy == "fused" else logits / CHUNKS


def _stranded(design: Design, plan: Plan, tokens: Num) -> Num:
    """Bytes of the freed logits; fp32 logits are reused, other losses have none to free."""
    size = storage(plan.precision, plan.implementation).activation
    if plan.cross_entropy != "full" or size == 4:
        return 0 * tokens
    return size * design.vocab_size / plan.tensor_parallel * tokens
