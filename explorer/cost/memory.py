"""Peak memory of one training step on one GPU: the largest instant, not a sum.

Every instant is `per_layer · layers on the stage + outside`, so on an open grid its two terms are
computed on their own axes and the number of layers enters last. Two stages are looked at, the
first (embedding, most micro-batches in flight) and the last (head, loss); without pipeline
parallelism they are one. Instants and coefficients follow PyTorch's order of events and were checked
against its memory tracker (tests/records/peaks.json).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from explorer.catalog.overheads import overheads
from explorer.cost.activations import Ledger, ledger, total
from explorer.cost.distinct import distinct, spread
from explorer.cost.heap import keep_heap
from explorer.cost.parameters import parameters
from explorer.cost.precision import optimizer_states, storage
from explorer.errors import Unsupported
from explorer.units import GIB, Num

if TYPE_CHECKING:
    from explorer.catalog import Accelerator
    from explorer.design import Design, Plan

_OVERHEADS = overheads()
RESERVED_PER_ALLOCATED = _OVERHEADS.reserved_per_allocated
CONTEXT_BYTES = _OVERHEADS.context_bytes
NCCL_BYTES = _OVERHEADS.collectives_bytes
# Tensors that torchtune's offloading of activations keeps on the device until they are copied
# (torchtune/training/_activation_offloading.py, max_fwd_stash_size).
OFFLOAD_STASH = 5
# Layers gathered at once under ZeRO stage 3: the one computed and the one prefetched (FSDP2's default).
LAYERS_GATHERED = 2


class Instant(NamedTuple):
    """Bytes at one moment: `per_layer · layers + outside`."""

    per_layer: Num
    outside: Num

    def at(self, layers: Num) -> Num:
        """Bytes with so many layers on the stage."""
        return self.per_layer * layers + self.outside


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes on the fullest GPU; shapes broadcast from design and plan."""

    parameter_bytes: Num
    gradient_bytes: Num
    optimizer_bytes: Num
    saved_activation_bytes: Num
    """Kept from forward to backward by every micro-batch in flight."""
    instants: dict[str, Num]
    """Allocated bytes by moment of the step."""
    peak_allocated_bytes: Num
    peak_reserved_bytes: Num
    peak_device_bytes: Num
    ledger: Ledger
    assumptions: tuple[str, ...]

    @property
    def peak_instant(self) -> str | np.ndarray:
        """Name of the largest instant, elementwise for arrays."""
        names = np.array(list(self.instants))
        values = np.stack(np.broadcast_arrays(*self.instants.values()))
        found = names[np.argmax(values, axis=0)]
        return found if isinstance(found, np.ndarray) and found.ndim else str(found)


def memory(design: Design, plan: Plan, accelerator: Accelerator | None = None) -> Memory:
    """Everything about the memory of one step of `design` under `plan`, with its instants by name.

    `accelerator` may bring its own bytes outside the allocator; the default is an NVIDIA card's.
    """
    state = _State.of(design, plan)
    layers = state.layers
    moments = {name: instant.at(layers) for name, instant in state.moments.items()}
    allocated = _largest(list(moments.values()))
    reserved = RESERVED_PER_ALLOCATED * _largest([allocated, moments["loss, backward"] + state.stranded])
    return Memory(
        parameter_bytes=state.held(state.weight, state.weight),
        gradient_bytes=state.held(state.gradient, state.gradient),
        optimizer_bytes=state.held(*state.optimizer),
        saved_activation_bytes=_larger(*(instant.at(layers) for instant in state.saved)),
        instants=moments,
        peak_allocated_bytes=allocated,
        peak_reserved_bytes=reserved,
        peak_device_bytes=reserved + outside_allocator_bytes(plan),
        ledger=state.ledger,
        assumptions=_assumptions(plan, state),
    )


def peak_allocated_bytes(design: Design, plan: Plan) -> Num:
    """The largest instant alone, in few operations at the full shape of design × plan."""
    state = _State.of(design, plan)
    layers = state.layers
    return _largest_at(state.moments, layers)


def peak_device_bytes(design: Design, plan: Plan, accelerator: Accelerator | None = None) -> Num:
    """What the device must hold: reserved bytes, CUDA context and communication buffers."""
    return peak_reserved_bytes(design, plan) + outside_allocator_bytes(plan)


def peak_reserved_bytes(design: Design, plan: Plan) -> Num:
    """What PyTorch's allocator holds at the fullest moment, fragmentation included."""
    layers = _ceil(design.n_layers, plan.pipeline_parallel)
    return RESERVED_PER_ALLOCATED * _largest_at(stage_instants(design, plan), layers)


