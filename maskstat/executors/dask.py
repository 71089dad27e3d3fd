"""The same as threads, on a cluster: calls go out to workers, and results come as they are ready.

In come chunks of items, each of which is one task; out come lists of their outcomes. What is in
flight is bounded by the cluster's threads and by the bytes of the tasks. A worker that dies takes
nothing along: the scheduler gives its tasks to others. A task that kills its workers again and
again is split into its items, and the items that do so even alone, with no others in flight, are
lost; nobody else is blamed for the neighbours it had.
"""

from __future__ import annotations

import pickle
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from maskstat.errors import ClusterError, MaskstatError
from maskstat.executors.base import AnyItem, Outcome, Work
from maskstat.executors.chunking import ChunkSizes
from maskstat.executors.clusters import Cluster, unfit, versions
from maskstat.memory import memory_limited
from maskstat.naming import printable

if TYPE_CHECKING:
    from distributed import Future

Item = TypeVar("Item")
Result = TypeVar("Result")
Call = Callable[[], Iterable[Result]]

CHUNK_FILES = 256
FIRST_CHUNK_FILES = 16
CHUNK_BYTES = 16 << 20
READS = 8  # at once, of one thread of a worker that waits for a network
ROOM = 128 << 20  # bytes of all tasks in flight
_AHEAD = 2  # tasks in flight for each thread of the cluster: one at work, one at hand
_IDLE = 0.1  # seconds; how long an interrupt may wait


