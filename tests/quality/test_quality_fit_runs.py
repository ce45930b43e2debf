"""Fits: constants recovered, gradients right, published fits reproduced, left-out runs predicted."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from explorer import quality
from explorer.errors import ExplorerError, UnknownName
from explorer.quality.fitting.form import TERMS, Form
from explorer.quality.fitting.lbfgs import minimise
from explorer.quality.fitting.runs import fit_runs
from explorer.quality.fitting.table import Runs, runs_from


def shared(name):
    folder = os.environ.get("EXPLORER_DATA")
    if not folder or not (path := Path(folder) / name).exists():
        pytest.skip(f"EXPLORER_DATA with {name} is not there")
    return path


def made(n=120, noise=0.002, seed=0, **constants):
    """A table made by a known law, with noise on the log loss."""
    c = {"A": 482.0, "B": 2085.0, "E": 1.82, "alpha": 0.348, "beta": 0.366, "power": 1.0} | constants
    rng = np.random.default_rng(seed)
    params, tokens = np.exp(rng.uniform(np.log(5e7), np.log(1e10), n)), np.exp(rng.uniform(20, 26, n))
    loss = c["E"] + (c["A"] / params ** c["alpha"] + c["B"] / tokens ** c["beta"]) ** c["power"]
    return {"N": params, "D": tokens, "loss": loss * np.exp(noise * rng.standard_normal(n))}


def test_gradients_are_the_slopes():
    rng = np.random.default_rng(1)
    n = 40
    runs = Runs(
        n_params=np.exp(rng.uniform(18, 23, n)),
        n_tokens=np.exp(rng.uniform(21, 26, n)),
        loss=rng.uniform(2, 4, n),
        context_length=rng.choice([1024.0, 2048, 8192], n),
        d_model=rng.choice([512.0, 1024, 2048], n),
        n_layers=rng.choice([8.0, 16, 32], n),
        batch_tokens=rng.choice([5e5, 1e6, 4e6], n),
        series=tuple("ab"[i % 2] for i in range(n)),
        columns={},
    )
    form = Form.of(runs, TERMS, huber=0.05, nu=0.12, reference=4096.0)
    row = np.array([[-1, -1.5, 0.3, 0.4, 0.6, 0.5, -0.4, 0.3, 0.2, 0.5, 0.01, 3, 0.2]])
    assert row.shape[1] == len(form.names)
    _, gradient = form.objective(row)
    for i, name in enumerate(form.names):
        step = np.zeros_like(row)
        step[0, i] = 1e-6
        slope = (form.objective(row + step)[0] - form.objective(row - step)[0])[0] / 2e-6
        assert gradient[0, i] == pytest.approx(slope, rel=1e-5, abs=1e-6), name


def test_batched_lbfgs_agrees_with_scipy():
    runs = runs_from(made(80, noise=0.01))
    form = Form.of(runs, (), huber=1e-3)
    starts = np.array([[-1.0, -1.0, 0.3, 0.3, 0.5], [-0.5, -1.5, 0.5, 0.4, 0.7], [-2.0, -1.0, 0.2, 0.5, 0.2]])
    _, values = minimise(lambda rows, _: form.objective(rows), starts, max_iterations=1000)

    def scalar(row):
        value, gradient = form.objective(row[None, :])
        return value[0], gradient[0]

    for start, value in zip(starts, values, strict=True):
        ours = minimize(scalar, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "maxiter": 2000})
        assert value <= ours.fun * (1 + 1e-6)


def test_known_constants_come_back_with_their_uncertainty():
    report = fit_runs(made(), terms=(), bootstraps=200)
    for name, truth in {"E": 1.82, "alpha": 0.348, "beta": 0.366}.items():
        assert abs(report.record["constants"][name] - truth) < 4 * report.standard_errors[name]
    assert {pair[:2] for pair in report.collinear} >= {("log_A", "alpha"), ("log_B", "beta")}
    assert report.condition_number > 30
    assert {e.name for e in report.left_out} >= {"largest N", "largest D"}


def test_a_power_is_taken_up_only_where_it_is():
    assert fit_runs(made(), bootstraps=0).terms == ()
    found = fit_runs(made(power=0.6, A=26000.0, alpha=0.54, B=1.4e6, beta=0.62), bootstraps=0)
    assert found.terms == ("power",)
    assert found.record["constants"]["power"] == pytest.approx(0.6, abs=0.1)


def test_the_law_file_is_read_back(tmp_path):
    report = fit_runs(made(), terms=("power",), name="mine", bootstraps=50)
    report.write(tmp_path / "mine.json")
    law = quality.law(tmp_path / "mine.json")
    assert law.name == "mine"
    assert law.constants == pytest.approx(report.record["constants"])
    assert law.deviations.shape == (50, 6)
    draws = quality.posterior(law, "short", 30, aspect="none", delta=0.0)
    n, d = 1e9, 2e10
    given = {"n_params": n, "n_tokens": d, "context_length": 2048.0, "aspect": None}
    low, middle, high = quality.loss_interval(draws, **given)
    assert low < middle < high
    centre = quality.loss(quality.central(law, "short", aspect="none", delta=0.0), **given)
    truth = 1.82 + 482 / n**0.348 + 2085 / d**0.366
    assert centre == pytest.approx(truth, abs=0.01)
    json.dumps(report.summary())
    assert report.lines()
    assert report.residuals.shape == (120,)


def test_windows_give_a_corpus():
    table = made(160, noise=0.0005)
    c = np.random.default_rng(4).choice([1024.0, 2048, 4096, 8192, 32768], 160)
    gain = 0.9 * 0.129 * (table["N"] / 7e9) ** -0.12 * ((c / 2048) ** -0.48 - 1)
    table |= {"c": c, "loss": table["loss"] + gain}
    report = fit_runs(table, terms=("context",), bootstraps=100)
    assert any(e.name == "longest c" for e in report.left_out)
    corpus = report.corpus
    assert corpus.amplitude == pytest.approx(0.9, abs=0.1)
    assert corpus.exponent[0] == pytest.approx(0.48, abs=0.06)
    assert report.law.reference_context in (1024, 2048, 4096, 8192, 32768)
    assert "context" in fit_runs(table, bootstraps=0).terms
    assert fit_runs(made(), terms=(), bootstraps=0).corpus is None


def test_same_seed_same_file(tmp_path):
    for name in ("a", "b"):
        fit_runs(made(), name="x", bootstraps=20, seed=3).write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_columns_are_found_by_alias_or_map():
    table = made(30)
    renamed = {"Model Size": table["N"], "Training FLOP": 6 * table["N"] * table["D"], "loss": table["loss"]}
    np.testing.assert_allclose(runs_from(renamed).n_tokens, table["D"])
    odd = {"p": table["N"], "t": table["D"], "ce": table["loss"]}
    runs = runs_from(odd, {"N": "p", "D": "t", "loss": "ce"}, drop_highest=5)
    assert len(runs) == 25
    assert runs.loss.max() < np.sort(table["loss"])[-5]


@pytest.mark.parametrize(
    ("table", "mapping", "message"),
    [
        ({"D": [1.0], "loss": [2.0]}, {}, "--map N=COLUMN"),
        ({"N": [1.0], "loss": [2.0]}, {}, "training FLOPs"),
        ({"N": [1.0], "D": [2.0], "loss": ["x"]}, {}, "must hold numbers"),
        ({"N": [1.0], "D": [2.0], "loss": [-1.0]}, {}, "got -1.0 in row 1"),
        ({"N": [1.0], "D": [2.0], "loss": [1.0]}, {"N": "Nn"}, "no column 'Nn'"),
    ],
)
def test_faulty_tables_are_one_line(table, mapping, message):
    with pytest.raises(ExplorerError, match=message) as error:
        runs_from(table, mapping)
    assert "\n" not in str(error.value)


def test_terms_need_their_columns():
    with pytest.raises(ExplorerError, match="d and L"):
        fit_runs(made(), terms=("aspect",))
    with pytest.raises(UnknownName, match="aspect"):
        fit_runs(made(), terms=("aspct",))
    with pytest.raises(ExplorerError, match="at least"):
        fit_runs(made(10), terms=())


def test_chinchilla_runs_give_besiroglu_s_constants():
    report = fit_runs(shared("chinchilla_runs.csv"), drop_highest=5, bootstraps=200)
    assert len(report.runs) == 240
    assert report.terms == ()
    assert report.objective == pytest.approx(0.00101827, abs=5e-9)
    published = quality.law("besiroglu-2024")
    errors = {"A": 124.52, "B": 1293.28, "E": 0.0257, "alpha": 0.0154, "beta": 0.0206}
    for name, error in errors.items():
        assert abs(report.record["constants"][name] - getattr(published, name)) < error
        assert report.standard_errors[name] == pytest.approx(error, rel=0.25)


@pytest.mark.parametrize("name", ["gemstones_cool_end.csv", "gemstones_hot.csv"])
def test_gemstones_left_out_shapes_and_sizes(name):
    report = fit_runs(shared(name), terms=("power", "aspect", "drift"), bootstraps=0)
    errors = {e.name: e for e in report.left_out}
    assert errors["every shape, left out in turn"].rmse < 0.015
    assert errors["largest N"].rmse < 0.015
    assert errors["largest D"].rmse < 0.015


def test_llama_left_out_shapes_and_sizes():
    """Runs of several batch sizes, some of them spoilt: half of the errors are below .015 nats."""
    report = fit_runs(shared("llama_isoflop_runs.csv"), terms=("power", "batch"), bootstraps=0)
    errors = {e.name: e for e in report.left_out}
    assert errors["every shape, left out in turn"].median_absolute < 0.012
    assert errors["every shape, left out in turn"].mean_absolute < 0.017
    assert errors["largest N"].mean_absolute < 0.022


def test_constants_are_on_the_law_s_own_scale():
    report = fit_runs(made(), terms=("power",), bootstraps=40)
    found = {c.name: c for c in report.constants}
    assert {k: found[k].value for k in report.record["constants"]} == pytest.approx(
        report.record["constants"], rel=1e-9
    )
    for c in found.values():
        assert c.interval[0] <= c.interval[1]
        assert c.standard_error == pytest.approx(report.standard_errors[c.name])
    assert all(c.interval is None for c in fit_runs(made(), terms=(), bootstraps=0).constants)
