"""What a listing finds against what a store has: masks new, changed, unchanged and gone.

In come a listing and the scan that is gone on with; out goes `Pending`: the masks to be read. The
store is asked for a few hundred masks at a time, so that memory does not grow with their
number, neither with those in the store nor with those listed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from maskstat.naming import natural_key
from maskstat.scanning.listing import Listing
from maskstat.scanning.resuming import Resumed
from maskstat.showing import one_line
from maskstat.sources.base import Entry
from maskstat.store.records import Failure, KeptMark
from maskstat.store.store import Store
from maskstat.values.tally import Encoding

if TYPE_CHECKING:
    from maskstat.scanning.folder_trust import FolderTrust
    from maskstat.store.kept_folders import FolderRecord

_BATCH = 512  # masks that the store is asked for at once
_BATCH_BYTES = 4 << 20  # of what they carry
_DOUBLE = "another file has this name too (bytes that are no UTF-8 are escaped in names)"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a scan found against what the store had: masks new, changed, unchanged and gone.

    Masks that failed before count as new; `skipped` files are no masks by their suffix. `splits`
    are train, val, test or the like, where the source has them. `pattern` is that of the names of
    masks, where a preset or a tar of samples told it and others were passed over. `outside` masks
    lie neither in the folder of the list which names them nor below it. `plugins` are formats
    and sources that a plugin read, each with the package and its version.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    skipped: int = 0
    splits: tuple[str, ...] = ()
    pattern: str | None = None
    outside: int = 0
    plugins: tuple[str, ...] = ()

    __repr__ = one_line


class Pending:
    """The masks of a listing that must be read, found in one pass over it.

    Attributes:
        listed: masks that must be read, so far.
        again: names of those among them that are counted and unchanged, but not measured yet.
        done: of those, by name, which of those that measure masks have them already.
        changed: masks among them that the store has with another mark or reading.
        unchanged: masks that the store has as they are.
        gone: masks that the store had and that are in the listing no more, after `forget_gone`.
        doubles: masks whose name another mask has too.
    """

    def __init__(
        self,
        store: Store,
        resumed: Resumed,
        listing: Listing,
        *,
        refuses: Callable[[Encoding], bool],
        rescan: bool,
        measured: Sequence[Container[str]] = (),
        trust: FolderTrust | None = None,
    ):
        """Begin.

        Args:
            refuses: whether a mask of this encoding must be read again.
            rescan: whether every mask must.
            measured: names of the masks that each of those has that measure masks, too.
            trust: knows of folders whose masks are not in the listing.
        """
        self.listed = self.changed = self.unchanged = self.gone = 0
        self.again: set[str] = set()
        self.done: dict[str, tuple[int, ...]] = {}
        self.doubles: list[Failure] = []
        self._done = False
        self._store, self._resumed, self._listing = store, resumed, listing
        self._rescan = rescan
        self._refuses = lru_cache(256)(lambda text: refuses(Encoding.from_text(text)))
        self._measured = measured
        self._trust = trust
        self._folders: tuple[FolderRecord, ...] = ()
        self._seen: set[str] = set()

    @property
    def total(self) -> int | None:
        """How many masks must be read; None as long as the source is still being listed."""
        return self.listed if self._done else None

    def entries(self, *, by_name: bool) -> Iterator[Entry]:
        """The masks, as the listing gives them or in natural order of their names."""
        entries = self._found()
        if not by_name:
            return entries
        return iter(sorted(map(_light, entries), key=lambda entry: natural_key(entry.name)))

    def _found(self) -> Iterator[Entry]:
        distinct, seen, measured = self._listing.distinct, self._seen, self._measured
        for batch, marks in self._marked():
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
                        done = tuple(at for at, has in enumerate(measured) if name in has)
                        if len(done) == len(measured):
                            continue
                        self.again.add(name)
                        if done:
                            self.done[name] = done
                self.listed += 1
                yield entry
        self.unchanged += self._listing.unlisted
        self._folders = () if self._trust is None else self._trust.found
        self._done = True

    def _differs(self, entry: Entry, kept: KeptMark) -> bool:
        size, stamp, encoding = kept
        return self._rescan or (size, stamp) != entry.mark or self._refuses(encoding)

    def _marked(self) -> Iterator[tuple[Iterable[Entry], dict[str, KeptMark]]]:
        """The listing in batches, each with what the store has of it."""
        if not self._resumed.known:
            yield self._listing, {}
            return
        for batch in _batches(self._listing):
            names = [entry.name for entry in batch]
            yield batch, self._store.marks(self._resumed.info, names)

    @property
    def lacks_some(self) -> bool:
        """After the listing: whether the store has masks that were not in it."""
        return self.changed + self.unchanged != self._resumed.known

    def forget_gone(self) -> None:
        """After the listing: forget the masks that were not in it."""
        # Where names are distinct nobody kept them, as masks are seldom gone.
        names: Iterable[str] = self._listing.names() if self._listing.distinct else self._seen
        if self._trust is not None:
            names = chain(names, self._trust.names(self._store, self._resumed.info))
        self.gone = self._store.forget_others(self._resumed.info, names)

    def keep_folders(self) -> None:
        """Within the transaction that ends the run: remember folders, where they are trusted."""
        if self._trust is not None:
            self._trust.keep(self._store, self._resumed.info, self._folders)

    def changes(self, lost: int) -> Changes:
        """After all was read: what the listing found, where `lost` masks of `again` have failed."""
        return Changes(
            new=self.listed - self.changed - len(self.again),
            changed=self.changed + lost,
            unchanged=self.unchanged - lost,
            gone=self.gone + self._resumed.forgotten,
            skipped=self._listing.skipped,
            splits=self._listing.splits,
            pattern=self._listing.pattern,
            outside=self._listing.outside,
        )


def _light(entry: Entry) -> Entry:
    """The entry without bytes that it carries: all of a source are held at once."""
    entry.let_go()
    return entry


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
