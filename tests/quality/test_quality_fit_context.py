"""A corpus estimated from losses against context."""

import os
from pathlib import Path

import numpy as np
import pytest

from explorer import quality
from explorer.errors import ExplorerError
from explorer.quality.fitting import fit_context
from explorer.quality.fitting.table import read_table

WINDOWS = np.array([512.0, 1024, 2048, 4096, 8192, 16384, 32768])


def losses(protocols, *, s=0.8, b=0.45, n_params=7e9, noise=0.0005, seed=0, windows=WINDOWS):
    rng = np.random.default_rng(seed)
    table = {name: [] for name in ("series", "c", "nll", "protocol", "N")}
    for i, protocol in enumerate(protocols):
        scale = s * 0.129 * (n_params / 7e9) ** -0.12 * (1 if protocol == "window" else 1 - b)
        for c in windows:
            level = 2 + i / 10 + scale * (c / 2048) ** -b
            row = (f"s{i}", c, level + noise * rng.standard_normal(), protocol, n_params)
            for name, value in zip(table, row, strict=True):
                table[name].append(value)
    return table


@pytest.mark.parametrize("protocol", ["window", "position", "sliding"])
def test_known_amplitude_and_exponent_come_back(protocol):
    report = fit_context(losses([protocol], n_params=1e9), bootstraps=300)
    assert report.amplitude == pytest.approx(0.8, abs=0.04)
    assert report.exponent == pytest.approx(0.45, abs=0.03)
    assert report.amplitude_interval[0] < report.amplitude < report.amplitude_interval[1]
    assert abs(report.series[0].left_out_longest) < 0.005


def test_mean_of_positions_is_the_window():
    """The conversion's premise: mean of l^-b over 1..c is c^-b / (1 - b), for long windows."""
    b = 0.48
    for c in (2**14, 2**17):
        mean = np.mean(np.arange(1.0, c + 1) ** -b)
        # What is left is a constant over c (zeta(b) / c): it vanishes against c^-b.
        assert mean == pytest.approx(c**-b / (1 - b), rel=0.02)


def test_protocols_of_one_corpus_agree():
    report = fit_context(losses(["window", "position", "sliding"]), bootstraps=200)
    assert [s.amplitude for s in report.series] == pytest.approx([0.8] * 3, abs=0.05)


def test_the_corpus_file_is_read_back(tmp_path):
    report = fit_context(losses(["window"]), name="mine", bootstraps=100)
    report.write(tmp_path / "mine.json")
    corpus = quality.corpus(tmp_path / "mine.json")
    assert corpus == report.corpus
    draws = quality.posterior("besiroglu-2024", corpus, 50)
    assert draws.coefficients.b.mean() == pytest.approx(report.exponent, abs=0.02)
    assert report.lines()
    assert report.summary()["corpus"]["name"] == "mine"


def test_two_windows_give_an_amplitude_only():
    report = fit_context(losses(["window"], windows=WINDOWS[[2, 4]]), bootstraps=100)
    assert not report.exponent_fitted
    assert report.exponent == pytest.approx(0.48, abs=0.01)
    assert report.amplitude_interval[0] < report.amplitude_interval[1]


def test_what_cannot_be_used_is_said():
    table = losses(["window", "window"], windows=np.array([64.0, 1024, 2048, 8192]))
    table["protocol"] = ["window"] * 4 + ["document truncated at c"] * 4
    notes = " ".join(fit_context(table, bootstraps=20).notes)
    assert "below 512" in notes
    assert "truncated" in notes


def test_a_loss_that_rises_counts_as_no_benefit():
    table = losses(["window"], s=0.0, noise=0)
    table["nll"] = [2 + i / 100 for i in range(len(WINDOWS))]
    report = fit_context(table, bootstraps=50)
    assert report.amplitude == 0
    assert any("rises" in note for note in report.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": ["mystery"] * 7}, "one of window, position, sliding"),
        ({"c": ["x"] * 7}, "must hold numbers"),
        ({"c": [2048.0] * 7}, "two windows"),
    ],
)
def test_faults_are_one_line(change, message):
    with pytest.raises(ExplorerError, match=message):
        fit_context(losses(["window"]) | change)


def test_alibi_windows_follow_the_power_law():
    folder = os.environ.get("EXPLORER_DATA")
    if not folder:
        pytest.skip("EXPLORER_DATA is not set")
    table = read_table(Path(folder) / "context_loss.csv")
    mine = [i for i, s in enumerate(table["series"]) if s in ("alibi_sin", "alibi_alibi_diag")]
    report = fit_context({k: [v[i] for i in mine] for k, v in table.items()}, bootstraps=200)
    # ALiBi Table 5 (WikiText-103): within the exponent's prior, amplitude of the web's order.
    assert 0.32 < report.exponent < 0.64
    assert 0.2 < report.amplitude < 0.6
    assert all(s.rmse < 0.005 for s in report.series)
