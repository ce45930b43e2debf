"""Rules on plans and hardware: fixed sizes that the GPUs, the batch and the space can fill."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from explorer.budget.names import content, is_file
from explorer.budget.nodes import Path
from explorer.budget.view import BROKEN, Skip, View
from explorer.design import Precision, choices
from explorer.errors import ExplorerError

Found = Iterator[tuple[Path, str]]

PARALLEL = ("tensor_parallel", "pipeline_parallel", "context_parallel", "data_parallel")


def filled(view: View) -> Found:
    """The fixed parallel sizes fill the GPUs, or leave whole numbers for the free ones."""
    sizes = {key: value for key, value in _plan(view).items() if key in PARALLEL}
    if not sizes or BROKEN in sizes.values():
        return
    product, gpus = math.prod(sizes.values()), view.get("hardware", "gpus")
    path: Path = ("training", "plan")
    said = " × ".join(f"{k} {v}" for k, v in sizes.items())
    if len(sizes) == 1:
        path = (*path, *sizes)
        said = f"{product:,}"
    elif product != 1:
        said += f" = {product:,}"
    if product > gpus:
        yield path, f"at most hardware.gpus ({gpus:,}), got {said}"
    elif gpus % product:
        yield path, f"a product that divides hardware.gpus ({gpus:,}), got {said}"
    elif len(sizes) == len(PARALLEL) and product != gpus:
        yield path, f"a product that fills hardware.gpus ({gpus:,}), got {said}"


def tensor_parallel(view: View) -> Found:
    """Tensor-parallel GPUs share a node, and some design has heads for each of them."""
    size = _plan(view).get("tensor_parallel", BROKEN)
    if size is BROKEN or size > view.get("hardware", "gpus"):
        return
    path = ("training", "plan", "tensor_parallel")
    per_node = view.get("hardware", "gpus_per_node") or getattr(_device(view), "gpus_per_node", None)
    if per_node is not None and size > per_node:
        yield path, f"at most the GPUs of one node ({per_node:,}), got {size:,}"
        return
    heads = [head for _, head in view.items("space", "d_head")]
    widths = view.points("d_model")
    if not any(d % (head * size) == 0 for head in heads for d in widths):
        yield path, f"a number that divides some number of heads d_model / d_head, got {size:,}"


def pipeline_parallel(view: View) -> Found:
    """Each pipeline stage has a layer."""
    size = _plan(view).get("pipeline_parallel", BROKEN)
    if size is not BROKEN and size > view.points("n_layers")[-1]:
        deepest = view.points("n_layers")[-1]
        yield (
            ("training", "plan", "pipeline_parallel"),
            f"at most the largest n_layers ({deepest:,}), got {size:,}",
        )


def batch(view: View) -> Found:
    """One optimizer step holds at least a sequence for each rank that the plan fixes."""
    tokens, shortest = view.get("training", "global_batch_tokens"), view.points("context_length")[0]
    path = ("training", "global_batch_tokens")
    if tokens < shortest:
        yield path, f"at least one sequence of the smallest context_length ({shortest:,}), got {tokens:,}"
        return
    plan = _plan(view)
    micro, ranks = plan.get("micro_batch", 1), plan.get("data_parallel", 1)
    if BROKEN not in (micro, ranks) and micro * ranks * shortest > tokens:
        least = micro * ranks * shortest
        wanted = f"at least micro_batch × data_parallel × the smallest context_length ({least:,})"
        yield path, f"{wanted}, got {tokens:,}"


def one_step(view: View) -> Found:
    """The data lasts for one optimizer step."""
    limit = view.get("budget", "training", "tokens")
    tokens = view.get("training", "global_batch_tokens")
    if limit is not None and limit < tokens:
        wanted = f"at least one step of training.global_batch_tokens ({tokens:,})"
        yield ("budget", "training", "tokens"), f"{wanted}, got {limit:,.0f}"


def peak(view: View) -> Found:
    """The device has a peak for the number type that the matrix products run in."""
    device = _device(view)
    precision = view.get("training", "precision")
    if device is None or _product_type(precision) in device.peak_flops:
        return
    able = [p for p in choices(Precision) if _product_type(p) in device.peak_flops]
    wanted = f"one of {', '.join(able)}" if able else "another accelerator"
    yield (
        ("training", "precision"),
        f"{wanted} ({device.name} has no peak for {_product_type(precision)}), got '{precision}'",
    )


def _product_type(precision: str) -> str:
    """Number type of the matrix products."""
    return precision if precision in ("fp32", "fp8") else "bf16"


RULES = (filled, tensor_parallel, pipeline_parallel, batch, one_step, peak)


def _plan(view: View) -> Mapping[str, Any]:
    plan = view.get("training", "plan")
    return plan if isinstance(plan, Mapping) else {}


def _device(view: View) -> Any:
    """The catalogue's accelerator, or what the budget says of its own; None where it is not known."""
    value = view.get("hardware", "accelerator")
    if isinstance(value, Mapping):
        if any(value.get(key, BROKEN) is BROKEN for key in ("name", "peak_flops", "gpus_per_node")):
            raise Skip
        return _Device(value)
    if is_file(value):
        from explorer.catalog.accelerators import accelerator

        try:
            return accelerator(value)
        except ExplorerError:
            return None
    return next((_Device(row) for row in content("accelerators.json") if row["name"] == value), None)


class _Device:
    """An accelerator by its data: a row of the catalogue, or what the budget describes."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.name, self.peak_flops, self.gpus_per_node = (
            spec["name"],
            spec["peak_flops"],
            spec["gpus_per_node"],
        )
