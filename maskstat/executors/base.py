"""What every executor does: the outcomes of work on chunks of items.

In comes `Work` and chunks of items; out come lists of outcomes, in order or as they are ready.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from maskstat.executors.chunking import ChunkSizes, Sized


class WorkItem(Sized, Protocol):
    """One of the things that work is done on."""

    @property
    def held(self) -> int:
        """Bytes of memory that it holds until it is done."""


AnyItem = TypeVar("AnyItem", bound=WorkItem)
Outcome = TypeVar("Outcome")
_Item = TypeVar("_Item", contravariant=True)
_Outcome = TypeVar("_Outcome", covariant=True)


class Work(Protocol[_Item, _Outcome]):
    """What is done with items: on threads of this process, or by workers anywhere."""

    @property
    def bulky(self) -> bool:
        """Whether outcomes take so much memory that only few may wait."""

    def __call__(self, items: Sequence[_Item], /) -> Iterable[_Outcome]:
        """The outcome of each item of a chunk, one after another, on the thread that iterates."""

    def expect(self, items: int, size: int) -> None:
        """Hear how much there is to do in this process, when all chunks are known."""

    def to_send(self, items: Sequence[_Item], at_once: int) -> Callable[[], Iterable[Any]]:
        """The same as a call for another process, which does so many items at once.

        It can be pickled, and what it gives can be, too.
        """

    def received(self, results: Sequence[Any]) -> Sequence[_Outcome]:
        """What such calls gave, back in this process. Raises what is wrong with it."""

    def spared(self, items: Sequence[_Item]) -> Callable[[], Iterable[Any]] | None:
        """As `to_send`, with less done and less memory, for what kills every process otherwise.

        None where there is no less.
        """

    def lost(self, item: _Item) -> _Outcome:
        """The outcome of an item that kills every process that works on it."""


class Executor(Protocol):
    """Where work is done."""

    @property
    def sizes(self) -> ChunkSizes:
        """How large its chunks should be."""

    def announce(self, work: Work[AnyItem, Outcome], items: int, size: int) -> None:
        """Say before it begins how much there will be, where that is known: `Work.expect`."""

    def outcomes(
        self,
        work: Work[AnyItem, Outcome],
        chunks: Iterable[Sequence[AnyItem]],
        *,
        in_order: bool,
    ) -> Generator[Sequence[Outcome], None, None]:
        """The outcomes of every chunk: in the order of the chunks, or as they are ready.

        Chunks are taken as fast as they are given and there is room for them. While nothing is
        ready, an empty list comes every tenth of a second, for the caller to do what can't wait.
        Abandoning the generator ends the work.

        Raises:
            BaseException: whatever the work raised.
        """
