"""One browser for all tests of a process: Playwright cannot be relied on to start a second time in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """Chromium without a window; the test is skipped where it or Playwright is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as play:
        launched = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()
