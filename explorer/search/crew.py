"""Work spread over the cores of this machine, with the same answers in the same order as without.

Workers are copies of this process, forked once it is clear that the work is worth it, so they hold the
problem already. Where processes cannot be forked safely, this process works alone.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")

PATIENCE_SECONDS = 1.0
"""A process works alone for so long before it is helped."""
MOST_WORKERS = 8
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class Crew(Generic[Task, Answer]):
    """Does `work` on tasks, wave by wave. A context manager: its workers go when it is left, however."""

    def __init__(
        self, work: Callable[[Task], Answer], n: int | None = None, patience: float | None = None
    ) -> None:
        self._work = work
        self._n = min(cores(), MOST_WORKERS) if n is None else n
        self._due = time.perf_counter() + (PATIENCE_SECONDS if patience is None else patience)
        self._workers: dict[Connection, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line, process in self._workers.items():
            line.close()
            process.terminate()
            process.join()
        self._workers.clear()

    def map(self, tasks: Sequence[Task]) -> list[Answer]:
        """The answers to `tasks`, in their order. What a task raises is raised here."""
        if not self._workers and self._n > 1 and len(tasks) > 1 and time.perf_counter() >= self._due:
            self._hire()
        if not self._workers or len(tasks) < 2:
            return [self._work(task) for task in tasks]
        answers: dict[int, Answer] = {}
        waiting = list(range(len(tasks)))[::-1]
        busy: dict[Connection, int] = {}
        while waiting or busy:
            for line in [line for line in self._workers if line not in busy][: len(waiting)]:
                try:
                    line.send(tasks[waiting[-1]])
                except OSError:
                    # Killed while it had nothing to do.
                    self._workers.pop(line).join()
                else:
                    busy[line] = waiting.pop()
            if not self._workers:
                # Every worker is gone; what is left is done here.
                answers |= {number: self._work(tasks[number]) for number in waiting}
                break
            if not busy:
                continue
            ready = wait(list(busy))
            for line in [line for line in busy if line in ready]:
                number = busy.pop(line)
                try:
                    error, answer = line.recv()
                except (EOFError, OSError):
                    # Killed from outside, perhaps for its memory: its task goes to another.
                    self._workers.pop(line).join()
                    waiting.append(number)
                    continue
                if error is not None:
                    raise error
                answers[number] = answer
        return [answers[number] for number in range(len(tasks))]

    def _hire(self) -> None:
        """Fork the workers; each holds its own end of one line, and ends when the other end is closed."""
        fork = multiprocessing.get_context("fork")
        # An interrupt waits until each worker is known here and has its own mind about it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        try:
            for _ in range(self._n):
                here, there = fork.Pipe()
                process = fork.Process(
                    target=_serve, args=(self._work, there, (*self._workers, here)), daemon=True
                )
                try:
                    process.start()
                except OSError:
                    # No memory for another process, or no leave: those that are there will do.
                    here.close()
                    there.close()
                    self._due = math.inf
                    break
                there.close()
                self._workers[here] = process
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> int:
    """Cores that this process may use by forking; 1 where it may not."""
    if sys.platform != "linux":
        return 1
    return len(os.sched_getaffinity(0))


def _serve(work: Callable[[Any], Any], line: Connection, others: Sequence[Connection]) -> None:
    """What a worker does: answer tasks until nobody asks."""
    # Interrupting is the first process' business, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
    for other in others:
        other.close()
    while True:
        try:
            task = line.recv()
        except (EOFError, OSError):
            return
        answer: tuple[Exception | None, Any]
        try:
            answer = None, work(task)
        except Exception as error:
            answer = error, None
        try:
            line.send(answer)
        except OSError:
            return
