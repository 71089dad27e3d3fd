"""What 255 means in a scan: void, or class 1 of binary masks. The values found say which.

It is settled when all masks are counted, for splits by the values of all of them, whether they are
scanned together or one after the other, and the values that settled it are kept. So no later mask
changes in silence what 255 meant, and a split of empty masks means what the others mean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from maskstat.errors import CatalogError, argument
from maskstat.naming import printable
from maskstat.store.records import Settled
from maskstat.values.catalog import DEFAULT_IGNORE, ClassCatalog

_BINARY = frozenset({0, DEFAULT_IGNORE})


class IndexValues(NamedTuple):
    """Raw values found in index masks.

    Attributes:
        narrow, wide: in masks of 8 bits, and in all others.
        nodata: what files call so.
        unnamed: those that are left without a class, and are not ignored either.
    """

    narrow: frozenset[int]
    wide: frozenset[int]
    nodata: frozenset[int]
    unnamed: frozenset[int]


def inferred_catalog(
    asked: ClassCatalog, found: IndexValues, now: Settled, settled: Settled | None
) -> ClassCatalog:
    """Classes from the values found.

    `now` are the values found and those of the other splits, `settled` those by which the meaning
    of 255 was settled before.

    Raises:
        CatalogError: there would be too many, or 255 was one and other values came since.
    """
    ignored = asked.ignored_values
    values = (found.narrow | found.wide) - found.unnamed
    eight_bit = DEFAULT_IGNORE not in found.wide
    if eight_bit and not ignored and values and values <= _BINARY and now.others:
        # What the splits hold together says whether 255 is a class, and whether there is one.
        values = _BINARY if now.all == _BINARY else values - {DEFAULT_IGNORE}
    catalog = ClassCatalog.inferred(
        values, eight_bit=eight_bit, ignored=ignored, nodata=found.nodata
    )
    was_binary = settled is not None and settled.all == _BINARY and not ignored | found.nodata
    if was_binary and len(catalog) and not catalog.binary:
        _refuse_other_values("foreground", now)
    catalog = replace(catalog, multilabel=asked.multilabel)
    return catalog.ignoring(ignored, asked.ignored_colours)


def catalog_of_soft_masks(asked: ClassCatalog) -> ClassCatalog:
    """No classes, though there are values: what lies between two classes is none, and no void."""
    return replace(asked, name="soft masks", ignore_255=False)


def declared_catalog(asked: ClassCatalog, now: Settled, settled: Settled | None) -> ClassCatalog:
    """The catalogue as index masks of the values found now are to be read.

    `settled` is what the meaning of 255 was settled by before.

    Raises:
        CatalogError: 255 was class 1, and other values came since.
    """
    catalog = asked.reading(now.all)
    was_binary = settled is not None and asked.reading(settled.all).binary
    if was_binary and not catalog.binary:
        _refuse_other_values(asked.names[1], now, asked.ignored_values)
    return catalog


def _refuse_other_values(name: str, now: Settled, ignored: frozenset[int] = frozenset()) -> None:
    """Raise CatalogError where 255 still occurs, and other values than 0 beside it."""
    found = now.all - ignored
    more = sorted(found - _BINARY)
    where = " (in this split or another)" if now.others else ""
    if DEFAULT_IGNORE in found and more:
        raise CatalogError(
            f"255 was read as class {printable(name)!r} while masks held nothing but 0 and 255;"
            f" now the value {more[0]} came{where}, and 255 can be void",
            remedy=f"{argument('ignore', [DEFAULT_IGNORE])} where it is void; where it is the"
            f" class, {argument('classes')} with a file that gives it 'values: [1, 255]'",
        )
