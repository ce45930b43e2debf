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
        if plan:
            plan = _filled(plan, lines)
        if plan and n_tokens:
            steps = math.ceil(n_tokens / (plan.global_batch * design.context_length))
        if design.staged_from:
            share = f"{1 - design.staged_share:.0%}"
            lines.append(
                f"schedule: train the first {share} of the tokens at sequences of {design.staged_from}"
            )
        if plan:
            lines.append(
                f"{plan.n_gpus:.0f} GPU{'' if plan.n_gpus == 1 else 's'}: "
                f"{plan.data_parallel} data x {plan.tensor_parallel} tensor x "
                f"{plan.pipeline_parallel} pipeline x {plan.context_parallel} context parallel"
            )
            lines.append(
                f"micro-batch {plan.micro_batch} of {plan.global_batch} sequences a step, "
                f"recompute {plan.recompute}, ZeRO stage {plan.zero_stage}"
            )
        return cls(
            design=replace(design, staged_from=0, staged_share=0),
            plan=plan,
            steps=steps,
            remarks=tuple(lines),
        )

    def refuse(self, target: str, found: Design) -> None:
        """Raises Unsupported with every field in which what was written differs from the design."""
        if told := lacking(self.design, found):
            raise Unsupported(f"{target} cannot express {told}")


def lacking(wanted: Design, found: Design) -> str:
    """The fields in which `found` is not what was wanted, and what to set instead; empty where none differs."""
    if found == wanted:
        return ""
    names = [f.name for f in fields(Design) if getattr(found, f.name) != getattr(wanted, f.name)]
    if not names:
        return ""
    told = ", ".join(f"{name} = {_value(getattr(wanted, name))}" for name in names)
    instead = ", ".join(f"{name} = {_value(getattr(found, name))}" for name in names)
    keys = dict.fromkeys(BUDGET_KEYS[name] for name in names if name in BUDGET_KEYS)
    place = f" (in a budget: {', '.join(keys)})" if keys else ""
    return f"{told}; set {instead}{place}"


BUDGET_KEYS = {
    "d_ff": "space.ffn", "ffn": "space.ffn", "n_kv_heads": "space.n_kv_heads", "d_head": "space.d_head",
    "vocab_size": "space.vocab_size", "tied_embeddings": "space.tied_embeddings", "norm": "space.norm",
    "position": "space.position", "qkv_bias": "space.bias", "output_bias": "space.bias", "ffn_bias": "space.bias",
    "qk_norm": "space.qk_norm", "window": "space.attention", "global_every": "space.attention",
    "global_tokens": "space.attention", "random_tokens": "space.attention",
    "recompute": "training.plan.recompute", "zero_stage": "training.plan.zero_stage",
    "tensor_parallel": "training.plan.tensor_parallel", "pipeline_parallel": "training.plan.pipeline_parallel",
    "context_parallel": "training.plan.context_parallel", "optimizer": "training.optimizer",
    "precision": "training.precision", "attention_kernel": "training.attention_kernel",
    "cross_entropy": "training.cross_entropy", "dropout": "training.dropout",
    "offload_optimizer": "training.offload_optimizer",
}  # fmt: skip
"""Field of a design or a plan → the key of budget.yaml that decides it, where one does."""


def lookup(target: str, what: str, value: Any, known: dict[Any, Any], otherwise: str = "") -> Any:
    """`known[value]`, or Unsupported with what may be set instead (`otherwise`: another key and its value)."""
    if value not in known:
        *names, last = (_value(k) for k in known)
        instead = f"{', '.join(names)} or {last}" if names else last
        raise Unsupported(
            f"{target} cannot express {what} = {_value(value)}; set {BUDGET_KEYS.get(what, what)} to {instead}"
            + (f", or {otherwise}" if otherwise else "")
        )
    return known[value]


def only(target: str, plan: Plan, **values: Any) -> None:
    """Unsupported where a field of the plan is not the one value that the target has."""
    for name, value in values.items():
        lookup(target, name, getattr(plan, name), {value: value})


def _value(value: Any) -> str:
    """A value as budget.yaml writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filled(plan: Plan, remarks: list[str]) -> Plan:
    """The plan with whole rounds of micro-batches on every rank, which trainers insist on.

    The cost model counts the last round in full, so the rounded step takes the time that was predicted.
    """
    round_ = plan.data_parallel * plan.micro_batch
    whole = math.ceil(plan.global_batch / round_) * round_
    if whole == plan.global_batch:
        return plan
    remarks.append(
        f"planned with {plan.global_batch} sequences a step; {whole} fill the {plan.data_parallel} data-parallel "
        f"ranks with micro-batches of {plan.micro_batch}"
    )
    return plan.with_(global_batch=whole)


def _plain(record: Record) -> Record:
    """A copy with Python integers for whole numbers, Python floats for shares."""
    changes: dict[str, Any] = {}
    for f in fields(record):
        value = getattr(record, f.name)
        # Truth values are whole numbers too.
        if isinstance(value, int | str):
            continue
        if not isinstance(value, float) and np.size(value) != 1:
            raise Unsupported(
                f"one design is written at a time, but {f.name} holds {np.size(value)} values; choose one"
            )
        number = float(np.asarray(value).item())
        if number != int(number) and f.name != "staged_share":
            raise Unsupported(
                f"{f.name} must be whole to be written down, got {number:g}; set {f.name} = {round(number)}"
            )
        changes[f.name] = int(number) if number == int(number) else number
    return replace(record, **changes)
