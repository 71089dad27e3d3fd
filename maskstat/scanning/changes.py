"""What a listing finds against what a store has: masks new, changed, unchanged and gone.

The store is asked for a few hundred masks at a time, so that memory does not grow with their
number, neither with those in the store nor with those listed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from maskstat.showing import one_line
from maskstat.sources.base import Entry, Source
from maskstat.sources.sequential import lightly
from maskstat.store.records import Failure, KeptMark, ScanInfo
from maskstat.store.store import Store
from maskstat.values.tally import Encoding

_BATCH = 512  # masks that the store is asked for at once
_BATCH_BYTES = 4 << 20  # of what they carry
_DOUBLE = "another file has this name too (bytes that are no UTF-8 are escaped in names)"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a scan found against what the store had: masks new, changed, unchanged and gone.

    Masks that failed before count as new; `skipped` files are no masks by their suffix. `splits`
    are train, val, test or the like, where the source has them.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    skipped: int = 0
    splits: tuple[str, ...] = ()

    __repr__ = one_line


class Comparison:
    """Goes through a listing once.

    Attributes:
        listed: masks that must be read, so far.
        listed_bytes: of their files.
        again: names of those among them that are counted and unchanged, but not measured yet.
        changed: masks among them that the store has with another mark or reading.
        unchanged: masks that the store has as they are.
        gone: masks that the store had and that are in the listing no more, after `forget_gone`.
        doubles: masks whose name another mask has too.
        done: whether the listing has come to its end.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        scan: ScanInfo,
        *,
        known: int,
        refuses: Callable[[Encoding], bool],
        rescan: bool,
        measured: Container[str] | None = None,
    ):
        """Begin.

        Args:
            known: how many masks of the scan the store has.
            refuses: whether a mask of this encoding must be read again.
            rescan: whether every mask must.
            measured: names of the masks that need not be measured; None where none need be.
        """
        self.listed = self.listed_bytes = self.changed = self.unchanged = self.gone = 0
        self.again: set[str] = set()
        self.doubles: list[Failure] = []
        self.done = False
        self._store, self._source, self._scan = store, source, scan
        self._known, self._rescan, self._measured = known, rescan, measured
        self._refuses = lru_cache(256)(lambda text: refuses(Encoding.from_text(text)))
        self._seen: set[str] = set()

    @property
    def new(self) -> int:
        """Masks that the store did not have, so far."""
        return self.listed - self.changed - len(self.again)

    def to_read(self, listing: Iterable[Entry]) -> Iterator[Entry]:
        """The masks of the listing that must be counted or measured."""
        distinct, seen, measured = self._source.distinct, self._seen, self._measured
        for batch, marks in self._marked(listing):
            for entry in batch:
                name = entry.name
                if not distinct or "\\" in name:
                    if name in seen:
                        # Not under the plain name, which is the other file's.
                        number = len(self.doubles) + 2
                        self.doubles.append(Failure(f"{name} ({number})", _DOUBLE))
                        continue
                    seen.add(name)
                if (kept := marks.get(name)) is not None:
                    if self._differs(entry, kept):
                        self.changed += 1
                    else:
                        self.unchanged += 1
                        if measured is None or name in measured:
                            continue
                        self.again.add(name)
                self.listed += 1
                self.listed_bytes += entry.size
                yield entry
        self.done = True

    def _differs(self, entry: Entry, kept: KeptMark) -> bool:
        size, stamp, encoding = kept
        return self._rescan or stamp != entry.stamp or size != entry.size or self._refuses(encoding)

    def _marked(
        self, listing: Iterable[Entry]
    ) -> Iterator[tuple[Iterable[Entry], dict[str, KeptMark]]]:
        """The listing in batches, each with what the store has of it."""
        if not self._known:
            yield listing, {}
            return
        for batch in _batches(listing):
            yield batch, self._store.marks(self._scan, [entry.name for entry in batch])

    @property
    def lacks_some(self) -> bool:
        """After the listing: whether the store has masks that were not in it."""
        return self.changed + self.unchanged != self._known

    def forget_gone(self) -> None:
        """After the listing: forget the masks that were not in it."""
        names: Iterable[str] = self._seen
        if self._source.distinct:
            # Nobody kept them, as masks are seldom gone.
            names = (entry.name for entry in lightly(self._source.entries()))
        self.gone = self._store.forget_others(self._scan, names)


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Consecutive entries: few at first, that counting may begin, or where they carry bytes."""
    batch: list[Entry] = []
    most, carried = 8, 0
    for entry in entries:
        batch.append(entry)
        carried += entry.held
        if len(batch) == most or carried >= _BATCH_BYTES:
            yield batch
            batch, carried = [], 0
            most = min(2 * most, _BATCH)
    if batch:
        yield batch
