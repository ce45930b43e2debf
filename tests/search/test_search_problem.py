"""What a design is worth under a budget: one path for one, many and a grid; limits honoured."""

import numpy as np
import pytest
from test_search_exact import small

from explorer.cost import flops


def test_grid_table_and_single_design_agree():
    problem = small(kv="[all, 4]", gpus=4)
    box = problem.lattice.box(within={"d_model": [2, 4], "n_layers": [1, 3]})
    grid = problem.evaluate(box.design)
    cells = np.arange(int(np.prod(box.shape)))
    ((_, table),) = problem.lattice.tables(box.points(cells))
    rows = problem.evaluate(table)
    for name in ("loss", "n_tokens", "n_params", "gpu_hours", "peak_device_bytes", "mfu", "energy_kwh"):
        whole = np.broadcast_to(getattr(grid, name), box.shape).reshape(-1)
        np.testing.assert_allclose(whole, getattr(rows, name), rtol=1e-12, err_msg=name)
    for k in (0, 17, 40):
        one = {n: float(v[k]) for n, v in ((n, np.broadcast_to(getattr(table, n), cells.shape)) for n in
               ("context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_ff",
                "vocab_size", "staged_from", "staged_share"))}  # fmt: skip
        single = problem.evaluate(table.with_(**one))
        assert np.ndim(single.loss) == 0
        np.testing.assert_allclose(float(single.loss), rows.loss[k], rtol=1e-12)
        np.testing.assert_allclose(float(single.energy_kwh), rows.energy_kwh[k], rtol=1e-12)


@pytest.mark.parametrize(
    "training", ["{days: 14}", "{gpu_hours: 1k}", "{flops: 1e21}", "{tokens: 20B}", "{flops: 1e21, days: 3}"]
)
def test_tokens_are_the_most_that_every_limit_allows(training):
    problem = small(training=training)
    box = problem.lattice.box(within={"d_model": [2]})
    found = problem.evaluate(box.design)
    runs = np.broadcast_to(found.constraints["plan"], box.shape) < 0
    used = np.stack([np.broadcast_to(found.used[k], box.shape)[runs] for k in found.n_tokens_by_limit])
    np.testing.assert_allclose(used.max(axis=0), 1, rtol=1e-12)
    for name, limit in problem.training_limits.items():
        spent = {"days": found.days, "gpu_hours": found.gpu_hours, "tokens": found.n_tokens,
                 "flops": found.train_flops}[name]  # fmt: skip
        assert (np.broadcast_to(spent, box.shape)[runs] <= limit * (1 + 1e-12)).all()


def test_a_staged_design_pays_short_window_flops_for_its_short_tokens():
    problem = small()
    box = problem.lattice.box(
        within={"d_model": [2], "n_layers": [3], "context_length": [4], "schedule": [1]}
    )
    found = problem.evaluate(box.design)
    long = box.design.with_(staged_from=0, staged_share=0)
    short = long.with_(context_length=4096.0)
    mix = 0.05 * flops(long).train_per_token() + 0.95 * flops(short).train_per_token()
    np.testing.assert_allclose(found.flops_per_token, np.broadcast_to(mix, found.flops_per_token.shape))


def test_feasible_means_below_every_limit():
    problem = small(gpus=2)
    points = problem.lattice.points(np.arange(0, problem.lattice.listed, 5))
    points = points[problem.lattice.valid(points)]
    rows = problem.columns(points)
    limits = problem.budget.limits
    below = (
        (rows["n_params"] <= limits.parameters)
        & (rows["peak_device_bytes"] <= problem.memory_limit_bytes)
        & (rows["serving_bytes"] <= limits.serving.gpu_memory)
    )
    np.testing.assert_array_equal(rows["feasible"].astype(bool), below)
    assert (problem.screen(points) <= problem.outcome(points).violation).all()
    assert np.isfinite(rows["loss"]).all()
    good = rows["feasible"].astype(bool)
    assert (rows["loss_p05"][good] < rows["loss_p95"][good]).all()
    assert set(rows["binding"]) <= {"parameters", "gpu_memory", "serving", "days"}
