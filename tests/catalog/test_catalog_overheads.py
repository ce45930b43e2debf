"""Overheads of a training process: every figure with its range, unit and source."""

from __future__ import annotations

import json
from importlib.resources import files

from explorer.catalog.overheads import overheads
from explorer.cost.memory import outside_allocator_bytes
from explorer.design import Plan
from explorer.units import GIB


def test_every_figure_has_range_unit_and_source() -> None:
    rows = json.loads(files("explorer.catalog").joinpath("overheads.json").read_text(encoding="utf-8"))
    for name, row in rows.items():
        assert row["low"] <= row["value"] <= row["high"], name
        assert row["unit"]
        assert row["source"]


def test_one_gpu_needs_no_collectives() -> None:
    # Published: 0.47 GiB of context, and 0.5 to 2 GiB in all beside the allocator.
    assert outside_allocator_bytes(Plan()) == overheads().context_bytes == 0.47 * GIB
    assert 0.5 * GIB < outside_allocator_bytes(Plan(data_parallel=8)) < 2 * GIB
