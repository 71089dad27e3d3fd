"""Plain threads: reading, inflating and counting all release the interpreter lock.

Work goes out in chunks of items; results come back in the order of the chunks, whatever order they
finish in. At most `window` chunks are out at a time, so memory does not grow with the work, and
that is enough slack for the caller to write to its store while the threads go on.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_WAKE_UP = 0.1  # seconds; how long an interrupt may wait for a blocked main thread


def usable_cpus() -> int:
    """CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


class _Job(Generic[Item, Result]):
    """One chunk: its items, and in the end its results or what went wrong."""

    __slots__ = ("done", "error", "items", "results")

    def __init__(self, items: Sequence[Item]):
        self.items = items
        self.results: list[Result] = []
        self.error: BaseException | None = None
        self.done = threading.Event()


def map_in_order(
    function: Callable[[Item], Result],
    chunks: Iterable[Sequence[Item]],
    *,
    workers: int,
    window: int = 256,
) -> Generator[list[Result], None, None]:
    """Yield `[function(item) for item in chunk]` for every chunk, in order, on threads.

    Abandoning the iterator (an exception or interrupt in the caller, or `close`) stops the
    threads after the item each is at; they are daemons, so that none can hold up the exit.

    Raises:
        BaseException: whatever `function` raised, at the place of its chunk.
    """
    todo: queue.SimpleQueue[_Job[Item, Result] | None] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        while (job := todo.get()) is not None:
            try:
                for item in job.items:
                    if stop.is_set():
                        return
                    job.results.append(function(item))
            except BaseException as error:
                job.error = error
            job.done.set()

    threads = [
        threading.Thread(target=work, name=f"maskstat-{number}", daemon=True)
        for number in range(workers)
    ]
    for thread in threads:
        thread.start()
    pending: deque[_Job[Item, Result]] = deque()
    try:
        for chunk in chunks:
            job: _Job[Item, Result] = _Job(chunk)
            pending.append(job)
            todo.put(job)
            # Hand over what is ready at once; wait only when the window is full.
            while pending and (pending[0].done.is_set() or len(pending) >= window):
                yield _finished(pending.popleft())
        while pending:
            yield _finished(pending.popleft())
    finally:
        stop.set()
        for _ in threads:
            todo.put(None)


def _finished(job: _Job[Item, Result]) -> list[Result]:
    # A plain wait() can't be interrupted on Windows, hence the timeout.
    while not job.done.wait(_WAKE_UP):
        pass
    if job.error is not None:
        raise job.error
    return job.results
