"""The instants of one training step on the first and the last stage of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explorer.cost.activations import Ledger, ledger
from explorer.cost.heap import keep_heap
from explorer.cost.memory.instants import Instant, add, fullest, is_zero, larger, plus, times
from explorer.cost.memory.micro_batch import MicroBatch
from explorer.cost.parameters import parameters
from explorer.cost.precision import optimizer_states, storage
from explorer.design import Design, Plan
from explorer.errors import Unsupported
from explorer.units import Num

OFFLOAD_STASH = 5
"""Tensors that torchtune's offloading of activations keeps on the device until they are copied
(torchtune/training/_activation_offloading.py, max_fwd_stash_size)."""
LAYERS_GATHERED = 2
"""Layers gathered at once under ZeRO stage 3: the one computed and the one prefetched (FSDP2's default)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
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
        return larger(inside + self.first * outside, inside + self.last * outside)

    @classmethod
    def of(cls, design: Design, plan: Plan) -> Stage:
        keep_heap()
        kinds = storage(plan.precision, plan.implementation)
        states = optimizer_states(plan.optimizer)
        counts = parameters(design)
        tp, pp, cp = plan.tensor_parallel, plan.pipeline_parallel, plan.context_parallel
        shards = plan.data_parallel * cp
        micro_batches = np.maximum(plan.global_batch / (plan.micro_batch * plan.data_parallel), 1)
        alone = np.equal(pp, 1) * 1
        layers = fullest(design.n_layers, pp)
        in_flight = np.minimum(pp, micro_batches)

        # Parameters of one layer and of both ends on one GPU.
        layer = (counts.attention_per_layer + counts.ffn_per_layer) / tp + counts.norms_per_layer
        mixed_depth = np.any(np.asarray(design.n_dense_layers))
        extra = counts.dense_layers_extra / tp / pp if mixed_depth else 0
        front = (counts.embedding + counts.projection + counts.position) / tp
        back = counts.head / tp + counts.norms_outside
        tied = int(design.tied_embeddings)
        first = add(front, alone * back, extra)
        last = add(back, alone * front, (1 - alone) / tp * counts.embedding if tied else 0, extra)

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
        saved = MicroBatch.of(design, plan, book)
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
        copies_layer = times(experts if mixture else counts.per_layer_matmul, copies)
        saved_last = Instant(kept, add(dense_extra, stash, ends, times(alone, entry)))
        saved_first = Instant(
            kept * in_flight, add(stash, times(add(dense_extra, entry), in_flight), alone * ends)
        )
        weights_ahead = times(layer, gathered * LAYERS_GATHERED)
        # FSDP's gradient shards are freed and made anew between the activations of two steps, and
        # keep their segments: they are counted at every moment.
        accumulated = growing if kinds.gathers else times(np.greater(micro_batches, 1), growing)

        made = 0 if kinds.gradients_persist else kinds.gradient_made
        temporaries = gradient if states.foreach and stays else 0
        # Two inputs of the tied table's gradient are added into a third tensor.
        at_end = (2 * tied + int(plan.optimizer_in_backward)) * kinds.gradient_made
        head = counts.head_matmul / tp
        base_last = plus(held_last, saved_last, Instant(copies_layer, times(head, copies)))
        after = Instant(times(layer, accumulated), times(last, accumulated))
        at_last = add(weights_ahead, times(last, gathered))
        # Nothing of the embedding and of the first layer's attention has a gradient yet.
        not_yet: Num = 0
        if not is_zero(growing):
            not_yet = add(counts.attention_per_layer / tp, 0 if tied else alone * front)
        # Autocast's cache ends with the forward pass; what a checkpointed layer cast is gone with it.
        backward_copies = 0 if plan.recompute == "full" else copies_layer
        base_backward = plus(held_last, saved_last, Instant(backward_copies, times(head, copies)))
        reduced = times(layer, reducing)
        so_far = Instant(times(layer, growing), times(last, growing))
        moments = {
            "loss, forward": plus(base_last, after, Instant(0, add(saved.loss_forward, at_last))),
            "loss, backward": plus(base_backward, after, Instant(0, add(saved.loss_backward, at_last))),
            "backward, last layer": plus(
                held_last,
                Instant(kept, add(dense_extra, stash)),
                Instant(backward_copies, 0),
                after,
                Instant(0, add(working, at_last, reduced, times(head, made))),
            ),
            "backward, first layer": plus(
                held_last,
                so_far,
                Instant(0, add(saved.whole, at_last, reduced, -1 * times(not_yet, growing))),
            ),
            "end of backward": plus(
                held_last, so_far, Instant(0, add(times(front, at_end), times(last, reducing)))
            ),
            "optimizer step": plus(
                held_last, so_far, Instant(times(layer, temporaries), times(last, temporaries))
            ),
        }
        if plan.cross_entropy != "full":
            # The product behind the head runs backward: one gradient of its weights, or two where those
            # of a chunk are added to those of the chunks before it. Fp32 logits are larger than this.
            gradients = 2 * made if plan.cross_entropy == "chunked-cast" else made
            moments["head, backward"] = plus(
                base_backward,
                after,
                Instant(0, add(saved.head_backward, times(head, gradients), at_last)),
            )
        if np.any(np.asarray(pp) > 1):
            full = times(np.greater(micro_batches, in_flight), growing)
            busy = Instant(backward_copies, add(working, weights_ahead, times(first, gathered), reduced))
            # PyTorch's stages have a buffer to receive in for every micro-batch of the step, and keep their
            # outputs until they go back (torch/distributed/pipelining/stage.py); Megatron frees both.
            torch = plan.implementation == "torch"
            passed = Instant(0, saved.sent * (micro_batches + in_flight) if torch else 0)
            # FSDP adds a layer's gradients to those of earlier micro-batches once all of them are made.
            adding = Instant(0, kinds.gradient_made * layer if kinds.gathers else 0)
            first_backward = plus(
                held_first, saved_first, busy, passed, Instant(times(layer, full), times(first, full))
            )
            # 1F1B: once one micro-batch has gone back, its activations are gone and gradients exist.
            grown = times(np.greater(micro_batches, 1), growing)
            left = np.maximum(in_flight - 1, 1)
            later_backward = plus(
                held_first,
                Instant(kept * left, add(stash, times(add(dense_extra, entry), left))),
                busy,
                passed,
                adding,
                Instant(times(layer, grown), times(first, grown)),
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
