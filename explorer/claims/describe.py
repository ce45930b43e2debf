"""From optimised arms to records: each arm's design with the limits it uses, each value with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from explorer import quality
from explorer.claims.arms import VALUES, Outcome, losses_at
from explorer.claims.landscape import Landscape, design_at
from explorer.claims.records import Arm, ArmName, CorpusTrade, Estimate, LimitEffect, Value, ValueName
from explorer.claims.setting import Setting, holds, pays, staged_leads, too_short
from explorer.claims.statistics import estimate, probability
from explorer.design import Design, tables

if TYPE_CHECKING:
    from explorer.search.problem import Problem
    from explorer.search.space import Lattice

LABELS: dict[str, str] = {
    "A": "short",
    "B": "context only",
    "C": "trade",
    "D": "staged",
    "D'": "staged, shape as in A",
    "depth": "depth cut instead of width",
    "reshape": "reshaped at the same size",
    "baseline": "the baseline's own shape",
    "context": "value of context",
    "width": "value of trading width",
    "waiting": "value of waiting",
}
FREE: dict[str, tuple[str, ...]] = {
    "A": ("d_model", "n_layers"),
    "B": ("context_length",),
    "C": ("context_length", "d_model", "n_layers"),
    "D": ("context_length", "d_model", "n_layers"),
    "D'": ("context_length",),
    "depth": ("context_length", "n_layers"),
    "reshape": ("context_length", "d_model", "n_layers"),
    "baseline": ("context_length",),
}
"""What an arm chooses: only there can it sit on the space's edge."""
LEAST = 1e-9
"""A gain below this (nats) is rounding."""
Place: TypeAlias = tuple[int, int, int]
"""(landscape, context row, shape column): where an arm's design lies."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lift:
    """The arms without one limit: all free again, and with arm A's shape kept."""

    free: Outcome
    kept: Outcome


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Everything known of one corpus when its records are written."""

    setting: Setting
    corpus: str
    central: quality.Coefficients
    centre: Outcome
    draws: quality.Posterior | None
    found: Outcome | None
    lifted: Mapping[str, Lift]

    @property
    def arms(self) -> list[str]:
        """Arms that have a design at the central values."""
        return [name for name, picked in self.centre.arms.items() if np.isfinite(picked.loss[0])]

    def at(self, arm: str) -> Place:
        """(landscape, context row, shape column) of an arm at the central values; −1: the baseline's own."""
        p = self.centre.arms[arm]
        return int(p.schedule[0]), int(p.context[0]), int(p.shape[0])

    def grid(self, index: int) -> Landscape:
        """A landscape by its index."""
        baseline = self.setting.usable_baseline
        if index < 0 and baseline is not None:
            return baseline
        return self.setting.grids[index]

    def design(self, arm: str) -> Design:
        """The design of an arm at the central values."""
        index, row, column = self.at(arm)
        g = self.grid(index)
        shape = self.setting.baseline_shape
        if index < 0 and shape is not None:
            return shape.with_(context_length=float(g.contexts[row]), staged_from=0.0, staged_share=0.0)
        return design_at(self.setting.problem.lattice, g, row, column)

    @cached_property
    def models_context(self) -> bool:
        """Whether the corpus has any benefit of context."""
        return self.setting.corpora[self.corpus].has_context_benefit


def costs(problem: Problem, designs: Mapping[Place, Design]) -> dict[Place, dict[str, Any]]:
    """What the design in each place costs and uses of the limits, all evaluated together."""
    places = list(designs)
    found: dict[Place, dict[str, Any]] = {}
    for chosen, table in tables(list(designs.values())):
        figures = problem.evaluate(table)
        whole = {"train_flops": figures.train_flops, "peak_device_bytes": figures.peak_device_bytes}
        columns, used = (
            {name: np.broadcast_to(values, (len(chosen),)) for name, values in some.items()}
            for some in (whole, figures.used)
        )
        for row, k in enumerate(chosen):
            found[places[k]] = {
                **{name: float(values[row]) for name, values in columns.items()},
                "limits": {name: float(values[row]) for name, values in used.items()},
            }
    return found


def corpus_trade(view: View, costs: Mapping[Place, dict[str, Any]] | None) -> CorpusTrade:
    """The trade on one corpus. Without `costs` of the arms' designs it is brief: curves and lifted limits
    are left out too."""
    from explorer.claims.curves import by_context, by_width, exchange, width_per_doubling

    setting, centre, found = view.setting, view.centre, view.found
    names, brief = view.arms, costs is None
    if brief:
        names = [n for n in names if n in ("A", "B", "C", "D", "D'")]
    losses = _losses(view, names)
    arms = {n: _arm(view, cast(ArmName, n), losses[n], costs) for n in names}
    staged = "D" in centre.arms
    line = () if brief else exchange(view)
    return CorpusTrade(
        corpus=view.corpus,
        models_context=view.models_context,
        arms=arms,
        context=_value(view, "context"),
        width=_value(view, "width"),
        waiting=_value(view, "waiting") if staged else None,
        depth=_value(view, "depth"),
        reshape=_value(view, "reshape"),
        holds=probability(
            bool(holds(setting, centre)[0]), holds(setting, found) if found is not None else None
        ),
        contexts_too_short=_too_short(view),
        staged_better=probability(
            bool(staged_leads(centre)[0]), staged_leads(found) if found is not None else None
        )
        if staged
        else None,
        recovery_needed=_recovery(view) if staged else None,
        rejected_share=view.draws.rejected_share if view.draws is not None else 0.0,
        stopped_by=_stops(view),
        curve=() if brief else by_width(view),
        exchange=line,
        by_context=() if brief else by_context(view),
        width_per_doubling=width_per_doubling(line, setting.reference_context),
        notes=_notes(view, arms),
    )


