"""The benchmarks are not run with the tests; what they import must still be there."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
NEEDS = {"bench_report": "playwright"}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("bench_*.py")))
def test_a_benchmark_finds_what_it_imports(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.syspath_prepend(FOLDER)
    assert callable(runpy.run_path(str(FOLDER / f"{name}.py"))["main"])
