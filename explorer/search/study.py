"""The study: ask, evaluate in vectorised batches, tell. An ordinary Optuna study, kept on the way.

The study runs in memory and is persisted batch by batch, since writing every step of every trial to
disk costs a hundred times the evaluation. A run that was cut short is taken up by replaying: the
sampler is asked for the same trials again, what is already stored is not written twice, and so the
end is the same as that of an undisturbed run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import optuna

from explorer.search.agreement import Failure
from explorer.search.corrected import corrected
from explorer.search.evaluators import Evaluator, name_of, resolve
from explorer.search.exact import Exact, exact_front
from explorer.search.front import nondominated
from explorer.search.outcome import Outcome, SearchProblem
from explorer.search.pace import Progress
from explorer.search.samplers import InOrder, make, make_shared
from explorer.search.shared import SharedStudy, column_table, open_storage
from explorer.search.space import IntArray
from explorer.search.storage import IDENTITY, Journal, describe
from explorer.search.timeout import timed
from explorer.search.variables import Variables
from explorer.units import FloatArray, at_most, format_count

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


class Limits(TypedDict):
    """Where the enumeration may end early (see `exact_front`)."""

    within: float
    most: int | None


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search found, and how close it came."""

    trials: pd.DataFrame
    """One row per asked trial, in order: number, design, metrics, plan, limits' excess, `feasible`."""
    front: pd.DataFrame
    """The front of the feasible trials, best first objective first, with `on_exact_front`."""
    cloud: pd.DataFrame
    """Designs the sampler looked at without asking for them."""
    exact: Exact
    exact_front: pd.DataFrame
    sampler: str
    seed: int
    n_lattice: int
    model_evaluations: int
    """Designs the sampler looked at inside itself: the full model, every plan."""
    model_weighed: int
    """Designs it weighed without looking at them: closed forms and a surrogate."""
    hypervolume: float
    hypervolume_exact: float
    hypervolume_share: float
    """Of the asked trials alone."""
    igd_plus: float
    epsilon: float
    curve: tuple[tuple[int, float], ...]
    """(trials told, share of the exact hypervolume)."""
    seconds: float
    study: optuna.Study
    evaluator: str = ""
    """What measured the designs, as `module:function`; empty where the model alone spoke."""
    failures: tuple[Failure, ...] = field(default=())
    """Trials that came to nothing, with what they died of."""


def explore(
    problem: SearchProblem,
    *,
    trials: int,
    sampler: str = "auto",
    seed: int = 0,
    within: float = 0.0,
    most_evaluated: int | None = None,
    storage: str | None = None,
    journal: Path | None = None,
    evaluator: Evaluator | str | None = None,
    timeout: float | None = None,
    heartbeat: int | None = None,
    on_progress: Callable[..., Any] | None = None,
) -> Search:
    """Search `problem` for its front with `trials` trials, and measure the result against the exact front.

    `sampler` is a name of `samplers.NAMES` or `exact`, which asks for the exact front itself. The enumeration
    of that front ends once it is `within` a share of the best possible, or has evaluated `most_evaluated`
    designs (see `exact_front`). `journal`
    is a file that keeps the study of this process alone; an unfinished one of the same problem and seed is
    continued. `storage` is a journal or an Optuna storage URL that several processes share. `evaluator`
    measures designs for real (see `evaluators`), each in at most `timeout` seconds (see `timeout`). With either,
    trials are kept one by one as they are told.
    `heartbeat` are the seconds between a sharing process' signs of life (`shared.HEARTBEAT_SECONDS`).
    `on_progress(phase, done, total, note)` hears how far it is.
    """
    began = time.perf_counter()
    # What is missing is told before anything is computed.
    call = resolve(evaluator) if evaluator is not None else None
    limited = timed(call, timeout) if call is not None else None
    where = storage or journal
    kept: optuna.storages.BaseStorage | None = None
    if storage is not None or call is not None:
        kept = open_storage(where, heartbeat) if where is not None else optuna.storages.InMemoryStorage()
    hear = on_progress or (lambda phase, done, total, note="": None)
    size = problem.lattice.size
    limits: Limits = {"within": within, "most": most_evaluated}

    def enumerated(now: Progress) -> None:
        close = "" if now.gap is None or now.gap > 1 else f", within {at_most(now.gap)}"
        decided = f"{format_count(now.n_decided)} of {format_count(size)} designs{close}"
        hear("exact", int(100 * now.share), 100, decided)

    exact = exact_front(problem, enumerated, **limits)
    run = _Run(problem, sampler, seed, exact, limits)
    wanted = len(exact.points) if sampler == "exact" else trials
    if kept is not None:
        run.join(kept, where or "memory", name_of(call) if call is not None else "", limited, storage is None)
        run.take_part(wanted, lambda done, total: hear("search", done, total))
        return run.result(time.perf_counter() - began)
    if journal is not None:
        run.keep(Journal(journal, run.study, run.identity))
    while run.n_told < wanted or not run.outcomes:
        run.step(min(run.batch, wanted - run.n_told))
        share = run.share
        hear("search", run.n_told, wanted, f"{share:.2%} of the hypervolume" if share is not None else "")
    return run.result(time.perf_counter() - began)


