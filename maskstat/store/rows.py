"""Tallies as rows of a table, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zlib import crc32

import numpy as np

from maskstat.store.records import StoredMask
from maskstat.values.tally import Encoding, TallyTable

FORMS = {
    1: np.dtype([("value", "<u1"), ("count", "<u4")]),
    2: np.dtype([("value", "<u2"), ("count", "<u4")]),
    4: np.dtype([("value", "<u4"), ("count", "<u4")]),
    8: np.dtype([("value", "<i8"), ("count", "<i8")]),
}
CHECKED = 16  # added to a form: behind the pairs is a CRC-32 of them, of shape, encoding and form
_CRC_BYTES = 4


def rows_of(scan: int, masks: Sequence[StoredMask], table: TallyTable) -> list[tuple[object, ...]]:
    """Rows of the table `mask`; `table` holds the tallies of the masks, in their order."""
    lengths = np.diff(table.indptr)
    low, high = table.values[table.indptr[:-1]], table.values[table.indptr[1:] - 1]
    wide = (low < 0) | (high >= 1 << 32) | (table.areas >= 1 << 32)
    forms = np.select([wide, high < 1 << 8, high < 1 << 16], [8, 1, 2], 4)
    blobs: list[bytes] = [b""] * len(masks)
    for form in np.unique(forms).tolist():
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
    crc = _Checksums()
    return [
        (
            scan,
            name,
            mask.size,
            mask.stamp,
            *shape,
            texts[encoding],
            form + CHECKED,
            blob + crc.of(shape, texts[encoding], form, blob),
        )
        for mask, name, shape, encoding, form, blob in zip(
            masks,
            table.names,
            table.shapes.tolist(),
            table.encodings,
            forms.tolist(),
            blobs,
            strict=True,
        )
    ]


def table_of(block: Sequence[tuple[str, int, int, str, int, bytes]]) -> TallyTable:
    names, heights, widths, encodings, _, _ = zip(*block, strict=True)
    form_column, blobs = zip(*_verified(row[1:] for row in block), strict=True)
    forms = np.array(form_column)
    sizes = np.fromiter(map(len, blobs), np.int64, len(blobs))
    itemsizes = np.array([FORMS[form].itemsize for form in form_column], np.int64)
    lengths = sizes // itemsizes
    indptr = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    values = np.empty(indptr[-1], np.int64)
    counts = np.empty(indptr[-1], np.int64)
    for form in np.unique(forms).tolist():
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


class _Checksums:
    """Checksums of rows. Most masks share what is beside their counts: that is done once."""

    def __init__(self) -> None:
        self._beside: dict[tuple[object, ...], int] = {}

    def of(self, shape: Sequence[int], encoding: str, form: int, pairs: bytes) -> bytes:
        """Of what a row says of a mask, whatever its name."""
        key = (*shape, encoding, form)
        start = self._beside.get(key)
        if start is None:
            start = self._beside[key] = crc32(repr(key).encode())
        return crc32(pairs, start).to_bytes(_CRC_BYTES, "little")


def _verified(rows: Iterable[tuple[int, int, str, int, bytes]]) -> Iterable[tuple[int, bytes]]:
    """(form, pairs) of rows. Raises ValueError where one has changed since it was written.

    Rows of stores from before schema 5 have no checksum.
    """
    crc = _Checksums()
    for height, width, encoding, form, blob in rows:
        if form < CHECKED:
            yield form, blob
            continue
        form, pairs = form - CHECKED, blob[:-_CRC_BYTES]
        if crc.of((height, width), encoding, form, pairs) != blob[-_CRC_BYTES:]:
            raise ValueError("a row that has changed")
        yield form, pairs
