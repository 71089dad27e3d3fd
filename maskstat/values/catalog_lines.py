"""Catalogues from lines of text: lists of names, label maps of CVAT and VOC, tables of classes.

    road                          a name a line; LabelMe's begin with __ignore__ or _background_
    road:128,64,128::             CVAT, VOC: name:r,g,b:parts:actions
    7 road    7: road    7,road   an id and a name (`catalog_tables` has all tables)

A line that looks like one of a table is never taken for a name: where no table fits, the file is
refused.
"""

from __future__ import annotations

import re

from maskstat.errors import CatalogError
from maskstat.naming import printable
from maskstat.values.catalog import ClassCatalog, ClassInfo
from maskstat.values.catalog_columns import is_header
from maskstat.values.catalog_fields import parse_colour
from maskstat.values.catalog_tables import table_of

_LONGEST_LINE = 4000
_LONGEST_NAME = 1000
_LABELMAP_LINE = re.compile(r"[^:]+:(?:\s*\d+\s*,\s*\d+\s*,\s*\d+\s*)?:[^:]*:[^:]*")
_COMMENT = re.compile(r"#(?![0-9a-fA-F]{6}\b)")
_IGNORED, _BACKGROUND = "__ignore__", "_background_"
# What a line of a list of names never is, and what it looks like.
_SUSPICIOUS = (
    (re.compile(r"[-+.]?\d"), "begins with a number"),
    (re.compile(r".*\t"), "holds a tab"),
    (re.compile(r".*,"), "holds a comma"),
    (re.compile(r".*\S {2,}\S"), "has columns"),
    (re.compile(r".*[;|]\s*[-+.]?\d"), "has a number in a column"),
    (re.compile(r".*\s\d+\s+\d+\s+\d+$"), "ends in three numbers"),
    (re.compile(r".*[:=]\s*[-+]?\d+$"), "ends in a number behind a colon or an equals sign"),
    (re.compile(r".*#[0-9a-fA-F]{6}\b"), "holds a colour"),
    (re.compile(r".*\.(png|jpe?g|tiff?|bmp|gif|webp|np[yz]|nii|nii\.gz)\b", re.I), "names a file"),
    (re.compile(r"- |[{}\[\]<]|---|.*:$"), "looks like YAML, JSON or XML"),
)
_SUSPICIOUS_FOR_LABELME = re.compile(r".*\t|[-+]?\d+\s*[:,;\s]|.*,\s*\d+\s*,")


def catalog_from_text(text: str, *, name: str) -> ClassCatalog:
    """The catalogue of a text file. Raises CatalogError, with the line that is in the way."""
    kept = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not _COMMENT.match(line.lstrip())
    ]
    if not kept:
        raise CatalogError("holds no class names")
    if any("\0" in line or len(line) > _LONGEST_LINE for _, line in kept):
        raise CatalogError("not a list of class names")
    if all(_LABELMAP_LINE.fullmatch(line) for _, line in kept):
        return _from_labelmap([line for _, line in kept], name=name)
    return table_of(kept, name=name) or _from_names(kept, name=name)


def _from_names(lines: list[tuple[int, str]], *, name: str) -> ClassCatalog:
    """A name a line; their values are their places."""
    _refuse_what_is_no_name(lines)
    names = [line for _, line in lines]
    ignored: frozenset[int] = frozenset()
    if names[0] == _IGNORED:
        # LabelMe numbers its list from -1; its converters write that as 255 in 8-bit masks.
        ignored, names = frozenset({-1, 255}), names[1:]
    if _IGNORED in names:
        raise CatalogError(f"'{_IGNORED}' must be the first line")
    classes = tuple(ClassInfo(index, label, (index,)) for index, label in enumerate(names))
    return ClassCatalog(classes, ignored_values=ignored, name=name)


def _refuse_what_is_no_name(lines: list[tuple[int, str]]) -> None:
    of_labelme = lines[0][1] in {_IGNORED, _BACKGROUND}
    for number, line in lines:
        if len(line) > _LONGEST_NAME:
            raise CatalogError("not a list of class names")
        if of_labelme and not _SUSPICIOUS_FOR_LABELME.match(line):
            continue
        seen = next((what for pattern, what in _SUSPICIOUS if pattern.match(line)), None)
        if number == lines[0][0] and is_header(line):
            seen = "looks like a header"
        if seen is not None:
            raise CatalogError(
                f"neither a list of names nor a table that is known: line {number} {seen}: "
                f"{printable(line)[:60]!r}",
                remedy="a table is 'id name', 'r g b name', or CSV or TSV with a header like "
                "'id,name,r,g,b'; names like this one go into a YAML list, in quotes",
            )


def _from_labelmap(lines: list[str], *, name: str) -> ClassCatalog:
    """CVAT/VOC `name:r,g,b:parts:actions`; the index is the line, whatever is black."""
    classes = []
    for index, line in enumerate(lines):
        label, colour_text = (part.strip() for part in line.split(":")[:2])
        colour = parse_colour(colour_text) if colour_text else None
        colours = () if colour is None else (colour,)
        classes.append(ClassInfo(index, label, (index,), colours, colour))
    return ClassCatalog(tuple(classes), name=name)
