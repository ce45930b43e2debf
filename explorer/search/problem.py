"""What a design is worth under a budget: every figure and every limit, for a grid or a table at once.

Each design is trained on as many tokens as all training limits allow together, under its best plan. A
staged design spends most of its tokens at the short window, with a plan of its own there. Constraints are
relative excesses over a limit, feasible at or below zero; a design that breaks one still has figures
(those of the plan that needs least memory), so that a search can see how far off it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from explorer import quality
from explorer.cost import (
    Hardware,
    Setting,
    enumerate_plans,
    flops,
    parameters,
    serving_bytes,
)
from explorer.design import Design, Plan, arrays
from explorer.search.evaluation import Evaluation
from explorer.search.front import Objective
from explorer.search.outcome import Outcome
from explorer.search.planner import Planner, is_staged
from explorer.search.space import AXES, IntArray, Lattice
from explorer.units import FloatArray, Num

if TYPE_CHECKING:
    from explorer.budget import Budget
    from explorer.cost import Planned
    from explorer.search.prior import ClosedForms
    from explorer.search.sweep import Sweep

HOUR, DAY = 3600.0, 86400.0
N_DRAWS = 200
"""Posterior draws behind the loss interval of a table's rows."""


class Problem:
    """A budget as a search sees it: a lattice, objectives, and what comes of a design."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.lattice = Lattice.from_budget(budget)
        self.objectives = tuple(Objective(o.metric, o.direction) for o in budget.objectives)
        asked, training = budget.hardware, budget.training
        self.hardware = Hardware(
            accelerator=asked.device,
            n_gpus=asked.gpus,
            gpus_per_node=asked.gpus_per_node,
            network_bandwidth=asked.network_bandwidth,
            price_per_gpu_hour=asked.price_per_gpu_hour,
            goodput=asked.goodput,
            mfu=asked.mfu,
        )
        template = Plan(
            implementation=training.implementation,
            attention_kernel=training.attention_kernel,
            precision=training.precision,
            optimizer=training.optimizer,
            cross_entropy=training.cross_entropy,
            dropout=training.dropout,
            fused_activation=training.fused_activation,
            sequence_parallel=training.sequence_parallel,
            offload_optimizer=training.offload_optimizer,
        )
        self.setting = Setting(
            plan=template,
            global_batch_tokens=float(training.global_batch_tokens),
            fixed=training.plan.fixed,
        )
        self.law = quality.law(budget.quality.law)
        self.corpus = budget.corpus
        self.coefficients = self._central(self.corpus)
        self.memory_limit_bytes = budget.gpu_memory_bytes
        self.training_limits: Mapping[str, float] = budget.limits.training.given
        self._last: tuple[bytes, list[tuple[IntArray, Evaluation]]] | None = None

    @property
    def name(self) -> str:
        """The budget's."""
        return self.budget.name

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """Every plan that the cluster offers, a block per recompute mode (see `enumerate_plans`)."""
        return enumerate_plans(self.setting, self.hardware)

    @cached_property
    def n_plans(self) -> int:
        """How many: each design has as many, and takes the best."""
        return sum(int(np.size(p.micro_batch)) for p in self.plans)

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """The budget as plain data, less what no figure depends on, and the law's constants."""
        from explorer import __version__

        asked = self.budget.model_dump(mode="json", by_alias=True)
        for key in ("search", "trade", "baseline"):
            asked.pop(key, None)
        constants = {k: float(v) for k, v in self.law.constants.items()}
        return {**asked, "law": constants, "explorer": __version__}

    @cached_property
    def posterior(self) -> quality.Posterior:
        """Joint draws of the law on the budget's corpus, for loss intervals."""
        return self._drawn(self.corpus)

    @cached_property
    def elsewhere(self) -> Mapping[str, tuple[quality.Coefficients, quality.Posterior]]:
        """The law at its centre and the same draws of it on every corpus of the catalogue that is not the budget's."""
        from explorer.catalog import corpora

        others = {name: corpus for name, corpus in corpora().items() if corpus != self.corpus}
        return {name: (self._central(corpus), self._drawn(corpus)) for name, corpus in others.items()}

    def _central(self, corpus: quality.Corpus) -> quality.Coefficients:
        wanted = self.budget.quality
        aspect = quality.DEFAULT_ASPECT if wanted.aspect == "mixed" else wanted.aspect
        return quality.central(self.law, corpus, aspect=aspect, nu=wanted.nu)

    def _drawn(self, corpus: quality.Corpus) -> quality.Posterior:
        wanted = self.budget.quality
        return quality.posterior(self.law, corpus, N_DRAWS, seed=0, aspect=wanted.aspect, nu=wanted.nu)

    # --- one path for one design, a table and a grid ---------------------------------------------

    def evaluate(self, design: Design, planned: Planned | None = None) -> Evaluation:
        """Every figure of `design`; its fields are numbers, a table or an open grid.

        `planned` is what is known of running it at full context, where that is not the model's to say.
        """
        constant = design.with_(staged_from=0, staged_share=0)
        planner = Planner(self.setting, self.hardware, self.memory_limit_bytes)
        planned, short = planner.stages(design) if planned is None else (planned, planner.short(design))
        staged = is_staged(design)
        share = np.where(staged, design.staged_share, 1.0)
        seconds = planned.seconds_per_token
        per_token = flops(constant).train_per_token("causal")
        fits, device = planned.fits, planned.least_device_bytes
        if short is not None:
            seconds = share * seconds + (1 - share) * np.where(staged, short.seconds_per_token, 0.0)
            start = constant.with_(context_length=np.where(staged, design.staged_from, design.context_length))
            per_token = share * per_token + (1 - share) * flops(start).train_per_token("causal")
            fits = fits & (short.fits | ~staged)
            device = np.maximum(device, np.where(staged, short.least_device_bytes, 0.0))
        if not arrays(design):
            seconds, fits, device, per_token = (np.reshape(v, ()) for v in (seconds, fits, device, per_token))

        by_limit = self.tokens_by_limit(seconds, per_token)
        # A design that no plan can run still has a number: one token's.
        n_tokens = np.maximum(np.minimum.reduce(np.broadcast_arrays(*by_limit.values())), 1.0)
        counts = parameters(design)
        loss = quality.loss(
            self.coefficients,
            n_params=self.law_params(design),
            n_tokens=n_tokens,
            context_length=design.context_length,
            aspect=design.d_model / design.n_layers,
            staged_from=design.staged_from,
            staged_share=design.staged_share,
        )
        serving = self.budget.limits.serving
        held = serving_bytes(
            design,
            serving.batch if serving else 1,
            serving.weight_bits if serving else 16,
            serving.kv_bits if serving else 16,
        )
        runs = np.isfinite(seconds)
        excess = np.where(runs, device, 0.0) / self.memory_limit_bytes - 1
        # The plan's search decides in whole layers; its word stands over the last bit of the peak.
        tiny = np.finfo(np.float64).tiny
        excess = np.where(fits | ~runs, np.minimum(excess, 0.0), np.maximum(excess, tiny))
        constraints: dict[str, Num] = {
            "parameters": counts.total / self.budget.limits.parameters - 1,
            "gpu_memory": excess,
            "plan": np.where(runs, -1.0, 1.0),
        }
        if serving is not None:
            constraints["serving"] = held / serving.gpu_memory - 1
        return Evaluation(
            design=design,
            problem=self,
            planned=planned,
            planned_short=short,
            seconds_per_token=seconds,
            flops_per_token=per_token,
            n_params=counts.total,
            n_params_non_embedding=counts.non_embedding,
            n_params_active=counts.active,
            n_tokens=n_tokens,
            loss=loss,
            peak_device_bytes=device,
            serving_bytes=held,
            n_tokens_by_limit=by_limit,
            constraints=constraints,
        )

    def law_params(self, design: Design) -> Num:
        """The count of parameters that the law declares as its N."""
        counts = parameters(design)
        return counts.total if self.law.n_counts == "total" else counts.non_embedding

    def tokens_by_limit(self, seconds_per_token: Num, flops_per_token: Num) -> dict[str, Num]:
        """Training tokens that each limit alone allows."""
        goodput, n_gpus = self.hardware.goodput, self.hardware.n_gpus
        allowed: dict[str, Num] = {}
        for name, limit in self.training_limits.items():
            if name == "tokens":
                allowed[name] = limit
            elif name == "flops":
                allowed[name] = limit / flops_per_token
            elif name == "gpu_hours":
                allowed[name] = limit * HOUR * goodput / (seconds_per_token * n_gpus)
            else:
                allowed[name] = limit * DAY * goodput / seconds_per_token
        return allowed

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Objectives that enumeration has no bound for."""
        from explorer.search.bounds import unbounded

        return unbounded(self)

    @property
    def loose(self) -> tuple[str, ...]:
        """Objectives whose bounds rule nothing out."""
        from explorer.search.bounds import loose

        return loose(self)

    def blocks(self) -> Sweep:
        """The whole lattice block by block, for enumeration (see `sweep`)."""
        from explorer.search.sweep import Sweep

        return Sweep(self)

    # --- as a search asks -------------------------------------------------------------------------

    def outcome(self, points: IntArray) -> Outcome:
        """Objectives and constraints of lattice indices (n, 9)."""
        figures = np.empty((len(points), len(self.objectives)))
        constraints: dict[str, FloatArray] = {}
        for rows, found in self.evaluated(points):
            for k, objective in enumerate(self.objectives):
                figures[rows, k] = found.metric(objective.name)
            for name, excess in found.constraints.items():
                constraints.setdefault(name, np.empty(len(points)))[rows] = excess
        return Outcome(self.objectives, figures, constraints)

    def evaluated(self, points: IntArray) -> list[tuple[IntArray, Evaluation]]:
        """Row numbers and what comes of them, kept for the points asked last: a study first asks for their
        objectives and then for everything known of them."""
        key = points.tobytes()
        if self._last is None or self._last[0] != key:
            self._last = key, [(rows, self.evaluate(one)) for rows, one in self.lattice.tables(points)]
        return self._last[1]

    def measured(
        self, point: IntArray, answer: Mapping[str, float]
    ) -> tuple[Outcome, dict[str, NDArray[Any]]]:
        """Outcome and row of one design (lattice indices (9,)) with measured figures (see `replaced`)."""
        from explorer.search.replaced import replaced

        return replaced(self, point, answer)

    def screen(self, points: IntArray) -> FloatArray:
        """(n,) largest excess over the limits that need no plan: parameters and serving memory."""
        worst = np.full(len(points), -np.inf)
        for rows, design in self.lattice.tables(points):
            worst[rows] = self.screen_designs(design)
        return worst

    def screen_designs(self, design: Design) -> Num:
        """The same for designs of any shape."""
        limits = self.budget.limits
        worst = parameters(design).total / limits.parameters - 1
        if limits.serving is not None:
            s = limits.serving
            held = serving_bytes(design, s.batch, s.weight_bits, s.kv_bits)
            worst = np.maximum(worst, held / s.gpu_memory - 1)
        return worst

    @cached_property
    def prior(self) -> ClosedForms:
        """What closed forms tell a search of designs that it does not look at (see `prior`)."""
        from explorer.search.prior import ClosedForms

        return ClosedForms(self)

    def columns(self, points: IntArray) -> dict[str, NDArray[Any]]:
        """Everything known of lattice indices (n, 9), one array per column, units in the names."""
        from explorer.search.rows import rows_of

        found: dict[str, NDArray[Any]] = {}
        if not len(points):
            # No rows, but every column.
            return {name: values[:0] for name, values in self.columns(self._any_point()).items()}
        for rows, evaluated in self.evaluated(points):
            for name, values in rows_of(self, evaluated).items():
                kind = values.dtype if values.dtype.kind in "fb" else object
                found.setdefault(name, np.empty(len(points), dtype=kind))[rows] = values
        labels = (
            ("attention", np.array([str(a) for a in self.lattice.attention], dtype=object)),
            ("schedule", np.array([s.kind for s in self.lattice.schedule], dtype=object)),
        )
        for name, values in labels:
            found[name] = values[points[:, AXES.index(name)]]
        return found

    def _any_point(self) -> IntArray:
        return np.zeros((1, len(AXES)), dtype=np.int64)
