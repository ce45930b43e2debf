"""The README's accuracy tables are what the command prints; the shared measurements stay within budget."""

import os
from pathlib import Path

import pytest

from explorer.validation import read, score

README = Path(__file__).parents[2] / "README.md"
needs_data = pytest.mark.skipif(
    not os.environ.get("EXPLORER_DATA"), reason="EXPLORER_DATA names no folder with measured.jsonl"
)


def table(name: str) -> list[str]:
    """The lines of a table of the README, between its marks."""
    _, _, rest = README.read_text("utf-8").partition(f"<!-- accuracy of the {name} -->\n")
    return rest.partition("<!-- end -->")[0].splitlines()


@pytest.fixture(scope="module")
def measured():
    return score(read(Path(os.environ["EXPLORER_DATA"]) / "measured.jsonl"))


def test_the_cited_table_is_what_the_command_prints():
    printed = score(read()).markdown()
    assert table("cited set") == printed, "explore validate --markdown prints the table as it is now"


@needs_data
def test_the_measured_table_is_what_the_command_prints(measured):
    printed = measured.markdown()
    assert table("measurements") == printed, "explore validate measured.jsonl --markdown prints it"


@needs_data
def test_no_measured_group_is_above_its_budget(measured):
    late = [f"{g.group} {g.what}" for g in measured.groups if not g.within_budget]
    assert not late, "\n".join(measured.lines())
    assert sum(g.n for g in measured.groups) > 2000
    # Every row is scored or has its reason.
    assert all(row.predicted is not None or row.reason for row in measured.rows)
