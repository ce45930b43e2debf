"""The report as a browser shows it, with networking off."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.browser
def test_every_chart_is_drawn_offline(one_node: Path, chromium: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    errors: list[str] = []
    requests: list[str] = []
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"file://{one_node / 'report.html'}")
        page.wait_for_function("document.documentElement.dataset.ready === 'yes'", timeout=30_000)
        drawn = page.evaluate(
            "[...document.querySelectorAll('[data-chart]')].map("
            "c => [c.dataset.chart, !!c.querySelector('canvas, svg')])"
        )
        browser.close()
    assert not errors
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)
    assert len(drawn) >= 8
    assert all(ok for _, ok in drawn), drawn
