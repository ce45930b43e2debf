"""Published models: their design, how long a context they were trained at, on how many tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from explorer.design import Design
from explorer.errors import UnknownName


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One published model; `source` says where each fact stands."""

    name: str
    family: str
    """Architecture, by Hugging Face's `model_type` where it has one."""
    design: Design
    """Its shape, at the context length of the main pre-training phase."""
    context_length_pretrain: int
    """Tokens per sequence in the main pre-training phase."""
    context_length_final: int
    """Longest training sequence before release, after any extension phase."""
    n_tokens: float | None
    """Training tokens; None where they were not published."""
    n_params_published: float | None
    """Parameters as published, rounded where the publication rounds; None where only the config is."""
    source: str
    note: str = ""


@cache
def models() -> dict[str, Model]:
    """Every published model by name."""
    text = files("explorer.catalog").joinpath("models.json").read_text(encoding="utf-8")
    return {name: _model(name, row) for name, row in json.loads(text).items()}


def model(name: str) -> Model:
    """One published model; letter case does not matter. Raises UnknownName with the nearest names."""
    known = models()
    key = name if name in known else name.lower()
    if key not in known:
        raise UnknownName("model", name, known)
    return known[key]


def _model(name: str, row: dict[str, object]) -> Model:
    facts = dict(row)
    shape = facts.pop("design")
    assert isinstance(shape, dict)
    design = Design(context_length=facts["context_length_pretrain"], **shape)  # type: ignore[arg-type]
    return Model(name=name, design=design, **facts)  # type: ignore[arg-type]
