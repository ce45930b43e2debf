"""A budget before any search: how large its space is, what each limit stops, what the loss is blind to."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from explorer.units import format_count

if TYPE_CHECKING:
    from explorer.budget import Budget
    from explorer.search.problem import Problem


MOST_COUNTED = 200_000
"""Designs of a lattice that are counted one by one; of a larger one a sample is."""
N_SAMPLED = 4000


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a budget asks, before any search."""

    name: str
    n_listed: int
    n_lattice: int
    n_feasible: int
    n_plans: int
    stopped_by: Mapping[str, int]
    """Limit → designs of the lattice that break it."""
    n_sampled: int = 0
    """Designs from which the counts above are estimated; 0 where each was counted."""
    tokens_by_limit: Mapping[str, tuple[float, float]]
    """Training limit → fewest and most tokens it allows over the feasible designs."""
    blind_to: tuple[str, ...]
    nearest: Mapping[str, float] = field(default_factory=dict)
    """Where nothing is feasible: least excess over each limit, as a share of it."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        from dataclasses import asdict

        return asdict(self)

    def lines(self) -> list[str]:
        """For a person."""
        lines = [
            f"{self.name}: {self.n_lattice:,} designs on the lattice, {self.n_plans:,} plan"
            f"{'' if self.n_plans == 1 else 's'} each",
            f"feasible: {self.n_feasible:,} ({self.n_feasible / max(self.n_lattice, 1):.1%})",
        ]
        for name, n in self.stopped_by.items():
            lines.append(f"limit {name}: stops {n:,} designs ({n / max(self.n_lattice, 1):.1%})")
        for name, (low, high) in self.tokens_by_limit.items():
            lines.append(f"training {name}: allows {format_count(low)} to {format_count(high)} tokens")
        for name, excess in self.nearest.items():
            lines.append(f"nothing is feasible; nearest design to {name}: {excess:+.1%} of the limit")
        if self.blind_to:
            lines.append(f"the loss is blind to: {', '.join(self.blind_to)}")
        return [*lines, *(f"note: {note}" for note in self.notes)]


def check(budget: Budget) -> Check:
    """A dry run: size of the space, what each limit stops, what the loss is blind to."""
    import numpy as np

    from explorer.claims.describe import blind_to
    from explorer.claims.survey import landscape_parts
    from explorer.cost import enumerate_plans
    from explorer.search import Problem

    began = time.perf_counter()
    problem = Problem(budget)
    lattice = problem.lattice
    if lattice.size > MOST_COUNTED:
        return _estimated(problem, began)
    listed = {(s.staged_from, s.staged_share) for s in lattice.schedule}
    n_planned = n_feasible = 0
    broken: dict[str, int] = {}
    nearest: dict[str, float] = {}
    least, most = math.inf, -math.inf
    for grids in landscape_parts(problem, float(lattice.context_length[0]), problem.law.n_counts):
        for g in grids:
            if (g.staged_from, g.staged_share) not in listed or not g.exists.any():
                continue
            n_planned += int(g.exists.sum())
            n_feasible += int(g.feasible.sum())
            for name, excess in g.excess.items():
                own = np.broadcast_to(excess, g.shape)[g.exists]
                broken[name] = broken.get(name, 0) + int((own > 0).sum())
                nearest[name] = min(nearest.get(name, math.inf), float(own.min()))
            if g.feasible.any():
                tokens_here = g.n_tokens[g.feasible]
                least, most = min(least, float(tokens_here.min())), max(most, float(tokens_here.max()))
    # Shapes far beyond the parameter limit are cut off before they are planned: only that limit stops them.
    broken["parameters"] = broken.get("parameters", 0) + lattice.size - n_planned
    tokens = {" and ".join(problem.training_limits): (least, most)} if n_feasible else {}
    plans = enumerate_plans(problem.setting, problem.hardware)
    return Check(
        name=budget.name,
        n_listed=lattice.listed,
        n_lattice=lattice.size,
        n_feasible=n_feasible,
        n_plans=sum(int(np.size(p.tensor_parallel)) for p in plans),
        stopped_by={n: k for n, k in broken.items() if k},
        tokens_by_limit=tokens,
        blind_to=tuple(blind_to(lattice)),
        nearest={} if n_feasible else nearest,
        notes=(*budget.notes, *lattice_notes(problem)),
        seconds=round(time.perf_counter() - began, 3),
    )


def _estimated(problem: Problem, began: float) -> Check:
    """The same from designs drawn at random, always the same ones: a share is then known to about a hundredth."""
    import numpy as np

    from explorer.claims.describe import blind_to
    from explorer.search.exact import exact_front

    lattice, budget = problem.lattice, problem.budget
    draw = np.random.default_rng(0)
    share = lattice.size / lattice.listed
    points = np.empty((0, len(lattice.sizes)), dtype=np.int64)
    while len(points) < N_SAMPLED:
        more = [draw.integers(0, n, min(int(2 * N_SAMPLED / share), 1 << 17)) for n in lattice.sizes]
        some = np.stack(more, axis=1)
        points = np.vstack([points, some[lattice.valid(some)]])
    points = points[:N_SAMPLED]
    # What is far too large is never planned: only that limit stops it, as in a full count.
    close = problem.screen(points) <= 1
    outcome = problem.outcome(points[close])
    per_design = lattice.size / N_SAMPLED
    broken = {n: round(float((v > 0).sum()) * per_design) for n, v in outcome.constraints.items()}
    broken["parameters"] = broken.get("parameters", 0) + round(float((~close).sum()) * per_design)
    rows = problem.columns(points[close][outcome.feasible])
    tokens = rows["n_tokens"].astype(float)
    limits = (
        {" and ".join(problem.training_limits): (float(tokens.min()), float(tokens.max()))}
        if len(tokens)
        else {}
    )
    n_feasible = round(float(outcome.feasible.sum()) * per_design)
    if not n_feasible:
        # That none of the sample is feasible proves nothing: enumeration does.
        n_feasible = len(exact_front(problem).points)
    nearest = {n: float(v.min()) for n, v in outcome.constraints.items()} if close.any() else {}
    return Check(
        name=budget.name,
        n_listed=lattice.listed,
        n_lattice=lattice.size,
        n_feasible=n_feasible,
        n_plans=problem.n_plans,
        stopped_by={n: k for n, k in broken.items() if k},
        n_sampled=N_SAMPLED,
        tokens_by_limit=limits,
        blind_to=tuple(blind_to(lattice)),
        nearest={} if n_feasible else nearest,
        notes=(
            f"counts and ranges are estimated from {N_SAMPLED:,} designs of the lattice drawn at random",
            *budget.notes,
            *lattice_notes(problem),
        ),
        seconds=round(time.perf_counter() - began, 3),
    )


def lattice_notes(problem: Problem) -> list[str]:
    """What became of the listed combinations that are not on the lattice, in a sentence; empty where all are."""
    lattice = problem.lattice
    if not lattice.dropped:
        return []
    widths = int(lattice.valid_heads.any(axis=(0, 1)).sum())
    note = f"{lattice.dropped:,} of {lattice.listed:,} listed combinations cannot be built or repeat another"
    if widths < len(lattice.d_model):
        note += (
            f"; {widths} of {len(lattice.d_model)} widths remain, since d_model / d_head must be a "
            "whole number and a multiple of n_kv_heads (list more n_kv_heads for a finer grid)"
        )
    return [note]
