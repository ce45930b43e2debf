"""A small landscape from the cost functions alone: limits on compute, parameters and a kind of memory."""

from types import SimpleNamespace

import numpy as np

from explorer import quality
from explorer.claims.landscape import Landscape
from explorer.cost.flops import flops
from explorer.cost.parameters import parameters
from explorer.design import Design
from explorer.search.space import FfnChoice, Lattice, ScheduleChoice


def small_landscape(
    compute=2e21,
    cap=3e9,
    staged=(0.0, 0.0),
    contexts=(2048, 4096, 8192, 16384, 32768, 65536),
    widths=range(1024, 4097, 256),
    depths=range(8, 49, 4),
    token_bytes=None,
    data=np.inf,
):
    c, d, layers = (np.array(list(v), dtype=float) for v in (contexts, widths, depths))
    design = Design.of(
        c[:, None, None], d[None, :, None], layers[None, None, :], d_head=128, d_ff=4 * d[None, :, None],
        ffn="gelu", position="none",
    )  # fmt: skip
    shape = (len(c), len(d) * len(layers))

    def flat(value):
        return np.broadcast_to(value, (len(c), len(d), len(layers))).reshape(shape)

    cost = flops(design).train_per_token()
    if staged[0]:
        short = flops(design.with_(context_length=staged[0])).train_per_token()
        cost = (1 - staged[1]) * short + staged[1] * cost
    n_params = flat(parameters(design).total)
    by_compute = compute / flat(cost)
    excess = {"parameters": n_params / cap - 1}
    if token_bytes is not None:
        excess["gpu_memory"] = flat(c[:, None, None] * d[None, :, None] * layers) / token_bytes - 1
    return Landscape(
        contexts=c,
        d_model=np.repeat(d, len(layers)),
        n_layers=np.tile(layers, len(d)),
        choices={},
        n_params=n_params,
        n_law=n_params,
        n_tokens=np.minimum(by_compute, data),
        tokens_by_compute=by_compute,
        tokens_of_data=data,
        excess=excess,
        exists=np.broadcast_to((staged[0] == 0) | (staged[0] < c[:, None]), shape).copy(),
        staged_from=staged[0],
        staged_share=staged[1],
    )


class SmallProblem:
    """A problem with a real lattice whose costs are FLOPs and parameters alone (no plans, no seconds)."""

    def __init__(
        self,
        *,
        compute=2e21,
        tokens=None,
        cap=3e9,
        corpus="books",
        contexts=(1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072),
        widths=tuple(range(1024, 4097, 256)),
        depths=tuple(range(8, 49, 4)),
        schedule=((0.0, 0.0), (4096.0, 0.1)),
        kv=(8,),
        activation_bytes=np.inf,
        baseline=None,
        aspect="mixed",
        reference=2048,
        min_gain=0.05,
        law="besiroglu-2024",
    ):
        self.compute, self.tokens, self.cap, self.activation_bytes = compute, tokens, cap, activation_bytes
        self.lattice = Lattice(
            context_length=np.array(contexts, dtype=float),
            d_model=np.array(widths, dtype=float),
            n_layers=np.array(depths, dtype=float),
            d_head=np.array([128.0]),
            n_kv_heads=np.array(kv, dtype=float),
            vocab_size=np.array([32000.0]),
            ffn=(FfnChoice("swiglu", 3.5),),
            schedule=tuple(ScheduleChoice(*s) for s in schedule),
        )
        given = {"flops": compute, "tokens": tokens}
        self.training_limits = {k: v for k, v in given.items() if v is not None}
        self.memory_limit_bytes = activation_bytes
        self.corpus = quality.corpus(corpus)
        self.budget = SimpleNamespace(
            name="small",
            limits=SimpleNamespace(parameters=cap, gpu_memory=None, serving=None),
            quality=SimpleNamespace(law=law, corpus=corpus, aspect=aspect, nu=None),
            trade=SimpleNamespace(reference_context=reference, min_gain=min_gain),
            baseline=baseline,
        )

    def evaluate(self, design):
        c = design.context_length
        cost = flops(design).train_per_token()
        staged_from, share = np.asarray(design.staged_from), np.asarray(design.staged_share)
        if np.any(staged_from):
            short = flops(design.with_(context_length=staged_from)).train_per_token()
            cost = np.where(staged_from > 0, (1 - share) * short + share * cost, cost)
        by_limit = {} if self.compute is None else {"flops": self.compute / cost}
        if self.tokens is not None:
            by_limit["tokens"] = np.asarray(self.tokens) + 0 * cost
        n_tokens = np.minimum.reduce(list(by_limit.values()))
        n_params = parameters(design).total
        held = 34.0 * c * design.d_model * design.n_layers
        used = {"parameters": n_params / self.cap, "gpu_memory": held / self.activation_bytes}
        trained = {"flops": n_tokens * cost / self.compute} if self.compute is not None else {}
        return SimpleNamespace(
            design=design,
            n_params=n_params,
            n_params_non_embedding=parameters(design).non_embedding,
            n_tokens=n_tokens,
            n_tokens_by_limit=by_limit,
            train_flops=n_tokens * cost,
            peak_device_bytes=held,
            used=used | trained,
            constraints={k: v - 1 for k, v in used.items()},
        )
