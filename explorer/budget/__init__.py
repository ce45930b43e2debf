"""What was asked: budget.yaml as immutable models, every mistake in it found at once."""

from explorer.budget.loading import load
from explorer.budget.models import Budget

__all__ = ["Budget", "load"]
