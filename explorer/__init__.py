"""Choose the shape of a transformer before anyone pays to train it."""

from explorer.design import Design, Plan
from explorer.errors import ExplorerError

__all__ = ["Design", "ExplorerError", "Plan"]
__version__ = "0.1.0"
