"""The instants of one training step on the first and the last stage of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from explorer.cost.activations import Ledger, ledger
from explorer.cost.heap import keep_heap
from explorer.cost.memory.instants import Instant, add, fullest, is_zero, larger, plus, times
from explorer.cost.memory.micro_batch import MicroBatch
from explorer.cost.memory.shares import PerParameter, Share
from explorer.cost.parameters import Parameters, parameters
from explorer.cost.precision import Storage, storage
from explorer.design import Design, Plan
from explorer.errors import Unsupported
from explorer.units import Num

OFFLOAD_STASH = 5
"""Tensors that torchtune's offloading of activations keeps on the device until they are copied
(torchtune/training/_activation_offloading.py, max_fwd_stash_size)."""
LAYERS_GATHERED = 2
"""Layers gathered at once under ZeRO stage 3: the one computed and the one prefetched (FSDP2's default)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stages:
    """What the first and the last stage hold, and their instants, each affine in the layers of a stage."""

    layers: Num
    share: Share
    per: PerParameter
    saved: tuple[Instant, Instant]
    """Activations of the first and of the last stage."""
    moments: dict[str, Instant]
    stranded: Num
    """Reserved and unusable during the loss's backward pass: the block of the 16-bit logits, freed
    just before, is too small for the fp32 gradients that the allocator then needs room for."""
    ledger: Ledger

    def held(self, per_layer: Num, outside: Num) -> Num:
        """Bytes of so many per parameter of the layers and of the ends, on the fuller stage."""
        inside = self.share.layer * per_layer * self.layers
        return larger(inside + self.share.first * outside, inside + self.share.last * outside)

    @classmethod
    def of(cls, design: Design, plan: Plan) -> Stages:
        """Fields broadcast from `design` and `plan`; refuses offloaded activations without checkpoints."""
        keep_heap()
        if plan.offload_activations and plan.recompute != "full":
            raise Unsupported("offload_activations must come with recompute 'full'")
        kinds = storage(plan.precision, plan.implementation)
        counts = parameters(design)
        share = Share.of(design, plan, counts)
        per = PerParameter.of(plan, kinds, counts, share)
        book = ledger(design, plan)
        batch = MicroBatch.of(design, plan, book)
        step = _Step(
            design,
            plan,
            kinds,
            counts,
            share,
            per,
            batch,
            _Saved.of(plan, share, batch, bool(book.dense_ffn)),
        )
        moments = step.last_stage()
        if np.any(np.asarray(plan.pipeline_parallel) > 1):
            moments |= step.first_stage()
        return cls(
            layers=fullest(design.n_layers, plan.pipeline_parallel),
            share=share,
            per=per,
            saved=(step.saved.first, step.saved.last),
            moments=moments,
            stranded=batch.stranded,
            ledger=book,
        )


class _Saved(NamedTuple):
    """Activations kept for the backward pass."""

    layer: Num
    """Of one layer and micro-batch, on the device."""
    working: Num
    """What running a layer backward adds, offloaded ones fetched back included."""
    stash: Num
    """On their way to the host."""
    dense: Num
    """Of the leading dense layers beyond mixture layers, by stage."""
    entry: Num
    """Of the dense layers and the embedding."""
    micro_batches: Num
    in_flight: Num
    """Micro-batches whose activations the first stage holds (1F1B)."""
    first: Instant
    last: Instant

    @classmethod
    def of(cls, plan: Plan, share: Share, batch: MicroBatch, mixed_depth: bool) -> _Saved:
        micro_batches = np.maximum(plan.global_batch / (plan.micro_batch * plan.data_parallel), 1)
        in_flight = np.minimum(plan.pipeline_parallel, micro_batches)
        stash: Num = 0
        layer, working = batch.kept, batch.working
        if plan.offload_activations:
            stash, layer, working = OFFLOAD_STASH * layer, 0 * layer, working + layer
        dense = batch.dense / plan.pipeline_parallel if mixed_depth else 0
        entry = add(dense, batch.entry)
        return cls(
            layer=layer,
            working=working,
            stash=stash,
            dense=dense,
            entry=entry,
            micro_batches=micro_batches,
            in_flight=in_flight,
            first=Instant(layer * in_flight, add(stash, times(entry, in_flight), share.alone * batch.ends)),
            last=Instant(layer, add(dense, stash, batch.ends, times(share.alone, batch.entry))),
        )


@dataclass(frozen=True, slots=True)
class _Step:
    """The order of events of one step, on what a GPU holds."""

    design: Design
    plan: Plan
    kinds: Storage
    counts: Parameters
    share: Share
    per: PerParameter
    batch: MicroBatch
    saved: _Saved

    def last_stage(self) -> dict[str, Instant]:
        """Loss, backward pass and optimizer; without a pipeline this stage has the embedding too."""
        plan, kinds, share, per, batch = self.plan, self.kinds, self.share, self.per, self.batch
        growing, saved = per.growing, self.saved
        held = self._held(share.last)
        tied = int(self.design.tied_embeddings)
        head = self.counts.head_matmul / plan.tensor_parallel
        made = 0 if kinds.gradients_persist else kinds.gradient_made
        # FSDP's gradient shards are freed and made anew between the activations of two steps, and
        # keep their segments: they are counted at every moment.
        accumulated = growing if kinds.gathers else times(np.greater(saved.micro_batches, 1), growing)
        earlier = self._of_last(accumulated)
        so_far = self._of_last(growing)
        gathered = add(self._weights_ahead(), times(share.last, per.gathered))
        reduced = times(share.layer, per.reducing)
        copied_head = times(head, self._copies())
        forward = plus(held, saved.last, Instant(self._copied_layer(), copied_head))
        backward = plus(held, saved.last, Instant(self._copied_backward(), copied_head))
        # Nothing of the embedding and of the first layer's attention has a gradient yet.
        not_yet: Num = 0
        if not is_zero(growing):
            front = 0 if tied else share.alone * share.front
            not_yet = add(self.counts.attention_per_layer / plan.tensor_parallel, front)
        # Two inputs of the tied table's gradient are added into a third tensor.
        at_end = (2 * tied + int(plan.optimizer_in_backward)) * kinds.gradient_made
        moments = {
            "loss, forward": plus(forward, earlier, Instant(0, add(batch.loss_forward, gathered))),
            "loss, backward": plus(backward, earlier, Instant(0, add(batch.loss_backward, gathered))),
            "backward, last layer": plus(
                held,
                Instant(saved.layer, add(saved.dense, saved.stash)),
                Instant(self._copied_backward(), 0),
                earlier,
                Instant(0, add(saved.working, gathered, reduced, times(head, made))),
            ),
            "backward, first layer": plus(
                held, so_far, Instant(0, add(batch.whole, gathered, reduced, -1 * times(not_yet, growing)))
            ),
            "end of backward": plus(
                held, so_far, Instant(0, add(times(share.front, at_end), times(share.last, per.reducing)))
            ),
            "optimizer step": plus(held, so_far, self._of_last(per.in_step)),
        }
        if plan.cross_entropy != "full":
            # The product behind the head runs backward: one gradient of its weights, or two where those
            # of a chunk are added to those of the chunks before it. Fp32 logits are larger than this.
            gradients = 2 * made if plan.cross_entropy == "chunked-cast" else made
            ends = Instant(0, add(batch.head_backward, times(head, gradients), gathered))
            moments["head, backward"] = plus(backward, earlier, ends)
        return moments

    def first_stage(self) -> dict[str, Instant]:
        """Backward passes of the first two micro-batches, with the most activations in flight; zero where
        there is no pipeline, since this stage is then the last one."""
        share, per, saved, kinds = self.share, self.per, self.saved, self.kinds
        held = self._held(share.first)
        reduced = times(share.layer, per.reducing)
        front = times(share.first, per.gathered)
        busy = Instant(self._copied_backward(), add(saved.working, self._weights_ahead(), front, reduced))
        # PyTorch's stages have a buffer to receive in for every micro-batch of the step, and keep their
        # outputs until they go back (torch/distributed/pipelining/stage.py); Megatron frees both.
        torch = self.plan.implementation == "torch"
        passed = Instant(0, self.batch.sent * (saved.micro_batches + saved.in_flight) if torch else 0)
        # FSDP adds a layer's gradients to those of earlier micro-batches once all of them are made.
        adding = Instant(0, kinds.gradient_made * share.layer if kinds.gathers else 0)
        full = times(np.greater(saved.micro_batches, saved.in_flight), per.growing)
        # 1F1B: once one micro-batch has gone back, its activations are gone and gradients exist.
        grown = times(np.greater(saved.micro_batches, 1), per.growing)
        left = np.maximum(saved.in_flight - 1, 1)
        fewer = Instant(saved.layer * left, add(saved.stash, times(saved.entry, left)))
        moments = {
            "first": plus(held, saved.first, busy, passed, self._of_first(full)),
            "second": plus(held, fewer, busy, passed, adding, self._of_first(grown)),
        }
        pipelined = 1 - share.alone
        return {
            f"first stage, {name} backward": Instant(moment.per_layer * pipelined, moment.outside * pipelined)
            for name, moment in moments.items()
        }

    def _held(self, ends: Num) -> Instant:
        """Weights, lasting gradients and optimizer states."""
        per = self.per
        layer = self.share.layer * (per.persistent + per.matrices)
        return Instant(layer, ends * (per.persistent + per.others))

    def _of_last(self, size: Num) -> Instant:
        return Instant(times(self.share.layer, size), times(self.share.last, size))

    def _of_first(self, size: Num) -> Instant:
        return Instant(times(self.share.layer, size), times(self.share.first, size))

    def _weights_ahead(self) -> Num:
        return times(self.share.layer, self.per.gathered * LAYERS_GATHERED)

    def _copies(self) -> Num:
        """Bytes per parameter of autocast's copies."""
        return self.kinds.copied / self.plan.tensor_parallel if self.kinds.copied else 0

    def _copied_layer(self) -> Num:
        """Autocast's copies of a layer's matrices; experts are copied whether or not a token meets them."""
        counts = self.counts
        mixture = np.any(np.asarray(self.design.n_experts))
        experts = counts.attention_matmul_per_layer + counts.ffn_per_layer
        return times(experts if mixture else counts.per_layer_matmul, self._copies())

    def _copied_backward(self) -> Num:
        """Autocast's cache ends with the forward pass; what a checkpointed layer cast is gone with it."""
        return 0 if self.plan.recompute == "full" else self._copied_layer()
