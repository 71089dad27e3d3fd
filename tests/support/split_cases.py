"""Splits for comparisons, made from dense mask x class counts; nothing is drawn or decoded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maskstat.statistics.random_splits import Split
from maskstat.values.catalog import ClassCatalog
from maskstat.values.groups import MaskGroups
from maskstat.values.histogram import ClassHistogram
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import Encoding, MaskTally, TallyTable


def split(
    name: str,
    table: NDArray[np.int64] | Sequence[Sequence[int]],
    groups: Sequence[object] | None = None,
    shapes: Sequence[tuple[int, int]] | None = None,
) -> Split:
    """A split of masks with these counts.

    Masks are one pixel high and as wide as their counts, unless `shapes` says otherwise; `groups`
    has a label a mask, and without it each mask is a group of its own.
    """
    counts = np.asarray(table, np.int64)
    grey = Encoding("png", "grey", 16)
    tallies = TallyTable.of(
        MaskTally(f"{name}{number}", (1, int(row.sum())), grey, np.flatnonzero(row), row[row > 0])
        for number, row in enumerate(counts)
    )
    catalog = ClassCatalog.numbered(counts.shape[1])
    labels = tallies.names if groups is None else [str(label) for label in groups]
    return Split(
        name,
        ClassHistogram.of(catalog, tallies),
        MaskLedger.of(catalog, tallies),
        tallies.shapes if shapes is None else np.array(shapes, np.int64).reshape(-1, 2),
        MaskGroups.of_labels("mask" if groups is None else "column:clip", labels),
    )
