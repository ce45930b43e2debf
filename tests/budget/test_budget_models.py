"""What a budget holds once it is read, and that it comes back from its text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.budget import Budget, difference, dump, fingerprint, load, parse, starter
from explorer.budget.grids import grid, length
from explorer.budget.hardware import AcceleratorSpec
from explorer.budget.readers import count, duration, rate, share, size, whole, written_rate, written_size
from explorer.catalog import Accelerator, accelerator, model
from explorer.units import format_duration

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
MINIMAL = """\
name: small
budget: {parameters: 7B, training: {days: 14}}
hardware: {accelerator: a100-sxm-80gb, gpus: 8}
"""
OWN = """\
name: small
budget: {parameters: 7B, training: {days: 14}}
hardware:
  gpus: 8
  accelerator:
    name: mine
    memory_bytes: 96GiB
    peak_flops: {bf16: 1e15}
    hbm_bandwidth: 4TB/s
    link_bandwidth: 4.5e11
    network_bandwidth: 400Gbit/s
    host_bandwidth: 32GB/s
    gpus_per_node: 8
    n_units: 140
"""


def with_line(line: str) -> str:
    return MINIMAL + line + "\n"


def test_every_section_has_defaults() -> None:
    budget = parse(MINIMAL)
    assert budget.limits.parameters == 7e9
    assert budget.limits.training.given == {"days": 14.0}
    assert budget.gpu_memory_bytes == accelerator("a100-sxm-80gb").memory_bytes
    assert [(o.direction, o.metric) for o in budget.objectives] == [
        ("minimize", "loss"),
        ("maximize", "context_length"),
    ]
    assert (budget.trade.reference_context, budget.trade.min_gain) == (2048, 0.05)
    assert (budget.search.trials, budget.search.sampler, budget.search.seed) == (300, "auto", 0)
    assert budget.training.plan.fixed == {}
    assert budget.notes == ()


def test_the_example_of_one_node() -> None:
    budget = load(next(p for p in STUDIES if p.stem == "one-node"))
    assert budget.limits.parameters == 8e9
    assert budget.limits.training.gpu_hours == 20_000
    assert budget.limits.serving is not None
    assert budget.limits.serving.gpu_memory == 24 * 2**30
    assert budget.training.global_batch_tokens == 4_000_000
    assert [(s.staged_from, s.staged_share) for s in budget.space.schedule] == [(0, 0), (4096, 0.05)]
    assert budget.space.d_model.points[:3] == (1024, 1152, 1280)
    assert budget.gpu_memory_bytes == accelerator("h100-sxm-80gb").memory_bytes < 80 * 2**30
    assert "79.6 GiB" in budget.notes[0]


def test_forms_of_levers() -> None:
    budget = parse(
        with_line(
            "space: {n_layers: [24, 12], d_head: [64, 128], n_kv_heads: [all, 4], ffn: [gelu, {kind: swiglu, ratio: 3}],"
            " attention: [full, {window: 512, global: 16, random: 8}], "
            " schedule: {staged: {from: [1k, 2048], share: [5%, 0.2]}}}"
        )
    )
    space = budget.space
    assert space.n_layers.points == (12, 24)
    assert space.n_kv_heads == ("all", 4)
    assert [(f.kind, f.ratio) for f in space.ffn] == [("gelu", 4.0), ("swiglu", 3.0)]
    assert [(a.window, a.global_tokens, a.random_tokens) for a in space.attention] == [
        (0, 0, 0),
        (512, 16, 8),
    ]
    assert [(s.staged_from, s.staged_share) for s in space.schedule] == [
        (1000, 0.05), (1000, 0.2), (2048, 0.05), (2048, 0.2)
    ]  # fmt: skip
    assert parse(dump(budget)) == budget


def test_yaml_is_1_2() -> None:
    budget = parse(MINIMAL.replace("small", "on").replace("7B", "7_000_000_000"))
    assert (budget.name, budget.limits.parameters) == ("on", 7e9)


def test_anchors_and_merge_keys() -> None:
    text = with_line(
        "space:\n  d_model: &axis {from: 1024, to: 4096, multiple_of: 128}\n  n_layers: {<<: *axis, from: 128}"
    )
    axis = parse(text).space.n_layers
    assert (axis.low, axis.high, axis.multiple_of) == (128, 4096, 128)


def test_an_accelerator_of_ones_own() -> None:
    device = parse(OWN).hardware.device
    assert isinstance(device, Accelerator)
    assert (device.memory_bytes, device.network_bandwidth) == (96 * 2**30, 50e9)
    known = set(Accelerator.__dataclass_fields__) - {"notes"}
    assert known <= set(AcceleratorSpec.model_fields) | {"notes"}


def test_a_corpus_of_ones_own() -> None:
    budget = parse(with_line("quality: {corpus: {name: mine, amplitude: [0.2, 0.4]}}"))
    assert (budget.corpus.name, budget.corpus.amplitude_high) == ("mine", 0.4)


def test_a_baselines_own_context_is_the_reference() -> None:
    budget = parse(with_line("baseline: llama-2-7b"))
    assert budget.trade.reference_context == model("llama-2-7b").context_length_pretrain


def test_a_reference_outside_the_space_moves_with_a_note() -> None:
    budget = parse(with_line("space: {context_length: {from: 4096, to: 65536, per_octave: 2}}"))
    assert budget.trade.reference_context == 4096
    assert "4,096" in budget.notes[-1]


def test_files_are_relative_to_the_budget(tmp_path: Path) -> None:
    (tmp_path / "corpus.json").write_text('{"name": "mine", "amplitude": [0.1, 0.3]}')
    (tmp_path / "budget.yaml").write_text(with_line("quality: {corpus: corpus.json}"))
    budget = load(tmp_path / "budget.yaml")
    assert budget.corpus.amplitude_high == 0.3
    assert parse(dump(budget)) == budget
    before = fingerprint(budget)
    (tmp_path / "corpus.json").write_text('{"name": "mine", "amplitude": [0.1, 0.4]}')
    assert fingerprint(budget) != before


@pytest.mark.parametrize("text", [*(p.read_text() for p in STUDIES), starter(), MINIMAL, OWN])
def test_canonical_text_comes_back_equal(text: str) -> None:
    budget = parse(text)
    again = parse(dump(budget))
    assert again == budget
    assert dump(again) == dump(budget)
    assert fingerprint(again) == fingerprint(budget)
    assert difference(budget, again) == []


def test_a_difference_is_a_line_per_key() -> None:
    old = parse(MINIMAL)
    new = parse(MINIMAL.replace("days: 14", "days: 21").replace("gpus: 8", "gpus: 16"))
    assert difference(old, new) == ["budget.training.days: 14 → 21", "hardware.gpus: 8 → 16"]
    assert fingerprint(old) != fingerprint(new)


def test_models_are_frozen_and_strict() -> None:
    budget = parse(MINIMAL)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        budget.name = "other"  # type: ignore[misc]
    with pytest.raises(pydantic.ValidationError, match="smallest design"):
        Budget.model_validate(
            {
                "name": "x",
                "budget": {"parameters": "1M", "training": {"days": 1}},
                "hardware": {"accelerator": "a100-sxm-80gb", "gpus": 1},
            }
        )


@given(st.integers(1, 5000), st.integers(1, 9000), st.integers(1, 700), st.none() | st.integers(1, 9))
def test_grids(low: int, high: int, multiple: int, per_octave: int | None) -> None:
    points = grid(low, high, multiple, per_octave)
    assert list(points) == sorted(set(points))
    assert all(low <= p <= high and p % multiple == 0 for p in points)
    assert len(points) <= length(low, high, multiple, per_octave) <= len(grid(low, high, multiple))
    assert bool(points) == bool(length(low, high, multiple, per_octave))


def test_geometric_grids_hit_the_octaves() -> None:
    assert grid(1024, 8192, 256, 1) == (1024, 2048, 4096, 8192)
    assert grid(1024, 2048, 256, 4) == (1024, 1280, 1536, 1792, 2048)


@given(st.floats(2.0**20, 1e18) | st.integers(1, 2000).map(lambda n: n * 2.0**30))
def test_bytes_read_back_exactly(value: float) -> None:
    assert size(written_size(value)) == value
    assert rate(written_rate(value)) == value


@given(st.floats(1e-3, 8e8) | st.integers(1, 5000).map(lambda n: n * 3600.0))
def test_times_read_back_exactly(seconds: float) -> None:
    assert duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    "written",
    [True, None, "soon", "30 min", "0s", 0, -5, "-5m", "10001d", "1e999s", 1e300, 10**400, float("nan")],
)
def test_what_is_no_time_is_told_what_would_be(written: object) -> None:
    with pytest.raises(ValueError, match="a time such as 90s, 30m, 12h or 2d"):
        duration(written)


@pytest.mark.parametrize(
    ("reader", "written", "value"),
    [(count, "7B", 7e9), (count, "300e9", 3e11), (count, "20k", 2e4), (count, 1e22, 1e22), (whole, "4k", 4000),
     (whole, 4e6, 4_000_000), (size, "80GiB", 80 * 2.0**30), (size, "24 GB", 24e9), (share, "5%", 0.05),
     (rate, "400Gbit/s", 50e9), (rate, "3.35TB/s", 3.35e12), (duration, "30m", 1800), (duration, "1.5 h", 5400),
     (duration, "90s", 90), (duration, 90, 90), (duration, "90", 90), (duration, "2d", 172_800)],
)  # fmt: skip
def test_readers(reader: object, written: object, value: float) -> None:
    assert reader(written) == value  # type: ignore[operator]


def test_a_mistake_is_told_without_the_models() -> None:
    program = (
        "import sys\nfrom explorer.budget import load\nfrom explorer.errors import InputErrors\n"
        "try:\n    load('name: 3\\nquality: {corpus: book}\\n')\nexcept InputErrors as e:\n    print(len(e.lines))\n"
        "print(sorted({'numpy', 'pydantic', 'pandas', 'scipy', 'optuna'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["4", "[]"]
