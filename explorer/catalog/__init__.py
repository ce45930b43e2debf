"""Published facts as data files with a source per row, and small typed loaders."""

from explorer.catalog.corpora import Corpus, corpora, corpus
from explorer.catalog.laws import Law, laws

__all__ = ["Corpus", "Law", "corpora", "corpus", "laws"]
