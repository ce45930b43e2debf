"""Corpora a loss is judged on: how much a longer context lowers the loss there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from explorer.errors import ExplorerError, UnknownName
from explorer.files import why


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """An evaluation corpus, by the amplitude s of its context term (1 = Xiong 2023's long documents)."""

    name: str
    amplitude_low: float
    amplitude_high: float
    """The amplitude is uncertain, uniformly between the two."""
    exponent: tuple[float, float] | None = None
    """Mean and standard deviation of the exponent b where measured here; else the law's prior."""
    source: str = "given by the user"
    description: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.amplitude_low <= self.amplitude_high < float("inf"):
            raise ExplorerError(
                f"corpus '{self.name}': amplitude must be 0 <= low <= high, "
                f"got [{self.amplitude_low}, {self.amplitude_high}]"
            )
        if self.exponent is not None and not (0 < self.exponent[0] < 2 and 0 <= self.exponent[1] < 1):
            raise ExplorerError(
                f"corpus '{self.name}': exponent must be [mean, standard deviation] with "
                f"0 < mean < 2 and 0 <= sd < 1, got {list(self.exponent)}"
            )

    @property
    def amplitude(self) -> float:
        """The central amplitude: the midpoint of the range."""
        return 0.5 * (self.amplitude_low + self.amplitude_high)

    @property
    def has_context_benefit(self) -> bool:
        """False for a corpus on which no context length is better than another."""
        return self.amplitude_high > 0


@cache
def corpora() -> Mapping[str, Corpus]:
    """Every corpus of the catalogue, by name."""
    text = resources.files("explorer.catalog").joinpath("corpora.json").read_text(encoding="utf-8")
    rows = json.loads(text)["corpora"]
    return MappingProxyType({row["name"]: corpus_from(row) for row in rows})


def corpus(name_or_path: str | Path | Corpus) -> Corpus:
    """A corpus by its catalogue name, or from a corpus file that `explore fit --context` wrote.

    Raises UnknownName with the nearest names, ExplorerError when a file cannot be read as a corpus.
    """
    if isinstance(name_or_path, Corpus):
        return name_or_path
    known = corpora()
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    path = Path(name_or_path)
    if path.suffix != ".json":
        raise UnknownName("corpus", str(name_or_path), known)
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExplorerError(f"corpus file {path}: no such file") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ExplorerError(f"corpus file {path}: must be JSON, got: {why(error)}") from None
    try:
        return corpus_from(row)
    except (KeyError, TypeError, ValueError) as error:
        raise ExplorerError(
            f"corpus file {path}: must hold name and amplitude: [low, high], got {error!r}"
        ) from None


def corpus_from(row: Mapping[str, Any]) -> Corpus:
    """A corpus from its row: name, amplitude [low, high], and optionally exponent, source, description."""
    low, high = row["amplitude"]
    exponent = row.get("exponent")
    optional = {k: str(row[k]) for k in ("source", "description") if row.get(k)}
    return Corpus(
        name=str(row["name"]),
        amplitude_low=float(low),
        amplitude_high=float(high),
        exponent=None if exponent is None else (float(exponent[0]), float(exponent[1])),
        **optional,
    )


def corpus_row(corpus: Corpus) -> dict[str, Any]:
    """What `corpus_from` reads back."""
    row: dict[str, Any] = {
        "kind": "corpus",
        "name": corpus.name,
        "amplitude": [corpus.amplitude_low, corpus.amplitude_high],
    }
    if corpus.exponent is not None:
        row["exponent"] = list(corpus.exponent)
    return row | {"source": corpus.source, "description": corpus.description}
