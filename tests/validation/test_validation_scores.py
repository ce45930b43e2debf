"""The model scored against measurements."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from explorer.catalog.cited import error_budget, measurements
from explorer.errors import InputErrors
from explorer.validation import read, score
from explorer.validation.measurements import measurement

needs_data = pytest.mark.skipif(
    not os.environ.get("EXPLORER_DATA"), reason="EXPLORER_DATA names no folder with measured.jsonl"
)


def one(**row):
    return measurement({"unit": "", "config": {}, "value": 1.0, **row})


def test_the_cited_set_is_within_its_budgets():
    scores = score(read())
    assert scores.within_budget, "\n".join(scores.lines())
    assert all(row["source"] for row in measurements())
    assert all(row.predicted is not None for row in scores.rows), [r.reason for r in scores.rows if r.reason]


def test_an_error_above_the_budget_is_told():
    row = next(r for r in measurements() if r["what"] == "train_step_time")
    wrong = measurement({**row, "value": 2 * row["value"]})
    scores = score([wrong])
    assert not scores.within_budget
    assert any("ABOVE ITS BUDGET" in line for line in scores.lines())


def test_unknown_groups_are_judged_by_their_kind():
    assert error_budget("nobody", "param_count").p90 == 0
    assert error_budget("nobody", "never heard of") == error_budget("", "default")
    assert error_budget("llm-foundry", "train_step_time").median == 0.1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"what": "train_step_time", "kind": "analytic"}, "analytic"),
        ({"what": "kernel_softmax"}, "nothing to say"),
        ({"what": "train_step_time", "config": {"method": "LoRA", "gpu": "A100"}}, "adapter"),
        ({"what": "train_step_time", "config": {"gpu": "H20", "seq": 8}}, "no accelerator 'H20'"),
        ({"what": "train_step_time", "config": {"gpu": "A100", "seq": 2048}}, "architecture is not stated"),
        ({"what": "train_fits", "value": "OOM"}, "not a number"),
        (
            {"what": "train_step_time", "config": {"gpu": "A100", "model": "gpt2", "seq": 1024}},
            "neither the global batch nor the micro-batch",
        ),
    ],
)
def test_what_it_cannot_express_has_a_reason(row, reason):
    scores = score([one(**row)])
    assert scores.rows[0].predicted is None
    assert reason in scores.rows[0].reason
    assert not scores.groups


def test_units_and_conventions():
    config = {
        "model": "llama-2-7b",
        "seq": 4096,
        "micro_batch": 1,
        "global_batch": 64,
        "n_gpus": 8,
        "gpu": "H100",
        "fsdp": 8,
    }
    seconds, rate, whole, tflops, mfu, days = (
        row.predicted
        for row in score(
            [
                one(what="train_step_time", config=config, unit="s"),
                one(what="train_tokens_per_s_per_gpu", config=config),
                one(what="train_tokens_per_s", config=config),
                one(what="train_tflops_per_gpu", config=config),
                one(what="train_mfu", config=config),
                one(what="train_days", config={**config, "tokens": 1e12}),
            ]
        ).rows
    )
    assert rate == pytest.approx(64 * 4096 / seconds / 8)
    assert whole == pytest.approx(8 * rate)
    # Attention counted in full, as the frameworks do: 6·W and 12·L·d·c per token.
    assert tflops == pytest.approx(rate * (6 * 6.6073e9 + 12 * 32 * 4096 * 4096) / 1e12, rel=1e-3)
    assert mfu == pytest.approx(tflops / 9.894)
    assert days == pytest.approx(1e12 / whole / 86_400)


def test_reading_tells_every_bad_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"what": "x"}\n{"what": "y", "config": {}, "value": 1}\nnot json\n')
    with pytest.raises(InputErrors) as caught:
        read(path)
    assert len(caught.value.lines) == 2
    assert "config, value required" in caught.value.lines[0]
    with pytest.raises(InputErrors, match="readable"):
        read(tmp_path / "none.jsonl")


def test_csv_is_read_like_jsonl(tmp_path):
    row = {"what": "param_count", "config": {"model": "gpt2"}, "value": 124_439_808, "unit": "parameters"}
    path = tmp_path / "rows.csv"
    config = json.dumps(row["config"]).replace('"', '""')
    path.write_text(f'what,config,value,unit\nparam_count,"{config}",124439808,parameters\n')
    scores = score(read(path))
    assert scores.within_budget
    assert scores.rows[0].predicted == 124_439_808


@needs_data
def test_time_on_the_shared_measurements():
    rows = read(Path(os.environ["EXPLORER_DATA"]) / "measured.jsonl")
    groups = {(g.group, g.what): g for g in score(rows).groups}
    for key in (
        ("llm-foundry", "train_tokens_per_s_per_gpu"), ("llm-foundry", "train_step_time"),
        ("vTrain-single", "train_step_time"),
    ):  # fmt: skip
        assert groups[key].median_error <= 0.10
        assert groups[key].p90_error <= 0.25
    # Held out of every fit.
    for key in (("korthikanti", "train_step_time"), ("megatron-a100", "train_tflops_per_gpu")):
        assert groups[key].median_error <= 0.15
    assert groups["param-counts", "param_count"].p90_error == 0


@needs_data
def test_no_trend_over_sequence_length():
    """Predicted over measured, relative to the same model at 2,048 tokens on the same eight GPUs."""
    rows = [
        row for row in read(Path(os.environ["EXPLORER_DATA"]) / "measured.jsonl")
        if row.group == "llm-foundry" and row.what == "train_tokens_per_s_per_gpu"
        and row.config["n_gpus"] == 8
    ]  # fmt: skip
    ratios = {}
    for row, scored in zip(rows, score(rows).rows, strict=True):
        model = (row.config["model"], row.config["gpu"])
        of_model = ratios.setdefault(model, {})
        of_model.setdefault(row.config["seq"], []).append(scored.predicted / scored.value)
    relative = {}
    for lengths in ratios.values():
        for length, found in lengths.items():
            if length >= 2048 and 2048 in lengths:
                relative.setdefault(length, []).append(np.mean(found) / np.mean(lengths[2048]))
    assert sorted(relative) == [2048, 4096, 8192, 16_384, 32_768, 65_536]
    assert len(relative[65_536]) == 6
    for found in relative.values():
        assert abs(np.median(found) - 1) < 0.1
    # Micro-batch and recomputation changed along the way, for every model that reached 64k.
    assert np.abs(np.array(relative[65_536]) - 1).max() < 0.1