def stage_instants(design: Design, plan: Plan) -> dict[str, Instant]:
    """Bytes that the allocator cannot do without at each moment, before fragmentation; free of n_layers.

    `RESERVED_PER_ALLOCATED` times the largest, at the layers of a stage (n_layers over the pipeline's
    stages, rounded up), is reserved. All but the loss's backward pass equal what is allocated.
    """
    state = _State.of(design, plan)
    loss = state.moments["loss, backward"]
    held = Instant(loss.per_layer, loss.outside + state.stranded)
    return {**state.moments, "loss, backward": held}


def outside_allocator_bytes(plan: Plan) -> Num:
    """CUDA context, and NCCL's buffers where there is more than one GPU."""
    many = np.greater(plan.n_gpus, 1)
    extra = CONTEXT_BYTES + NCCL_BYTES * many
    return extra if isinstance(extra, np.ndarray) and extra.ndim else float(extra)


@dataclass(frozen=True, kw_only=True, slots=True)
class _State:
    """Terms shared by the instants, each affine in the layers of a stage."""

    layers: Num
    layer: Num
    """Parameters of one layer on one GPU."""
    first: Num
    """The same of the ends of the first stage."""
    last: Num
    weight: Num
    """Bytes per parameter."""
    gradient: Num
    optimizer: tuple[Num, Num]
    """Bytes per parameter of the layers, and of the ends."""
    saved: tuple[Instant, Instant]
    """Activations of the first and of the last stage."""
    moments: dict[str, Instant]
    stranded: Num
    """Reserved and unusable during the loss's backward pass: the block of the 16-bit logits, freed
    just before, is too small for the fp32 gradients that the allocator then needs room for."""
    ledger: Ledger

    def held(self, per_layer: Num, outside: Num) -> Num:
        """Bytes of so many per parameter of the layers and of the ends, on the fuller stage."""
        inside = self.layer * per_layer * self.layers
        return _larger(inside + self.first * outside, inside + self.last * outside)

    @classmethod
    def of(cls, design: Design, plan: Plan) -> _State:
        keep_heap()
        kinds = storage(plan.precision, plan.implementation)
        states = optimizer_states(plan.optimizer)
        counts = parameters(design)
        tp, pp, cp = plan.tensor_parallel, plan.pipeline_parallel, plan.context_parallel
        shards = plan.data_parallel * cp
        micro_batches = np.maximum(plan.global_batch / (plan.micro_batch * plan.data_parallel), 1)
        alone = np.equal(pp, 1) * 1
        layers = _ceil(design.n_layers, pp)
        in_flight = np.minimum(pp, micro_batches)

        # Parameters of one layer and of both ends on one GPU.
        layer = (counts.attention_per_layer + counts.ffn_per_layer) / tp + counts.norms_per_layer
        mixed_depth = np.any(np.asarray(design.n_dense_layers))
        extra = counts.dense_layers_extra / tp / pp if mixed_depth else 0
        front = (counts.embedding + counts.projection + counts.position) / tp
        back = counts.head / tp + counts.norms_outside
        tied = int(design.tied_embeddings)
        first = _add(front, alone * back, extra)
        last = _add(back, alone * front, (1 - alone) / tp * counts.embedding if tied else 0, extra)

        # Bytes per parameter as ZeRO shards them.
        by1, by2, by3 = (_shards(plan, shards, stage) for stage in (1, 2, 3))
        pipelined = 1 - alone
        weight = kinds.weight / (by1 if kinds.gathers else by3)
        whole = kinds.gathered * np.less(plan.zero_stage, 3) if kinds.gathers else 0
        # PyTorch's pipeline stages keep gathered weights and whole gradients over all micro-batches.
        held = np.greater_equal(plan.zero_stage, 3) * kinds.gathered * pipelined
        on_host = int(plan.offload_optimizer)
        matrices = (kinds.master + states.matrices * kinds.state + states.fixed_bytes) * (1 - on_host) / by1
        others = (kinds.master + states.others * kinds.state + states.fixed_bytes) * (1 - on_host) / by1
        if states.matrices != states.others:
            # Norms inside the layers are no matrices.
            matrices = matrices + (others - matrices) * counts.norms_per_layer / layer
        gradient = kinds.gradient / np.where(pipelined > 0, 1, by2) if np.ndim(by2) or np.ndim(pipelined) else (
            kinds.gradient / (1 if pipelined else by2)
        )  # fmt: skip
        persistent = weight + whole + held + (gradient if kinds.gradients_persist else 0)
        # Gradients that stay on the device from one moment to the next.
        stays = not (kinds.gradients_persist or plan.optimizer_in_backward)
        growing = gradient if stays else 0
        settled = gradient if kinds.gradients_persist else growing

        if plan.offload_activations and plan.recompute != "full":
            raise Unsupported("offload_activations must come with recompute 'full'")
        book = ledger(design, plan)
        saved = _Activations.of(design, plan, book)
        kept, working, entry, ends = saved.kept, saved.working, saved.entry, saved.ends
        stash: Num = 0
        if plan.offload_activations:
            stash, kept, working = OFFLOAD_STASH * kept, 0 * kept, working + kept
        dense_extra = saved.dense / pp if book.dense_ffn else 0
        copies = kinds.copied / tp if kinds.copied else 0
        gathered = _in_flight_weights(plan, kinds.gathered, pipelined)
        reducing = _in_flight_gradients(kinds.gradient_made, kinds.gradient, by2, pipelined)

        held_layer = layer * (persistent + matrices)
        held_first = Instant(held_layer, first * (persistent + others))
        held_last = Instant(held_layer, last * (persistent + others))
        # Experts are copied whether or not a token meets them.
        mixture = np.any(np.asarray(design.n_experts))
        experts = counts.attention_matmul_per_layer + counts.ffn_per_layer
        copies_layer = _times(experts if mixture else counts.per_layer_matmul, copies)
        saved_last = Instant(kept, _add(dense_extra, stash, ends, _times(alone, entry)))
        saved_first = Instant(
            kept * in_flight, _add(stash, _times(_add(dense_extra, entry), in_flight), alone * ends)
        )
        weights_ahead = _times(layer, gathered * LAYERS_GATHERED)
        # FSDP's gradient shards are freed and made anew between the activations of two steps, and
        # keep their segments: they are counted at every moment.
        accumulated = growing if kinds.gathers else _times(np.greater(micro_batches, 1), growing)

        made = 0 if kinds.gradients_persist else kinds.gradient_made
        temporaries = gradient if states.foreach and stays else 0
        # Two inputs of the tied table's gradient are added into a third tensor.
        at_end = (2 * tied + int(plan.optimizer_in_backward)) * kinds.gradient_made
        head = counts.head_matmul / tp
        base_last = _plus(held_last, saved_last, Instant(copies_layer, _times(head, copies)))
        after = Instant(_times(layer, accumulated), _times(last, accumulated))
        at_last = _add(weights_ahead, _times(last, gathered))
        # Nothing of the embedding and of the first layer's attention has a gradient yet.
        not_yet: Num = 0
        if not _none(growing):
            not_yet = _add(counts.attention_per_layer / tp, 0 if tied else alone * front)
        # Autocast's cache ends with the forward pass; what a checkpointed layer cast is gone with it.
        backward_copies = 0 if plan.recompute == "full" else copies_layer
        base_backward = _plus(held_last, saved_last, Instant(backward_copies, _times(head, copies)))
        reduced = _times(layer, reducing)
        so_far = Instant(_times(layer, growing), _times(last, growing))
        moments = {
            "loss, forward": _plus(base_last, after, Instant(0, _add(saved.loss_forward, at_last))),
            "loss, backward": _plus(base_backward, after, Instant(0, _add(saved.loss_backward, at_last))),
            "backward, last layer": _plus(
                held_last,
                Instant(kept, _add(dense_extra, stash)),
                Instant(backward_copies, 0),
                after,
                Instant(0, _add(working, at_last, reduced, _times(head, made))),
            ),
            "backward, first layer": _plus(
                held_last,
                so_far,
                Instant(0, _add(saved.whole, at_last, reduced, -1 * _times(not_yet, growing))),
            ),
            "end of backward": _plus(
                held_last, so_far, Instant(0, _add(_times(front, at_end), _times(last, reducing)))
            ),
            "optimizer step": _plus(
                held_last, so_far, Instant(_times(layer, temporaries), _times(last, temporaries))
            ),
        }
        if plan.cross_entropy != "full":
            # The product behind the head runs backward: one gradient of its weights, or two where those
            # of a chunk are added to those of the chunks before it. Fp32 logits are larger than this.
            gradients = 2 * made if plan.cross_entropy == "chunked-cast" else made
            moments["head, backward"] = _plus(
                base_backward,
                after,
                Instant(0, _add(saved.head_backward, _times(head, gradients), at_last)),
            )
        if np.any(np.asarray(pp) > 1):
            full = _times(np.greater(micro_batches, in_flight), growing)
            busy = Instant(backward_copies, _add(working, weights_ahead, _times(first, gathered), reduced))
            # PyTorch's stages have a buffer to receive in for every micro-batch of the step, and keep their
            # outputs until they go back (torch/distributed/pipelining/stage.py); Megatron frees both.
            torch = plan.implementation == "torch"
            passed = Instant(0, saved.sent * (micro_batches + in_flight) if torch else 0)
            # FSDP adds a layer's gradients to those of earlier micro-batches once all of them are made.
            adding = Instant(0, kinds.gradient_made * layer if kinds.gathers else 0)
            first_backward = _plus(
                held_first, saved_first, busy, passed, Instant(_times(layer, full), _times(first, full))
            )
            # 1F1B: once one micro-batch has gone back, its activations are gone and gradients exist.
            grown = _times(np.greater(micro_batches, 1), growing)
            left = np.maximum(in_flight - 1, 1)
            later_backward = _plus(
                held_first,
                Instant(kept * left, _add(stash, _times(_add(dense_extra, entry), left))),
                busy,
                passed,
                adding,
                Instant(_times(layer, grown), _times(first, grown)),
            )
            # Without a pipeline the first stage is the last one, whose instants stand above.
            for name, moment in (("first", first_backward), ("second", later_backward)):
                moments[f"first stage, {name} backward"] = Instant(
                    moment.per_layer * pipelined, moment.outside * pipelined
                )
        return cls(
            layers=layers,
            layer=layer,
            first=first,
            last=last,
            weight=weight + whole,
            gradient=settled,
            optimizer=(matrices, others),
            saved=(saved_first, saved_last),
            moments=moments,
            stranded=saved.stranded,
            ledger=book,
        )


