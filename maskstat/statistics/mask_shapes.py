"""What masks are like as images: their sizes, aspect ratios and value types. Needs no pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from maskstat.showing import one_line
from maskstat.statistics.cooccurrence import Spread, spread
from maskstat.values.tally import Encoding, TallyTable


@dataclass(frozen=True, slots=True)
class MaskForms:
    """Sizes and encodings of a set of masks.

    Attributes:
        sizes: (height, width, masks), the most frequent size first.
        aspect: spread of width / height over the masks; None where there are none.
        value_types: (how masks store values, as "png grey 8-bit"; masks), most frequent first.
    """

    sizes: tuple[tuple[int, int, int], ...]
    aspect: Spread | None
    value_types: tuple[tuple[str, int], ...]

    __repr__ = one_line


def mask_forms(tables: Iterable[TallyTable]) -> MaskForms:
    """Sizes, aspect ratios and value types of the masks of these tables."""
    sizes: Counter[tuple[int, int]] = Counter()
    encodings: Counter[Encoding] = Counter()
    for table in tables:
        sizes.update(zip(*table.shapes.T.tolist(), strict=True))
        encodings.update(table.encodings)
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    ratios = np.array([width / height for (height, width), _ in ordered])
    return MaskForms(
        tuple((height, width, masks) for (height, width), masks in ordered),
        spread(np.repeat(ratios, [masks for _, masks in ordered])) if ordered else None,
        named_counts(encodings),
    )


def named_counts(encodings: Mapping[Encoding, int]) -> tuple[tuple[str, int], ...]:
    """Masks by what their encodings are called, the most frequent first; some share a name."""
    found: Counter[str] = Counter()
    for encoding, masks in encodings.items():
        found[str(encoding)] += masks
    return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))
