"""Which designs to pick: space, problem, exact front, samplers, the study's driver; `evaluate` over tables.

Names load on first use, since Optuna and pandas cost a second to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.search.evaluation import Evaluation
    from explorer.search.problem import Problem
    from explorer.search.study import Search, explore
    from explorer.search.table import evaluate

_HOME = {
    "Evaluation": "evaluation",
    "Problem": "problem",
    "Search": "study",
    "evaluate": "table",
    "explore": "study",
}

__all__ = ["Evaluation", "Problem", "Search", "evaluate", "explore"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"explorer.search.{_HOME[name]}"), name)
    raise AttributeError(f"module 'explorer.search' has no attribute {name!r}")
