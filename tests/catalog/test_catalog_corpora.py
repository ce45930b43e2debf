"""Corpora: ranges, central values, the user's own."""

import pytest

from explorer.catalog import Corpus, corpora, corpus
from explorer.errors import ExplorerError, UnknownName


def test_the_four_corpora():
    ranges = {c.name: (c.amplitude_low, c.amplitude_high) for c in corpora().values()}
    assert ranges == {"short": (0, 0), "web": (0.3, 0.6), "books": (0.6, 1.2), "code": (2, 3)}
    assert all(c.source and c.description for c in corpora().values())


def test_central_is_the_midpoint():
    assert corpus("books").amplitude == pytest.approx(0.9)
    assert not corpus("short").has_context_benefit
    assert corpus("web").has_context_benefit


def test_own_corpora():
    mine = Corpus(name="legal", amplitude_low=0.5, amplitude_high=1.5)
    assert corpus(mine) is mine
    with pytest.raises(ExplorerError, match="low <= high"):
        Corpus(name="x", amplitude_low=2, amplitude_high=1)


def test_unknown_names_and_files(tmp_path):
    with pytest.raises(UnknownName, match="books"):
        corpus("book")
    with pytest.raises(ExplorerError, match="no such file"):
        corpus(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text('{"name": "x"}')
    with pytest.raises(ExplorerError, match="amplitude"):
        corpus(tmp_path / "bad.json")