def perform(wanted: tuple[str, str], parcel: bytes, held: int | None = None) -> Any:
    """What a worker does: unpack a call, and call it.

    Its decoders hold at most `held` bytes together, by default half of the worker's memory.

    Raises:
        ClusterError: the worker is of another version, or lacks what the call needs.
    """
    from distributed import get_worker

    worker = get_worker()
    where = f"worker {worker.address}"
    if wanted != versions():
        raise unfit(versions(), where=where)
    try:
        call = pickle.loads(parcel)
    except Exception as error:
        raise unfit(error, where=where) from None
    limit = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
    try:
        with memory_limited(held or (limit and int(limit) // 2) or None):
            return call()
    except MaskstatError as error:
        error.where = error.where or where
        raise


class _Chunk(Generic[Item, Result]):
    """Items that belong together, and what there is of their results."""

    def __init__(self, number: int, items: Sequence[Item]):
        self.number, self.items = number, items
        self.results: dict[int, list[Result]] = {}  # by the place of their first item
        self.left = len(items)


class _Piece(Generic[Item, Result]):
    """Some items of a chunk that are one task; `alone` where it was tried among others."""

    def __init__(self, chunk: _Chunk[Item, Result], start: int, stop: int, parcel: bytes):
        self.chunk, self.start, self.stop, self.parcel = chunk, start, stop, parcel
        self.alone = self.spared = False

    @property
    def items(self) -> Sequence[Item]:
        return self.chunk.items[self.start : self.stop]


class _Flight(Generic[Item, Result]):
    """The tasks of one `map_chunks`, on their way there and back."""

    def __init__(
        self,
        cluster: Cluster,
        call_of: Callable[[Sequence[Item]], Call[Result]],
        lost: Callable[[Item], Result],
        less_of: Callable[[Sequence[Item]], Call[Result] | None],
        in_order: bool,
        room: int,
        held: int | None,
    ):
        self.perform = partial(perform, held=held)
        self.cluster, self.call_of, self.lost = cluster, call_of, lost
        self.less_of = less_of
        self.in_order, self.room = in_order, room
        self.in_flight: dict[object, tuple[Future[Any], _Piece[Item, Result]]] = {}
        self.held = 0
        self.again: deque[_Piece[Item, Result]] = deque()  # single items of chunks that killed
        self.suspects: deque[_Piece[Item, Result]] = deque()  # those that killed again
        self.submitted = self.handed_over = 0
        self.waiting: dict[int, _Chunk[Item, Result]] = {}
        self.done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to be done."""
        return not (self.in_flight or self.again or self.suspects)

    def piece(self, chunk: _Chunk[Item, Result], start: int, stop: int) -> _Piece[Item, Result]:
        """Items of a chunk as a task."""
        try:
            parcel = pickle.dumps(self.call_of(chunk.items[start:stop]), pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise ClusterError(
                f"can't be sent to another machine: {printable(str(error))[:200]}",
                remedy="scan it with threads",
            ) from error
        return _Piece(chunk, start, stop, parcel)

    def fits(self, piece: _Piece[Item, Result]) -> bool:
        """Whether there is room for one more task."""
        if not self.in_flight:
            return True
        most = _AHEAD * max(1, self.cluster.threads())
        return len(self.in_flight) < most and self.held + len(piece.parcel) <= self.room

    def takes_more(self) -> bool:
        """Whether another chunk may be begun: suspects go first, and not too many may wait."""
        if self.again or self.suspects:
            return False
        most = _AHEAD * max(1, self.cluster.threads())
        return self.submitted - self.handed_over < max(most, 1)

    def send(self, piece: _Piece[Item, Result]) -> None:
        """Put a task in flight."""
        future = self.cluster.submit(self.perform, versions(), piece.parcel)
        self.in_flight[future.key] = (future, piece)
        self.held += len(piece.parcel)
        future.add_done_callback(self.done.put)

    def advance(self) -> Generator[list[Result], None, None]:
        """Send what was split as far as there is room, and take in what is ready."""
        while self.again and self.fits(self.again[0]):
            self.send(self.again.popleft())
        if self.suspects and not (self.in_flight or self.again):
            piece = self.suspects.popleft()
            piece.alone = True
            self.send(piece)
        try:
            future = self.done.get(timeout=_IDLE)
        except queue.Empty:
            self.cluster.threads()  # says where there are none, or no scheduler
            yield []
        else:
            yield from self.take_in(future)

    def take_ready(self) -> Generator[list[Result], None, None]:
        """Take in what is ready without waiting."""
        while not self.done.empty():
            yield from self.take_in(self.done.get())

    def take_in(self, future: Future[Any]) -> Generator[list[Result], None, None]:
        """The results of a task, or of those it held up; or send it once more.

        Raises whatever the call raised, and ClusterError.
        """
        from distributed import KilledWorker

        if future.key not in self.in_flight:
            return
        piece = self.in_flight[future.key][1]
        results: list[Result]
        error: BaseException | None = None
        found: Any = None
        if future.status == "error":
            error = future.exception()
            if not isinstance(error, KilledWorker):
                self.forget(future)
                raise _explained(error)
        elif future.status == "finished":
            try:
                found = self.cluster.result(future)
            except KilledWorker as killed:  # it went with its worker, and then killed others
                error = killed
            else:
                if found is None:
                    future.add_done_callback(self.done.put)
                    return
        elif future.status == "cancelled":  # somebody restarted the cluster
            self.forget(future)
            self.send(piece)
            return
        else:  # it went with its worker, and is being worked out again
            future.add_done_callback(self.done.put)
            return
        self.forget(future)
        if error is None:
            results = [*found]
        elif piece.alone:
            less = None if piece.spared else self.spared(piece)
            if less is not None:
                self.suspects.append(less)
                return
            results = [self.lost(item) for item in piece.items]
        else:
            self.suspect(piece)
            return
        chunk = piece.chunk
        chunk.left -= piece.stop - piece.start
        if self.in_order:
            chunk.results[piece.start] = results
        elif results:
            yield results
        if not chunk.left:
            self.waiting[chunk.number] = chunk
            yield from self.hand_over()

    def hand_over(self) -> Generator[list[Result], None, None]:
        """Let go of chunks that are complete, in their order where that matters."""
        while self.waiting:
            if not self.in_order:
                self.waiting.popitem()
                self.handed_over += 1
                continue
            chunk = self.waiting.pop(self.handed_over, None)
            if chunk is None:
                return
            self.handed_over += 1
            yield [one for start in sorted(chunk.results) for one in chunk.results[start]]

    def suspect(self, piece: _Piece[Item, Result]) -> None:
        """Have a task that killed its workers done item by item, or by itself."""
        if len(piece.items) == 1:
            self.suspects.append(piece)
        else:
            for at in range(piece.start, piece.stop):
                self.again.append(self.piece(piece.chunk, at, at + 1))

    def spared(self, piece: _Piece[Item, Result]) -> _Piece[Item, Result] | None:
        """The task with less to do; None where there is no less."""
        call = self.less_of(piece.items)
        if call is None:
            return None
        parcel = pickle.dumps(call, pickle.HIGHEST_PROTOCOL)
        less = _Piece(piece.chunk, piece.start, piece.stop, parcel)
        less.spared = True
        return less

    def forget(self, future: Future[Any]) -> None:
        """A task is no longer in flight."""
        _, piece = self.in_flight.pop(future.key)
        self.held -= len(piece.parcel)
        future.release()


def _explained(error: BaseException | None) -> BaseException:
    """What a task raised, for the user."""
    if isinstance(error, MaskstatError):
        return error
    if isinstance(error, ImportError) or error is None:
        return ClusterError(
            f"a worker can't run this maskstat: {printable(str(error))[:200]}",
            remedy="install the same packages on all machines of the cluster",
        )
    return error


def map_chunks(
    cluster: Cluster,
    call_of: Callable[[Sequence[Item]], Call[Result]],
    chunks: Iterable[Sequence[Item]],
    *,
    lost: Callable[[Item], Result],
    less_of: Callable[[Sequence[Item]], Call[Result] | None] = lambda _: None,
    in_order: bool = True,
    room: int = ROOM,
    held: int | None = None,
) -> Generator[list[Result], None, None]:
    """Yield what `call_of(chunk)()` gives for every chunk, called by the workers of a cluster.

    `call_of` makes a call that can be pickled. With `in_order` results come in the order of the
    chunks; without, as they are ready. While nothing is ready, an empty list comes every tenth of a
    second, for the caller to do what can't wait. Two tasks a thread of the cluster are in flight,
    which hold at most `room` bytes, unless a single one holds more; one more waits beside them.

    `less_of` is tried with an item that killed every worker that it was alone on, where it gives a
    call; `lost` gives the result where nothing is left to try. `held` is the memory that decoders
    of one worker hold together.

    Abandoning the generator cancels what is in flight.

    Raises:
        ClusterError: the scheduler is gone, there are no workers, or one does not fit.
        BaseException: whatever a call raised.
    """
    flight = _Flight(cluster, call_of, lost, less_of, in_order, room, held)
    try:
        for items in chunks:
            chunk: _Chunk[Item, Result] = _Chunk(flight.submitted, items)
            piece = flight.piece(chunk, 0, len(items))
            while not (flight.takes_more() and flight.fits(piece)):
                yield from flight.advance()
            flight.submitted += 1
            flight.send(piece)
            yield from flight.take_ready()
        while not flight.is_idle:
            yield from flight.advance()
    finally:
        for future, _ in flight.in_flight.values():
            future.release()


@dataclass(frozen=True, slots=True)
class DaskExecutor:
    """The workers of a cluster; see `maskstat.executors.base.Executor`.

    `remote` is whether reading an item waits for a network, `held` the bytes that decoders of one
    worker hold together.
    """

    cluster: Cluster
    remote: bool = False
    held: int | None = None

    @property
    def sizes(self) -> ChunkSizes:
        """Small chunks first, so that all workers are soon at work."""
        return ChunkSizes(CHUNK_FILES, CHUNK_BYTES, FIRST_CHUNK_FILES)

    def announce(self, work: Work[AnyItem, Outcome], items: int, size: int) -> None:
        """Nothing is done in this process."""

    def outcomes(
        self,
        work: Work[AnyItem, Outcome],
        chunks: Iterable[Sequence[AnyItem]],
        *,
        in_order: bool,
    ) -> Generator[Sequence[Outcome], None, None]:
        """As `map_chunks`; what travels back is unpacked when it is handed over."""
        at_once = READS if self.remote else 1
        results = map_chunks(
            self.cluster,
            lambda items: work.to_send(items, at_once),
            chunks,
            lost=work.lost,
            less_of=work.spared,
            in_order=in_order,
            held=self.held,
        )
        with closing(results):
            for found in results:
                yield work.received(found)