_PER_MICRO_BATCH = ("tensor_parallel", "context_parallel", "micro_batch")
"""What a micro-batch's activations on one rank depend on."""


class _Activations(NamedTuple):
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
    def of(cls, design: Design, plan: Plan, book: Ledger) -> _Activations:
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


# Chunks of the logits under a chunked loss (torchtune's CEWithChunkedOutputLoss: 8).
CHUNKS = 8


def _in_flight_weights(plan: Plan, size: float, pipelined: Num) -> Num:
    """Bytes per parameter of gathered weights where stage 3 gathers and gives back."""
    sharded = np.greater_equal(plan.zero_stage, 3) * (1 - pipelined)
    return size * sharded if np.any(sharded) else 0


def _in_flight_gradients(made: float, reduced: float, by2: Num, pipelined: Num) -> Num:
    """Bytes per parameter of gradients on their way into their shards: as made, and the buffer reduced."""
    sharded = np.greater(by2, 1) * (1 - pipelined)
    return (made + reduced) * sharded if np.any(sharded) else 0


def _shards(plan: Plan, shards: Num, stage: int) -> Num:
    """Over how many ranks ZeRO `stage` splits its part: `shards` or 1."""
    return np.where(np.greater_equal(plan.zero_stage, stage), shards, 1)[()]


