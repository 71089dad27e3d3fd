"""Plain threads: reading, inflating and counting all release the interpreter lock.

In come chunks of items; out come the lists of what work gives for them. The chunks are taken from
their iterator as fast as it gives them (listing goes on while counting has begun), but at most
`window` chunks are being worked on or waiting to be handed over, so memory does not grow with the
work, and that is slack enough for the caller to write to its store while the threads go on. Items
that are heavy themselves (a mask that comes with its bytes) are taken only as fast as there is room
for them.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from maskstat.executors.base import AnyItem, Outcome, Work
from maskstat.executors.chunking import ChunkSizes

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK_FILES = 32
FIRST_CHUNK_FILES = 4  # until all are listed, and kernels that pay for so many are loaded
REMOTE_CHUNK_FILES = 4  # what one thread waits for, one after another
CHUNK_BYTES = 4 << 20
ROOM = 64 << 20  # bytes of memory that chunks may hold
WINDOW = 256  # chunks that are worked on or wait to be handed over
BULKY_WINDOW = 4  # the same for each thread, where outcomes take much memory
_IDLE = 0.1  # seconds; how long an interrupt may wait for a blocked main thread
_PATIENCE = 0.2  # seconds; how long a result waits for the rest of its chunk


def usable_cpus() -> int:
    """CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


class _Job(Generic[Item, Result]):
    """One chunk: its place, its items, and in the end its results or what went wrong."""

    __slots__ = ("error", "items", "number", "results", "weight")

    def __init__(self, number: int, items: Sequence[Item], weight: int):
        self.number = number
        self.items = items
        self.weight = weight
        self.results: list[Result] = []
        self.error: BaseException | None = None


def _run(
    work: Callable[[Sequence[Item]], Iterable[Result]],
    todo: queue.SimpleQueue[_Job[Item, Result] | None],
    done: queue.SimpleQueue[_Job[Item, Result] | list[Result]],
    slots: threading.Semaphore,
    stop: threading.Event,
    in_order: bool,
) -> None:
    """One thread: jobs until None comes, or until the item at hand when told to stop."""
    while True:
        # A slot first: were it the other way round, the one who took the next job in order
        # could wait for a slot that only the hand-over of that very job sets free.
        slots.acquire()
        job = todo.get()
        if job is None or stop.is_set():
            return
        handed_over_at = time.monotonic()
        try:
            for result in work(job.items):
                job.results.append(result)
                if stop.is_set():
                    return
                if not in_order and (now := time.monotonic()) - handed_over_at > _PATIENCE:
                    done.put(job.results)
                    job.results, handed_over_at = [], now
        except BaseException as error:
            job.error = error
        job.items = ()
        done.put(job)


def map_chunks(
    work: Callable[[Sequence[Item]], Iterable[Result]],
    chunks: Iterable[Sequence[Item]],
    *,
    workers: int,
    window: int = WINDOW,
    in_order: bool = True,
    weigh: Callable[[Sequence[Item]], int] | None = None,
    room: int = ROOM,
) -> Generator[list[Result], None, None]:
    """Yield `[*work(chunk)]` for every chunk, iterated on threads.

    `work` gives one result after another, each as soon as there is one.

    With `in_order` results come in the order of the chunks, whatever order they finish in;
    without, as they are ready, a slow chunk's in several lists, so that no result waits long for
    slower ones and the caller can put it in safety. While nothing is ready, an empty list comes
    every tenth of a second, for the caller to do what can't wait.

    `weigh` says how many bytes a chunk holds in memory. The chunks that threads have not done with
    hold at most `room`, unless a single one holds more; no more than one waits beside them.

    Abandoning the generator (an exception or interrupt in the caller, or `close`) stops the
    threads after the item each is at; they are daemons, so that none can hold up the exit.

    Raises:
        BaseException: whatever `work` raised, at the place of its chunk.
    """
    todo: queue.SimpleQueue[_Job[Item, Result] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[_Job[Item, Result] | list[Result]] = queue.SimpleQueue()
    slots = threading.Semaphore(window)
    stop = threading.Event()

    for number in range(workers):
        threading.Thread(
            target=_run,
            args=(work, todo, done, slots, stop, in_order),
            name=f"maskstat-{number}",
            daemon=True,
        ).start()
    waiting: dict[int, _Job[Item, Result]] = {}
    submitted = handed_over = held = 0

    def ready(job: _Job[Item, Result] | list[Result]) -> Generator[list[Result], None, None]:
        """This job's results, and those it held up; or nothing while it waits for others."""
        nonlocal handed_over, held
        if isinstance(job, list):
            yield job
            return
        held -= job.weight
        waiting[job.number] = job
        while waiting:
            if not in_order:
                _, job = waiting.popitem()
            elif handed_over in waiting:
                job = waiting.pop(handed_over)
            else:
                return
            handed_over += 1
            slots.release()
            if job.error is not None:
                raise job.error
            yield job.results

    def next_ready() -> Generator[list[Result], None, None]:
        """What is ready within a tenth of a second, or an empty list."""
        try:
            job = done.get(timeout=_IDLE)
        except queue.Empty:
            yield []
        else:
            yield from ready(job)

    try:
        for chunk in chunks:
            weight = 0 if weigh is None else weigh(chunk)
            while held and held + weight > room:
                yield from next_ready()
            todo.put(_Job(submitted, chunk, weight))
            submitted += 1
            held += weight
            while not done.empty():
                yield from ready(done.get())
        while handed_over < submitted:
            yield from next_ready()
    finally:
        stop.set()
        for _ in range(workers):
            todo.put(None)
            slots.release()


@dataclass(frozen=True, slots=True)
class ThreadExecutor:
    """So many threads of this process; see `maskstat.executors.base.Executor`.

    `remote` is whether reading an item waits for a network.
    """

    workers: int
    remote: bool = False

    @property
    def sizes(self) -> ChunkSizes:
        """Few items where one thread would wait for them one after another."""
        if self.remote:
            return ChunkSizes(REMOTE_CHUNK_FILES, CHUNK_BYTES)
        return ChunkSizes(CHUNK_FILES, CHUNK_BYTES, FIRST_CHUNK_FILES)

    def announce(self, work: Work[AnyItem, Outcome], items: int, size: int) -> None:
        """The work is done here."""
        work.expect(items, size)

    def outcomes(
        self,
        work: Work[AnyItem, Outcome],
        chunks: Iterable[Sequence[AnyItem]],
        *,
        in_order: bool,
    ) -> Generator[list[Outcome], None, None]:
        """As `map_chunks`; items hold memory as they say."""
        return map_chunks(
            work,
            _announced(chunks, work.expect),
            workers=self.workers,
            window=BULKY_WINDOW * self.workers if work.bulky else WINDOW,
            in_order=in_order,
            weigh=lambda chunk: sum(item.held for item in chunk),
        )


def _announced(
    chunks: Iterable[Sequence[AnyItem]], expect: Callable[[int, int], None]
) -> Iterator[Sequence[AnyItem]]:
    """The same chunks; at their end `expect` hears how many items there are, of which size."""
    items = size = 0
    for chunk in chunks:
        items += len(chunk)
        size += sum(item.size for item in chunk)
        yield chunk
    expect(items, size)
