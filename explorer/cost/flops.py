"""Floating-point operations of a design: per operation, per token, per sequence, forward and training.

Two FLOPs per multiply-add; matrix products only (norms, activations and softmax are a fraction of
a percent). Every attention figure says its convention: `full` charges a query with every key it
could see without a causal mask, `causal` with the average number it does see. A query at position
i (continuous) sees min(i, w) keys of a window w, on average w·(1 − w/2c); w = c gives c/2.

Model FLOPs are forward + 2 × forward; what a run really computes (`hardware_*`) adds recomputation
and flash attention's recomputed scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from explorer.cost.parameters import Parameters, parameters
from explorer.design import AttentionKernel, Design, Implementation, Recompute
from explorer.errors import UnknownName
from explorer.units import Num

Convention: TypeAlias = Literal["causal", "full"]

# Backward of core attention in forwards: two matrix products forward, four backward; flash
# recomputes QKᵀ as a fifth (Dao 2022, arXiv:2205.14135, algorithm 4; torch.utils.flop_counter agrees).
ATTENTION_BACKWARD: dict[AttentionKernel, float] = {"naive": 2.0, "flash": 2.5}


@dataclass(frozen=True, kw_only=True, slots=True)
class Flops:
    """Operations of one design at its context length; shapes broadcast from the design's fields.

    A staged schedule's short tokens are the same design at `staged_from`: ask for them apart.
    """

    design: Design
    parameters: Parameters

    @property
    def linear_per_token(self) -> Num:
        """Forward FLOPs per token of all products with weights, 2·W (head included)."""
        return 2 * self.parameters.matmul

    @property
    def head_per_token(self) -> Num:
        """Forward FLOPs per token of the output head, part of `linear_per_token`."""
        return 2 * self.parameters.head_matmul

    def attention_per_token(self, convention: Convention = "causal") -> Num:
        """Forward FLOPs per token of scores (QKᵀ) and mix (AV), over all layers."""
        return _widths(self.design) * _doubled_keys(self.design, convention)

    def forward_per_token(self, convention: Convention = "causal") -> Num:
        """Forward FLOPs per token."""
        return self.linear_per_token + self.attention_per_token(convention)

    def forward_per_sequence(self, convention: Convention = "causal") -> Num:
        """Forward FLOPs of one sequence of context_length tokens; exact for Python integers."""
        linear = self.linear_per_token * self.design.context_length
        return linear + _widths(self.design) * _doubled_pairs(self.design, convention)

    def train_per_token(self, convention: Convention = "causal") -> Num:
        """Model FLOPs per training token: forward and a backward of twice as many; no recomputation."""
        return 3 * self.forward_per_token(convention)

    def recompute_per_token(
        self,
        recompute: Recompute = "none",
        convention: Convention = "causal",
        implementation: Implementation = "torch",
    ) -> Num:
        """FLOPs per token that checkpointing repeats before the backward pass.

        `selective` repeats core attention (Korthikanti 2022, arXiv:2205.05198, section 5);
        `selective-op` core attention never and every second product with a weight matrix (torchtitan's policy);
        `full` one forward of every layer, of which PyTorch stops before the last product.
        """
        attention = self.attention_per_token(convention)
        if recompute == "none":
            return 0 * attention
        if recompute == "selective":
            return attention
        layers = self.linear_per_token - self.head_per_token
        if recompute == "selective-op":
            return layers / 2 + 0 * attention
        if implementation == "torch":
            layers = layers - 2 * self.last_matmul
        return layers + attention

    @property
    def last_matmul(self) -> Num:
        """Weights of the last product of every layer, which an early-stopped recomputation skips."""
        design = self.design
        # Experts end in a gather of their outputs, behind the last product: nothing is skipped there.
        mixture = np.any(np.asarray(design.n_experts))
        layers = design.n_dense_layers if mixture else design.n_layers
        return design.d_ff * design.d_model * layers

    def hardware_train_per_token(
        self,
        recompute: Recompute = "none",
        kernel: AttentionKernel = "flash",
        convention: Convention = "causal",
        implementation: Implementation = "torch",
    ) -> Num:
        """FLOPs per training token that the device executes: model FLOPs, recomputation, flash's fifth product."""
        return sum(self.passes(recompute, kernel, convention, implementation).values())

    def passes(
        self,
        recompute: Recompute = "none",
        kernel: AttentionKernel = "flash",
        convention: Convention = "causal",
        implementation: Implementation = "torch",
    ) -> dict[str, Num]:
        """FLOPs per training token by pass; the first two are model FLOPs, all four what the device executes."""
        forward = self.forward_per_token(convention)
        attention = self.attention_per_token(convention)
        return {
            "forward": forward,
            "backward": 2 * forward,
            "attention kernel's own recomputation": (ATTENTION_BACKWARD[kernel] - 2) * attention,
            "checkpointing's recomputation": self.recompute_per_token(recompute, convention, implementation),
        }

    def attention_share(self, convention: Convention = "causal", *, head: bool = True) -> Num:
        """Core attention's share of the forward FLOPs, with the output head or without."""
        attention = self.attention_per_token(convention)
        linear = self.linear_per_token if head else self.linear_per_token - self.head_per_token
        return attention / (linear + attention)

    def operations(self, convention: Convention = "causal") -> dict[str, Num]:
        """Forward FLOPs per token by operation, over all layers; they sum to `forward_per_token`."""
        return _operations(self.design, self.parameters, convention)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the figures rest on."""
        notes = [
            "FLOPs count 2 per multiply-add of matrix products; norms, activations and softmax are left out",
            "model FLOPs take the backward pass as twice the forward and no recomputation",
        ]
        if np.any(np.asarray(self.design.global_tokens)):
            notes.append("global tokens stand at the start of the sequence")
        if np.any(np.asarray(self.design.n_experts)):
            notes.append("every routed token is computed: no capacity limit drops or pads tokens")
        return tuple(notes)


def flops(design: Design) -> Flops:
    """The operations of `design`."""
    return Flops(design=design, parameters=parameters(design))


def keys_per_query(design: Design, convention: Convention = "causal") -> Num:
    """Keys a query meets, averaged over positions and layers."""
    return _doubled_keys(design, convention) / (2 * design.n_layers)


def _widths(design: Design) -> Num:
    """Width of all heads' keys plus that of their values: numbers per query-key pair, per layer."""
    keys = design.n_heads * design.d_head
    if not np.any(np.asarray(design.kv_lora_rank)):
        return 2 * keys
    return keys + design.n_heads * design.d_head_v


def _doubled_keys(design: Design, convention: Convention) -> Num:
    """Twice the keys per query, summed over layers: whole numbers where nothing is windowed."""
    _check(convention)
    if not np.any(np.asarray(design.window)):
        factor = 1 if convention == "causal" else 2
        return factor * design.context_length * design.n_layers
    return _doubled_pairs(design, convention) / design.context_length


def _doubled_pairs(design: Design, convention: Convention) -> Num:
    """Twice the query-key pairs of one sequence, summed over layers; whole numbers."""
    _check(convention)
    c = design.context_length
    everywhere = c * c if convention == "causal" else 2 * c * c
    if not np.any(np.asarray(design.window)):
        return everywhere * design.n_layers
    # Under a causal mask a query at position i sees min(i, window) near keys, then the global tokens
    # at the start as far as they lie outside the window, then its random keys among the rest:
    # min(i, window + global + random) in all, as of one window of their sum.
    seen = np.minimum(design.window + design.global_tokens + design.random_tokens, c)
    if convention == "causal":
        windowed = seen * (2 * c - seen)
    else:
        # Global tokens also look at everything (Longformer, arXiv:2004.05150, section 3.1).
        windowed = 2 * (seen * c + np.minimum(design.global_tokens, c) * (c - seen))
    n_global = design.n_global_layers
    pairs = n_global * everywhere + (design.n_layers - n_global) * windowed
    return pairs if isinstance(pairs, np.ndarray) and pairs.ndim else _number(pairs)


def _operations(design: Design, counts: Parameters, convention: Convention) -> dict[str, Num]:
    """Forward FLOPs per token by operation, over all layers."""
    layers = design.n_layers
    keys = design.n_heads * design.d_head
    per_width = _doubled_keys(design, convention)
    mixing = _widths(design) - keys
    table: dict[str, Num] = {}
    if np.any(np.asarray(design.kv_lora_rank)):
        output = 2 * mixing * design.d_model * layers
        table["latent projections"] = 2 * counts.attention_matmul_per_layer * layers - output
        table["attention output"] = output
    else:
        table["queries"] = 2 * design.d_model * keys * layers
        table["keys and values"] = 4 * design.d_model * design.n_kv_heads * design.d_head * layers
        table["attention output"] = 2 * keys * design.d_model * layers
    table["attention scores"] = keys * per_width
    table["attention mix"] = mixing * per_width
    if np.any(np.asarray(design.n_experts)):
        ffn = 2 * (counts.ffn_matmul_per_layer * layers + counts.dense_layers_extra_matmul)
        router = 2 * design.d_model * design.n_experts * (layers - design.n_dense_layers)
        table["router"] = router
        table["experts and feed-forward"] = ffn - router
    else:
        table["feed-forward in"] = 2 * (2 if design.gated else 1) * design.d_model * design.d_ff * layers
        table["feed-forward out"] = 2 * design.d_ff * design.d_model * layers
    if np.any(np.asarray(counts.projection)):
        table["embedding projections"] = 2 * counts.projection
    table["output head"] = 2 * counts.head_matmul
    return table


def _check(convention: Convention) -> None:
    if convention not in ("causal", "full"):
        raise UnknownName("FLOP convention", convention, ("causal", "full"))


def _number(value: Num) -> Num:
    """A numpy scalar as the Python number it is."""
    return value.item() if isinstance(value, np.generic) else value
