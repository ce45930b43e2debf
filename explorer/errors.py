"""Expected outcomes as exceptions: one line for the person, an exit code for the shell.

Anything that is not an `ExplorerError` is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable


class ExplorerError(Exception):
    """Something a person can mend; its text is one complete line: requirement, value, fix."""

    exit_code = 2

    @property
    def lines(self) -> tuple[str, ...]:
        """What is wrong, one entry each."""
        return (str(self),)


class InputErrors(ExplorerError):
    """Every error found in one input, each a line `file:line:column: path: what, got …`."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = tuple(lines)
        super().__init__("\n".join(self._lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """Every error found."""
        return self._lines


class UnknownName(ExplorerError):
    """A name that a catalogue does not hold, with the nearest names it does."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = nearest(name, known)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known[:12])}"
        super().__init__(f"unknown {what} '{name}'; {hint}")


class Unsupported(ExplorerError):
    """A design, format or device property the model cannot express; never approximated silently."""


class NothingFits(ExplorerError):
    """The question was understood and the answer is no."""

    exit_code = 3


class Interrupted(ExplorerError):
    """Stopped from outside before there was an answer; the text says how to go on."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of `known` that `name` may have meant, best first: like it, or beginning with it."""
    # Only a slip of the pen needs it.
    from difflib import get_close_matches

    by_lower = {k.lower(): k for k in known}
    typed = name.lower()
    like = get_close_matches(typed, by_lower, n=3, cutoff=0.6)
    begun = [k for k in by_lower if k.startswith(typed)][:3] if len(typed) >= 3 else []
    return [by_lower[m] for m in like or begun]
