"""Chunks: consecutive items that travel together, few enough to be short, many enough to pay.

In come items as they are found; out go lists of them, whose concatenation is what came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, repeat
from typing import Protocol, TypeVar


class Sized(Protocol):
    """An item that knows its size."""

    @property
    def size(self) -> int:
        """Bytes that it takes where it is kept."""

    @property
    def group(self) -> str | None:
        """Items that follow each other and say the same here make one chunk, however many."""


SizedItem = TypeVar("SizedItem", bound=Sized)

_OF_ONE_SIZE = 8  # chunks, before they double


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """How large chunks may be: at most so many items and bytes, but always one item.

    With `first`, chunks begin with so many items and double every eight, until they have `items`:
    a few masks go round among many workers, too.
    """

    items: int
    size: int
    first: int | None = None

    def in_turn(self) -> Iterator[int]:
        """The most items of each chunk."""
        if self.first is None or self.first >= self.items:
            return repeat(self.items)
        return self._growing(self.first)

    def _growing(self, first: int) -> Iterator[int]:
        for doublings in count():
            most = first << min(doublings, 16)
            if most >= self.items:
                yield from repeat(self.items)
            yield from repeat(most, _OF_ONE_SIZE)


def chunked(items: Iterable[SizedItem], sizes: ChunkSizes) -> Iterator[list[SizedItem]]:
    """The items in chunks, each as soon as the next item does not belong to it.

    A group that begins in a chunk is in it to its end.
    """
    chunk: list[SizedItem] = []
    counts = sizes.in_turn()
    size, most = 0, next(counts)
    group: str | None = None
    for item in items:
        apart = item.group is None or item.group != group
        group = item.group
        if chunk and apart and (len(chunk) >= most or size + item.size > sizes.size):
            yield chunk
            chunk, size, most = [], 0, next(counts)
        chunk.append(item)
        size += item.size
    if chunk:
        yield chunk
