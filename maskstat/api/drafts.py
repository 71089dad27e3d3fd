"""A catalogue to fill in: what a scan without classes found, as the file that names it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskstat.errors import CatalogError, ParameterError
from maskstat.naming import counted, printable
from maskstat.readers.choices import NONE
from maskstat.scanning.stored_scan import StoredScan
from maskstat.values.catalog import MAX_CLASSES
from maskstat.values.catalog_fields import place_of

if TYPE_CHECKING:
    from maskstat.statistics.soft_masks import SoftMasks

_SUFFIXES = frozenset({".yaml", ".yml"})
_HEAD = """\
# What was found in {masks}. Give every class its name, and put what no count should hold
# under 'ignore' or 'ignore_colours'. A class may have several colours: colours: ["#ff0000", ...]
classes:
"""


def check_draft(path: str | Path) -> Path:
    """Where a draft goes, before there is one.

    Raises:
        ParameterError: its name is that of no YAML file.
        FileFormatError: no file can be there.
    """
    from maskstat.files.writing import check_place

    draft = Path(path)
    if draft.suffix.lower() not in _SUFFIXES:
        raise ParameterError(
            f"a catalogue to fill in is a .yaml file, not {printable(draft.name)!r}",
            parameter="draft",
        )
    check_place(draft)
    return draft


def write_draft(scans: Iterable[StoredScan], path: Path) -> None:
    """Write the classes inferred from index masks, by value, and all colours, most pixels first.

    Raises:
        CatalogError: there are more colours than a catalogue can have classes.
        FileFormatError: the file can't be written.
    """
    from maskstat.files.writing import write_atomically

    scans = list(scans)
    values: dict[int, tuple[str, int, int]] = {}
    colours: dict[str, tuple[int, int]] = {}
    total = 0
    for scan in scans:
        histogram = scan.histogram
        total += histogram.mask_count
        rows = zip(scan.catalog.classes, histogram.pixels, histogram.masks, strict=True)
        for info, pixels, masks in rows:
            for value in info.values:
                _, before, in_masks = values.get(value, ("", 0, 0))
                values[value] = info.name, before + int(pixels), in_masks + int(masks)
        if (none := scan.no_channel) is not None:
            _, before, in_masks = values.get(NONE, ("", 0, 0))
            values[NONE] = "background", before + none.pixels, in_masks + none.masks
        for colour, count in histogram.unlisted.items():
            if isinstance(colour, str):
                before, in_masks = colours.get(colour, (0, 0))
                colours[colour] = before + count.pixels, in_masks + count.masks
    if len(values) + len(colours) > MAX_CLASSES:
        raise CatalogError(f"{len(colours):,} different colours are no classes")
    lines = [
        f"  - {{name: {name}, value: {value}}}{_comment(pixels, masks)}"
        for value, (name, pixels, masks) in sorted(values.items(), key=_place)
    ]
    ranked = sorted(colours.items(), key=lambda item: (-item[1][0], item[0]))
    lines += [
        f'  - {{name: colour_{number}, colours: ["{colour}"]}}{_comment(*counts)}'
        for number, (colour, counts) in enumerate(ranked)
    ]
    if soft := [scan.soft_masks for scan in scans if scan.soft_masks is not None]:
        lines = [*_of_soft_masks(soft), *lines]
    text = _HEAD.format(masks=counted(total, "mask")) + "\n".join(lines or ["  []"]) + "\n"
    write_atomically(path, text.encode())


def _of_soft_masks(soft: Sequence[SoftMasks]) -> list[str]:
    """Two classes with a threshold, where two values stand out; else what stands out.

    What lies between three is left to whoever fills it in: weights stop there.
    """
    most = max(soft, key=lambda one: len(one.peaks))
    if all(one.two for one in soft):
        return [
            f"  - {{name: {name}, values: [{first}-{last}]}}  # a threshold half-way, of soft masks"
            for name, (first, last) in zip(("background", "foreground"), most.ranges, strict=True)
        ]
    peaks = sorted({peak for one in soft for peak in one.peaks})
    return [
        f"  - {{name: class_{peak}, value: {peak}}}  # stands out in soft masks" for peak in peaks
    ]


def _place(item: tuple[int, object]) -> tuple[bool, int]:
    return place_of(item[0])


def _comment(pixels: int, masks: int) -> str:
    return f"  # {counted(pixels, 'pixel')} in {counted(masks, 'mask')}"
