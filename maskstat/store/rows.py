"""Tallies as rows of a table, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

import numpy as np

from maskstat.store.checksums import of_texts
from maskstat.store.records import StoredMask
from maskstat.values.tally import Encoding, TallyTable

FORMS = {
    1: np.dtype([("value", "<u1"), ("count", "<u4")]),
    2: np.dtype([("value", "<u2"), ("count", "<u4")]),
    4: np.dtype([("value", "<u4"), ("count", "<u4")]),
    8: np.dtype([("value", "<i8"), ("count", "<i8")]),
}
CHECKED = 16  # added to a form: behind the pairs is a CRC-32 of all that the row says
_CRC_BYTES = 4
_BEHIND_ITSELF = 0x2144DF1C  # the CRC-32 of whatever has its own one behind it

# A row of the table `mask` without its scan, and without its checksum where it has been opened.
MaskRow = tuple[str, int, "int | str", int, int, str, int, bytes]
_Starts = dict[tuple[object, ...], int]
COLUMNS = "name, size, stamp, height, width, encoding, form, tally"


def rows_of(scan: int, masks: Sequence[StoredMask], table: TallyTable) -> list[tuple[object, ...]]:
    """Rows of the table `mask`; `table` holds the tallies of the masks, in their order."""
    lengths = np.diff(table.indptr)
    low, high = table.values[table.indptr[:-1]], table.values[table.indptr[1:] - 1]
    wide = (low < 0) | (high >= 1 << 32) | (table.areas >= 1 << 32)
    forms = np.select([wide, high < 1 << 8, high < 1 << 16], [8, 1, 2], 4)
    blobs: list[bytes] = [b""] * len(masks)
    for form in sorted(set(forms.tolist())):
        chosen = forms == form
        entries = np.repeat(chosen, lengths)
        pairs = np.empty(np.count_nonzero(entries), FORMS[form])
        pairs["value"] = table.values[entries]
        pairs["count"] = table.counts[entries]
        data = pairs.tobytes()
        ends = (np.cumsum(lengths[chosen]) * pairs.itemsize).tolist()
        for row, start, end in zip(chosen.nonzero()[0].tolist(), [0, *ends], ends, strict=False):
            blobs[row] = data[start:end]
    texts = {encoding: encoding.to_text() for encoding in set(table.encodings)}
    rows = zip(
        table.names,
        (mask.size for mask in masks),
        (mask.stamp for mask in masks),
        *table.shapes.T.tolist(),
        map(texts.__getitem__, table.encodings),
        forms.tolist(),
        blobs,
        strict=True,
    )
    return [(scan, *row) for row in sealed(rows)]


def sealed(rows: Iterable[MaskRow]) -> Iterator[MaskRow]:
    """Rows with their checksums."""
    starts: _Starts = {}
    for name, size, stamp, height, width, encoding, form, pairs in rows:
        beside = (height, width, encoding, form)
        crc = crc32(pairs, crc32(f"{name}\0{size}\0{stamp}".encode(), _start(starts, beside)))
        sealed_pairs = pairs + crc.to_bytes(_CRC_BYTES, "little")
        yield name, size, stamp, height, width, encoding, form + CHECKED, sealed_pairs


def opened(rows: Iterable[MaskRow]) -> Iterator[MaskRow]:
    """Rows without them. Raises ValueError where one has changed since it was written.

    Rows of stores from before schema 5 have none.
    """
    starts: _Starts = {}
    last, start = None, 0
    for row in rows:
        name, size, stamp, height, width, encoding, form, blob = row
        if form < CHECKED:
            yield row
            continue
        form -= CHECKED
        beside = (height, width, encoding, form)
        if beside != last:
            last, start = beside, _start(starts, beside)
        if crc32(blob, crc32(f"{name}\0{size}\0{stamp}".encode(), start)) != _BEHIND_ITSELF:
            raise ValueError("a row that has changed")
        yield name, size, stamp, height, width, encoding, form, blob[:-_CRC_BYTES]


def _start(starts: _Starts, beside: tuple[object, ...]) -> int:
    """The checksum of what is beside a row's counts: most masks share it, so it is done once."""
    start = starts.get(beside)
    if start is None:
        start = starts[beside] = of_texts(*beside)
    return start


def table_of(block: Iterable[MaskRow]) -> TallyTable:
    """The tallies of stored rows, of which there is one at least. Raises ValueError."""
    names, _, _, heights, widths, encodings, form_column, blobs = zip(*opened(block), strict=True)
    forms = np.array(form_column)
    sizes = np.fromiter(map(len, blobs), np.int64, len(blobs))
    itemsizes = np.array([FORMS[form].itemsize for form in form_column], np.int64)
    lengths = sizes // itemsizes
    indptr = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    values = np.empty(indptr[-1], np.int64)
    counts = np.empty(indptr[-1], np.int64)
    for form in sorted(set(form_column)):
        rows = forms == form
        data = b"".join(blob for blob, chosen in zip(blobs, rows.tolist(), strict=True) if chosen)
        pairs = np.frombuffer(data, FORMS[form])
        entries = np.repeat(rows, lengths)
        values[entries] = pairs["value"]
        counts[entries] = pairs["count"]
    shapes = np.stack([np.array(heights, np.int64), np.array(widths, np.int64)], axis=1)
    if not (lengths > 0).all() or not np.array_equal(
        np.add.reduceat(counts, indptr[:-1]), shapes[:, 0] * shapes[:, 1]
    ):
        raise ValueError("counts that do not sum to their mask's area")
    return TallyTable(
        names, shapes, tuple(map(Encoding.from_text, encodings)), indptr, values, counts
    )
