"""Masks that are equal pixel for pixel, within scans and between them.

A file is opened only where two masks have equal counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import (
    FileFormatError,
    MaskError,
    SourceError,
)
from maskstat.executors.threads import map_chunks, usable_cpus
from maskstat.naming import natural_key
from maskstat.readers.tallying import count_pixels
from maskstat.scanning.mask_reader import Reader
from maskstat.showing import one_line
from maskstat.sources.base import Entry
from maskstat.values.tally import Encoding, IntArray, TallyTable

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan

HashArray = NDArray[np.uint64]

_CHUNK = 16
_BAND_PIXELS = 1 << 22
_ODD = np.uint64(0x9E3779B97F4A7C15)  # multiplied by it, bits go upwards

Result = TypeVar("Result")


class Member(NamedTuple):
    """A mask of a scan."""

    scan: str
    mask: str

    def __repr__(self) -> str:
        return one_line(self)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Masks whose pixels are the same.

    Attributes:
        groups: two or more masks each, all pixels equal; in natural order.
        stale: masks with equal counts that could not be compared, because their files are gone,
            have changed since the scan, or never were.
    """

    groups: tuple[tuple[Member, ...], ...]
    stale: tuple[Member, ...]

    __repr__ = one_line


def find_duplicates(
    scans: Sequence[StoredScan], wanted: Callable[[Sequence[str]], bool]
) -> Duplicates:
    """Masks with the same size and the same raw value in every pixel.

    Masks of equal size and equal counts are candidates; their files are decoded once more and
    their pixels hashed (BLAKE2b, 128 bits). How a file stores its pixels does not matter. Masks of
    one raw value only (all background, say) are equal without telling anything and left out.

    Args:
        scans: scans of one store, of different names.
        wanted: whether masks of these scans (one name a mask) would be worth reporting as a group.
    """
    twice = _seen_twice(scans)
    candidates: dict[bytes, list[Member]] = {}
    for scan in scans:
        for name, key in _keys(scan, twice):
            candidates.setdefault(key, []).append(Member(scan.name, name))
    chosen = {
        member: key
        for key, members in candidates.items()
        if len(members) > 1 and wanted([member.scan for member in members])
        for member in members
    }
    del candidates
    hashes: dict[bytes, list[Member]] = {}
    found: set[Member] = set()
    for scan in scans:
        keys = {member.mask: key for member, key in chosen.items() if member.scan == scan.name}
        try:
            digest_of = partial(_pixel_digest, keys=keys, reader=Reader(scan.read_options))
        except FileFormatError:  # the file that says what segments are is gone
            continue
        for entry, digest in in_parallel(digest_of, entries_of(scan, keys)):
            if digest is not None:
                member = Member(scan.name, entry.name)
                found.add(member)
                hashes.setdefault(digest, []).append(member)
    groups = [
        tuple(sorted(members, key=_member_key))
        for members in hashes.values()
        if len(members) > 1 and wanted([member.scan for member in members])
    ]
    return Duplicates(
        tuple(sorted(groups, key=lambda group: _member_key(group[0]))),
        tuple(sorted(chosen.keys() - found, key=_member_key)),
    )


def _member_key(member: Member) -> tuple[object, ...]:
    return (*natural_key(member.mask), member.scan)


def _seen_twice(scans: Iterable[StoredScan]) -> HashArray:
    """Hashes that several masks have: only those may have equal counts."""
    hashes = [_hashes(table) for scan in scans for table in scan.tables()]
    found, times = np.unique(np.concatenate([np.empty(0, np.uint64), *hashes]), return_counts=True)
    return np.asarray(found[times > 1])


def _hashes(table: TallyTable) -> HashArray:
    """uint64[B], equal for equal counts; a sum over the pairs, so cheap for many masks at once."""
    pairs = table.values.astype(np.uint64) * _ODD + table.counts.astype(np.uint64)
    pairs = (pairs ^ (pairs >> np.uint64(32))) * _ODD
    pairs ^= pairs >> np.uint64(29)
    return np.add.reduceat(pairs, table.indptr[:-1])


def _keys(scan: StoredScan, wanted: HashArray) -> Iterator[tuple[str, bytes]]:
    """Name and digest of size and counts of every mask with more than one raw value.

    Of these hashes only.
    """
    for table in scan.tables():
        starts = table.indptr.tolist()
        chosen = np.isin(_hashes(table), wanted) & (np.diff(table.indptr) > 1)
        for row in np.flatnonzero(chosen).tolist():
            part = slice(starts[row], starts[row + 1])
            values, counts = table.values[part], table.counts[part]
            encoding = table.encodings[row]
            yield table.names[row], _tally_digest(table.shapes[row], encoding, values, counts)


def _tally_digest(shape: IntArray, encoding: Encoding, values: IntArray, counts: IntArray) -> bytes:
    digest = hashlib.blake2b(bytes([encoding.is_colour]), digest_size=16)
    for array in (shape, values, counts):
        digest.update(array.astype("<i8", copy=False).tobytes())
    return digest.digest()


def entries_of(scan: StoredScan, names: Collection[str]) -> list[Entry]:
    """The files of these masks, as far as they are still there."""
    if not names:
        return []
    try:
        return [entry for entry in scan.entries() if entry.name in names]
    except SourceError:
        return []


def _pixel_digest(entry: Entry, keys: dict[str, bytes], reader: Reader) -> bytes | None:
    """Digest of a mask's pixels; None where its file no longer has the counts of the scan."""
    try:
        pixels, encoding = reader.label_map(entry)
        tally = count_pixels(entry.name, pixels, encoding)
    except (MaskError, MemoryError):
        return None
    key = _tally_digest(np.array(tally.shape, np.int64), encoding, tally.values, tally.counts)
    if key != keys[entry.name]:
        return None
    # Equal counts mean equal extremes, so both of a pair are hashed as the same type.
    narrow = bool(tally.values[0] >= 0 and tally.values[-1] < 256)
    digest = hashlib.blake2b(key, digest_size=16)
    step = max(1, _BAND_PIXELS // pixels.shape[1])
    for row in range(0, pixels.shape[0], step):
        band = np.ascontiguousarray(pixels[row : row + step], "|u1" if narrow else "<i8")
        digest.update(band.data)
    return digest.digest()


def in_parallel(
    function: Callable[[Entry], Result], entries: Sequence[Entry]
) -> Iterator[tuple[Entry, Result]]:
    """(entry, function(entry)) for every entry, in order, on threads."""
    ordered = sorted(entries, key=lambda entry: natural_key(entry.name))
    chunks = [ordered[at : at + _CHUNK] for at in range(0, len(ordered), _CHUNK)]
    results = map_chunks(partial(map, function), chunks, workers=usable_cpus())
    try:
        yield from zip(ordered, chain.from_iterable(results), strict=True)
    finally:
        results.close()
