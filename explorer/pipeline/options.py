"""What a caller asks of a study beside its budget: one record for the command line and the Python API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from explorer.errors import ExplorerError, InputErrors, UnknownName

if TYPE_CHECKING:
    from explorer.budget import Budget
    from explorer.search.evaluators import Evaluator


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is None is left to the budget's `search` section, or to the search itself."""

    trials: int | None = None
    """Designs to ask for, at least 1."""
    seed: int | None = None
    """At least 0; the same budget and seed give the same answer."""
    sampler: str | None = None
    """`auto`, `exact`, or an Optuna sampler by name."""
    within: float | None = None
    """The enumeration of the front ends this close to the best possible hypervolume, as a share of it (0 to 1),"""
    most_evaluated: int | None = None
    """or once it has evaluated so many designs in full."""
    journal: Path | None = None
    """A file that keeps the study of this process alone, so that an interrupted run can be continued."""
    storage: str | None = None
    """A journal's path or an Optuna storage URL, where several processes share the study."""
    evaluator: Evaluator | str | None = None
    """What measures designs (see `explorer.search.evaluators`): a callable, or its name as `module:function`."""
    evaluator_timeout: float | str | None = None
    """Seconds, or a time such as `30m`, after which it is interrupted and its trial fails."""
    heartbeat: int | None = None
    """Seconds between a sharing process' signs of life, at least 1."""

    def __post_init__(self) -> None:
        if self.heartbeat is not None and self.heartbeat < 1:
            raise ExplorerError(f"heartbeat must be at least 1 (second), got {self.heartbeat}")
        if self.storage == "":
            raise ExplorerError("a storage is a journal's path or an Optuna storage URL, got nothing")

    def of(self, budget: Budget) -> Budget:
        """`budget` with what is asked in place of its own `search`; ExplorerError for what that cannot hold."""
        from pydantic import ValidationError

        section = budget.search
        fields = type(section).model_fields
        given = {name: value for name in fields if (value := getattr(self, name)) is not None}
        known = get_args(fields["sampler"].annotation)
        if given.get("sampler", known[0]) not in known:
            raise UnknownName("sampler", given["sampler"], known)
        try:
            section = type(section).model_validate({**section.model_dump(), **given})
        except ValidationError as error:
            raise InputErrors(
                f"{e['loc'][0]} must be {e['msg'].removeprefix('Value error, ')}, got {e['input']!r}"
                for e in error.errors()
            ) from None
        return budget.model_copy(update={"search": section})
