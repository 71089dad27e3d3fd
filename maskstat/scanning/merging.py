"""Merging: scans of shards, made anywhere, add up to one scan.

A mask is known by where it is: the location of its scan and its name in it. So masks of the same
name in two folders stay two, and one mask that was counted in two scans counts once.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from maskstat.errors import ParameterError, StoreError, argument
from maskstat.files.writing import replacing
from maskstat.naming import counted, did_you_mean, printable, storable
from maskstat.parameters import check_word, several
from maskstat.regions.profile import smallest_of
from maskstat.regions.profile_bytes import from_bytes, to_bytes
from maskstat.scanning.choices import PREFER, Prefer
from maskstat.scanning.choosing import chosen, matching
from maskstat.scanning.class_options import Classes, interpreting
from maskstat.scanning.grouping import merge_groups
from maskstat.scanning.stored_scan import StoredScan
from maskstat.showing import one_line
from maskstat.sources.identities import Place, common_base, merged_at, name_below, place_of
from maskstat.store.connection import check_names_a_file
from maskstat.store.copying import Naming
from maskstat.store.records import Failure, ScanInfo, Settled
from maskstat.store.rows import MaskRow
from maskstat.store.store import Store
from maskstat.values.catalog import DEFAULT_IGNORE, ClassCatalog
from maskstat.values.catalog_files import load_catalog
from maskstat.values.histogram import ClassHistogram
from maskstat.values.own_names import read_under
from maskstat.values.tally import Encoding

MAX_STORES = 500  # each is an open file
_NAMED = 3  # masks that an error names
_DEFAULT_NAME = "merged"


class MergedShard(NamedTuple):
    """One of the scans that were merged: its store, name and location, masks and failures."""

    store: str
    scan: str
    source: str
    masks: int
    failures: int

    def __repr__(self) -> str:
        return one_line(self)


class Merged(StoredScan):
    """A scan that `merge` made; its attributes are those of `maskstat.api.merging.MergedScan`."""

    shards: tuple[MergedShard, ...] = ()
    mask_count: int = 0
    overlapping: int = 0
    profiles_left: bool = False
    groups_left: bool = False


def merge(
    stores: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    name: str | None = None,
    scans: str | Iterable[str] = (),
    classes: Classes | None = None,
    prefer: Prefer | None = None,
    separate: bool = False,
    allow_incomplete: bool = False,
    force: bool = False,
) -> Merged:
    """Merge scans from several stores into one scan in a new store; see `maskstat.merge`."""
    paths = [Path(path) for path in several(stores)]
    scans = several(scans)
    target = Path(output)
    if not paths:
        raise ParameterError("name the stores to merge")
    if len(paths) > MAX_STORES:
        raise ParameterError(
            f"{len(paths)} stores are more than {MAX_STORES} at once",
            remedy="merge them in groups, then the results: that gives the same scan",
        )
    if prefer is not None:
        check_word(prefer, PREFER, parameter="prefer")
    catalog = None if classes is None else load_catalog(classes)
    _check_target(target, force=force)
    # The stores that are read are closed when the new one takes its place: it may be one of them.
    with replacing(target) as file, ExitStack() as stack:
        parts = _opened(paths, scans, stack)
        _check_agreement(parts, classes_given=catalog is not None, incomplete=allow_incomplete)
        if catalog is not None:
            catalog = interpreting(_read_under(catalog, parts), parts[0].info.reading, None)
        else:
            # What is no part of the digest (colours to show, say) must not depend on the order.
            catalog = min((part.info.catalog for part in parts), key=_text)
        base = _place(parts, separate=separate)
        name = storable(name) if name else _name_of(parts, base)
        rows = _Rows(parts, prefer)
        with Store.open(file.name, create=True) as store:
            store.path = target  # what errors are about
            store.unguarded()
            info = store.begin(name, merged_at(base), catalog, parts[0].info.reading)
            left = _fill(store, info, parts, rows)
            groups_left = merge_groups(store, info, parts)
        shards = tuple(part.described() for part in parts)
    opened = Store.open(target)
    result = Merged(opened, opened.find(name))
    result.shards, result.overlapping = shards, rows.overlapping
    result.mask_count, result.profiles_left = rows.written, left
    result.groups_left = groups_left
    return result


@dataclass
class _Part:
    """A scan that is merged: the new names of its masks are `label` and what is below `base`."""

    store: Store
    info: ScanInfo
    place: Place
    base: str = field(default="", init=False)
    label: str = field(default="", init=False)
    failed: int = field(default=0, init=False)

    @property
    def where(self) -> str:
        """The store and the scan, for errors."""
        return printable(f"{self.store.path} ({self.info.name})")

    def renamed(self, name: str) -> str:
        """What one of its masks is called in the merged scan."""
        return self.label + name_below(self.base, self.place.identity(name))

    def naming(self) -> Naming:
        """The same for all of its masks: a prefix where that is the rule."""
        links = self.place.kind in {"links", "sum"}
        if self.place.kind == "whole" or self.store.has_paths(self.info, also_urls=links):
            return Naming("", self.renamed)
        return Naming(self.renamed("x")[:-1])

    def failures(self) -> Iterator[Failure]:
        """Its masks that could not be counted; they are few."""
        for failure in self.store.failed(self.info, Naming("", self.renamed)):
            self.failed += 1
            yield failure

    def described(self) -> MergedShard:
        """What the result says about it, once its failures were read."""
        info = self.info
        masks = self.store.mask_count(info)
        return MergedShard(str(self.store.path), info.name, info.source, masks, self.failed)


def _check_target(target: Path, *, force: bool) -> None:
    check_names_a_file(target)
    if target.is_dir():
        raise StoreError(
            "is a folder",
            where=printable(str(target)),
            remedy=f"name a file with {argument('output')}",
        )
    if not target.exists():
        return
    if not force:
        raise StoreError(
            "there is a file already",
            where=printable(str(target)),
            remedy=f"choose another {argument('output')}, or {argument('force', True)} to replace"
            " the whole store",
        )
    with Store.open(target) as store:  # nothing but a store is replaced
        store.sources()


def _parts_of(store: Store, scans: Sequence[str], stack: ExitStack) -> list[_Part]:
    """The scans of a store that are to be merged, as they are at this moment."""
    stack.enter_context(store.snapshot())
    if scans:
        held = store.sources()
        asked = dict.fromkeys(matching(store, name) for name in scans)
        names = [name for name in asked if name in held]
        infos = [store.find(name) for name in names or scans[:1]]
    else:
        infos = [chosen(store)]
    parts = []
    for info in infos:
        name, alone = store.sample(info)
        parts.append(_Part(store, info, place_of(info.source, name or "", alone=alone)))
    return parts


def _opened(paths: Sequence[Path], scans: Sequence[str], stack: ExitStack) -> list[_Part]:
    """The scans to merge, of all stores. Raises StoreError."""
    parts = [
        part
        for path in paths
        for part in _parts_of(stack.enter_context(Store.open(path)), scans, stack)
    ]
    found = {part.info.name for part in parts}
    for asked in scans:
        if not any(matching(part.store, asked) in found for part in parts):
            raise StoreError(
                f"no store holds a scan called {printable(repr(asked))}",
                parameter="scans",
                remedy=f"{did_you_mean(asked, found)}leave it out",
            )
    return parts


def _fill(store: Store, info: ScanInfo, parts: Sequence[_Part], rows: _Rows) -> bool:
    """Write the merged scan; whether a profile stays behind."""
    failures = chain.from_iterable(part.failures() for part in parts)
    store.receive(info, rows.in_order(), failures)
    catalog = _settled(store, info, parts)
    left = sum(not _take_profiles(store, info, catalog, part, rows) for part in parts)
    for part in parts:  # crops stay what they were: draws under the names that masks had
        store.receive_exposures(info, part.store, part.info, part.renamed)
    if all(part.info.complete for part in parts):
        totals = None if rows.overlapping else _totals(parts, info.catalog)
        store.finish(info, totals, store.revision(info))
    return left > 0


def _settled(store: Store, info: ScanInfo, parts: Sequence[_Part]) -> ClassCatalog:
    """The catalogue of the merged scan; what 255 means in the parts is kept with it.

    Raises CatalogError where 255 is class 1 in one of them, and can be void in another.
    """
    views = [StoredScan(part.store, part.info, info.catalog) for part in parts]
    inferred = not len(info.catalog)
    silent = inferred or info.catalog.may_be_binary
    if not silent or all(DEFAULT_IGNORE not in v._values_found for v in views):
        return info.catalog
    for view in views:
        if view.catalog.binary:
            store.settle(info, Settled(view._values_found))
    catalog = StoredScan(store, info).catalog
    return info.catalog if inferred else catalog


def _place(parts: Sequence[_Part], *, separate: bool) -> str:
    """Tell each part what it names its masks below; what all names are below. ParameterError."""
    if not separate:
        base = common_base(part.place.folder for part in parts)
        for part in parts:
            part.base = base
        return base
    stores: dict[str, Store] = {}
    for part in parts:
        stem = storable(part.store.path.stem)
        if stores.setdefault(stem, part.store) is not part.store:
            raise ParameterError(
                f"two stores are called {printable(stem)!r}",
                parameter="separate",
                remedy="rename the file of one",
            )
        of_its_store = [other.place.folder for other in parts if other.store is part.store]
        part.base, part.label = common_base(of_its_store), f"{stem}/"
    return ""


def _check_agreement(parts: Sequence[_Part], *, classes_given: bool, incomplete: bool) -> None:
    """Raise StoreError where scans can't be merged."""
    first = parts[0]
    for part in parts:
        if not (part.info.complete or incomplete):
            raise StoreError(
                "the scan was interrupted, or is still going on",
                where=part.where,
                remedy=f"scan again to complete it, or {argument('allow_incomplete', True)}",
            )
        if part.info.reading != first.info.reading:
            raise StoreError(
                f"masks were read {_reading(part)}, those of {first.where} {_reading(first)}",
                where=part.where,
                remedy="scan them again in the same way",
            )
        if not classes_given and part.info.catalog.digest != first.info.catalog.digest:
            raise StoreError(
                f"its classes ({_classes(part)}) are not those of {first.where}"
                f" ({_classes(first)}): {_difference(part.info.catalog, first.info.catalog)}",
                where=part.where,
                remedy=f"{argument('classes')} says which to take; nothing is decoded again",
            )