def _plus(*parts: Instant) -> Instant:
    return Instant(_add(*(part.per_layer for part in parts)), _add(*(part.outside for part in parts)))


def _add(*terms: Num) -> Num:
    """The sum, without the passes over memory that adding a plain zero would take."""
    some = [term for term in terms if not _none(term)]
    return sum(some[1:], some[0]) if some else 0


def _times(value: Num, factor: Num) -> Num:
    """The product, a plain zero if either is one."""
    return 0 if _none(value) or _none(factor) else value * factor


def _none(value: Num) -> bool:
    return isinstance(value, int | float) and value == 0


def _ceil(layers: Num, stages: Num) -> Num:
    """Layers of the fullest stage."""
    if isinstance(layers, int) and isinstance(stages, int):
        return -(-layers // stages)
    return np.ceil(layers / stages)


def _larger(a: Num, b: Num) -> Num:
    value = np.maximum(a, b)
    return value if isinstance(value, np.ndarray) and value.ndim else value.item()


def _largest(values: list[Num]) -> Num:
    """Elementwise maximum with one temporary."""
    result = values[0]
    for value in values[1:]:
        result = np.maximum(result, value)
    return result if isinstance(result, np.ndarray) and result.ndim else float(result)


def _largest_at(moments: dict[str, Instant], layers: Num) -> Num:
    """The largest moment, of which only the largest so far is kept."""
    result: Num = 0.0
    for moment in moments.values():
        result = np.maximum(result, moment.at(layers))
    return result if isinstance(result, np.ndarray) and result.ndim else float(result)


def _assumptions(plan: Plan, state: _State) -> tuple[str, ...]:
    low, high = _OVERHEADS.reserved_range
    notes = [
        *state.ledger.assumptions,
        f"reserved is {RESERVED_PER_ALLOCATED} times allocated (published runs: {low:.2f} to {high:.2f})",
        "freed 16-bit logits stay reserved during the loss's backward pass",
        f"the CUDA context takes {CONTEXT_BYTES / GIB:.2f} GiB outside the allocator",
    ]
    if np.any(np.asarray(plan.n_gpus) > 1):
        notes.append(f"NCCL takes {NCCL_BYTES / GIB:.2f} GiB outside the allocator")
    return tuple(notes)
