"""A limit on the time of one measurement, so that an evaluator that hangs costs its trial and not the study.

A timer of the system interrupts the main thread, and the interpreter raises an exception in the evaluator as
soon as it is back in Python code. Loops, sleeps, locks, and waiting for a child or a socket end at once. C code
that never returns to the interpreter (a hung driver call or collective) does not: that takes a process of its
own, which the evaluator can start and wait for. Threads and children that an evaluator leaves behind live on.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any

from explorer.errors import ExplorerError
from explorer.search.evaluators import Evaluator, told
from explorer.units import format_duration

MOST_SECONDS = 1e9
"""Longer than anyone waits, and as long as any system's timer takes."""
AGAIN_SECONDS = 10.0
"""An evaluator that goes on all the same (it caught the exception, or is cleaning up) is interrupted again."""


class Overdue(BaseException):
    """Raised in an evaluator whose time is up; no Exception, so that those that retry after one do not."""


def timed(evaluator: Evaluator, seconds: float | None) -> Evaluator:
    """`evaluator`, failing with an ExplorerError when it takes longer than so many seconds; None: no limit.

    Raises ExplorerError where evaluators cannot be interrupted: outside of the main thread, on Windows.
    """
    if seconds is None:
        return evaluator
    if not 0 < seconds <= MOST_SECONDS:
        raise ExplorerError(
            f"an evaluator's timeout must be above 0 and up to {MOST_SECONDS:g} s, got {seconds:g}"
        )
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        raise ExplorerError(
            "an evaluator's timeout needs the main thread of a process on Linux or macOS; "
            "leave it away here and let the evaluator limit its time itself"
        )
    limit = seconds

    def within_time(design: Mapping[str, Any]) -> Mapping[str, float]:
        alarm = _Alarm(limit)
        late = f"the evaluator took longer than {format_duration(limit)}, its timeout"
        try:
            try:
                alarm.on()
                answer = evaluator(design)
            finally:
                alarm.off()
        except Overdue:
            # It may have rung while it was being put off.
            alarm.off()
            raise ExplorerError(late) from None
        except (Exception, SystemExit) as error:
            if alarm.has_rung:
                raise ExplorerError(f"{late}; it ended with {told(error)}") from error
            raise
        if alarm.has_rung:
            raise ExplorerError(f"{late}; it went on and answered")
        return answer

    return within_time


class _Alarm:
    """Raises `Overdue` after so many seconds, and again; whoever used the system's timer before keeps it."""

    def __init__(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds
        self._others_due, self._others_every = math.inf, 0.0
        self._others: Any = None
        self._is_on = False
        self.has_rung = False

    def on(self) -> None:
        """Begin."""
        left, self._others_every = signal.setitimer(signal.ITIMER_REAL, 0)
        if left:
            self._others_due = time.monotonic() + left
        self._others = signal.signal(signal.SIGALRM, self._ring)
        self._is_on = True
        self._wind()

    def off(self) -> None:
        """End, and leave handler and timer as they were found."""
        if not self._is_on:
            return
        self._is_on = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        # What is not Python's own handler cannot be put back.
        signal.signal(signal.SIGALRM, signal.SIG_DFL if self._others is None else self._others)
        if self._others_due < math.inf:
            signal.setitimer(signal.ITIMER_REAL, _until(self._others_due), self._others_every)

    def _wind(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, _until(min(self._due, self._others_due)))

    def _ring(self, number: int, frame: Any) -> None:
        if not self._is_on:
            return
        now = time.monotonic()
        others_turn, our_turn = now >= self._others_due, now >= self._due
        if others_turn:
            self._others_due = now + self._others_every if self._others_every else math.inf
        if our_turn:
            self._due = now + AGAIN_SECONDS
        self._wind()
        self.has_rung |= our_turn
        if others_turn and self._others == signal.SIG_DFL:
            # Whoever set this timer wants to be ended by it.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGALRM)
        if others_turn and callable(self._others):
            self._others(number, frame)
        if our_turn:
            raise Overdue


def _until(due: float) -> float:
    """Seconds until then; a timer set to none would never ring."""
    return max(due - time.monotonic(), 1e-6)
