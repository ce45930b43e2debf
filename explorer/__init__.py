"""Choose the shape of a transformer before anyone pays to train it.

    import explorer
    budget = explorer.load("studies/one-node.yaml")
    result = explorer.run(budget, trials=300, seed=0)
    result.front              # pandas, units in the column names
    print(result.verdict)     # a sentence
    table = explorer.evaluate(designs)

Names load on first use, so that `import explorer` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.budget import Budget, load
    from explorer.claims.ledger import ledger
    from explorer.design import Design, Plan
    from explorer.errors import ExplorerError, InputErrors, NothingFits, UnknownName, Unsupported
    from explorer.pipeline import run
    from explorer.result import Result
    from explorer.search import evaluate

__version__ = "0.1.0"

_ROOM = {
    "Budget": "explorer.budget",
    "load": "explorer.budget",
    "ledger": "explorer.claims.ledger",
    "Design": "explorer.design",
    "Plan": "explorer.design",
    "ExplorerError": "explorer.errors",
    "InputErrors": "explorer.errors",
    "NothingFits": "explorer.errors",
    "UnknownName": "explorer.errors",
    "Unsupported": "explorer.errors",
    "Result": "explorer.result",
    "run": "explorer.pipeline",
    "evaluate": "explorer.search",
}

__all__ = [
    "Budget",
    "Design",
    "ExplorerError",
    "InputErrors",
    "NothingFits",
    "Plan",
    "Result",
    "UnknownName",
    "Unsupported",
    "evaluate",
    "ledger",
    "load",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in _ROOM:
        return getattr(import_module(_ROOM[name]), name)
    raise AttributeError(f"module 'explorer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
