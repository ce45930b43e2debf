"""What takes long to make and is the same for every budget: made once per user and kept among cached files."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from explorer.errors import ExplorerError
from explorer.files import write_text

T = TypeVar("T")


def kept(name: str, make: Callable[[], str], read: Callable[[str], T]) -> T:
    """What `read` makes of the kept text called `name`; of `make`'s, which is then kept, where there is none
    or it cannot be read. A text that cannot be written is made again the next time."""
    file = cached_files() / name
    with suppress(OSError, ValueError, TypeError, KeyError):
        return read(file.read_text(encoding="utf-8"))
    text = make()
    with suppress(ExplorerError):
        write_text(file, text)
    return read(text)


def cached_files() -> Path:
    """Where the user's programs keep what they can make again (XDG base directories)."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "explorer"


@cache
def digest_of_package() -> str:
    """A digest of the program's code and catalogue: what was made by another state of them is made anew."""
    digest = sha256()
    for file in _files(resources.files("explorer")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:24]


def _files(folder: Traversable) -> list[Traversable]:
    found: list[Traversable] = []
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir():
            found += _files(entry)
        elif entry.name.endswith((".py", ".json", ".csv", ".yaml")):
            found.append(entry)
    return found
