"""The slow and obvious way, pixel value by pixel value, to compare the fast ways with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from maskstat.values.catalog import IGNORED, UNLISTED, ClassCatalog
from maskstat.values.tally import Encoding, MaskTally

GREYS = {level * 0x010101: level for level in range(256)}


def meaning(catalog: ClassCatalog, encoding: Encoding, value: int) -> int:
    """Class index of one raw value, or IGNORED, or UNLISTED."""
    has_colours = any(info.colours for info in catalog.classes)
    if encoding.is_colour and value in catalog.ignored_colours:
        return IGNORED
    if encoding.is_colour and (has_colours or encoding.container != "webp"):
        for info in catalog.classes:
            if value in info.colours:
                return info.index
        return UNLISTED
    eight_bit = encoding.bits == 8
    if encoding.is_colour:  # WebP stores a grey level as a colour
        if value not in GREYS:
            return UNLISTED
        value = GREYS[value]
    for info in catalog.classes:
        if value in info.values:
            return info.index
    if value in catalog.ignored_values or (value == 255 and eight_bit and catalog.ignore_255):
        return IGNORED
    return UNLISTED


@dataclass
class PlainCounts:
    """What a set of masks holds, counted with dicts."""

    pixels: Counter[int] = field(default_factory=Counter)
    masks: Counter[int] = field(default_factory=Counter)
    image_pixels: Counter[int] = field(default_factory=Counter)
    labelled_image_pixels: Counter[int] = field(default_factory=Counter)
    ignored: int = 0
    unlisted: int = 0
    single_class_masks: int = 0
    unlabelled_masks: int = 0
    total: int = 0
    rows: dict[str, Counter[int]] = field(default_factory=dict)


def plain_counts(catalog: ClassCatalog, tallies: Sequence[MaskTally]) -> PlainCounts:
    """Class by class totals of these masks; presence is decided after the mapping."""
    plain = PlainCounts()
    for tally in tallies:
        row: Counter[int] = Counter()
        for value, count in zip(tally.values.tolist(), tally.counts.tolist(), strict=True):
            row[meaning(catalog, tally.encoding, value)] += count
        area = sum(row.values())
        plain.total += area
        plain.ignored += row.pop(IGNORED, 0)
        plain.unlisted += row.pop(UNLISTED, 0)
        for index, count in row.items():
            plain.pixels[index] += count
            plain.masks[index] += 1
            plain.image_pixels[index] += area
            plain.labelled_image_pixels[index] += sum(row.values())
        plain.single_class_masks += len(row) == 1
        plain.unlabelled_masks += not row
        plain.rows[tally.name] = row
    return plain
