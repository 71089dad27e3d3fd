"""What users say of classes beside a catalogue: what is ignored, and how far colours may be off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from maskstat.errors import Blank, CatalogError, ParameterError, argument
from maskstat.naming import printable
from maskstat.parameters import parse_whole, several
from maskstat.readers.choices import is_multilabel
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_fields import parse_colour

Classes = ClassCatalog | int | str | Path | Iterable[str]


def interpreting(
    catalog: ClassCatalog, reading: Mapping[str, object], nearest_colour: int | None
) -> ClassCatalog:
    """The catalogue with what the reading of masks and the user say besides the classes.

    Pixels of no panoptic segment are ignored; classes are labels where channels are. Raises
    ParameterError.
    """
    if has_labels(reading):
        catalog = replace(catalog, multilabel=True)
        if nearest_colour is not None:
            raise ParameterError("labels are channels, not colours", parameter="nearest_colour")
    if "panoptic" in reading:
        from maskstat.readers.panoptic import VOID

        catalog = catalog.ignoring([VOID])
    if nearest_colour is None:
        return catalog
    if not 0 <= nearest_colour <= 255:
        raise ParameterError(
            f"is the difference of a channel, 0 to 255, not {nearest_colour}",
            parameter="nearest_colour",
        )
    return replace(catalog, nearest_colour=nearest_colour)


def has_labels(reading: Mapping[str, object]) -> bool:
    """Whether masks that are read so have labels, of which a pixel has any number."""
    return is_multilabel(str(reading.get("channels", "")))


def shifted(catalog: ClassCatalog, reading: Mapping[str, object]) -> ClassCatalog:
    """The catalogue for labels that begin at 1. Raises ParameterError."""
    if has_labels(reading):
        raise ParameterError(
            "shifts indices, and channels are labels here",
            parameter="reduce_zero_label",
            remedy=f"{argument('classes', Blank('FILE'))} with the numbers of the channels that"
            " count",
        )
    return catalog.reducing_zero_label()


def parse_ignored(ignore: int | str | Iterable[int | str]) -> tuple[list[int], list[int]]:
    """Raw values and colours to ignore, from numbers and "#rrggbb". Raises ParameterError."""
    values: list[int] = []
    colours: list[int] = []
    for item in several(ignore):
        text = str(item).strip()
        try:
            if text.startswith("#"):
                colours.append(parse_colour(text))
                continue
        except CatalogError:
            pass
        value = parse_whole(text)
        if value is None:
            raise ParameterError(
                f"{printable(text)!r} is neither a whole number nor a colour #rrggbb",
                parameter="ignore",
            )
        if not -(1 << 63) <= value < 1 << 63:
            raise ParameterError(
                f"{printable(text)[:60]} is no value that a pixel can have: they have 64 bits",
                parameter="ignore",
            )
        values.append(value)
    return values, colours
