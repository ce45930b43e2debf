"""Storages that tests of shared studies have for themselves."""

import sys
from pathlib import Path

import pytest
import storages

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def postgres():
    """A database server of our own; its URL."""
    try:
        with storages.postgres() as url:
            yield url
    except storages.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def proxy(postgres):
    """A gRPC proxy before the database; its URL."""
    try:
        with storages.proxy(postgres) as url:
            yield url
    except storages.Missing as missing:
        pytest.skip(str(missing))
