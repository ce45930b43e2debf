"""A config.json with a name: typed look-ups whose errors say which file and key are at fault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from explorer.errors import ExplorerError
from explorer.files import why

Json = Mapping[str, Any]


class Config:
    """The keys of one config, Transformers' defaults for absent ones, and where it came from."""

    def __init__(self, given: Json, source: str) -> None:
        self.given = dict(given)
        self.source = source
        self.defaults: dict[str, Any] = {}

    @classmethod
    def load(cls, config: str | Path | Json) -> Config:
        """A config from a file, from the folder of a checkpoint, or from a dictionary."""
        if isinstance(config, Mapping):
            return cls(config, "config")
        path = Path(config)
        if path.is_dir():
            path = path / "config.json"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ExplorerError(f"{path}: no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ExplorerError(f"{path}: must be a readable file, got: {why(error)}") from None
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ExplorerError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
        if not isinstance(data, dict):
            raise ExplorerError(f"{path}: a JSON object is needed, got {type(data).__name__}")
        return cls(data, str(path))

    def part(self, key: str) -> Config:
        """A nested config, e.g. `text_config`; empty where the key is absent."""
        value = self.get(key)
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise self.error(key, "an object", value)
        return Config(value, f"{self.source}: {key}")

    def rename(self, aliases: Mapping[str, str]) -> None:
        """Move keys that Transformers accepts under another name to the name used here."""
        for alias, key in aliases.items():
            if alias in self.given:
                self.given.setdefault(key, self.given[alias])

    def get(self, key: str) -> Any:
        """The value, Transformers' default if absent, None if there is neither."""
        return self.given[key] if key in self.given else self.defaults.get(key)

    def size(self, key: str, *, least: int = 1) -> int:
        """A whole number of at least `least`."""
        value = self.get(key)
        if value is None:
            raise ExplorerError(
                f"{self.source}: {key}: missing, and a {self.get('model_type')} config needs it"
            )
        return self._whole(key, value, least)

    def maybe(self, key: str, *, least: int = 1) -> int | None:
        """A whole number, or None where the key is absent or null."""
        value = self.get(key)
        return None if value is None else self._whole(key, value, least)

    def flag(self, key: str) -> bool:
        """True or false; null counts as false, as Transformers treats it."""
        value = self.get(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.error(key, "true or false", value)
        return value

    def text(self, key: str) -> str:
        """A string."""
        value = self.get(key)
        if value is None:
            raise ExplorerError(f"{self.source}: {key}: missing")
        if not isinstance(value, str):
            raise self.error(key, "a string", value)
        return value

    def error(self, key: str, needed: str, value: Any) -> ExplorerError:
        """One line: file, key, what is needed, what was got."""
        return ExplorerError(f"{self.source}: {key}: {needed} is needed, got {value!r}")

    def _whole(self, key: str, value: Any, least: int) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < least:
            raise self.error(key, f"a whole number of at least {least}", value)
        return int(value)
