"""What a worker of a cluster does with a chunk of masks, whatever is made of each of them.

In come entries; out come outcomes, and masks whose files the worker does not see.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from maskstat.errors import ClusterError
from maskstat.executors.chunking import ChunkSizes, chunked
from maskstat.executors.threads import map_chunks
from maskstat.naming import printable, storable
from maskstat.sources.base import Entry

Outcome = TypeVar("Outcome")

DIED = "each worker that read it died: it took too much memory, or crashed the process"
_READ_TOGETHER = 4  # masks that one thread of a worker waits for, one after another


@dataclass(frozen=True)
class Unseen(Generic[Outcome]):
    """A mask that failed on a worker that does not see its file, or the archive that it is in."""

    failure: Outcome
    file: str
    worker: str


def outcomes_of(
    work: Callable[[Sequence[Entry]], Iterable[Outcome]], entries: Sequence[Entry], at_once: int
) -> Iterable[Outcome]:
    """The outcomes of a chunk; `at_once` masks are read at the same time.

    More than one where reading waits for a network.
    """
    threads = min(at_once, -(-len(entries) // _READ_TOGETHER))
    size = _READ_TOGETHER if threads > 1 else max(1, len(entries))
    chunks = [*chunked(entries, ChunkSizes(size, 1 << 62))]
    if threads > 1:
        return chain.from_iterable(map_chunks(work, chunks, workers=threads))
    return chain.from_iterable(map(work, chunks))


def unseen(entry: Entry, failure: Outcome) -> Unseen[Outcome] | None:
    """A mask that failed here, where this process does not see its files."""
    file = next((file for file in entry.local_files if not os.path.exists(file)), None)
    return None if file is None else Unseen(failure, file, platform.node())


def settled(one: Unseen[Outcome]) -> Outcome:
    """What became of it: its files are gone for everybody. Raises ClusterError where they are not.

    It is called where the masks were listed.
    """
    if os.path.exists(one.file):
        raise ClusterError(
            f"the worker on {printable(one.worker)} does not see this file",
            where=printable(storable(one.file)),
            remedy="masks must be on a file system that all machines share, or in a bucket",
        )
    return one.failure
