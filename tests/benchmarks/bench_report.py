"""What a reader waits for: opening a page of thousands of designs, and ten moves of a brush over them.

Run it with `python tests/benchmarks/bench_report.py [--markdown]`; it needs Chromium and playwright. A page of a
few hundred designs, timed in the same run, stands beside it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

import tables
from playwright.sync_api import sync_playwright
from report_fixture import make_result
from test_report_browser import Opened, drag

from explorer import report

SIZES = {
    "few hundred designs": {"n_trials": 300, "n_cloud": 400},
    "thousands of designs": {"n_trials": 2_500, "n_cloud": 6_000},
    "5,000 designs, all on the front": {"n_trials": 12_500, "n_cloud": 0, "long": True},
}


def main() -> None:
    """Prints size, opening and brushing of every page."""
    table = [("page", "MB", "first charts, s", "all charts, s", "ten brush moves, s")]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, size in SIZES.items():
            path = Path(folder) / "report.html"
            path.write_text(report.render(make_result(**size)), "utf-8")
            one = Opened(browser, path)
            # By the page's own clock, from the start of the navigation: the driver's share is not the page's.
            seen, opened = (
                one.page.evaluate(f"performance.getEntriesByName('{mark}')[0].startTime") / 1000
                for mark in ("seen", "drawn")
            )
            brushed = drag(one.page, "front", 0.3, 0.2, 0.98, 0.95, moves=10)
            one.context.close()
            table.append(
                (name, f"{path.stat().st_size / 1e6:.2f}", f"{seen:.2f}", f"{opened:.2f}", f"{brushed:.2f}")
            )
        browser.close()
    title = "A report's page in headless Chromium (`bench_report.py`)"
    tables.show(title, table)
    if "--markdown" in sys.argv[1:]:
        tables.write("report", title, table)


if __name__ == "__main__":
    main()
