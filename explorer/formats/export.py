"""What every written format shares: a design and a plan as plain numbers, and remarks for the reader."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from explorer.design import Design, Plan
from explorer.errors import Unsupported

Record = TypeVar("Record", Design, Plan)


@dataclass(frozen=True, kw_only=True)
class Export:
    """One design with the way it is to be trained, ready to be written down."""

    design: Design
    """Plain numbers; the schedule is kept apart, since it is no part of a model."""
    plan: Plan | None
    steps: int | None
    """Optimizer steps, where the number of tokens is known."""
    remarks: tuple[str, ...]
    """Lines for a person: expected memory and speed, what the format does otherwise."""

    @classmethod
    def of(cls, design: Design, plan: Plan | None, n_tokens: float | None, remarks: Sequence[str]) -> Export:
        """Numbers made plain; Unsupported for sizes that are no single whole number."""
        design, plan = _plain(design), _plain(plan) if plan else None
        lines = list(remarks)
        steps = None
        if plan and n_tokens:
            steps = math.ceil(n_tokens / (plan.global_batch * design.context_length))
        if design.staged_from:
            share = f"{1 - design.staged_share:.0%}"
            lines.append(
                f"schedule: train the first {share} of the tokens at sequences of {design.staged_from}"
            )
        if plan:
            lines.append(
                f"{plan.n_gpus:.0f} GPUs: {plan.data_parallel} data x {plan.tensor_parallel} tensor x "
                f"{plan.pipeline_parallel} pipeline x {plan.context_parallel} context parallel"
            )
        return cls(
            design=replace(design, staged_from=0, staged_share=0),
            plan=plan,
            steps=steps,
            remarks=tuple(lines),
        )

    def refuse(self, target: str, found: Design) -> None:
        """Raises Unsupported with every field in which what was written differs from the design."""
        lacking = [
            f"{f.name} = {getattr(self.design, f.name)}"
            for f in fields(Design)
            if getattr(found, f.name) != getattr(self.design, f.name)
        ]
        if lacking:
            raise Unsupported(f"{target} cannot express {', '.join(lacking)}")


def lookup(target: str, what: str, value: Any, known: dict[Any, Any]) -> Any:
    """`known[value]`, or Unsupported with what the target does have."""
    if value not in known:
        names = ", ".join(str(k) for k in known)
        raise Unsupported(f"{target} cannot express {what} = {value}; it has {names}")
    return known[value]


def _plain(record: Record) -> Record:
    """A copy with Python integers for whole numbers, Python floats for shares."""
    changes: dict[str, Any] = {}
    for f in fields(record):
        value = getattr(record, f.name)
        if isinstance(value, bool | str):
            continue
        if np.size(value) != 1:
            raise Unsupported(f"one design is written at a time, but {f.name} holds {np.size(value)} values")
        number = float(np.asarray(value).item())
        if number != int(number) and f.name != "staged_share":
            raise Unsupported(f"{f.name} must be whole to be written down, got {number:g}")
        changes[f.name] = int(number) if number == int(number) else number
    return replace(record, **changes)
