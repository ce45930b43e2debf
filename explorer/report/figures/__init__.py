"""The charts of a report, one question per module."""
