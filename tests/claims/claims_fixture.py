"""A small landscape from the cost functions alone: limits on compute, parameters and a kind of memory."""

import numpy as np

from explorer.claims.landscape import Landscape
from explorer.cost.flops import flops
from explorer.cost.parameters import parameters
from explorer.design import Design


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
        levers={},
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