def blind_to(lattice: Lattice) -> tuple[str, ...]:
    """Levers the space leaves open and the laws are blind to, each with the reason."""
    blind = quality.BLIND_LEVERS
    reasons = {
        "n_kv_heads": blind["n_kv_heads"],
        "d_head": blind["d_head"],
        "ffn": blind["ffn"],
        "vocab_size": blind["vocab_size"],
        "attention": blind["window"],
    }
    return tuple(f"{name}: {why}" for name, why in reasons.items() if len(getattr(lattice, name)) > 1)


def _arm(view: View, name: ArmName, loss: Estimate, costs: Mapping[Place, dict[str, Any]] | None) -> Arm:
    index, row, column = place = view.at(name)
    g = view.grid(index)
    n_law = float(g.n_law[min(row, len(g.n_law) - 1), column])
    own: dict[str, Any] = {"limits": {}, "levers": {}}
    if costs is not None:
        own = costs[place] | {"levers": _levers(view.setting.problem.lattice, view.design(name))}
    return Arm(
        name=name,
        label=LABELS[name] if name != "baseline" else view.setting.baseline_name,
        context_length=float(g.contexts[row]),
        d_model=float(g.d_model[column]),
        n_layers=float(g.n_layers[column]),
        schedule="staged" if g.staged_from else "constant",
        staged_from=g.staged_from,
        staged_share=g.staged_share,
        n_params=float(g.n_params[min(row, len(g.n_params) - 1), column]),
        n_tokens=float(g.n_tokens[row, column]),
        loss=loss,
        binds=_binds(view, name, own["limits"]),
        edges=_edges(view, name, row, column, g),
        extrapolated=_extrapolated(view.setting.law, g, row, column, n_law),
        **own,
        **_spreads(view, name),
    )


def _levers(lattice: Lattice, design: Design) -> dict[str, float | str]:
    """The open levers' choices in words and numbers."""
    levers: dict[str, float | str] = {}
    for name in ("n_kv_heads", "d_head", "vocab_size"):
        if len(getattr(lattice, name)) > 1:
            levers[name] = float(getattr(design, name))
    if len(lattice.ffn) > 1:
        levers["ffn"] = f"{design.ffn}, d_ff {design.d_ff:g}"
    if len(lattice.attention) > 1:
        levers["attention"] = f"window {design.window:g}" if design.window else "full"
    return levers


def _losses(view: View, names: Sequence[str]) -> dict[str, Estimate]:
    """Loss of each arm's central design over the draws (the design held, not chosen anew)."""
    central = [float(view.centre.arms[name].loss[0]) for name in names]
    if view.draws is None:
        return {name: Estimate(central=loss) for name, loss in zip(names, central, strict=True)}
    places = [view.at(name) for name in names]
    grids = [view.grid(index) for index, _, _ in places]
    picked = [(k, row, column) for k, (_, row, column) in enumerate(places)]
    drawn = losses_at(grids, picked, view.draws.coefficients)
    return {
        name: estimate(loss, drawn[:, k]) for k, (name, loss) in enumerate(zip(names, central, strict=True))
    }


def _spreads(view: View, name: str) -> dict[str, Any]:
    """Context, width and depth chosen anew in every draw."""
    index, row, column = view.at(name)
    g = view.grid(index)
    if view.found is None:
        return {}
    p = view.found.arms[name]
    return {
        "context_spread": estimate(float(g.contexts[row]), g.contexts[p.context]),
        "width_spread": estimate(float(g.d_model[column]), g.d_model[p.shape]),
        "depth_spread": estimate(float(g.n_layers[column]), g.n_layers[p.shape]),
    }


def _binds(view: View, name: str, used: Mapping[str, float]) -> tuple[str, ...]:
    """Limits without which the arm would reach a lower loss: those lifted in turn, and training used up."""
    own = float(view.centre.arms[name].loss[0])
    found = []
    for limit, lift in view.lifted.items():
        outcome = lift.kept if name in ("B", "D'", "depth") else lift.free
        if name in outcome.arms and outcome.arms[name].loss[0] < own - LEAST:
            found.append(limit)
    # More tokens always lower the loss, so a training limit that is used up stops the arm.
    found += [limit for limit, share in used.items() if limit not in view.lifted and share > 1 - 1e-6]
    return tuple(found)


