"""Published facts as data files with a source per row, and small typed loaders."""

from explorer.catalog.accelerators import Accelerator, accelerator, accelerator_from, accelerators
from explorer.catalog.corpora import Corpus, corpora, corpus
from explorer.catalog.laws import Law, laws
from explorer.catalog.models import Model, model, models

__all__ = [
    "Accelerator",
    "Corpus",
    "Law",
    "Model",
    "accelerator",
    "accelerator_from",
    "accelerators",
    "corpora",
    "corpus",
    "laws",
    "model",
    "models",
]
