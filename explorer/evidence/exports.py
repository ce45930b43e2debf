"""The files that train each design of the front, written once at run time so that a page can hand them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from explorer.errors import Unsupported
from explorer.evidence.chosen import design_of, plan_of
from explorer.formats import TARGETS, write
from explorer.units import format_bytes, format_loss

if TYPE_CHECKING:
    import pandas as pd

    from explorer.design import Design, Plan
    from explorer.search.problem import Problem


def written(problem: Problem, row: Any, target: str) -> str:
    """One design of a trials table, with its plan, in the format of `target`."""
    return _file(row, target, *_with_plan(problem, row))


def _with_plan(problem: Problem, row: Any) -> tuple[Design, Plan | None]:
    design = design_of(problem, row)
    return design, plan_of(problem, design)


def _file(row: Any, target: str, design: Design, plan: Plan | None) -> str:
    remarks = (
        f"expected peak device memory: {format_bytes(float(row['peak_device_bytes']))} per GPU",
        f"expected throughput: {float(row['tokens_per_second_per_gpu']):,.0f} tokens/s per GPU",
        f"predicted loss: {format_loss(row)} nats per token",
    )
    return write(design, plan, target, n_tokens=float(row["n_tokens"]), remarks=remarks)


def exports(problem: Problem, rows: pd.DataFrame) -> dict[str, Any]:
    """`lines`, and per target and row (its label) the numbers of the lines of its file, or why there is none.

    Files of neighbouring designs differ in a few lines, so each line is kept once.
    """
    lines: dict[str, int] = {}
    texts: dict[str, dict[str, list[int] | str]] = {target: {} for target in TARGETS}
    for label, row in zip(rows.index, rows.to_dict("records"), strict=True):
        design, plan = _with_plan(problem, row)
        for target, found in texts.items():
            try:
                text = _file(row, target, design, plan)
            except Unsupported as reason:
                found[str(label)] = str(reason)
                continue
            found[str(label)] = [lines.setdefault(line, len(lines)) for line in text.splitlines()]
    return {"lines": list(lines), "texts": texts, "names": dict(TARGETS)}
