"""What a single architecture does differently: reads its keys into design fields, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from explorer.design import Design
from explorer.formats.huggingface.config import Config

Fields = dict[str, Any]


class Quirk(Protocol):
    """Part of a family that a table of keys cannot say."""

    def read(self, config: Config, fields: Fields) -> Fields:
        """Design fields from `config`, given those read so far."""

    def write(self, design: Design) -> Fields:
        """Config keys from `design`."""


def check_types(config: Config, key: str, known: Sequence[str], n_layers: int, types: Any) -> None:
    """A list of one known kind per layer, or ExplorerError."""
    valid = isinstance(types, list) and all(kind in known for kind in types)
    if not valid or len(types) != n_layers:
        raise config.error(key, f"{n_layers} of {' or '.join(known)}", types)
