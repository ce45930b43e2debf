"""One design taken apart beside a published model: memory, FLOPs and time by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from explorer.report import palette, words
from explorer.report.chart import Chart, Table, specify
from explorer.report.facts import Facts
from explorer.units import GIB

if TYPE_CHECKING:
    import pandas as pd

PARTS = {
    "memory": (
        "Memory per GPU, filled by", "GiB per GPU",
        ("weights", "optimizer states", "gradients", "saved activations", "logits and gradients",
         "temporaries", "allocator slack", "context and buffers"),
    ),
    "flops": ("Training FLOPs per token, spent on", "GFLOPs per token", ()),
    "time": ("Time per token, spent on", "µs per token", ()),
}  # fmt: skip
MOST_PARTS = 8
OWN = "this design"


def parts(anatomy: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Memory (GiB), training FLOPs per token (GFLOPs) and time per token (µs) by part."""
    return {
        "memory": _memory(anatomy["memory"]),
        "flops": _flops(anatomy["flops"]),
        "time": _time(anatomy["time"]),
    }


def fullest(anatomy: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a staged design the stage that fills the device most; else the design itself."""
    stages = [anatomy, *([anatomy["short"]] if "short" in anatomy else [])]
    return max(stages, key=lambda a: float(a["memory"]["peak_device_bytes"]))


def stages(anatomy: Mapping[str, Any]) -> list[tuple[str, dict[str, dict[str, float]]]]:
    """(`at 4,096`, its parts): one bar, or one per stage of a staged schedule, the first stage first."""
    found = [anatomy["short"]] if "short" in anatomy else []
    return [(f"at {words.whole(float(a['design']['context_length']))}", parts(a)) for a in (*found, anatomy)]


def _memory(memory: Mapping[str, Any]) -> dict[str, float]:
    """The peak instant filled up in order, so that the parts sum to what the device holds."""
    instant = str(memory.get("peak_instant", ""))
    stepping = "optimizer" in instant
    left = float(memory["peak_allocated_bytes"])
    order = [("weights", "parameter_bytes"), ("optimizer states", "optimizer_bytes")]
    order += (
        [("gradients", "gradient_bytes")] if stepping else [("saved activations", "saved_activation_bytes")]
    )
    found: dict[str, float] = {}
    for name, key in order:
        found[name] = min(left, float(memory[key]))
        left -= found[name]
    found["logits and gradients" if "loss" in instant else "temporaries"] = left
    found["allocator slack"] = float(memory["peak_reserved_bytes"]) - float(memory["peak_allocated_bytes"])
    found["context and buffers"] = float(memory["peak_device_bytes"]) - float(memory["peak_reserved_bytes"])
    return {k: v / GIB for k, v in found.items() if v > 0}


def _flops(flops: Mapping[str, Any]) -> dict[str, float]:
    forward = {k: float(v) for k, v in flops["forward_flops_per_token_by_operation"].items()}
    scale = float(flops["train_flops_per_token"]) / (sum(forward.values()) or 1.0)
    return {str(k).replace("_", " "): v * scale / 1e9 for k, v in forward.items() if v > 0}


def _time(time: Mapping[str, Any]) -> dict[str, float]:
    per = float(time.get("tokens_per_step") or 1.0) / 1e6
    return {str(k).replace("_", " "): float(v) / per for k, v in time["parts_seconds"].items() if v and v > 0}


def rows(
    bars: Sequence[tuple[str, Mapping[str, float]]], quantity: str, order: list[str]
) -> list[dict[str, Any]]:
    """The segments of all bars, in the chart's order; parts beyond its colours go into the last one."""
    return [
        {"who": who, "place": place, "part": p, "rank": order.index(p), "value": float(f"{v:.4g}"), "quantity": quantity}
        for place, (who, found) in enumerate(bars)
        for p, v in folded(found, order).items()
    ]  # fmt: skip


def closest(facts: Facts, n_params: float) -> str | None:
    """The published model nearest in size among those that were taken apart."""
    evidence = facts.result.evidence
    if evidence is None or not evidence.model_anatomies:
        return None
    models = evidence.models[evidence.models["name"].isin(list(evidence.model_anatomies))]
    if not len(models):
        return None
    ratio = models["n_params"].astype(float) / n_params
    return str(models.loc[ratio.where(ratio >= 1, 1 / ratio).idxmin(), "name"])  # type: ignore[index]


def charts(facts: Facts) -> list[Chart]:
    """Memory, FLOPs and time of the best design, beside the published model of the nearest size."""
    evidence = facts.result.evidence
    if (
        evidence is None
        or facts.best_number >= len(evidence.anatomies)
        or not evidence.anatomies[facts.best_number]
    ):
        return []
    mine = stages(evidence.anatomies[facts.best_number])
    model = closest(facts, float(facts.best["n_params"]))
    others = stages(evidence.model_anatomies[model]) if model else []
    names = order_of(facts)
    return [
        _chart(
            q, [(f"{OWN}|{at}", found[q]) for at, found in mine], [(f"{model}|{at}", found[q]) for at, found in others], names[q]
        )
        for q in PARTS
    ]  # fmt: skip


def order_of(facts: Facts) -> dict[str, list[str]]:
    """Every part that any design or model has, so that colours mean the same for all of them."""
    evidence = facts.result.evidence
    assert evidence is not None
    every = [
        found
        for a in (*evidence.anatomies, *evidence.model_anatomies.values())
        if a
        for _, found in stages(a)
    ]
    found: dict[str, list[str]] = {}
    for quantity, (_, _, fixed) in PARTS.items():
        weight: dict[str, float] = {}
        for one in every:
            total = sum(one[quantity].values()) or 1.0
            for part, value in one[quantity].items():
                weight[part] = weight.get(part, 0.0) + value / total
        found[quantity] = [p for p in fixed if p in weight] or sorted(weight, key=lambda p: -weight[p])
    return found


Bars = Sequence[tuple[str, Mapping[str, float]]]


def _chart(quantity: str, mine: Bars, others: Bars, order: list[str]) -> Chart:
    import pandas as pd

    title, unit, _ = PARTS[quantity]
    shown = order[:MOST_PARTS]
    bars = [*mine, *others]
    data: pd.DataFrame = pd.DataFrame(rows(bars, quantity, shown))
    name = f"anatomy-{quantity}"
    colours = [palette.CATEGORICAL[k % 8] for k in range(len(shown))]
    source = alt.Chart(alt.NamedData(name))
    layers = [
        source.mark_bar(stroke="@paper", strokeWidth=1, height={"band": 0.72}).encode(
            x=alt.X("value:Q", title=unit, stack="zero", axis=alt.Axis(format="~r", tickCount=5)),
            y=alt.Y("who:N", sort=alt.EncodingSortField("place"), title=None,
                    axis=alt.Axis(labelColor="@ink", domain=False, ticks=False, labelLimit=120, labelFontSize=11.5,
                                  labelExpr="split(datum.label, '|')")),
            color=alt.Color("part:N", scale=alt.Scale(domain=shown, range=colours),
                            legend=alt.Legend(title=None, columns=2, symbolType="square", symbolStrokeWidth=0, labelFontSize=11)),
            order=alt.Order("rank:Q"),
            tooltip=[alt.Tooltip("who:N", title="Design"), alt.Tooltip("part:N", title="Part"), alt.Tooltip("value:Q", title=unit, format=",.4~r")],
        ),
    ]  # fmt: skip
    said = takeaway(quantity, mine, others)
    every = sorted({p for _, found in bars for p in found}, key=order.index)
    heads = [who.replace("|", " ") for who, _ in bars]
    return Chart(
        name=name,
        title=title,
        takeaway=said,
        description=f"Stacked bars of {unit} by part for {words.listed(heads)} tokens. {said}",
        spec=specify(layers, alt.Step(46)),
        data={name: data},
        table=Table(
            caption=f"{title} ({unit})",
            columns=("Part", *(words.sentence(h)[:-1] for h in heads)),
            rows=(*((p, *(words.number(found.get(p, 0.0)) for _, found in bars)) for p in every), ("Sum", *(words.number(sum(found.values())) for _, found in bars))),
            numeric=frozenset(range(1, len(bars) + 1)),
        ),
        height=310,
    )  # fmt: skip


def folded(found: Mapping[str, float], shown: list[str]) -> dict[str, float]:
    """Parts beyond the colours go into the last one."""
    out: dict[str, float] = {}
    for part, value in found.items():
        key = part if part in shown else shown[-1]
        out[key] = out.get(key, 0.0) + value
    return out


def takeaway(quantity: str, mine: Bars, others: Bars) -> str:
    """What takes most at full context, and how the sum compares with the other stage's and the model's."""
    unit = PARTS[quantity][1]
    who, full = mine[-1]
    total, top = sum(full.values()), max(full, key=lambda p: full[p])
    where = f"{who.split('|')[1].capitalize()} tokens the" if len(mine) > 1 else "The"
    text = (
        f"{where} largest part is {top}, {words.percent(full[top] / total)} of {words.number(total)} {unit}"
    )
    sums = [(w.replace("|", " "), sum(found.values())) for w, found in (*mine[:-1], *others)]
    return text + "".join(
        f"; {label.removeprefix(OWN).strip()} tokens {'it is' if label.startswith(OWN) else 'takes'} {words.number(value)}" for label, value in sums
    ) + "."  # fmt: skip
