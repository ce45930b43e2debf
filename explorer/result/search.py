"""How the front was found and how near it came, in figures and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from explorer.search.agreement import Agreement, Failure


@dataclass(frozen=True, kw_only=True)
class SearchSummary:
    """How the front was found and how close it is to the exact one."""

    sampler: str
    seed: int
    n_trials: int
    n_feasible: int
    n_lattice: int
    """Designs on the lattice; what cannot be built is not among them."""
    n_proved: int
    """Designs that enumeration decided (evaluated or discarded by a bound)."""
    model_evaluations: int
    """Designs the sampler itself looked at: the full model, with every plan a design may run under."""
    hypervolume: float
    hypervolume_exact: float
    """Of the exact front; where enumeration ended early, the most that there can be (see `measure`)."""
    hypervolume_share: float
    """hypervolume / hypervolume_exact of the asked trials alone."""
    igd_plus: float
    epsilon: float
    seconds: float
    curve: tuple[tuple[int, float], ...] = ()
    """(trials told, share of the exact hypervolume) as the search went on."""
    n_evaluated: int = 0
    """Designs that enumeration evaluated in full; bounds ruled out the rest of those proved."""
    model_weighed: int = 0
    """Designs the sampler weighed without looking at them: closed forms, and a surrogate of the looks."""
    n_undecided: int = 0
    """Designs that enumeration did not reach, where it was to end early; with none the front is proven exact."""
    gap: float | None = 0.0
    """The most that the enumerated front lacks of the best possible hypervolume, as a share of it; None where
    nothing bounds what was not reached."""
    evaluator: str = ""
    """What measured the designs, as `module:function`; empty where the model alone spoke."""
    agreement: tuple[Agreement, ...] = ()
    """Model against measurement, one entry per measured metric."""
    failures: tuple[Failure, ...] = ()
    """Trials that came to nothing."""

    @property
    def proven(self) -> bool:
        """Whether the enumerated front is the exact one."""
        return not self.n_undecided

    @property
    def measure(self) -> str:
        """What the hypervolume of the trials is a share of."""
        if self.proven:
            return "the exact front's hypervolume"
        if self.gap is None:
            return "the hypervolume of the best front that was found"
        return "the best possible hypervolume"

    @property
    def reached(self) -> str:
        """The share of it that the trials reached: exactly, or at least."""
        from explorer.units import at_least

        bounded = not self.proven and self.gap is not None
        return f"at least {at_least(self.hypervolume_share)}" if bounded else f"{self.hypervolume_share:.2%}"

    @property
    def closeness(self) -> str:
        """How close the enumerated front is to the best possible, and what that is proved over."""
        from explorer.units import at_most

        n = f"{self.n_evaluated:,} of them evaluated"
        if self.proven:
            return f"exact, proven over {self.n_proved:,} designs, {n}"
        decided = f"{self.n_proved:,} of {self.n_lattice:,} designs decided, {n}"
        if self.gap is None:
            return f"not known to be close to the best possible: {decided}"
        return f"within {at_most(self.gap)} of the best possible: {decided}"

    @property
    def inside(self) -> str:
        """How many designs the sampler looked at and weighed inside itself; empty for one that does neither."""
        if not self.model_evaluations:
            return ""
        weighed = f"weighed {self.model_weighed:,} by closed forms"
        return f"{self.sampler} looked at {self.model_evaluations:,} designs and {weighed}"