def evaluate_for(
    problem: SearchProblem,
    *,
    storage: str,
    trials: int,
    sampler: str = "auto",
    seed: int = 0,
    within: float = 0.0,
    most_evaluated: int | None = None,
    evaluator: Evaluator | str | None = None,
    timeout: float | None = None,
    heartbeat: int | None = None,
    on_progress: Callable[..., Any] | None = None,
) -> int:
    """Evaluate trials of the study of `problem` in `storage` until it has all; returns how many were told here.

    A study that is there already says itself how many trials it wants, by which sampler and seed; `trials`,
    `sampler`, `seed` and the limits of `exact` are those of one that this worker is the first to open.
    """
    hear = on_progress or (lambda phase, done, total, note="": None)
    call = resolve(evaluator) if evaluator is not None else None
    limited = timed(call, timeout) if call is not None else None
    kept = open_storage(storage, heartbeat)
    known = _identity_in(kept, problem.name)
    sampler, seed = known.get("sampler", sampler), known.get("seed", seed)
    limits: Limits = known.get("enumeration", {"within": within, "most": most_evaluated})
    chosen = (
        InOrder(exact_front(problem, **limits).points, Variables(problem.lattice))
        if sampler == "exact"
        else make_shared(sampler, problem, seed, call is not None)
    )
    measured_by = name_of(call) if call is not None else ""
    identity = _identity(problem, sampler, seed, limits, measured_by)
    shared = SharedStudy(problem, chosen, kept, identity, limited, storage)
    return shared.work(trials, lambda done, total: hear("search", done, total))


def _identity_in(storage: optuna.storages.BaseStorage, name: str) -> dict[str, Any]:
    """What the study called `name` says it is of; empty where there is none yet."""
    for study in storage.get_all_studies():
        if study.study_name == name:
            return dict(storage.get_study_user_attrs(study._study_id).get(IDENTITY, {}))
    return {}


def _identity(
    problem: SearchProblem, sampler: str, seed: int, limits: Limits, evaluator: str = ""
) -> dict[str, Any]:
    """What a study is of; another one of the same name is not continued."""
    found: dict[str, Any] = {"problem": dict(problem.fingerprint), "sampler": sampler, "seed": seed}
    if sampler == "exact" and any(limits.values()):
        # Where the enumeration ends decides which designs it hands out.
        found["enumeration"] = dict(limits)
    return {**found, "evaluator": evaluator} if evaluator else found


