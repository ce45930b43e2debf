"""What came out of a run: its records, their files, and the answer in words."""

from explorer.result.files import load
from explorer.result.records import Evidence, Result, design_columns
from explorer.result.search import SearchSummary

__all__ = ["Evidence", "Result", "SearchSummary", "design_columns", "load"]
