"""Which layers of an architecture attend in a sliding window; a design says it by a period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from explorer.design import Design
from explorer.errors import Unsupported
from explorer.formats.huggingface.config import Config
from explorer.formats.huggingface.quirk import Fields, check_types


@dataclass(frozen=True, kw_only=True)
class Window:
    """Sliding windows: every layer, or all but one in `every`."""

    key: str = "sliding_window"
    every: int = 0
    pattern: str | None = None
    """Key that names the period in configs older than `layer_types`."""
    first: bool = False
    """Layer 0 is a global one (and not the last of each period), where no `layer_types` are given."""
    late: bool = False
    """Only layers from `max_window_layers` on have the window."""
    switch: str | None = None
    """Key that must be true for the window to count."""

    def read(self, config: Config, fields: Fields) -> Fields:
        window = config.maybe(self.key, least=0)
        if not window or (self.switch and not config.flag(self.switch)):
            return {}
        n_layers = fields["n_layers"]
        types = config.get("layer_types")
        if types is not None:
            return _from_types(config, window, n_layers, types)
        if self.late:
            n_global = min(config.maybe("max_window_layers", least=0) or 0, n_layers)
            return _pattern(config, window, n_layers, n_global)
        every = (config.maybe(self.pattern, least=0) if self.pattern else None) or self.every
        if self.first:
            return _pattern(config, window, n_layers, -(-n_layers // every))
        return {"window": window, "global_every": every}

    def write(self, design: Design) -> Fields:
        if not design.window:
            # Without layer types these families would put their default window back.
            every_layer_full = (
                {"layer_types": ["full_attention"] * int(design.n_layers)} if self.every else {}
            )
            return {self.key: None, **every_layer_full, **({self.switch: False} if self.switch else {})}
        every = int(design.global_every)
        kinds = [
            "full_attention" if every and (i + 1) % every == 0 else "sliding_attention"
            for i in range(int(design.n_layers))
        ]
        keys: Fields = {self.key: int(design.window)}
        if self.switch:
            keys[self.switch] = True
        if self.late:
            keys["max_window_layers"] = 0
        if self.every or (self.late and every):
            keys["layer_types"] = kinds
        return keys


class SmolLm3:
    """SmolLM3: windows where `layer_types` says so, or else on the layers without rotary positions."""

    def read(self, config: Config, fields: Fields) -> Fields:
        window, n_layers = config.maybe("sliding_window", least=0), fields["n_layers"]
        if not window or not config.flag("use_sliding_window"):
            return {}
        types = config.get("layer_types")
        if types is None:
            every = config.size("no_rope_layer_interval")
            rotary = config.get("no_rope_layers") or [(i + 1) % every for i in range(n_layers)]
            types = ["full_attention" if rotates else "sliding_attention" for rotates in rotary]
        return _from_types(config, window, n_layers, types)

    def write(self, design: Design) -> Fields:
        every_layer_rotates = {"no_rope_layers": [1] * int(design.n_layers)}
        if not design.window:
            return every_layer_rotates | {"use_sliding_window": False}
        return (
            every_layer_rotates
            | {"use_sliding_window": True}
            | Window(every=int(design.global_every) or 1).write(design)
        )


class GptNeo:
    """GPT-Neo: layers alternate between global and local attention; d_ff is 4·d unless given."""

    def read(self, config: Config, fields: Fields) -> Fields:
        types = config.get("attention_types")
        if types is None:
            types = [[["global", "local"], fields["n_layers"] // 2]]
        try:
            kinds = [kind for group, times in types for _ in range(times) for kind in group]
        except (TypeError, ValueError):
            raise config.error("attention_types", "a list of [kinds, times]", types) from None
        if len(kinds) != fields["n_layers"]:
            raise config.error("attention_types", f"{fields['n_layers']} layers", types)
        if "local" not in kinds:
            return {}
        return _pattern(config, config.size("window_size"), fields["n_layers"], kinds.count("global"))

    def write(self, design: Design) -> Fields:
        n_layers, every = int(design.n_layers), int(design.global_every)
        if not design.window:
            return {"attention_types": [[["global"], n_layers]]}
        if every and n_layers % every:
            raise Unsupported(f"gpt_neo needs n_layers to be a multiple of global_every, got {n_layers}")
        period = (["global"] + ["local"] * (every - 1)) if every else ["local"]
        return {
            "attention_types": [[period, n_layers // len(period)]],
            "window_size": int(design.window),
        }


def _from_types(config: Config, window: int, n_layers: int, types: Any) -> Fields:
    """Window fields from a list that names every layer's kind."""
    check_types(config, "layer_types", ("full_attention", "sliding_attention"), n_layers, types)
    is_global = [kind == "full_attention" for kind in types]
    if any(is_global) and not all(is_global):
        every = is_global.index(True) + 1
        if is_global == [(i + 1) % every == 0 for i in range(n_layers)]:
            return {"window": window, "global_every": every}
    return _pattern(config, window, n_layers, sum(is_global))


def _pattern(config: Config, window: int, n_layers: int, n_global: int) -> Fields:
    """Window fields with as many global layers; a design says it by a period."""
    if n_global == n_layers:
        return {}
    if n_global == 0:
        return {"window": window, "global_every": 0}
    every = n_layers // n_global
    if n_layers // every != n_global:
        raise Unsupported(
            f"{config.source}: {n_global} global layers of {n_layers} are no regular pattern; "
            "a design names one global layer in every so many"
        )
    return {"window": window, "global_every": every}