def _edges(view: View, name: str, row: int, column: int, g: Landscape) -> tuple[str, ...]:
    lattice = view.setting.problem.lattice
    chosen = {
        "context_length": g.contexts[row],
        "d_model": g.d_model[column],
        "n_layers": g.n_layers[column],
    }
    edges = []
    for axis in FREE[name]:
        listed = getattr(lattice, axis)
        if len(listed) < 2:
            continue
        if chosen[axis] >= listed[-1]:
            edges.append(f"{axis} ≥")
        elif chosen[axis] <= listed[0]:
            edges.append(f"{axis} ≤")
    return tuple(edges)


def _extrapolated(law: quality.Law, g: Landscape, row: int, column: int, n_law: float) -> tuple[str, ...]:
    flags = quality.domain_flags(
        law,
        n_params=n_law,
        n_tokens=float(g.n_tokens[row, column]),
        context_length=float(g.contexts[row]),
        aspect=float(g.d_model[column] / g.n_layers[column]),
        staged_share=g.staged_share,
    )
    return tuple(name for name, outside in flags.items() if bool(np.any(outside)))


def _value(view: View, name: ValueName) -> Value:
    centre, found, setting = view.centre, view.found, view.setting
    compute = found.compute[name] if found is not None else None
    beyond = (
        float(np.mean(np.isinf(compute))) if compute is not None else float(np.isinf(centre.compute[name][0]))
    )
    worth = pays(setting, found if found is not None else centre, name)
    note = ""
    if beyond:
        share = ""
        if compute is not None:
            share = "in less than 1% of the draws " if beyond < 0.01 else f"in {beyond:.0%} of the draws "
        note = f"{share}no amount of compute lets arm A gain as much within the other limits"
    return Value(
        name=name,
        label=LABELS[name]
        if name in LABELS and name not in ("depth", "reshape")
        else f"value: {LABELS[name]}",
        nats=estimate(float(centre.value(name)[0]), found.value(name) if found is not None else None),
        compute=estimate(float(centre.compute[name][0]), compute),
        pays=float(np.mean(worth)),
        beyond_reach=beyond,
        note=note,
    )


def _too_short(view: View) -> Estimate:
    """Whether a longer context pays; where none is modelled the cheapest is chosen, which is no finding."""
    setting, found = view.setting, view.found
    if not view.models_context:
        return probability(
            False, np.zeros(len(found.compute["context"]), dtype=bool) if found is not None else None
        )
    return probability(
        bool(too_short(setting, view.centre)[0]), too_short(setting, found) if found is not None else None
    )


def _recovery(view: View) -> Estimate | None:
    needed = view.centre.recovery_needed
    if needed is None:
        return None
    found = view.found.recovery_needed if view.found is not None else None
    return estimate(float(needed[0]), found)


def _stops(view: View) -> tuple[LimitEffect, ...]:
    """Limits that stop arm B short of a longer context, and the part of trading width they account for."""
    own = float(view.centre.arms["B"].loss[0])
    width = float(view.centre.value("width")[0])
    effects = []
    for limit, lift in view.lifted.items():
        b = lift.kept.arms["B"]
        gain = own - float(b.loss[0])
        if gain <= LEAST:
            continue
        vanishing = min(gain, width)
        effects.append(
            LimitEffect(
                limit=limit,
                arm="B",
                context_length_lifted=float(view.setting.grids[0].contexts[int(b.context[0])]),
                vanishing_nats=vanishing,
                vanishing_share=vanishing / width if width > LEAST else 0.0,
            )
        )
    return tuple(effects)


def _notes(view: View, arms: Mapping[str, Arm]) -> tuple[str, ...]:
    notes = []
    if not view.models_context:
        notes.append(
            f"on {view.corpus} the law models no benefit of context: arms that choose their context take the "
            "cheapest one, and that is no finding about context"
        )
    a, c = arms["A"], arms["C"]
    if "parameters" in a.binds:
        notes.append("the parameter limit binds in arm A: no other arm can grow N, only spend less on it")
    if c.n_params < a.n_params * 0.97:
        notes.append(f"arm C is smaller than arm A by {1 - c.n_params / a.n_params:.0%} of its parameters")
    if c.d_model > a.d_model and view.centre.value("width")[0] > LEAST:
        notes.append(
            f"arm C is wider than arm A ({c.d_model:,.0f} against {a.d_model:,.0f}): what it gains over "
            "arm B is a gain of reshaping, the opposite of the idea"
        )
    if "reshape" in arms and view.centre.value("width")[0] > LEAST:
        part = float(view.centre.value("reshape")[0] / view.centre.value("width")[0])
        notes.append(f"{part:.0%} of the value of trading width is had by reshaping at arm A's size alone")
    return tuple(notes)


__all__ = ["VALUES", "Lift", "View", "blind_to", "corpus_trade", "costs"]
