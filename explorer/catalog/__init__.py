"""Published facts as data files with a source per row, and typed loaders for them."""

from explorer.catalog.accelerators import Accelerator, accelerator, accelerator_from, accelerators

__all__ = ["Accelerator", "accelerator", "accelerator_from", "accelerators"]
