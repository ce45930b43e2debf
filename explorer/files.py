"""How files are written: atomically, and JSON with nothing a strict reader refuses."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from explorer.errors import ExplorerError


def read_text(path: str | Path) -> str:
    """UTF-8 text of a file, or of standard input for '-'. Raises OSError or UnicodeDecodeError."""
    if str(path) == "-":
        return sys.stdin.buffer.read().decode("utf-8-sig")
    return Path(path).read_bytes().decode("utf-8-sig")


def why(error: Exception) -> str:
    """What a file could not be read for, on one line and without its name."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte 0x{error.object[error.start]:02x} at position {error.start:,}, which is no UTF-8 text"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it.

    A link stays a link, and a device or a pipe is written into. Raises ExplorerError, one line, where it
    cannot be written.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(data)
            return
        file = path.resolve()
        scratch = file.with_name(f".{file.name}.{os.getpid()}")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with scratch.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(scratch, file)
        finally:
            scratch.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        # Links in a circle are a RuntimeError.
        raise ExplorerError(f"{path}: must be a file that can be written, got: {why(error)}") from None


def clear_scratch(folder: Path, names: Iterable[str]) -> None:
    """Take away what processes that died left half written of the files called `names`."""
    for name in names:
        for scratch in folder.glob(f".{name}.*"):
            scratch.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for UTF-8 text."""
    write_bytes(path, text.encode())


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep `folder` (made where there is none) to one process; ExplorerError where another holds it.

    The kernel lets go when the process dies, however it dies. A folder left empty is taken away again.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
    except OSError as error:
        got = "a file" if folder.exists() and not folder.is_dir() else why(error)
        raise ExplorerError(f"{folder}: must be a folder to write in, got: {got}") from None
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExplorerError(
                f"{folder} is being written by another run; wait for it, choose another --output, or share "
                "one study with --storage"
            ) from None
        except OSError:
            # Some network file systems know no locks.
            pass
        yield
    finally:
        os.close(held)
        with suppress(OSError):
            folder.rmdir()


def to_json(value: Any) -> str:
    """`value` as indented JSON with a final newline; NaN and infinity become null."""
    from pydantic_core import to_json as written

    return written(plain(value), indent=2).decode() + "\n"


def plain(value: Any) -> Any:
    """`value` with only what JSON knows: dicts, lists, strings, finite numbers, booleans, null.

    Records with a `to_dict`, dataclasses and numpy numbers and arrays are unfolded.
    """
    kind = type(value)
    # Most of what is written is one of these, and thousands of them.
    if value is None or kind is str or kind is int or kind is bool:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is list or kind is tuple:
        return [plain(v) for v in value]
    if hasattr(value, "to_dict") and not isinstance(value, type):
        value = value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in fields(value)}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value
