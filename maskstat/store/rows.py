"""Tallies as rows of a table, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskstat.store.records import StoredMask
from maskstat.tally import Encoding, TallyTable

FORMS = {
    1: np.dtype([("value", "<u1"), ("count", "<u4")]),
    2: np.dtype([("value", "<u2"), ("count", "<u4")]),
    4: np.dtype([("value", "<u4"), ("count", "<u4")]),
    8: np.dtype([("value", "<i8"), ("count", "<i8")]),
}


def row_of(scan: int, mask: StoredMask) -> tuple[object, ...]:
    tally = mask.tally
    values, height, width = tally.values, *tally.shape
    low, high = int(values[0]), int(values[-1])
    form = 8 if low < 0 or high >= 1 << 32 or height * width >= 1 << 32 else 4
    if form == 4:
        form = 1 if high < 1 << 8 else 2 if high < 1 << 16 else 4
    pairs = np.empty(values.size, FORMS[form])
    pairs["value"] = values
    pairs["count"] = tally.counts
    encoding = tally.encoding.to_text()
    return (
        scan, tally.name, mask.size, mask.stamp, height, width, encoding, form, pairs.tobytes()
    )  # fmt: skip


def table_of(block: Sequence[tuple[str, int, int, str, int, bytes]]) -> TallyTable:
    names, heights, widths, encodings, form_column, blobs = zip(*block, strict=True)
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
