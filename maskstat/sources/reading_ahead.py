"""Masks that come one after another: compressed tars, tables, tars in a bucket.

Who reads such a file past a mask has its bytes at hand and can't come back cheaply. So its entries
carry their bytes along. What is carried is bounded twice: here, while a file is read ahead, and by
whoever takes the entries (`Entry.held`). An entry that let go of its bytes, or was too large to
carry them, reads its file again.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from maskstat.sources.base import MAX_IN_MEMORY, Entry, too_large

CARRIED_MAX = 64 << 20  # bytes of one mask; larger ones are read again when it is their turn
READ_AHEAD = 64 << 20  # bytes of all masks that are read ahead
_QUEUED = 4096  # entries, also of those that carry nothing
_IDLE = 0.1  # seconds; how long an interrupt may wait


class Track(Protocol):
    """A file whose masks come one after another, as their entries see it."""

    def again(self, place: int, size: int) -> bytes:
        """The bytes of the mask at `place` once more. Raises MaskError."""

    def reopen(self, place: int, size: int) -> BinaryIO:
        """The same as a seekable file. Raises MaskError."""

    @property
    def local_files(self) -> tuple[str, ...]:
        """The file, where it is one of this machine."""


@dataclass(slots=True)
class StreamedEntry(Entry):
    """A mask in a file that is read from start to end.

    `place` is where in `track` it is; `data` are its bytes as long as it carries them.
    """

    place: int
    track: Track
    data: bytes | None = None

    @property
    def held(self) -> int:
        """Bytes of memory that it carries."""
        data = self.data  # once: another thread may let go of it
        return 0 if data is None else len(data)

    def let_go(self) -> None:
        """Carry nothing any longer."""
        self.data = None

    @property
    def local_files(self) -> tuple[str, ...]:
        """The file that it is in, unless it carries its bytes."""
        return self.track.local_files if self.data is None else ()

    def load(self) -> bytes:
        """All bytes. Raises MaskError where they can't be had."""
        if (data := self.data) is not None:
            return data
        if self.size > MAX_IN_MEMORY:
            raise too_large()
        return self.track.again(self.place, self.size)

    def open(self) -> BinaryIO:
        """Itself as a seekable file. Raises MaskError."""
        if (data := self.data) is not None:
            return io.BytesIO(data)
        return self.track.reopen(self.place, self.size)


class _Ahead:
    """Entries on their way from the threads that read to the one that takes them."""

    def __init__(self, room: int):
        self.room, self.held, self.reading = room, 0, 0
        self.stopped = False
        self.error: BaseException | None = None
        self.changed = threading.Condition()
        self.entries: deque[Entry | None] = deque()

    def put(self, entry: Entry | None) -> bool:
        """Hand over an entry once there is room; False where nobody wants any more."""
        size = 0 if entry is None else entry.held
        with self.changed:
            while not self.stopped and (
                (self.held and self.held + size > self.room) or len(self.entries) >= _QUEUED
            ):
                self.changed.wait()
            self.entries.append(entry)
            self.held += size
            self.changed.notify_all()
            return not self.stopped

    def take(self) -> Iterator[Entry | None]:
        """All entries as they come. Raises what reading them raised."""
        while True:
            with self.changed:
                while not self.entries and self.reading and self.error is None:
                    self.changed.wait(_IDLE)
                if not self.entries:
                    if self.error is not None:
                        raise self.error
                    return
                entry = self.entries.popleft()
                self.held -= 0 if entry is None else entry.held
                self.changed.notify_all()
            yield entry

    def read(self, tracks: Iterator[Iterable[Entry | None]], turn: threading.Lock) -> None:
        """One thread: a track after another, until there is none left or nobody wants any."""
        try:
            while True:
                with turn:
                    track = next(tracks, None)
                if track is None:
                    return
                for entry in track:
                    if not self.put(entry):
                        return
        except BaseException as error:
            with self.changed:
                self.error = self.error or error
        finally:
            with self.changed:
                self.reading -= 1
                self.changed.notify_all()

    def stop(self) -> None:
        """Nobody takes any more."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


def read_ahead(
    tracks: Iterable[Iterable[Entry | None]], *, threads: int, room: int = READ_AHEAD
) -> Iterator[Entry | None]:
    """The entries of several files, each read from start to end by one of `threads` threads.

    At most `room` bytes wait to be taken, plus one entry a thread. Raises what reading raised.
    """
    ahead = _Ahead(room)
    ahead.reading = threads
    turn, waiting = threading.Lock(), iter(tracks)
    for number in range(threads):
        threading.Thread(
            target=ahead.read, args=(waiting, turn), name=f"maskstat-ahead-{number}", daemon=True
        ).start()
    try:
        yield from ahead.take()
    finally:
        ahead.stop()
