"""How good a design would be: laws, context term, schedules, posterior, fitting."""

from explorer.catalog.corpora import Corpus, corpus
from explorer.catalog.laws import Domain, Law, laws
from explorer.quality.centre import central
from explorer.quality.coefficients import ASPECTS, DEFAULT_ASPECT, Aspect, Coefficients
from explorer.quality.domain import BLIND_LEVERS, domain_flags, outside, staged_share_range
from explorer.quality.fitting import ContextReport, FitReport, fit_context, fit_runs
from explorer.quality.law import law
from explorer.quality.lifetime import lifetime_flops
from explorer.quality.posterior import Posterior, interval, loss_interval, posterior
from explorer.quality.terms import (
    aspect_factor,
    capacity_term,
    combine,
    context_scale,
    context_shape,
    context_term,
    data_term,
    loss,
    recovery,
    window_term,
)

__all__ = [
    "ASPECTS",
    "BLIND_LEVERS",
    "DEFAULT_ASPECT",
    "Aspect",
    "Coefficients",
    "ContextReport",
    "Corpus",
    "Domain",
    "FitReport",
    "Law",
    "Posterior",
    "aspect_factor",
    "capacity_term",
    "central",
    "combine",
    "context_scale",
    "context_shape",
    "context_term",
    "corpus",
    "data_term",
    "domain_flags",
    "fit_context",
    "fit_runs",
    "interval",
    "law",
    "laws",
    "lifetime_flops",
    "loss",
    "loss_interval",
    "outside",
    "posterior",
    "recovery",
    "staged_share_range",
    "window_term",
]