def _read_under(given: ClassCatalog, parts: Sequence[_Part]) -> ClassCatalog:
    """The classes given, by name where sources name theirs. Raises CatalogError, StoreError."""
    first, *others = ((part, read_under(given, part.info.catalog)) for part in parts)
    for part, catalog in others:
        if catalog.digest != first[1].digest:
            raise StoreError(
                f"the sources have other values for these classes than {first[0].where}:"
                f" {_difference(catalog, first[1])}",
                where=part.where,
                remedy="scans of annotations merge where equal names have equal numbers",
            )
    return first[1]


def _text(catalog: ClassCatalog) -> str:
    return json.dumps(catalog.to_dict(), sort_keys=True)


def _reading(part: _Part) -> str:
    options = ", ".join(f"{key} {value}" for key, value in sorted(part.info.reading.items()))
    return f"with {printable(options)}" if options else "as they are"


def _classes(part: _Part) -> str:
    catalog = part.info.catalog
    if not len(catalog):
        return "inferred"
    return f"{counted(len(catalog), 'class')}, {printable(catalog.name)!r}"


def _difference(one: ClassCatalog, other: ClassCatalog) -> str:
    """In a few words, what the first difference of two catalogues is."""
    if len(one) != len(other):
        return f"{len(one)} against {len(other)}"
    for a, b in zip(one.classes, other.classes, strict=True):
        if a.name != b.name:
            return f"class {a.index} is {printable(a.name)!r} against {printable(b.name)!r}"
        if {*a.values} != {*b.values} or {*a.colours} != {*b.colours}:
            return f"class {a.index} ({printable(a.name)}) has other values"
    return "other values are ignored, or colours are taken more or less exactly"


