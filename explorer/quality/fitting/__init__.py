"""Laws and corpora from measurements: runs to a law, losses against context to a corpus."""

from explorer.quality.fitting.context import ContextReport, SeriesFit, fit_context
from explorer.quality.fitting.form import TERMS
from explorer.quality.fitting.record import FitReport, LeftOut
from explorer.quality.fitting.runs import fit_runs
from explorer.quality.fitting.table import ALIASES

__all__ = [
    "ALIASES",
    "TERMS",
    "ContextReport",
    "FitReport",
    "LeftOut",
    "SeriesFit",
    "fit_context",
    "fit_runs",
]
