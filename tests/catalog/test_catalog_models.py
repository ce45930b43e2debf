"""The catalogue of published models: complete, sourced, and counted right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from explorer import catalog, formats
from explorer.cost import parameters
from explorer.errors import UnknownName

RECORDS = json.loads((Path(__file__).parents[1] / "records" / "parameters.json").read_text())["models"]


def test_holds_at_least_eighty_with_sources() -> None:
    models = catalog.models()
    assert len(models) >= 80
    for name, model in models.items():
        assert model.name == name == name.lower()
        assert model.source, name
        assert 1024 <= model.context_length_pretrain <= model.context_length_final, name
        assert model.design.context_length == model.context_length_pretrain
        assert model.n_tokens is None or 1e10 < model.n_tokens < 1e14


def test_every_model_is_what_its_config_says() -> None:
    assert set(catalog.models()) == set(RECORDS)
    for name, model in catalog.models().items():
        read = formats.read(RECORDS[name]["config"])
        assert read.with_(context_length=model.context_length_pretrain) == model.design, name


def test_every_count_equals_transformers() -> None:
    for name, model in catalog.models().items():
        counted = parameters(model.design)
        assert (name, counted.total, counted.active) == (
            name,
            RECORDS[name]["total"],
            RECORDS[name]["active"],
        )


def test_published_counts_reproduce() -> None:
    """Exactly where the publication is exact, within its rounding where it rounds (GPT-3: 3 digits)."""
    for name, model in catalog.models().items():
        published = model.n_params_published
        if published is None:
            continue
        exact = published % 1e5 != 0
        total = parameters(model.design).total
        assert total == published if exact else abs(total / published - 1) < 0.02, name


def test_lookup_ignores_case_and_suggests() -> None:
    assert catalog.model("Llama-2-7B") is catalog.model("llama-2-7b")
    with pytest.raises(UnknownName, match="did you mean llama-2-7b"):
        catalog.model("lama-2-7b")
