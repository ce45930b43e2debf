"""A folder like a user's: studies, finished runs, tables of designs, of runs and of measurements."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from program import ROOT

from explorer.catalog.cited import measurements

# Losses of a law with E = 1.8, A = 480, B = 2085, α = .35, β = .37, a little off so that there is scatter.
_RUNS = "n_params,tokens,loss\n" + "".join(
    f"{n:.4g},{d:.4g},{1.8 + 480 / n**0.35 + 2085 / d**0.37 + 0.002 * (-1) ** (i + j):.5f}\n"
    for i, n in enumerate((7e7, 1.6e8, 4.1e8, 1e9, 2.8e9, 6.9e9))
    for j, d in enumerate((2e9, 6e9, 2e10, 6e10, 3e11))
)
_LOSSES = "series,c,nll,protocol\n" + "".join(
    f"books,{c},{2.2 + 0.129 * ((c / 2048) ** -0.48 - 1):.5f},window\n"
    for c in (2048, 4096, 8192, 16384, 32768)
)


@pytest.fixture(scope="session")
def one_gpu(finished: Callable[..., Path]) -> Path:
    """Folder of a finished run of studies/one-gpu.yaml."""
    return finished("one-gpu", "--trials", "40")


@pytest.fixture
def workspace(one_node: Path, one_gpu: Path, tmp_path: Path) -> Callable[[], Path]:
    """Makes a new folder with everything that the examples name."""

    def make() -> Path:
        folder = tmp_path / f"work-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(ROOT / "studies", folder / "studies")
        shutil.copytree(one_node, folder / "reports" / "one-node")
        shutil.copytree(one_gpu, folder / "reports" / "one-gpu")
        (folder / "designs.csv").write_text(
            "context_length,d_model,n_layers,micro_batch\n4096,4096,32,1\n16384,3072,28,1\n", "utf-8"
        )
        (folder / "runs.csv").write_text(_RUNS, "utf-8")
        (folder / "losses.csv").write_text(_LOSSES, "utf-8")
        lines = (json.dumps(row) for row in measurements() if row["group"] == "parameters")
        (folder / "measurements.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        return folder

    return make
