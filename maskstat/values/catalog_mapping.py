"""Catalogues from what YAML and JSON hold: maskstat's own mapping form, and those of other tools.

The mapping form, of which every key but `classes` may be left out:

    name: streets
    classes:
      - {name: road, value: 7, colour: "#804080"}
      - {name: sky, values: [23, 24], colours: ["#4682b4", [70, 130, 181]]}
      - {name: cloud, values: [100-127, 130]}   # a range is of all values from first to last
      - pole                      # a bare name: its value is its position
    ignore: [255]                 # raw values of index masks; ranges, too
    ignore_colours: ["#000000"]   # colours of colour-coded masks
    nearest_colour: 2             # how far a channel of a mask's colour may be off

`colour` shows the class and matches it in colour-coded masks; `colours` replaces what matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskstat.errors import CatalogError
from maskstat.naming import printable
from maskstat.values.catalog import MAX_CLASSES, ClassCatalog, ClassInfo
from maskstat.values.catalog_documents import categories_document, from_other_tools
from maskstat.values.catalog_fields import (
    RawValues,
    colour_list,
    is_index,
    name_of,
    parse_colour,
    shown,
    whole_number,
)

_KNOWN_KEYS = {
    "name",
    "title",
    "link",
    "source",
    "note",
    "masks",
    "classes",
    "ignore",
    "ignore_colours",
    "ignore_colors",
    "ignore_255",
    "nearest_colour",
    "nearest_color",
    "nodata_first",
    "origin",
}
_KNOWN_CLASS_KEYS = {"name", "value", "values", "colour", "color", "colours", "colors"}


def catalog_from_mapping(document: object, *, name: str, origin: str = "file") -> ClassCatalog:
    """A catalogue from what a YAML or JSON file holds.

    Besides the mapping form of this module: a list of names, an index -> name mapping, and the
    class files of other tools (`catalog_documents`). Raises CatalogError.
    """
    others = from_other_tools(document)
    if others is not None:
        return _from_classes(others, name=name, origin=origin)
    if isinstance(document, list):
        document = {"classes": document}
    if not isinstance(document, Mapping):
        raise CatalogError("holds neither a list nor a mapping of classes")
    if document and all(is_index(key) for key in document):
        document = {"classes": document}
    if "classes" not in document:
        raise CatalogError("has no 'classes'")
    unknown = [shown(key) for key in document if key not in _KNOWN_KEYS]
    if unknown:
        raise CatalogError(
            f"unknown key {unknown[0]}",
            remedy=f"known are {', '.join(sorted(_KNOWN_KEYS))}",
        )
    return _from_classes(document, name=name, origin=origin)


def catalog_from_categories(categories: object, *, name: str) -> ClassCatalog:
    """A catalogue from the `categories` of a COCO file: a class each, its value the category's id.

    A category's colour is what to show it in; masks hold ids. Raises CatalogError.
    """
    return _from_classes(categories_document(categories), name=name, origin="file")


def _from_classes(document: Mapping[Any, Any], *, name: str, origin: str) -> ClassCatalog:
    entries = document["classes"]
    if isinstance(entries, Mapping):
        entries = _entries_of_index_mapping(entries)
    if not isinstance(entries, list):
        raise CatalogError("'classes' must be a list")
    if len(entries) > MAX_CLASSES:
        raise CatalogError(f"{len(entries)} classes: more than {MAX_CLASSES}")
    ignored_colours: object = document.get("ignore_colours", document.get("ignore_colors"))
    ignore_255 = document.get("ignore_255", True)
    if not isinstance(ignore_255, bool):
        raise CatalogError("'ignore_255' must be true or false")
    raw = RawValues()
    return ClassCatalog(
        tuple(_class_info(index, entry, raw) for index, entry in enumerate(entries)),
        ignored_values=frozenset(raw.of(document.get("ignore"), "ignore")),
        ignored_colours=frozenset(parse_colour(c) for c in colour_list(ignored_colours)),
        ignore_255=ignore_255,
        nearest_colour=whole_number(
            document.get("nearest_colour", document.get("nearest_color", 0)), "nearest_colour"
        ),
        nodata_first=document.get("nodata_first") is True,
        name=name_of(document.get("name", name), "the catalogue's name"),
        origin=name_of(document.get("origin", origin), "origin"),
    )


def _entries_of_index_mapping(mapping: Mapping[Any, Any]) -> list[object]:
    if not all(is_index(key) for key in mapping):
        raise CatalogError("a mapping of classes must map indices to names")
    ordered = sorted(mapping.items(), key=lambda item: int(item[0]))
    return [{"name": name, "value": int(index)} for index, name in ordered]


def _class_info(index: int, entry: object, raw: RawValues) -> ClassInfo:
    if not isinstance(entry, Mapping):
        entry = {"name": entry}
    unknown = [shown(key) for key in entry if key not in _KNOWN_CLASS_KEYS]
    if unknown:
        raise CatalogError(
            f"class {index} has an unknown key {unknown[0]}",
            remedy="known are name, value, values, colour, colours",
        )
    name = name_of(entry.get("name"), f"the name of class {index}")
    if "value" in entry and "values" in entry:
        raise CatalogError(f"class {printable(name)} has both 'value' and 'values'")
    if "values" in entry:
        values = tuple(raw.of(entry["values"], f"class {name}"))
    else:
        values = (whole_number(entry.get("value", index), f"class {name}"),)
    colour_given = entry.get("colour", entry.get("color"))
    colour = None if colour_given is None else parse_colour(colour_given)
    colours_given = entry.get("colours", entry.get("colors"))
    colours: tuple[int, ...]
    if colours_given is None:
        colours = () if colour is None else (colour,)
    else:
        colours = tuple(parse_colour(c) for c in colour_list(colours_given))
    if colours and "colour" not in entry and "color" not in entry:
        colour = colours[0]
    return ClassInfo(index, name, values, colours, None if colour is None else colour & 0xFFFFFF)
