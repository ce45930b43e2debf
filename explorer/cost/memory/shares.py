"""Parameters on one GPU, and the bytes that each of them takes there as ZeRO shards them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.cost.memory.instants import add
from explorer.cost.parameters import Parameters
from explorer.cost.precision import Storage, optimizer_states
from explorer.design import Design, Plan
from explorer.units import Num


class Share(NamedTuple):
    """Parameters on one GPU."""

    layer: Num
    """Of one layer."""
    first: Num
    """Outside the layers, on the first stage of the pipeline."""
    last: Num
    """The same on the last stage."""
    front: Num
    """Of the embedding alone."""
    alone: Num
    """1 where the first stage is also the last."""

    @classmethod
    def of(cls, design: Design, plan: Plan, counts: Parameters) -> Share:
        tp, pp = plan.tensor_parallel, plan.pipeline_parallel
        alone = np.equal(pp, 1) * 1
        mixed_depth = np.any(np.asarray(design.n_dense_layers))
        extra = counts.dense_layers_extra / tp / pp if mixed_depth else 0
        front = (counts.embedding + counts.projection + counts.position) / tp
        back = counts.head / tp + counts.norms_outside
        again = (1 - alone) / tp * counts.embedding if design.tied_embeddings else 0
        return cls(
            layer=(counts.attention_per_layer + counts.ffn_per_layer) / tp + counts.norms_per_layer,
            first=add(front, alone * back, extra),
            last=add(back, alone * front, again, extra),
            front=front,
            alone=alone,
        )


class PerParameter(NamedTuple):
    """Bytes per parameter on one GPU."""

    weight: Num
    """Weights, gathered ones included where they stay gathered."""
    gradient: Num
    """Gradients that are still there when the backward pass has ended."""
    growing: Num
    """Gradients that come up during the backward pass and stay until the step; 0 where they never go."""
    persistent: Num
    """Weights, and gradients where they never go."""
    matrices: Num
    """Optimizer states of the layers."""
    others: Num
    """Optimizer states of the ends."""
    in_step: Num
    """What the optimizer makes while it steps."""
    gathered: Num
    """Weights that stage 3 gathers for a layer and gives back."""
    reducing: Num
    """Gradients on their way into their shards: as made, and the buffer reduced."""

    @classmethod
    def of(cls, plan: Plan, kinds: Storage, counts: Parameters, share: Share) -> PerParameter:
        states = optimizer_states(plan.optimizer)
        by1, by2, by3 = (_shards(plan, stage) for stage in (1, 2, 3))
        pipelined = 1 - share.alone
        at_stage_3 = np.greater_equal(plan.zero_stage, 3)
        weight = kinds.weight / (by1 if kinds.gathers else by3)
        whole = kinds.gathered * np.less(plan.zero_stage, 3) if kinds.gathers else 0
        # PyTorch's pipeline stages keep gathered weights and whole gradients over all micro-batches.
        held = at_stage_3 * kinds.gathered * pipelined
        made = kinds.gradient / np.where(pipelined > 0, 1, by2)[()]
        stays = not (kinds.gradients_persist or plan.optimizer_in_backward)
        growing = made if stays else 0

        on_host = int(plan.offload_optimizer)
        matrices = (kinds.master + states.matrices * kinds.state + states.fixed_bytes) * (1 - on_host) / by1
        others = (kinds.master + states.others * kinds.state + states.fixed_bytes) * (1 - on_host) / by1
        if states.matrices != states.others:
            # Norms inside the layers are no matrices.
            matrices = matrices + (others - matrices) * counts.norms_per_layer / share.layer
        gathers = at_stage_3 * (1 - pipelined)
        reduces = np.greater(by2, 1) * (1 - pipelined)
        return cls(
            weight=weight + whole,
            gradient=made if kinds.gradients_persist else growing,
            growing=growing,
            persistent=weight + whole + held + (made if kinds.gradients_persist else 0),
            matrices=matrices,
            others=others,
            in_step=made if states.foreach and stays else 0,
            gathered=kinds.gathered * gathers if np.any(gathers) else 0,
            reducing=(kinds.gradient_made + kinds.gradient) * reduces if np.any(reduces) else 0,
        )


def _shards(plan: Plan, stage: int) -> Num:
    """Over how many ranks ZeRO `stage` splits its part."""
    ranks = plan.data_parallel * plan.context_parallel
    return np.where(np.greater_equal(plan.zero_stage, stage), ranks, 1)[()]
