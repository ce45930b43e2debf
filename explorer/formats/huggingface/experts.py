"""Mixtures of experts: the routed ones, the shared ones, and which layers are dense."""

from __future__ import annotations

from dataclasses import dataclass

from explorer.design import Design
from explorer.formats.huggingface.config import Config
from explorer.formats.huggingface.quirk import Fields, check_types


@dataclass(frozen=True, kw_only=True)
class Experts:
    """A mixture of experts and what stands beside the routed ones."""

    n: str = "num_experts"
    active: str = "num_experts_per_tok"
    width: str = "intermediate_size"
    n_shared: str | None = None
    """Key that counts shared experts, each as wide as a routed one."""
    shared_width: str | None = None
    """Key that gives the shared experts' width together."""
    n_dense: str | None = None
    """Key that counts leading dense layers."""
    dense: int = 0
    """Leading dense layers where no key counts or lists them."""
    layer_types: str | None = None
    """Key that lists every layer as dense or sparse; it goes before the counts."""
    sparse_step: bool = False
    """Dense layers are named by `decoder_sparse_step` and `mlp_only_layers`."""

    def read(self, config: Config, fields: Fields) -> Fields:
        width = config.size(self.width)
        found: Fields = {
            "n_experts": config.size(self.n),
            "n_experts_active": config.size(self.active),
            "d_ff_expert": width,
        }
        if found["n_experts_active"] > found["n_experts"]:
            raise config.error(self.active, f"at most {self.n}", found["n_experts_active"])
        if self.n_shared:
            found["n_experts_shared"] = config.maybe(self.n_shared, least=0) or 0
        if self.shared_width and (shared := config.maybe(self.shared_width, least=0)):
            if shared % width:
                raise config.error(self.shared_width, f"a multiple of {self.width}", shared)
            found["n_experts_shared"] = shared // width
        if self.dense:
            found["n_dense_layers"] = min(self.dense, fields["n_layers"])
        if self.n_dense:
            found["n_dense_layers"] = config.maybe(self.n_dense, least=0) or 0
        if self.layer_types and (types := config.get(self.layer_types)) is not None:
            check_types(config, self.layer_types, ("dense", "sparse"), fields["n_layers"], types)
            found["n_dense_layers"] = types.count("dense")
        if self.sparse_step:
            step = config.size("decoder_sparse_step")
            only = config.get("mlp_only_layers") or []
            dense = [i for i in range(fields["n_layers"]) if i in only or (i + 1) % step]
            found["n_dense_layers"] = len(dense)
        return found

    def write(self, design: Design) -> Fields:
        keys: Fields = {
            self.width: int(design.d_ff_expert),
            self.n: int(design.n_experts),
            self.active: int(design.n_experts_active),
        }
        if self.n_shared:
            keys[self.n_shared] = int(design.n_experts_shared)
        if self.shared_width:
            keys[self.shared_width] = int(design.n_experts_shared * design.d_ff_expert)
        if self.n_dense:
            keys[self.n_dense] = int(design.n_dense_layers)
        if self.layer_types:
            dense, n_layers = int(design.n_dense_layers), int(design.n_layers)
            keys[self.layer_types] = ["dense"] * dense + ["sparse"] * (n_layers - dense)
        if self.sparse_step:
            keys |= {"decoder_sparse_step": 1, "mlp_only_layers": list(range(int(design.n_dense_layers)))}
        return keys


class ErnieSpan:
    """ERNIE 4.5's sparse layers: every so many of those between two indices."""

    def read(self, config: Config, fields: Fields) -> Fields:
        n_layers = fields["n_layers"]
        start, step = config.size("moe_layer_start_index", least=0), config.size("moe_layer_interval")
        end = config.size("moe_layer_end_index", least=-1)
        last = n_layers - 1 if end == -1 else end
        sparse = [i for i in range(n_layers) if (i + 1) % step == 0 and start <= i <= last]
        return {"n_dense_layers": n_layers - len(sparse)}

    def write(self, design: Design) -> Fields:
        return {
            "moe_layer_start_index": int(design.n_dense_layers),
            "moe_layer_end_index": -1,
            "moe_layer_interval": 1,
        }
