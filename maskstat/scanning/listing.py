"""The masks of a source, or its splits, and what to say where there are none.

In comes a source; out goes a `Listing`, which gives its masks as they are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from maskstat.errors import SourceError, argument
from maskstat.naming import counted, printable
from maskstat.parameters import several
from maskstat.readers import formats
from maskstat.readers.plugin_readers import READERS
from maskstat.sources.base import Entry, Selection, Source, lightly
from maskstat.sources.locations import TIMEOUT
from maskstat.sources.opening import Where, find_splits, open_source, remedy_for


class Listing:
    """The masks of a source, in the order in which it lists them: at least one, or one known.

    Making it finds the first one; iterating, which is for once, the others. `listed` is what the
    source has just listed; `all` is the same where that are all masks.

    Raises:
        SourceError: there is none, or the source can't be listed.
    """

    def __init__(self, source: Source, listed: Iterable[Entry] | None = None):
        self._source = source
        self.all = listed if isinstance(listed, list) else None
        entries = source.entries() if listed is None else iter(listed)
        first = next(entries, None)
        if first is None and not source.unlisted():
            raise _nothing(source)
        self._entries = entries if first is None else chain([first], entries)

    def __iter__(self) -> Iterator[Entry]:
        return self._entries

    @property
    def distinct(self) -> bool:
        """Whether no two masks have one name, unless there is a backslash in it."""
        return self._source.distinct

    @property
    def unlisted(self) -> int:
        """Masks that it leaves out, since they are as they were."""
        return self._source.unlisted()

    @property
    def skipped(self) -> int:
        """Files that were passed over: no masks by their suffix or by option."""
        return self._source.skipped()

    @property
    def outside(self) -> int:
        """Masks that lie outside the folder of the list which names them."""
        return self._source.outside()

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that it came across."""
        return self._source.splits()

    @property
    def pattern(self) -> str | None:
        """Of the names of its masks, where a preset knows it and other files are beside them."""
        return self._source.only

    def names(self) -> Iterator[str]:
        """The names of all masks; they are listed once more."""
        return (entry.name for entry in lightly(self._source.sketched(0)))


def _nothing(source: Source) -> SourceError:
    skipped = source.skipped()
    others = f" ({counted(skipped, 'file')} of other kinds)" if skipped else ""
    usual = (
        f"masks end in {', '.join(sorted(formats.SUFFIXES))};"
        f" see {argument('include')}, {argument('exclude')}"
    )
    for reader in READERS.usable().values() if skipped else ():
        patterns = [argument("include", f"*{suffix}") for suffix in reader.suffixes]
        usual += f"; {' '.join(patterns)} takes those that {reader.plugin} knows"
    return SourceError(
        f"no masks found{others}",
        where=printable(source.location),
        remedy=remedy_for(source.location) or usual,
    )


def splits_of(
    source: Where,
    *,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    column: str | None = None,
    timeout: float = TIMEOUT,
    source_format: str | None = None,
) -> dict[str | None, int]:
    """The splits of a source, for `scan`'s `split`, and the masks of each; None: those in none.

    Raises:
        SourceError: it has no splits, or there is nothing at all.
    """
    selection = Selection(several(include), several(exclude), formats.SUFFIXES)
    said: dict[str, Any] = {"column": column, "source_format": source_format}
    found = find_splits(source, selection, timeout=timeout, **said)
    if not any(found):
        raise SourceError(
            "has no splits",
            where=printable(open_source(source, selection, **said).location),
            remedy="they are folders called train, val or test, or a column 'split' of a manifest",
        )
    return found
