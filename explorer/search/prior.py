"""What closed forms tell of a design before it is looked at, and what a look adds to them.

A look is compared with the closed forms where the difference is simplest: how many times slower than the
peak rate a design runs, and how much more memory it needs than plain plans do. What is learned of that is
carried over to other designs, and their objectives follow by the same forms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from explorer import quality
from explorer.cost import enumerate_plans, flops, kv_cache_bytes, parameters, peak_device_bytes, serving_bytes
from explorer.cost.hardware import MATMUL_DTYPE
from explorer.cost.plans import NUMERIC, plan_is_possible
from explorer.cost.time import hardware_level
from explorer.design import Design, Plan
from explorer.search.front import DECIMALS
from explorer.search.outcome import Outcome, SearchProblem
from explorer.search.space import IntArray
from explorer.units import FloatArray, Num

if TYPE_CHECKING:
    from explorer.search.problem import Problem

MOST_DOUBLINGS = 3.0
"""Of memory beyond the limit, or below it, that are told apart."""
SHARP = 3.0
"""A hint turns from -1 to 1 within this part of a doubling of memory: whether a plan fits is a jump."""
BELOW = 0.25
"""Doublings below the limit that a design is taken to need that fits where no plain plan does."""
WORST = 0.5
"""A violation beyond this, where nothing is known of limits, is as good as this."""


class Prior(Protocol):
    """What is known of designs that nobody looked at."""

    def forms(self, points: IntArray) -> FloatArray:
        """(n, f) closed-form figures of lattice indices (n, 9), all that the other questions need."""

    def hints(self, forms: FloatArray) -> FloatArray:
        """(n, h) of them, each within -1 and 1, what tells where the best plan is likely to change."""

    def lessons(self, points: IntArray, outcome: Outcome, forms: FloatArray) -> FloatArray:
        """(n, q) what looking at `points` taught beyond their forms."""

    def expected(self, forms: FloatArray, learned: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """Coordinates (n, m) and violation (n,) that forms and carried-over lessons (n, q) amount to."""


def prior_of(problem: SearchProblem) -> Prior:
    """The problem's own, or none."""
    own: Prior | None = getattr(problem, "prior", None)
    return own if own is not None else NoPrior(problem)


