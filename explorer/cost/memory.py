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

from explorer.cost.activations import Ledger, ledger, total
from explorer.cost.parameters import parameters
from explorer.cost.precision import optimizer_states, storage
from explorer.errors import Unsupported
from explorer.units import GIB, Num

if TYPE_CHECKING:
    from explorer.catalog import Accelerator
    from explorer.design import Design, Plan

# Median of reserved over allocated bytes of PyTorch's caching allocator in 43 published runs (1.028-1.093).
RESERVED_PER_ALLOCATED = 1.04
# CUDA context and kernels outside the allocator, torch 2.1 with lazy loading on an A100: 0.47 GiB
# (stas00/ml-engineering, training/performance).
CONTEXT_BYTES = 0.47 * GIB
# Buffers of NCCL after its first collective: 0.55 -> 2.00 GiB (stas00/ml-engineering, training/performance).
NCCL_BYTES = 1.45 * GIB
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
    moments = {name: instant.at(layers) for name, instant in state.instants().items()}
    allocated = _largest(list(moments.values()))
    reserved = RESERVED_PER_ALLOCATED * _largest([allocated, moments["loss, backward"] + state.stranded])
    return Memory(
        parameter_bytes=_larger(state.weights_first.at(layers), state.weights_last.at(layers)),
        gradient_bytes=_larger(state.gradients_first.at(layers), state.gradients_last.at(layers)),
        optimizer_bytes=_larger(state.optimizer_first.at(layers), state.optimizer_last.at(layers)),
        saved_activation_bytes=_larger(state.saved_first.at(layers), state.saved_last.at(layers)),
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
    return _largest([instant.at(layers) for instant in state.instants().values()])


def peak_device_bytes(design: Design, plan: Plan, accelerator: Accelerator | None = None) -> Num:
    """What the device must hold: reserved bytes, CUDA context and communication buffers."""
    return peak_reserved_bytes(design, plan) + outside_allocator_bytes(plan)


def peak_reserved_bytes(design: Design, plan: Plan) -> Num:
    """What PyTorch's allocator holds at the fullest moment, fragmentation included."""
    layers = _ceil(design.n_layers, plan.pipeline_parallel)
    largest = _largest([instant.at(layers) for instant in stage_instants(design, plan).values()])
    return RESERVED_PER_ALLOCATED * largest


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
    weights_first: Instant
    weights_last: Instant
    gradients_first: Instant
    gradients_last: Instant
    optimizer_first: Instant
    optimizer_last: Instant
    saved_first: Instant
    saved_last: Instant
    moments: dict[str, Instant]
    stranded: Num
    """Reserved and unusable during the loss's backward pass: the block of the 16-bit logits, freed
    just before, is too small for the fp32 gradients that the allocator then needs room for."""
    ledger: Ledger

    def instants(self) -> dict[str, Instant]:
        return self.moments

    @classmethod
    def of(cls, design: Design, plan: Plan) -> _State:
        kinds = storage(plan.precision, plan.implementation)
        states = optimizer_states(plan.optimizer)
        counts = parameters(design)
        tp, pp, cp = plan.tensor_parallel, plan.pipeline_parallel, plan.context_parallel
        shards = plan.data_parallel * cp
        tokens = plan.micro_batch * design.context_length / cp
        micro_batches = np.maximum(plan.global_batch / (plan.micro_batch * plan.data_parallel), 1)
        alone = np.equal(pp, 1) * 1
        layers = _ceil(design.n_layers, pp)
        in_flight = np.minimum(pp, micro_batches)

        # Parameters of one layer and of both ends on one GPU.
        layer = (counts.attention_per_layer + counts.ffn_per_layer) / tp + counts.norms_per_layer
        extra = counts.dense_layers_extra / tp / pp
        front = (counts.embedding + counts.projection + counts.position) / tp
        tied_copy = counts.embedding * int(design.tied_embeddings)
        back = counts.head / tp + counts.norms_outside
        first = front + alone * back + extra
        last = back + alone * front + (1 - alone) * tied_copy / tp + extra

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
        gradient = kinds.gradient / np.where(pipelined > 0, 1, by2) if np.ndim(by2) or np.ndim(pipelined) else (
            kinds.gradient / (1 if pipelined else by2)
        )  # fmt: skip
        persistent = weight + whole + held + (gradient if kinds.gradients_persist else 0)
        # Gradients that stay on the device from one moment to the next.
        stays = not (kinds.gradients_persist or plan.optimizer_in_backward)
        growing = gradient if stays else 0 * gradient
        settled = gradient if kinds.gradients_persist else growing

        # Saved activations.
        if plan.offload_activations and plan.recompute != "full":
            raise Unsupported("offload_activations must come with recompute 'full'")
        book = ledger(design, plan)
        kept = total(book.layer, plan, design) * tokens
        stash: Num = 0
        if plan.offload_activations:
            stash, kept = OFFLOAD_STASH * kept, 0 * kept
        everything = book if plan.recompute == "none" else ledger(design, plan.with_(recompute="none"))
        one_layer = total(everything.layer, plan, design) * tokens
        dense_extra: Num = 0
        if book.dense_ffn:
            dense_extra = (
                design.n_dense_layers / pp * tokens
                * (total(book.dense_ffn, plan, design) - total(book.ffn, plan, design))
            )  # fmt: skip
        outside = total(book.outside, plan, design) * tokens
        entry = total(book.embedding, plan, design) * tokens
        copies = kinds.copied / tp

        again = 0 if plan.recompute == "none" else one_layer - kept
        transient = _transient(design, plan) * tokens
        gathered = _in_flight_weights(plan, kinds.gathered, by3, pipelined)
        reducing = _in_flight_gradients(kinds.gradient_made, kinds.gradient, by2, pipelined)

        def params(stage: Num, per_layer_bytes: Num, outside_bytes: Num) -> Instant:
            return Instant(layer * per_layer_bytes, stage * outside_bytes)

        held_first = Instant(layer * (persistent + matrices), first * (persistent + others))
        held_last = Instant(layer * (persistent + matrices), last * (persistent + others))
        copies_layer = counts.per_layer_matmul * copies
        saved_last = Instant(kept, dense_extra + stash + outside + alone * entry)
        saved_first = Instant(kept * in_flight, stash + (dense_extra + entry) * in_flight + alone * outside)
        weights_ahead = gathered * (LAYERS_GATHERED * layer)
        # FSDP's gradient shards are freed and made anew between the activations of two steps, and
        # keep their segments: they are counted at every moment.
        accumulated = growing if kinds.gathers else np.greater(micro_batches, 1) * growing

        made = 0 if kinds.gradients_persist else kinds.gradient_made
        temporaries = int(states.foreach) * (gradient if stays else 0 * gradient)
        # Two inputs of the tied table's gradient are added into a third tensor.
        at_end = 2 * int(design.tied_embeddings) + int(plan.optimizer_in_backward)
        loss_forward, loss_backward = _loss_transients(design, plan, tokens)
        head = counts.head_matmul / tp
        base_last = _plus(held_last, saved_last, Instant(copies_layer, head * copies))
        after = Instant(layer * accumulated, last * accumulated)
        # Nothing of the embedding and of the first layer's attention has a gradient yet.
        not_yet = counts.attention_per_layer / tp + alone * front * int(not design.tied_embeddings)
        # Autocast's cache ends with the forward pass; what a checkpointed layer cast is gone with it.
        backward_copies = 0 * copies_layer if plan.recompute == "full" else copies_layer
        base_backward = _plus(held_last, saved_last, Instant(backward_copies, head * copies))
        moments = {
            "loss, forward": _plus(
                base_last, after, Instant(0, loss_forward + weights_ahead + gathered * last)
            ),
            "loss, backward": _plus(
                base_backward, after, Instant(0, loss_backward + weights_ahead + gathered * last)
            ),
            "backward, last layer": _plus(
                held_last,
                Instant(kept, dense_extra + stash),
                Instant(backward_copies, 0),
                after,
                Instant(
                    0,
                    again + transient + weights_ahead + gathered * last + reducing * layer + head * made,
                ),
            ),
            "backward, first layer": _plus(
                held_last,
                Instant(layer * growing, (last - not_yet) * growing),
                Instant(0, one_layer + transient + weights_ahead + gathered * last + reducing * layer),
            ),
            "end of backward": _plus(
                held_last,
                Instant(layer * growing, last * growing),
                Instant(0, at_end * front * kinds.gradient_made + reducing * last),
            ),
            "optimizer step": _plus(
                held_last,
                Instant(
                    layer * (growing + temporaries),
                    last * (growing + temporaries),
                ),
            ),
        }
        if plan.cross_entropy != "full":
            # The product behind the head runs backward: one gradient of its weights, or two where those
            # of a chunk are added to those of the chunks before it. Fp32 logits are larger than this.
            made_logits, gradients = _head_transients(design, plan, tokens)
            loss = tuple(e for e in book.outside if e.operation in ("logits", "log-probabilities"))
            lost = total(loss, plan, design) * tokens
            moments["head, backward"] = _plus(
                base_backward,
                after,
                Instant(0, made_logits - lost + gradients * head * made + weights_ahead + gathered * last),
            )
        if np.any(np.asarray(pp) > 1):
            full = np.greater(micro_batches, in_flight) * growing
            working = Instant(0, again + transient + weights_ahead + gathered * first + reducing * layer)
            copied = Instant(backward_copies, 0)
            # PyTorch's stages have a buffer to receive in for every micro-batch of the step, and keep their
            # outputs until they go back (torch/distributed/pipelining/stage.py); Megatron frees both.
            sent = kinds.residual * design.d_model * tokens
            sent = sent / tp if plan.sequence_parallel else sent
            sent = sent if plan.implementation == "torch" else 0 * sent
            passed = Instant(0, sent * (micro_batches + in_flight))
            # FSDP adds a layer's gradients to those of earlier micro-batches once all of them are made.
            adding = Instant(0, int(kinds.gathers) * kinds.gradient_made * layer)
            first_backward = _plus(
                held_first, saved_first, copied, working, passed, Instant(layer * full, first * full)
            )
            # 1F1B: once one micro-batch has gone back, its activations are gone and gradients exist.
            gone = np.greater(micro_batches, 1)
            left = np.maximum(in_flight - 1, 1)
            later_backward = _plus(
                held_first,
                Instant(kept * left, stash + (dense_extra + entry) * left),
                copied,
                working,
                passed,
                adding,
                Instant(layer * growing * gone, first * growing * gone),
            )
            # Without a pipeline the first stage is the last one, whose instants stand above.
            for name, moment in (("first", first_backward), ("second", later_backward)):
                moments[f"first stage, {name} backward"] = Instant(
                    moment.per_layer * pipelined, moment.outside * pipelined
                )
        return cls(
            layers=layers,
            weights_first=params(first, weight + whole, weight + whole),
            weights_last=params(last, weight + whole, weight + whole),
            gradients_first=params(first, settled, settled),
            gradients_last=params(last, settled, settled),
            optimizer_first=params(first, matrices, others),
            optimizer_last=params(last, matrices, others),
            saved_first=saved_first,
            saved_last=saved_last,
            moments=moments,
            stranded=_stranded(design, plan, tokens),
            ledger=book,
        )


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


def _head_transients(design: Design, plan: Plan, tokens: Num) -> tuple[Num, int]:
    """Bytes of the logits' gradient while the head's product runs backward, and how many gradients of the
    head's weights exist. By chunks, autograd runs every chunk's loss backward before the products, then
    adds up weight gradients: at the second chunk all but the first one's logits are left.
    """
    size = storage(plan.precision, plan.implementation).activation
    logits = size * design.vocab_size / plan.tensor_parallel * tokens
    if plan.cross_entropy == "chunked-cast":
        return (1 - 1 / CHUNKS) * logits, 2
    return (logits, 1) if plan.cross_entropy == "fused" else (logits / CHUNKS, 1)


def _stranded(design: Design, plan: Plan, tokens: Num) -> Num:
    """Bytes of the freed logits; fp32 logits are reused, other losses have none to free."""
    size = storage(plan.precision, plan.implementation).activation
    if plan.cross_entropy != "full" or size == 4:
        return 0 * tokens
    return size * design.vocab_size / plan.tensor_parallel * tokens


# Chunks of the logits under a chunked loss (torchtune's CEWithChunkedOutputLoss: 8).
CHUNKS = 8


def _in_flight_weights(plan: Plan, size: float, by3: Num, pipelined: Num) -> Num:
    """Bytes per parameter of gathered weights where stage 3 gathers and gives back."""
    del by3
    return np.greater_equal(plan.zero_stage, 3) * size * (1 - pipelined)


def _in_flight_gradients(made: float, reduced: float, by2: Num, pipelined: Num) -> Num:
    """Bytes per parameter of gradients on their way into their shards: as made, and the buffer reduced."""
    return np.greater(by2, 1) * (made + reduced) * (1 - pipelined)


def _shards(plan: Plan, shards: Num, stage: int) -> Num:
    """Over how many ranks ZeRO `stage` splits its part: `shards` or 1."""
    return np.where(np.greater_equal(plan.zero_stage, stage), shards, 1)[()]


def _plus(*parts: Instant) -> Instant:
    return Instant(sum(part.per_layer for part in parts), sum(part.outside for part in parts))


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


def _assumptions(plan: Plan, state: _State) -> tuple[str, ...]:
    notes = [
        *state.ledger.assumptions,
        f"reserved is {RESERVED_PER_ALLOCATED} times allocated (published runs: 1.03 to 1.09)",
        "freed 16-bit logits stay reserved during the loss's backward pass",
        f"the CUDA context takes {CONTEXT_BYTES / GIB:.2f} GiB outside the allocator",
    ]
    if np.any(np.asarray(plan.n_gpus) > 1):
        notes.append(f"NCCL takes {NCCL_BYTES / GIB:.2f} GiB outside the allocator")
    return tuple(notes)
