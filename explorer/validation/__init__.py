"""Is the model right: measurements against predictions, within stated error budgets."""

from explorer.validation.measurements import Measurement, read
from explorer.validation.scores import GroupScore, ScoredRow, Scores, score

__all__ = ["GroupScore", "Measurement", "ScoredRow", "Scores", "read", "score"]
