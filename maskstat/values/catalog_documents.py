"""Class files of other tools, from JSON or YAML, as the mapping form of `catalog_mapping`.

    nnU-Net, MSD      labels: {background: 0, steel: 1, ignore: 2}, or {"0": background, ...}
    Mapillary         labels: [{name, color, evaluate}, ...]: the value is the place
    Datumaro          label_map: {"0": background, ...}, segmentation_colors: [[0, 0, 0], ...]
    Supervisely       classes: [{title, color}, ...]: 0 is no class, the first class is 1
    COCO              categories: [{id, name, color}, ...]
    Hugging Face      id2label: {"0": road, ...}, or label2id: {road: 0, ...}
    Ultralytics       names: [road, ...], or {0: road, ...}

Masks of these tools hold values; where two of their classes share a colour, that colour shows
them and matches nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from maskstat.errors import CatalogError
from maskstat.values.catalog_fields import (
    is_index,
    name_of,
    parse_colour,
    place_of,
    shown,
    whole_number,
)

_IGNORED_BY_NNUNET = "ignore"
Document = Mapping[Any, Any]


def from_other_tools(document: object) -> Document | None:
    """The mapping form of a document that is another tool's, or None. Raises CatalogError."""
    if isinstance(document, list):
        if _all_have(document, "supercategory") or _all_have(document, "isthing"):
            return _categories(document)
        return None
    if not isinstance(document, Mapping):
        return None
    if "classes" in document:
        return (
            _supervisely(document["classes"]) if _all_have(document["classes"], "title") else None
        )
    for key in ("names", "id2label"):
        if key in document:
            return {**document, "classes": document[key]}
    if "label_map" in document:
        return _datumaro(document["label_map"], document.get("segmentation_colors"))
    if "labels" in document:
        labels = document["labels"]
        if isinstance(labels, Mapping):
            return _nnunet(labels)
        return _mapillary(labels) if _all_have(labels, "name") else {"classes": labels}
    if "label2id" in document:
        return {"classes": _in_order(_by_value(document["label2id"], "label2id"))}
    if "categories" in document:
        return _categories(document["categories"])
    return None


def _all_have(entries: object, key: str) -> bool:
    return (
        isinstance(entries, list)
        and bool(entries)
        and all(isinstance(entry, Mapping) and key in entry for entry in entries)
    )


def _nnunet(labels: Document) -> Document:
    """nnU-Net 2 maps names to values, MSD and nnU-Net 1 values to names."""
    for name, value in labels.items():
        if isinstance(value, (list, tuple)):
            raise CatalogError(
                f"label {shown(name)} is a region (several values), and regions overlap: a pixel "
                "would be of several classes",
                remedy="write a catalogue in which every value belongs to one class",
            )
    pairs = _by_value(labels, "labels")
    ignored = [value for name, value in pairs if name == _IGNORED_BY_NNUNET]
    kept = [(name, value) for name, value in pairs if name != _IGNORED_BY_NNUNET]
    return {"classes": _in_order(kept), "ignore": ignored}


def _by_value(labels: object, what: str) -> list[tuple[object, int]]:
    """Names with their values, whichever of them are the keys. Raises CatalogError."""
    if not isinstance(labels, Mapping):
        raise CatalogError(f"{what!r} maps names to values, or values to names")
    keys_are_values = all(map(is_index, labels))
    items_are_values = all(map(_is_value, labels.values()))
    if (
        keys_are_values
        and items_are_values
        and any(int(key) != int(item) for key, item in labels.items())
    ):
        key, item = next(pair for pair in labels.items() if int(pair[0]) != int(pair[1]))
        raise CatalogError(
            f"{what!r} maps numbers to numbers: {shown(key)}: {shown(item)} is class {shown(key)} "
            f"of the value {shown(item)}, or the reverse",
            remedy="write a catalogue, with a name and a value for each class",
        )
    if items_are_values:
        return [(name_of(key, f"a name in {what!r}"), int(item)) for key, item in labels.items()]
    if keys_are_values:
        return [(item, int(key)) for key, item in labels.items()]
    key, item = next(p for p in labels.items() if not is_index(p[0]) and not _is_value(p[1]))
    raise CatalogError(
        f"{what!r} maps {shown(key)} to {shown(item)}: neither is a value",
        remedy="values are whole numbers",
    )


