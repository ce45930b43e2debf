"""The architectures of Hugging Face configs, one entry per `model_type`.

An entry says which config key holds which design field, what is fixed, and what Transformers
assumes where a key is absent (its configuration classes' defaults, release 5). A design is
written as the first entry that can express it.
"""

from __future__ import annotations

from explorer.formats.huggingface.classics import CLASSICS
from explorer.formats.huggingface.dense import DENSE
from explorer.formats.huggingface.family import Family
from explorer.formats.huggingface.mixtures import MIXTURES

__all__ = ["FAMILIES", "Family"]

FAMILIES: dict[str, Family] = DENSE | MIXTURES | CLASSICS
