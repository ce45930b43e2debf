"""A small problem with a known shape, so that searching can be tested apart from the cost model."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from explorer.search.front import Objective
from explorer.search.outcome import Outcome
from explorer.search.space import AttentionChoice, FfnChoice, IntArray, Lattice, ScheduleChoice


def toy_lattice(**changes: Any) -> Lattice:
    axes: dict[str, Any] = {
        "context_length": 1024.0 * 2.0 ** np.arange(0, 6.5, 0.5),
        "d_model": np.arange(512.0, 4097.0, 256.0),
        "n_layers": np.arange(4.0, 49.0, 2.0),
        "d_head": np.array([64.0, 128.0]),
        "n_kv_heads": np.array([0.0, 8.0]),
        "vocab_size": np.array([32_000.0]),
        "ffn": (FfnChoice("swiglu", 3.5),),
        "attention": (AttentionChoice(),),
        "schedule": (ScheduleChoice(), ScheduleChoice(4096.0, 0.05)),
    }
    return Lattice(**{**axes, **changes})


@dataclass
class Toy:
    """Loss against context under a size and a compute limit; plain formulas, no plans."""

    lattice: Lattice = field(default_factory=toy_lattice)
    limit: float = 2e9
    compute: float = 3e20
    objectives: tuple[Objective, ...] = (
        Objective("loss", "minimize"),
        Objective("context_length", "maximize"),
    )
    name: str = "toy"
    n_calls: int = 0

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"limit": self.limit, "compute": self.compute}

    def _figures(self, points: IntArray) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for rows, design in self.lattice.tables(points):
            kv = design.n_kv_heads * design.d_head
            per_layer = 2 * design.d_model**2 + 2 * design.d_model * kv + 3 * design.d_model * design.d_ff
            n = per_layer * design.n_layers + 2 * design.vocab_size * design.d_model
            window = np.where(design.staged_from > 0, design.staged_from, design.context_length)
            tokens = self.compute / (6 * n + 6 * design.n_layers * design.d_model * window)
            gain = np.where(design.staged_from > 0, 0.8, 1.0)
            aspect = np.log(design.d_model / design.n_layers / 60.0)
            loss = (
                1.8
                + 480 / n**0.35
                + 2100 / tokens**0.366
                - 0.05 * gain * np.log(design.context_length / 1024)
            )
            found = {
                "context_length": design.context_length,
                "d_model": design.d_model,
                "n_layers": design.n_layers,
                "n_params": n,
                "loss": loss + 0.004 * aspect**2,
                "kv_cache_bytes": 4 * kv * design.n_layers * design.context_length,
            }
            for name, value in found.items():
                columns.setdefault(name, np.empty(len(points)))[rows] = value
        return columns

    def outcome(self, points: IntArray) -> Outcome:
        self.n_calls += len(points)
        columns = self._figures(points)
        figures = np.stack([columns[o.name] for o in self.objectives], axis=1)
        return Outcome(self.objectives, figures, {"parameters": columns["n_params"] / self.limit - 1})

    def screen(self, points: IntArray) -> np.ndarray[Any, Any]:
        return self._figures(points)["n_params"] / self.limit - 1

    def columns(self, points: IntArray) -> dict[str, np.ndarray[Any, Any]]:
        if not len(points):
            # No rows, but every column.
            return {name: values[:0] for name, values in self.columns(np.zeros((1, 9), np.int64)).items()}
        out = self._figures(points)
        out["feasible"] = out["n_params"] <= self.limit
        return out

    def measured(
        self, point: IntArray, answer: dict[str, float]
    ) -> tuple[Outcome, dict[str, np.ndarray[Any, Any]]]:
        found = self.outcome(point[None])
        figures = np.array(
            [[answer.get(o.name, v) for o, v in zip(self.objectives, found.figures[0], strict=True)]]
        )
        return Outcome(self.objectives, figures, found.constraints), {
            name: np.array([value]) for name, value in answer.items()
        }
