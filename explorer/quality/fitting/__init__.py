"""Laws and corpora from measurements: runs to a law, losses against context to a corpus."""