class _Run:
    """One study on its way."""

    def __init__(self, problem: SearchProblem, sampler: str, seed: int, exact: Exact, limits: Limits) -> None:
        self.problem, self.seed, self.exact, self.sampler_name = problem, seed, exact, sampler
        self.limits = limits
        self.variables = Variables(problem.lattice)
        if sampler == "exact":
            self.sampler: optuna.samplers.BaseSampler = InOrder(exact.points, self.variables)
            self.batch = max(len(exact.points), 1)
        else:
            self.sampler, self.batch = make(sampler, problem, seed)
        self.study = optuna.create_study(
            study_name=problem.name,
            directions=[o.direction for o in problem.objectives],
            sampler=self.sampler,
        )
        describe(self.study, [o.name for o in problem.objectives])
        self.identity = _identity(problem, sampler, seed, limits)
        self.ruler = exact.ruler
        self.points: list[IntArray] = []
        self.outcomes: list[Outcome] = []
        self.columns: list[Mapping[str, np.ndarray[Any, Any]]] = []
        """Everything known of the trials, as it was told."""
        self.n_told = 0
        self.journal: Journal | None = None
        self.shared: SharedStudy | None = None
        self.evaluator = ""
        self.failures: tuple[Failure, ...] = ()

    def keep(self, journal: Journal) -> None:
        """Persist every batch from here on."""
        self.journal = journal

    def step(self, n: int) -> None:
        """Ask for `n` trials, evaluate them together, tell them, and keep them."""
        asked = [self.study.ask(self.variables.distributions) for _ in range(n)]
        points = self.variables.points([t.params for t in asked])
        outcome = self.problem.outcome(points)
        values, constraints = outcome.figures.tolist(), outcome.constraints
        for row, trial in enumerate(asked):
            for name, excess in constraints.items():
                trial.set_constraint(name, float(excess[row]))
            self.study.tell(trial, values[row])
        columns = self.problem.columns(points)
        self.points.append(points)
        self.outcomes.append(outcome)
        self.columns.append(columns)
        if self.journal is not None:
            self.journal.add(self.study.get_trials(deepcopy=False)[self.n_told :], columns)
        self.n_told += n

    def join(
        self,
        storage: optuna.storages.BaseStorage,
        where: str | Path,
        measured_by: str,
        evaluator: Evaluator | None,
        alone: bool,
    ) -> None:
        """Join the study in a storage, `alone` or as one of many."""
        if self.sampler_name != "exact":
            self.sampler = make_shared(self.sampler_name, self.problem, self.seed, evaluator is not None)
        self.evaluator = measured_by
        identity = _identity(self.problem, self.sampler_name, self.seed, self.limits, measured_by)
        self.shared = SharedStudy(self.problem, self.sampler, storage, identity, evaluator, where, alone)

    def take_part(self, wanted: int, on_told: Callable[[int, int], Any]) -> None:
        """Work on the joined study until `wanted` proposals have come to an end."""
        shared = self.shared
        assert shared is not None
        shared.want(wanted)
        shared.work(wanted, on_told)
        points, told = shared.results(wanted)
        self.study, self.n_told = shared.study, len(told)
        self.failures = tuple(
            Failure(
                number=t.number,
                error=str(t.user_attrs.get("error", "its worker stopped every time")),
                params=dict(t.params),
            )
            for t in shared.failures(wanted)
        )
        self.points.append(points)
        figures = np.array([list(t.values) for t in told], dtype=float)
        names = told[0].constraints if told else {}
        constraints = {n: np.array([t.constraints[n] for t in told]) for n in names}
        shape = (len(told), len(self.problem.objectives))
        self.outcomes.append(Outcome(self.problem.objectives, figures.reshape(shape), constraints))
        if told and self.evaluator:
            columns = column_table(told, self.problem.columns(points[:0]))
            self.columns.append({**columns, **corrected(self.problem, points, columns)})
        else:
            self.columns.append(self.problem.columns(points))

    @property
    def coordinates(self) -> FloatArray:
        return np.vstack([o.coordinates for o in self.outcomes])

    @property
    def feasible(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.concatenate([o.feasible for o in self.outcomes])

    @property
    def share(self) -> float | None:
        """Share of the exact hypervolume reached by the trials told so far."""
        return self.ruler.share(self.coordinates[self.feasible]) if self.ruler else None

    def result(self, seconds: float) -> Search:
        """Tables and indicators."""
        import pandas as pd

        problem, exact = self.problem, self.exact
        points = np.vstack(self.points)
        columns = {name: np.concatenate([some[name] for some in self.columns]) for name in self.columns[0]}
        table = pd.DataFrame({"number": np.arange(len(points)), **columns}).infer_objects()
        found, feasible = self.coordinates, self.feasible
        good = np.flatnonzero(feasible)
        front_rows = good[nondominated(found[good])]
        lattice = problem.lattice
        front_rows = front_rows[np.lexsort([lattice.keys(points[front_rows]), *found[front_rows].T[::-1]])]
        front = table.iloc[front_rows].reset_index(drop=True)
        if not self.evaluator:
            on_exact = _rows_in(found[front_rows], exact.coordinates)
        else:
            # Measured figures are not the model's; whether the design is on the model's front can be said.
            on_exact = np.isin(lattice.keys(points[front_rows]), lattice.keys(exact.points))
        exact_table, cloud = self._tables(exact.points, getattr(self.sampler, "looked_at", points[:0]))
        ruler = self.ruler
        hypervolume = ruler.share(found[good]) * ruler.hypervolume if ruler else 0.0
        curve = ruler.curve(found, feasible) if ruler else np.zeros(len(points))
        return Search(
            trials=table,
            front=front.assign(on_exact_front=on_exact),
            cloud=cloud,
            exact=exact,
            exact_front=exact_table,
            sampler=self.sampler_name,
            seed=self.seed,
            n_lattice=lattice.size,
            model_evaluations=int(getattr(self.sampler, "model_evaluations", 0)),
            model_weighed=int(getattr(self.sampler, "model_weighed", 0)),
            hypervolume=hypervolume,
            hypervolume_exact=ruler.hypervolume if ruler else 0.0,
            hypervolume_share=hypervolume / ruler.hypervolume if ruler else 0.0,
            igd_plus=ruler.igd_plus(found[good]) if ruler else float("inf"),
            epsilon=ruler.epsilon(found[good]) if ruler else float("inf"),
            curve=tuple((k + 1, float(v)) for k, v in enumerate(curve)),
            seconds=seconds,
            study=self.study,
            evaluator=self.evaluator,
            failures=self.failures,
        )

    def _tables(self, *several: IntArray) -> list[pd.DataFrame]:
        """A table for each array of lattice indices; all are evaluated together."""
        import pandas as pd

        table = pd.DataFrame(self.problem.columns(np.vstack(several)))
        ends = np.cumsum([len(points) for points in several])
        return [
            table.iloc[end - len(points) : end].reset_index(drop=True)
            for points, end in zip(several, ends, strict=True)
        ]


def _rows_in(rows: FloatArray, others: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows occur among `others`; both come from the same arithmetic, so equality is exact."""
    known = {o.tobytes() for o in np.ascontiguousarray(others)}
    return np.array([r.tobytes() in known for r in np.ascontiguousarray(rows)], dtype=bool)