def _name_of(parts: Sequence[_Part], base: str) -> str:
    names = {part.info.name for part in parts}
    if len(names) == 1:
        return names.pop()
    return base.rstrip("/").rpartition("/")[2] or _DEFAULT_NAME


def _totals(parts: Sequence[_Part], catalog: ClassCatalog) -> ClassHistogram | None:
    """The sum of what the stores have added up, where they have, and where no name is in it."""
    total = ClassHistogram.empty(catalog)
    for part in parts:
        kept = part.store.totals(part.info, catalog) if len(catalog) else None
        if kept is None or kept.unlisted:
            return None
        total += kept
    return total


def _take_profiles(
    store: Store, info: ScanInfo, catalog: ClassCatalog, part: _Part, rows: _Rows
) -> bool:
    """Whether nothing stays behind of what was measured of a part."""
    digests = part.store.profile_digests(part.info)
    if not digests:
        return True
    naming = part.naming()
    # The smallest components are kept in order of their masks, which other names would change.
    if rows.overlapping or naming.rename is not None or catalog.digest not in digests:
        return False

    def renamed(content: bytes) -> bytes:
        profile = from_bytes(catalog, content)
        smallest = tuple(
            smallest_of(tuple(one._replace(mask=naming(one.mask)) for one in found))
            for found in profile.smallest
        )
        return to_bytes(replace(profile, smallest=smallest))

    store.receive_profiles(info, part.store, part.info, catalog.digest, naming.prefix, renamed)
    return len(digests) == 1


