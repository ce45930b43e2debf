"""The files that train each design of any front, written once at run time so that a page can hand them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from explorer import formats
from explorer.errors import Unsupported
from explorer.evidence.chosen import design_of, plan_of, plans_of
from explorer.formats import TARGETS, Export
from explorer.units import format_bytes, format_loss

if TYPE_CHECKING:
    import pandas as pd

    from explorer.design import Design, Plan
    from explorer.search.problem import Problem


def written(problem: Problem, row: Any, target: str) -> str:
    """One design of a trials table, with its plan, in the format of `target`."""
    design = design_of(problem, row)
    return formats.written(_export(problem, row, design, plan_of(problem, design)), target)


def _export(problem: Problem, row: Any, design: Design, plan: Plan | None) -> Export:
    remarks = (
        f"expected peak device memory: {format_bytes(float(row['peak_device_bytes']))} per GPU",
        f"expected throughput: {float(row['tokens_per_second_per_gpu']):,.0f} tokens/s per GPU",
        f"predicted loss: {format_loss(row)} nats per token on {problem.corpus.name}",
    )
    return Export.of(design, plan, float(row["n_tokens"]), remarks)


def exports(problem: Problem, rows: pd.DataFrame) -> dict[str, Any]:
    """`lines`, and per target and row (its label) the numbers of the lines of its file, or why there is none.

    Files of neighbouring designs differ in a few lines, so each line is kept once.
    """
    lines: dict[str, int] = {}
    texts: dict[str, dict[str, list[int] | str]] = {target: {} for target in TARGETS}
    records = rows.to_dict("records")
    designs = [design_of(problem, row) for row in records]
    for label, row, design, plan in zip(
        rows.index, records, designs, plans_of(problem, designs), strict=True
    ):
        export: Export | None = None
        for target, found in texts.items():
            try:
                export = export or _export(problem, row, design, plan)
                text = formats.written(export, target)
            except Unsupported as reason:
                found[str(label)] = str(reason)
                continue
            found[str(label)] = [lines.setdefault(line, len(lines)) for line in text.splitlines()]
    return {"lines": list(lines), "texts": texts, "names": dict(TARGETS)}
