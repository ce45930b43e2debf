"""What was asked: a whole budget.yaml as immutable models, one class per section.

Field docstrings are the descriptions in the JSON Schema; units stand in them. The schema that editors and
the file checker use is made from these classes (`python -m explorer.budget.json_schema`), so nothing is
written twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, model_serializer, model_validator

from explorer.budget.fields import (
    CorpusName,
    Duration,
    FolderName,
    Gain,
    Index,
    Json,
    LawName,
    ModelName,
    Name,
    Number,
    OneOrMany,
    Section,
    Share,
    Whole,
    as_tuple,
)
from explorer.budget.hardware import Hardware
from explorer.budget.limits import Limits
from explorer.budget.space import Space
from explorer.budget.training import Training
from explorer.catalog.metrics import METRICS

if TYPE_CHECKING:
    from explorer.catalog.corpora import Corpus


class CorpusSpec(Section):
    """A corpus of your own: how much a longer context lowers its loss."""

    name: Name
    """What reports call it."""
    amplitude: tuple[Number, Number]
    """[low, high] of the context term's amplitude; 1 is Xiong 2023's long documents (see `explore fit`)."""


class Quality(Section):
    """How the loss is predicted."""

    law: LawName = "besiroglu-2024"
    """A name from `explore list laws`, or a law file that `explore fit` wrote."""
    corpus: CorpusName | CorpusSpec = "web"
    """What the loss is judged on: a name from `explore list corpora`, a corpus file, or {name, amplitude}."""
    aspect: Literal["mixed", "none", "gemstones", "levine"] = "mixed"
    """How the aspect ratio d_model / n_layers counts; `mixed` draws among the others."""
    nu: Number | None = None
    """Fixes the exponent by which the gain from context falls with model size; default: drawn from its prior."""


_METRIC: Json = {"enum": list(METRICS), "description": "A figure of a design, better when smaller or larger."}


class Objective(Section):
    """One figure to make better."""

    forms: ClassVar[tuple[Json, ...]] = (
        {
            "enum": list(METRICS),
            "description": "In the direction that is usually better.",
            "x-needs": {name: metric.needs for name, metric in METRICS.items() if metric.needs},
        },
        *(
            {
                "type": "object",
                "properties": {direction: _METRIC},
                "required": [direction],
                "additionalProperties": False,
            }
            for direction in ("minimize", "maximize")
        ),
    )
    replaced: ClassVar[bool] = True

    metric: Name
    """A name from the table of metrics."""
    direction: Literal["minimize", "maximize"]
    """Which way is better."""

    @model_validator(mode="before")
    @classmethod
    def _of_pair(cls, value: Any) -> Any:
        if isinstance(value, str) and value in METRICS:
            return {"metric": value, "direction": METRICS[value].direction}
        if isinstance(value, dict) and len(value) == 1:
            ((direction, metric),) = value.items()
            if direction in ("minimize", "maximize"):
                return {"metric": metric, "direction": direction}
        return value

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.metric not in METRICS:
            raise ValueError(f"one of {', '.join(METRICS)}")
        return self

    @model_serializer(mode="plain")
    def _as_written(self) -> dict[str, str]:
        return {self.direction: self.metric}


class Trade(Section):
    """The idea under test: a smaller width for a longer context."""

    reference_context: Whole = 2048
    """Context length of the arm that does not trade (tokens); default: the baseline's own, else 2048."""
    min_gain: Gain = 0.05
    """What pays, as a share of equivalent training compute."""


class Search(Section):
    """How designs are picked."""

    trials: Whole = 300
    """Designs the study asks for."""
    sampler: Literal["auto", "exact", "tpe", "nsga2", "nsga3", "gp", "qmc", "random"] = "auto"
    """`auto`, `exact` (enumerates), or an Optuna sampler by name."""
    seed: Index = 0
    """Same input and seed, same answer."""
    within: Share | None = None
    """How close to the best possible is enough for the enumeration that searches are measured with (and that
    `exact` hands out): 0.1% ends it once what is undecided can add at most that share of the best possible
    hypervolume; default: once every design is decided."""
    most_evaluated: Whole | None = None
    """Designs that the enumeration evaluates in full at most; what is then undecided is bounded. Default: no limit."""
    evaluator_timeout: Duration | None = None
    """How long an evaluator may measure one design, such as 30m (a bare number: seconds); a trial that takes longer
    fails with that error. Default: no limit."""


class Budget(Section):
    """What a model may cost, what it runs on, which designs to choose from, and what makes one better."""

    name: FolderName
    """Name of the study; its output folder is called so."""
    limits: Limits = Field(alias="budget")
    """What may be spent; every limit is an upper bound."""
    hardware: Hardware
    """What the model is trained on."""
    space: Space = Space()
    """The designs to choose from."""
    training: Training = Training()
    """How any design is trained."""
    quality: Quality = Quality()
    """How the loss is predicted."""
    objectives: Annotated[tuple[Objective, ...], BeforeValidator(as_tuple), OneOrMany()] = (
        Objective(metric="loss", direction="minimize"),
        Objective(metric="context_length", direction="maximize"),
    )
    """What is made better, most important first."""
    trade: Trade = Trade()
    """The idea under test: a smaller width for a longer context."""
    search: Search = Search()
    """How designs are picked."""
    baseline: ModelName | None = None
    """A model to compare with: a name from `explore list models`, or a Hugging Face config.json."""

    _moved_reference: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        from explorer.budget.reference import usual_reference
        from explorer.budget.rules import findings

        if "reference_context" not in self.trade.model_fields_set:
            points = self.space.context_length.points
            reference, self._moved_reference = usual_reference(self.baseline, points[0], points[-1])
            # The models are frozen for everyone else; a default that depends on another section is set here.
            object.__setattr__(self, "trade", self.trade.model_copy(update={"reference_context": reference}))
        found = [f"{f.where}: {f.text}" for f in findings(self.model_dump(by_alias=True, exclude_none=True))]
        if found:
            raise ValueError("\n".join(found))
        return self

    @property
    def gpu_memory_bytes(self) -> float:
        """Device memory a training GPU may use: the limit, clipped to what the device has."""
        offered = self.hardware.device.memory_bytes
        return offered if self.limits.gpu_memory is None else min(self.limits.gpu_memory, offered)

    @property
    def corpus(self) -> Corpus:
        """The corpus itself, from the catalogue, a file or the budget's own."""
        from explorer.catalog.corpora import Corpus, corpus

        given = self.quality.corpus
        if isinstance(given, str):
            return corpus(given)
        return Corpus(name=given.name, amplitude_low=given.amplitude[0], amplitude_high=given.amplitude[1])

    @property
    def notes(self) -> tuple[str, ...]:
        """What was read otherwise than it was written, one sentence each."""
        from explorer.units import format_bytes

        notes = []
        asked, device = self.limits.gpu_memory, self.hardware.device
        if asked is not None and asked > device.memory_bytes:
            notes.append(
                f"budget.gpu_memory is {format_bytes(asked)}, but {device.name} offers "
                f"{format_bytes(device.memory_bytes)}; that is the limit"
            )
        if self._moved_reference:
            notes.append(self._moved_reference)
        return tuple(notes)