class NoPrior:
    """Of a problem without closed forms: lessons are the coordinates and the violation themselves."""

    def __init__(self, problem: SearchProblem) -> None:
        self._m = len(problem.objectives)

    def forms(self, points: IntArray) -> FloatArray:
        """Nothing."""
        return np.empty((len(points), 0))

    def hints(self, forms: FloatArray) -> FloatArray:
        """None."""
        return forms

    def lessons(self, points: IntArray, outcome: Outcome, forms: FloatArray) -> FloatArray:
        """(n, m + 1)"""
        finite = np.isfinite(outcome.coordinates).all(axis=1, keepdims=True)
        known = np.where(finite, outcome.coordinates, np.nan)
        return np.column_stack([known, np.clip(outcome.violation, -WORST, WORST)])

    def expected(self, forms: FloatArray, learned: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """The lessons again."""
        if learned is None:
            return np.zeros((len(forms), self._m)), np.full(len(forms), -1.0)
        return np.round(learned[:, :-1], DECIMALS), learned[:, -1]


class ClosedForms:
    """Of a budget's problem: everything that needs no plan, and the memory of a few plain plans."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._serving = problem.budget.limits.serving
        hardware, template = problem.hardware, problem.setting.plan
        peak = hardware.accelerator.peak(MATMUL_DTYPE[template.precision])
        self._least_seconds_per_flop = min(hardware_level(hardware, template), 1.0) / (peak * hardware.n_gpus)
        self._own = tuple(o.name for o in problem.objectives if o.name in _OWN)
        self._closed = tuple(o.name for o in problem.objectives if o.name in _CLOSED)
        self._memory = _PlainPlans(problem)
        n_plans, n_parts = len(self._memory.plans), len(self._memory.largest)
        self._doublings = slice(_N_FORMS + 1, _N_FORMS + 1 + n_plans)
        self._parts = slice(self._doublings.stop, self._doublings.stop + n_parts)

    def forms(self, points: IntArray) -> FloatArray:
        """Columns: see `_columns`."""
        found: FloatArray | None = None
        for rows, design in self.problem.lattice.tables(points):
            columns = np.broadcast_arrays(*self._columns(design), np.empty(len(rows)))[:-1]
            if found is None:
                found = np.empty((len(points), len(columns)))
            found[rows] = np.stack(columns, axis=1)
        return found if found is not None else np.empty((0, 1))

    def _columns(self, design: Design) -> list[Num]:
        staged = (np.asarray(design.staged_from) > 0) & (
            np.asarray(design.staged_from) < design.context_length
        )
        constant = design.with_(staged_from=0, staged_share=0)
        work = flops(constant)
        per_token = work.train_per_token("causal")
        if np.any(staged):
            window = np.where(staged, design.staged_from, design.context_length)
            share = np.where(staged, design.staged_share, 1.0)
            short = flops(constant.with_(context_length=window)).train_per_token("causal")
            per_token = share * per_token + (1 - share) * short
        serving = self._serving
        closed: dict[str, Callable[[], Num]] = {
            "context_length": lambda: design.context_length,
            "n_params": lambda: parameters(design).total,
            "n_params_non_embedding": lambda: parameters(design).non_embedding,
            "n_params_active": lambda: parameters(design).active,
            "kv_cache_bytes": lambda: kv_cache_bytes(design, 1, serving.kv_bits if serving else 16),
            "serving_bytes": lambda: serving_bytes(
                design,
                serving.batch if serving else 1,
                serving.weight_bits if serving else 16,
                serving.kv_bits if serving else 16,
            ),
        }
        return [
            per_token,
            self.problem.law_params(design),
            design.context_length,
            design.d_model / design.n_layers,
            design.staged_from,
            design.staged_share,
            work.forward_per_token("causal"),
            *self._memory.doublings(constant),
            *self._memory.parts(constant),
            *(closed[name]() for name in self._closed),
        ]

    def hints(self, forms: FloatArray) -> FloatArray:
        """How far plain plans are from the memory limit, sharply, which of them fit, and into how many equal
        parts a design can be cut."""
        doublings = forms[:, self._doublings]
        fits = np.where(doublings > 0, 1.0, -1.0)
        return np.hstack([np.clip(SHARP * doublings, -1, 1), fits, forms[:, self._parts]])

    def lessons(self, points: IntArray, outcome: Outcome, forms: FloatArray) -> FloatArray:
        """Log of how many times slower, what stands beside time, and doublings of memory beyond plain plans."""
        problem = self.problem
        seconds = np.empty(len(points))
        memory = np.empty(len(points))
        for rows, found in problem.evaluated(points):
            seconds[rows] = found.seconds_per_token
            memory[rows] = found.constraints["gpu_memory"]
        runs = np.isfinite(seconds)
        slower = np.where(runs, np.log(seconds / self._ideal(forms)), np.nan)
        given = self._figures(forms, np.where(runs, seconds, 1.0))
        own = [
            np.where(runs, outcome.coordinates[:, k] - o.coordinates(given[o.name]()), np.nan)
            for k, o in enumerate(problem.objectives)
            if o.name in self._own
        ]
        plain = forms[:, _N_FORMS]
        # A design that fits tells no more than that: it needs less than the limit.
        fits = np.where(plain <= 0, plain, -BELOW)
        needs = np.where(memory > 0, np.log2(1 + np.maximum(memory, 0.0)), fits)
        needs = np.where(runs, needs, MOST_DOUBLINGS)
        return np.column_stack([slower, *own, np.clip(needs - plain, -MOST_DOUBLINGS, MOST_DOUBLINGS)])

    def expected(self, forms: FloatArray, learned: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """Objectives at the time learned; a design that a plain plan fits is feasible."""
        if learned is None:
            learned = np.zeros((len(forms), 2 + len(self._own)))
        given = self._figures(forms, self._ideal(forms) * np.exp(learned[:, 0]))
        columns, nth = [], 1
        for objective in self.problem.objectives:
            values = objective.coordinates(given[objective.name]())
            if objective.name in self._own:
                values = np.round(values + learned[:, nth], DECIMALS)
                nth += 1
            columns.append(values)
        plain = forms[:, _N_FORMS]
        return np.stack(columns, axis=1), np.where(plain <= 0, plain, plain + learned[:, -1])

    def _first_fit(self, forms: FloatArray) -> FloatArray:
        """Doublings of memory over the limit, by the plain plan of least recompute that fits; by the least
        where none does."""
        doublings, found = forms[:, self._doublings], forms[:, _N_FORMS]
        n_least, n = self._memory.n_least, doublings.shape[1]
        for k in reversed([*range(n_least, n), *range(n_least)]):
            found = np.where(doublings[:, k] <= 0, doublings[:, k], found)
        return found

    def _ideal(self, forms: FloatArray) -> FloatArray:
        """Seconds per token with every operation at the peak rate."""
        return forms[:, 0] * self._least_seconds_per_flop

    def _figures(self, forms: FloatArray, seconds: FloatArray) -> dict[str, Callable[[], Num]]:
        """Every objective's figure at so many seconds per token; of `_OWN` what they grow with."""
        problem, hardware = self.problem, self.problem.hardware
        per_token, law_params, context, aspect, staged_from, staged_share, forward = forms[:, :_N_FORMS].T
        by_limit = problem.tokens_by_limit(seconds, per_token)
        n_tokens = np.full(len(forms), np.inf)
        for allowed in by_limit.values():
            n_tokens = np.minimum(n_tokens, allowed)
        n_tokens = np.maximum(n_tokens, 1.0)
        gpu_hours = n_tokens * seconds * hardware.n_gpus / (3600 * hardware.goodput)
        served = self._serving.tokens if self._serving is not None else None
        closed = {name: (lambda k=k: forms[:, self._parts.stop + k]) for k, name in enumerate(self._closed)}
        return {
            **closed,
            "loss": lambda: quality.loss(
                problem.coefficients,
                n_params=law_params,
                n_tokens=n_tokens,
                context_length=context,
                aspect=aspect,
                staged_from=staged_from,
                staged_share=staged_share,
            ),
            "n_tokens": lambda: n_tokens,
            "train_flops": lambda: n_tokens * per_token,
            "lifetime_flops": lambda: n_tokens * per_token + forward * float(served or 0.0),
            "gpu_hours": lambda: gpu_hours,
            "days": lambda: n_tokens * seconds / (86400 * hardware.goodput),
            "price": lambda: gpu_hours * (hardware.price_per_gpu_hour or 0.0),
            "tokens_per_second_per_gpu": lambda: 1 / (seconds * hardware.n_gpus),
            "mfu": lambda: per_token * self._least_seconds_per_flop / seconds,
            "step_seconds": lambda: seconds,
            "energy_kwh": lambda: n_tokens * seconds,
            "peak_device_bytes": lambda: np.exp2(self._first_fit(forms)),
        }


_N_FORMS = 7
"""Columns of `ClosedForms.forms` before those of memory."""
_CLOSED = frozenset(
    ("context_length", "n_params", "n_params_non_embedding", "n_params_active", "kv_cache_bytes",
     "serving_bytes")
)  # fmt: skip
_OWN = frozenset(("step_seconds", "energy_kwh", "peak_device_bytes"))
"""Objectives that time per token does not decide: what they are beside it is learned apart."""


class _PlainPlans:
    """A few plans per design: those that split it as far as possible, and the plainest without recompute."""

    def __init__(self, problem: Problem) -> None:
        self.setting, self.limit = problem.setting, problem.memory_limit_bytes
        self.accelerator = problem.hardware.accelerator
        blocks = enumerate_plans(problem.setting, problem.hardware)
        numbers = np.stack([np.atleast_1d(getattr(blocks[0], name)) for name in NUMERIC], axis=1)
        column = dict(zip(NUMERIC, numbers.T, strict=True))
        self.splits = np.unique(column["tensor_parallel"])
        rank = {n: np.empty((len(self.splits), len(NUMERIC))) for n in ("data", "pipeline", "context")}
        for k, tensor in enumerate(self.splits):
            some = np.flatnonzero(column["tensor_parallel"] == tensor)
            for name, rows in rank.items():
                first = np.lexsort(
                    [
                        column["micro_batch"][some],
                        -column["zero_stage"][some],
                        -column[f"{name}_parallel"][some],
                    ]
                )[0]
                rows[k] = numbers[some[first]]
        layouts = [rank["data"]]
        layouts += [rank[n] for n in ("pipeline", "context") if not np.array_equal(rank[n], rank["data"])]
        least, modes = blocks[-1], blocks[:-1]
        self.plans = [(least, rows) for rows in layouts] + [(mode, rank["data"]) for mode in modes]
        self.n_least = len(layouts)
        largest = {"heads": self.splits, "depth": column["pipeline_parallel"]}
        largest["batch"] = column["data_parallel"] * column["micro_batch"]
        self.largest = {
            name: int(np.log2(values.max())) for name, values in largest.items() if values.max() > 1
        }
        """Of what plans cut into parts, the most doublings of their number."""

    def parts(self, design: Design) -> list[Num]:
        """How many times heads, depth and batch can be halved evenly, as far as plans do, from -1 to 1.

        Where a part more would be uneven, another plan becomes the best.
        """
        halved = {
            "heads": np.log2(self.splits[self._split(design)]),
            "depth": _halvings(design.n_layers),
            "batch": _halvings(self.setting.global_batch(design)),
        }
        return [2 * np.minimum(halved[name], most) / most - 1 for name, most in self.largest.items()]

    def _split(self, design: Design) -> IntArray:
        """Which of the tensor splits is the widest that leaves heads whole."""
        split = np.zeros(np.shape(np.asarray(design.d_model) * design.n_heads), dtype=np.int64)
        heads, kv = np.asarray(design.n_heads), np.asarray(design.n_kv_heads)
        for k, tensor in enumerate(self.splits):
            whole = (heads % tensor == 0) & ((kv % tensor == 0) | (tensor % np.maximum(kv, 1) == 0))
            split = np.where(whole, k, split)
        return split

    def doublings(self, design: Design) -> list[Num]:
        """log2 of memory over the limit: of whichever plan needs least, then of each plan."""
        split = self._split(design)
        found = []
        for template, rows in self.plans:
            plan = self._plan(template, rows[split], design)
            deep = np.asarray(design.n_layers) >= plan.pipeline_parallel
            laid_out = np.asarray(plan_is_possible(design, plan), dtype=bool) & deep
            over = np.log2(np.asarray(peak_device_bytes(design, plan, self.accelerator)) / self.limit)
            found.append(np.where(laid_out, np.clip(over, -MOST_DOUBLINGS, MOST_DOUBLINGS), MOST_DOUBLINGS))
        least: FloatArray = np.minimum.reduce(found[: self.n_least])
        return [least, *found]

    def _plan(self, template: Plan, numbers: FloatArray, design: Design) -> Plan:
        named = dict(zip(NUMERIC, numbers.T, strict=True))
        return template.with_(**named, global_batch=self.setting.global_batch(design))


def _halvings(values: Num) -> FloatArray:
    """How many times whole numbers can be halved."""
    whole = np.rint(np.asarray(values)).astype(np.int64)
    return np.asarray(np.log2(whole & -whole))