def _is_value(item: object) -> bool:
    """Whether an item of a mapping is a raw value; those may be negative where names are keys."""
    if isinstance(item, int) and not isinstance(item, bool):
        return -(2**63) <= item < 2**63
    return isinstance(item, str) and is_index(item)


def _in_order(pairs: list[tuple[object, int]]) -> list[object]:
    return [
        {"name": name, "value": value}
        for name, value in sorted(pairs, key=lambda p: place_of(p[1]))
    ]


def _mapillary(labels: list[Document]) -> Document:
    """A list of labels: the value is an entry's `id`, or its place; some are not evaluated."""
    numbered = _all_have(labels, "id")
    entries, values, colours = [], [], []
    for place, label in enumerate(labels):
        what = f"label {place}"
        value = whole_number(label["id"], what) if numbered else place
        evaluated = label.get("evaluate", True)
        if not isinstance(evaluated, bool):
            raise CatalogError(f"{what}: 'evaluate' must be true or false")
        entry = _entry(name_of(label["name"], f"the name of {what}"), value, label.get("color"))
        if evaluated:
            entries.append(entry)
        else:
            values.append(value)
            colours.append(entry)
    return _matching_by_value(entries, values, colours)


def _datumaro(label_map: object, colours: object) -> Document:
    """Values to names, with a list of colours in the same order."""
    pairs = _by_value(label_map, "label_map")
    given = colours if isinstance(colours, list) else []
    if given and len(given) != len(pairs):
        raise CatalogError(
            f"'segmentation_colors' lists {len(given)} colours for {len(pairs)} classes"
        )
    shades = given or [None] * len(pairs)
    entries = [
        _entry(name, value, shade) for (name, value), shade in zip(pairs, shades, strict=True)
    ]
    return _matching_by_value(sorted(entries, key=lambda e: int(e["value"])), [], [])


def _supervisely(classes: list[Document]) -> Document:
    """Machine masks number the classes from 1; what no object covers is 0, and no class."""
    entries = [
        _entry(entry["title"], place, entry.get("color")) for place, entry in enumerate(classes, 1)
    ]
    return _matching_by_value(entries, [], [])


def _categories(categories: object) -> Document:
    return {"classes": [_category(index, entry) for index, entry in enumerate(_list(categories))]}


def _list(categories: object) -> list[Any]:
    return categories if isinstance(categories, list) else []


def _category(index: int, entry: object) -> dict[str, Any]:
    if not isinstance(entry, Mapping) or "id" not in entry:
        raise CatalogError(f"category {index} has no 'id'")
    label = name_of(entry.get("name"), f"the name of category {index}")
    value = whole_number(entry["id"], f"category {label}")
    return _entry(label, value, entry.get("color", entry.get("colour"))) | {"colours": []}


def categories_document(categories: object) -> Document:
    """The mapping form of the `categories` of a COCO file. Raises CatalogError."""
    return _categories(categories)


def _entry(name: object, value: int, colour: object) -> dict[str, Any]:
    return {"name": name, "value": value, "colour": colour}


def _matching_by_value(
    entries: list[dict[str, Any]], ignored: list[int], ignored_entries: list[dict[str, Any]]
) -> Document:
    """A document of these; colours that two of them share match nothing."""
    everybody = [*entries, *ignored_entries]
    uses = Counter(parse_colour(e["colour"]) for e in everybody if e["colour"] is not None)
    for entry in everybody:
        own = entry["colour"] is not None and uses[parse_colour(entry["colour"])] == 1
        entry["colours"] = [entry["colour"]] if own else []
    return {
        "classes": entries,
        "ignore": ignored,
        "ignore_colours": [colour for entry in ignored_entries for colour in entry["colours"]],
    }
