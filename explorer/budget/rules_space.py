"""Rules on the space: ranges with values, levers that some design can use, limits that leave designs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from explorer.budget.grids import LARGEST_AXIS, length
from explorer.budget.names import content
from explorer.budget.nodes import Path
from explorer.budget.readers import shown_size
from explorer.budget.view import AXIS, BROKEN, View
from explorer.units import format_count

Found = Iterator[tuple[Path, str]]
SIZES = ("context_length", "d_model", "n_layers")


def ranges(view: View) -> Found:
    """Every axis has at least one value, and not absurdly many."""
    for axis in SIZES:
        given = view.get("space", axis) if view.given("space", axis) else None
        if not isinstance(given, Mapping):
            continue
        low, high, multiple, per_octave = (given.get(key, default) for key, default in AXIS.items())
        if BROKEN in (low, high, multiple, per_octave):
            continue
        path = ("space", axis)
        if low > high:
            yield (*path, "from"), f"at most 'to' ({high:,}), got {low:,}"
        elif not length(low, high, multiple):
            yield (
                (*path, "multiple_of"),
                f"a number with a multiple from {low:,} to {high:,}, got {multiple:,}",
            )
        elif not length(low, high, multiple, per_octave):
            wanted = f"enough values per doubling to meet a multiple of {multiple:,} from {low:,} to {high:,}"
            yield (*path, "per_octave"), f"{wanted}, got {per_octave:,}"
        elif length(low, high, multiple, per_octave) > LARGEST_AXIS:
            yield path, f"at most {LARGEST_AXIS:,} values; set multiple_of or per_octave, got more"


def repeats(view: View) -> Found:
    """A value is listed once."""
    for lever in (*SIZES, "d_head", "n_kv_heads", "vocab_size", "ffn", "attention", "schedule"):
        value = view.get("space", lever)
        if not isinstance(value, list | tuple):
            continue
        for i, item in enumerate(value):
            if item is not BROKEN and item in value[:i]:
                yield ("space", lever, i), "each value once, got it again"


def heads(view: View) -> Found:
    """Each head width divides some d_model, and each number of key-value heads some number of heads."""
    widths, head_items = view.points("d_model"), view.items("space", "d_head")
    usable = {head for _, head in head_items if any(d % head == 0 for d in widths)}
    for path, head in head_items:
        if head not in usable:
            yield path, f"a width that divides some d_model ({_span(widths)}), got {head:,}"
    if not usable:
        return
    for path, kv in view.items("space", "n_kv_heads"):
        if kv != "all" and not any(d % (head * kv) == 0 for head in usable for d in widths):
            wanted = "a number that divides some number of heads d_model / d_head"
            yield path, f"{wanted} ({_heads(widths, usable)}), got {kv:,}"


def staged(view: View) -> Found:
    """A staged schedule has a context length beyond its short window, and a share in the sourced range."""
    told = set()
    if any(True for _ in view.schedules()):
        low, high = content("priors.json")["recovery"]["share"]["range"]
        for _, share in view.schedules():
            if share.path not in told and not low <= share.value <= high:
                told.add(share.path)
                wanted = f"a share from {low:g} to {high:g}, the range in which recovery was measured"
                yield share.path, f"{wanted}, got {share.value:g}"
        longest = view.points("context_length")[-1]
        for start, _ in view.schedules():
            if start.path not in told and start.value >= longest:
                told.add(start.path)
                yield start.path, f"below the largest context_length ({longest:,}), got {start.value:,}"


def windows(view: View) -> Found:
    """A window is narrower than some context, and its additions fit."""
    for path, attention in view.items("space", "attention"):
        if not isinstance(attention, Mapping):
            continue
        longest = view.points("context_length")[-1]
        for key in ("window", "global", "random"):
            value = attention.get(key, 0)
            if value is not BROKEN and value >= longest:
                yield (*path, key), f"below the largest context_length ({longest:,}), got {value:,}"
        every = attention.get("global_every", 0)
        deepest = view.points("n_layers")[-1]
        if every is not BROKEN and every == 1:
            yield (*path, "global_every"), "0 or at least 2 (1 makes every layer attend to everything), got 1"
        elif every is not BROKEN and every > deepest:
            yield (*path, "global_every"), f"at most the largest n_layers ({deepest:,}), got {every:,}"


def parameter_limit(view: View) -> Found:
    """Some design of the space has few enough parameters."""
    limit, least = view.get("budget", "parameters"), _least_weights(view)
    if limit < least.weights:
        wanted = f"at least what the smallest design of the space has ({least})"
        yield ("budget", "parameters"), f"{wanted}, got {format_count(limit)}"


def serving_memory(view: View) -> Found:
    """The weights of some design fit the serving GPU."""
    if not isinstance(view.get("budget", "serving"), Mapping):
        return
    memory = view.get("budget", "serving", "gpu_memory")
    bits, least = view.get("budget", "serving", "weight_bits"), _least_weights(view)
    needed = least.weights * bits / 8
    if memory < needed:
        wanted = (
            f"at least the weights of the smallest design of the space ({shown_size(needed)} for {least})"
        )
        yield ("budget", "serving", "gpu_memory"), f"{wanted}, got {shown_size(memory)}"


def reference(view: View) -> Found:
    """The context of the arm that does not trade lies in the space."""
    if not view.given("trade", "reference_context"):
        return
    points, given = view.points("context_length"), view.get("trade", "reference_context")
    if not points[0] <= given <= points[-1]:
        wanted = f"within the space's context_length ({_span(points)})"
        yield ("trade", "reference_context"), f"{wanted}, got {given:,}"


RULES = (ranges, repeats, heads, staged, windows, parameter_limit, serving_memory, reference)


class _Least:
    """The smallest design of a space, by its matrices."""

    def __init__(self, weights: float, d_model: int, n_layers: int) -> None:
        self.weights, self._d_model, self._n_layers = weights, d_model, n_layers

    def __str__(self) -> str:
        return f"{format_count(self.weights)}: d_model {self._d_model:,}, n_layers {self._n_layers:,}"


def _least_weights(view: View) -> _Least:
    """A lower bound on the parameters of every design: its matrices, without norms and biases.

    A bound instead of the exact count, so that a budget is refused only where nothing can be built,
    and so that checking a file needs no cost model.
    """
    widths, layers = view.points("d_model"), view.points("n_layers")[0]
    heads_listed = [head for _, head in view.items("space", "d_head")]
    kv_listed = [kv for _, kv in view.items("space", "n_kv_heads")]
    vocabulary = min(size for _, size in view.items("space", "vocab_size"))
    per_width = min(_ffn_matrices(choice) for _, choice in view.items("space", "ffn"))
    tables = 1 if view.get("space", "tied_embeddings") else 2
    least = _Least(float("inf"), 0, 0)
    for head in heads_listed:
        for kv in kv_listed:
            group = head if kv == "all" else head * kv
            d = next((d for d in widths if d % group == 0), None)
            if d is None:
                continue
            keys = d if kv == "all" else group
            # Half a tile of 128 is the most that rounding d_ff to whole tiles takes away.
            ffn = sum(count * max(ratio * d - 64, 0) * d for count, ratio in [per_width])
            weights = tables * vocabulary * d + layers * (2 * d * d + 2 * d * keys + ffn)
            if weights < least.weights:
                least = _Least(float(weights), d, layers)
    return least if least.weights < float("inf") else _Least(0.0, 0, 0)


def _ffn_matrices(choice: Any) -> tuple[int, float]:
    """(matrices, inner width over d_model) of a feed-forward part."""
    kind = choice if isinstance(choice, str) else choice.get("kind", "swiglu")
    gated = kind in ("swiglu", "geglu")
    ratio = None if isinstance(choice, str) else choice.get("ratio")
    if ratio is BROKEN or kind is BROKEN:
        return 0, 0.0
    return (3 if gated else 2), ratio if ratio is not None else (8 / 3 if gated else 4.0)


def _span(points: tuple[int, ...]) -> str:
    return f"{points[0]:,}" if len(points) == 1 else f"{points[0]:,} to {points[-1]:,}"


def _heads(widths: tuple[int, ...], usable: set[int]) -> str:
    counts = sorted({d // head for head in usable for d in (widths[0], widths[-1])})
    return f"about {counts[0]:,} to {counts[-1]:,}" if len(counts) > 1 else f"{counts[0]:,}"