class _Rows:
    """The rows of all parts, each mask once, in the order of their names.

    Attributes:
        written: masks.
        overlapping: rows that were another one of the same mask.
    """

    def __init__(self, parts: Sequence[_Part], prefer: str | None):
        self._parts = parts
        self._prefer = prefer
        self._differing: list[str] = []
        self._differ = 0
        self.written = self.overlapping = 0

    def in_order(self) -> Iterator[MaskRow]:
        """The rows under their new names. Raises StoreError at the end where some contradict."""
        streams = [part.store.rows(part.info, part.naming()) for part in self._parts]
        rows = iter(heapq.merge(*streams, key=itemgetter(0)))
        last = next(rows, None)
        while last is not None:
            row = next(rows, None)
            if row is not None and row[0] == last[0]:
                same = [last, row]
                while (row := next(rows, None)) is not None and row[0] == last[0]:
                    same.append(row)
                self.overlapping += len(same) - 1
                last = self._chosen(same)
            if not self._differ:
                self.written += 1
                yield last
            last = row
        if self._differ:
            raise self._contradiction()

    def _chosen(self, same: list[MaskRow]) -> MaskRow:
        """One of the rows of a mask: that of the file that changed last."""
        latest = max(same, key=_age)
        rivals = same
        if self._prefer == "newest" and all(type(row[2]) is int for row in same):
            rivals = [row for row in same if row[2] == latest[2]]
        if any(_differ(row, latest) for row in rivals):
            self._differ += 1
            if len(self._differing) < _NAMED:
                self._differing.append(latest[0])
        return latest

    def _contradiction(self) -> StoreError:
        named = ", ".join(map(printable, self._differing))
        more = f" and {self._differ - len(self._differing):,} more" if self._differ > _NAMED else ""
        remedy = "scan those again that are out of date"
        if self._prefer is None:
            remedy += f", or {argument('prefer', 'newest')} takes the file that changed last"
        return StoreError(
            f"{counted(self._differ, 'mask')} had other counts in another scan: {named}{more}",
            remedy=remedy,
        )


def _age(row: MaskRow) -> tuple[bool, int | str, int, bool]:
    """What grows with the time of a file; marks that are no times are in order of the alphabet.

    Of one file the row that says how large a voxel is comes after those of before schema 10.
    """
    said = Encoding.from_text(row[5]).voxel is not None
    return (isinstance(row[2], str), row[2], row[1], said)


def _differ(row: MaskRow, other: MaskRow) -> bool:
    """Whether two rows of a mask say different things; one may say less, see `_age`."""
    if row[3:] == other[3:]:
        return False
    one, another = Encoding.from_text(row[5]), Encoding.from_text(other[5])
    if None in (one.voxel, another.voxel):
        one, another = one._replace(voxel=None), another._replace(voxel=None)
    return one != another or (row[3:5], row[6:]) != (other[3:5], other[6:])
