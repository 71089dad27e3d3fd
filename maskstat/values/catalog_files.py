"""Catalogues from files: YAML and JSON, lists of names, CVAT/VOC label maps, presets, a number.

The mapping form (YAML or JSON), of which every key but `classes` may be left out:

    name: streets
    classes:
      - {name: road, value: 7, colour: "#804080"}
      - {name: sky, values: [23, 24], colours: ["#4682b4", [70, 130, 181]]}
      - pole                      # a bare name: its value is its position
    ignore: [255]                 # raw values of index masks
    ignore_colours: ["#000000"]   # colours of colour-coded masks
    nearest_colour: 2             # how far a channel of a mask's colour may be off

`colour` shows the class and matches it in colour-coded masks; `colours` replaces what matches.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from maskstat.errors import CatalogError, call
from maskstat.naming import counted, did_you_mean, printable
from maskstat.parameters import parse_whole
from maskstat.values.catalog import MAX_CLASSES, ClassCatalog, ClassInfo
from maskstat.values.presets import preset_names, preset_text

MAX_FILE_BYTES = 16 << 20
_LABELMAP_LINE = re.compile(r"^[^:]+:(?:\s*\d+\s*,\s*\d+\s*,\s*\d+\s*)?:[^:]*:[^:]*$")
_KNOWN_KEYS = {
    "name",
    "title",
    "source",
    "note",
    "masks",
    "classes",
    "names",
    "id2label",
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


def load_catalog(classes: ClassCatalog | int | str | Path | Iterable[str]) -> ClassCatalog:
    """The catalogue that somebody means by `classes`.

    A number K (values 0..K-1), K names (of the same values), a preset name, or the path of a
    YAML/JSON catalogue, of a text list of names (LabelMe's `__ignore__` and `_background_`
    included) or of a CVAT/VOC `labelmap.txt`. A file wins over a preset of the same name.

    Raises:
        CatalogError: neither a number nor a file nor a preset, the file is malformed, or names are
            none, no texts, or come twice.
    """
    if isinstance(classes, ClassCatalog):
        return classes
    if isinstance(classes, int) and not isinstance(classes, bool):
        return _numbered(classes)
    if isinstance(classes, Iterable) and not isinstance(classes, (str, bytes, os.PathLike)):
        return _named(list(classes))
    text = str(classes)
    number = parse_whole(text)
    if number is not None:
        return _numbered(number)
    path = Path(text)
    try:
        if path.is_file():
            return read_catalog(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CatalogError(f"can't be read: {reason}", where=printable(text)) from error
    if text in preset_names():
        return load_preset(text)
    folder = bool(text) and path.is_dir()
    raise CatalogError(
        "is a folder, not a file of classes" if folder else "neither a number, a file nor a preset",
        where=printable(text) or repr(text),
        parameter="classes",
        remedy=f"{did_you_mean(text, preset_names())}'{call('presets')}' lists the presets",
    )


def _numbered(count: int) -> ClassCatalog:
    try:
        return ClassCatalog.numbered(count)
    except CatalogError as error:
        raise CatalogError(error.problem, parameter="classes", remedy=error.remedy) from None


def _named(names: list[object]) -> ClassCatalog:
    """Names as a file would list them: classes that never occur are no accident."""
    try:
        for name in names:
            if not isinstance(name, str) or not name.strip():
                raise CatalogError(f"a list of classes holds their names, not {_shown(name)}")
        return catalog_from_mapping(names, name=counted(len(names), "name"))
    except CatalogError as error:
        raise CatalogError(error.problem, parameter="classes", remedy=error.remedy) from None


def load_preset(name: str) -> ClassCatalog:
    """The catalogue of a public dataset, by name. Raises CatalogError where there is none."""
    try:
        text = preset_text(name)
    except KeyError:
        raise CatalogError(
            f"no preset is called {printable(name)!r}",
            remedy=f"{did_you_mean(name, preset_names())}'{call('presets')}' lists them",
        ) from None
    return catalog_from_mapping(_parse_yaml(text), name=name, origin="preset")


def masks_of_preset(catalog: ClassCatalog) -> tuple[str, ...]:
    """Patterns of the names of a preset's masks, the first that matches any counts; else none."""
    if catalog.origin != "preset" or catalog.name not in preset_names():
        return ()
    document = _parse_yaml(preset_text(catalog.name))
    return tuple(document.get("masks", ())) if isinstance(document, Mapping) else ()


def read_catalog(path: Path) -> ClassCatalog:
    """Read a catalogue file; its suffix decides the form. Raises CatalogError naming the file."""
    where = printable(str(path))
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CatalogError(f"larger than {MAX_FILE_BYTES >> 20} MiB: not a catalogue")
        text = path.read_bytes().decode("utf-8-sig")
        suffix = path.suffix.lower()
        if suffix == ".json":
            return catalog_from_mapping(_parse_json(text), name=path.stem)
        if suffix in {".yaml", ".yml"}:
            return catalog_from_mapping(_parse_yaml(text), name=path.stem)
        return _from_lines(text.splitlines(), name=path.stem)
    except UnicodeDecodeError as error:
        raise CatalogError("not UTF-8 text", where=where) from error
    except CatalogError as error:
        raise CatalogError(error.problem, where=where, remedy=error.remedy) from error


def _parse_yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise CatalogError(f"not valid YAML: {_one_line(error)}") from error


def _parse_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CatalogError(f"not valid JSON: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return printable(" ".join(str(error).split()))[:200]


def catalog_from_mapping(document: object, *, name: str, origin: str = "file") -> ClassCatalog:
    """A catalogue from what a YAML or JSON file holds.

    Besides the mapping form of this module: a list of names, an index -> name mapping (Hugging
    Face's `id2label`), or one under `names` (Ultralytics) or `id2label`.
    """
    if isinstance(document, list):
        document = {"classes": document}
    if not isinstance(document, Mapping):
        raise CatalogError("holds neither a list nor a mapping of classes")
    if document and all(_is_index(key) for key in document):
        document = {"classes": document}
    unknown = [_shown(key) for key in document if key not in _KNOWN_KEYS]
    entries = next(
        (document[key] for key in ("classes", "names", "id2label") if key in document), None
    )
    if entries is None:
        raise CatalogError("has no 'classes'")
    if unknown and "classes" in document:
        raise CatalogError(
            f"unknown key {unknown[0]}",
            remedy=f"known are {', '.join(sorted(_KNOWN_KEYS))}",
        )
    if isinstance(entries, Mapping):
        entries = _entries_of_index_mapping(entries)
    if not isinstance(entries, list):
        raise CatalogError("'classes' must be a list")
    if len(entries) > MAX_CLASSES:
        raise CatalogError(f"{len(entries)} classes: more than {MAX_CLASSES}")
    ignored: object = document.get("ignore")
    ignored_colours: object = document.get("ignore_colours", document.get("ignore_colors"))
    ignore_255 = document.get("ignore_255", True)
    if not isinstance(ignore_255, bool):
        raise CatalogError("'ignore_255' must be true or false")
    return ClassCatalog(
        tuple(_class_info(index, entry) for index, entry in enumerate(entries)),
        ignored_values=frozenset(_integer(v, "ignore") for v in _listed(ignored)),
        ignored_colours=frozenset(parse_colour(c) for c in _colour_list(ignored_colours)),
        ignore_255=ignore_255,
        nearest_colour=_integer(
            document.get("nearest_colour", document.get("nearest_color", 0)), "nearest_colour"
        ),
        nodata_first=document.get("nodata_first") is True,
        name=_text(document.get("name", name), "the catalogue's name"),
        origin=_text(document.get("origin", origin), "origin"),
    )


def catalog_from_categories(categories: object, *, name: str) -> ClassCatalog:
    """A catalogue from the `categories` of a COCO file: a class each, its value the category's id.

    A category's colour is what to show it in; masks hold ids. Raises CatalogError.
    """
    classes: list[ClassInfo] = []
    for index, entry in enumerate(categories if isinstance(categories, list) else []):
        if not isinstance(entry, Mapping) or "id" not in entry:
            raise CatalogError(f"category {index} has no 'id'")
        label = _text(entry.get("name"), f"the name of category {index}")
        given = entry.get("color", entry.get("colour"))
        colour = None if given is None else parse_colour(given) & 0xFFFFFF
        classes.append(
            ClassInfo(index, label, (_integer(entry["id"], f"category {label}"),), (), colour)
        )
    return ClassCatalog(tuple(classes), name=name)


def _is_index(key: object) -> bool:
    if isinstance(key, str):
        return re.fullmatch(r"[0-9]{1,9}", key) is not None
    return isinstance(key, int) and not isinstance(key, bool)


def _entries_of_index_mapping(mapping: Mapping[Any, Any]) -> list[object]:
    if not all(_is_index(key) for key in mapping):
        raise CatalogError("a mapping of classes must map indices to names")
    ordered = sorted(mapping.items(), key=lambda item: int(item[0]))
    return [{"name": name, "value": int(index)} for index, name in ordered]


def _class_info(index: int, entry: object) -> ClassInfo:
    if not isinstance(entry, Mapping):
        entry = {"name": entry}
    unknown = [_shown(key) for key in entry if key not in _KNOWN_CLASS_KEYS]
    if unknown:
        raise CatalogError(
            f"class {index} has an unknown key {unknown[0]}",
            remedy="known are name, value, values, colour, colours",
        )
    name = _text(entry.get("name"), f"the name of class {index}")
    if "value" in entry and "values" in entry:
        raise CatalogError(f"class {printable(name)} has both 'value' and 'values'")
    if "values" in entry:
        values = tuple(_integer(v, f"class {name}") for v in _listed(entry["values"]))
    else:
        values = (_integer(entry.get("value", index), f"class {name}"),)
    colour_given = entry.get("colour", entry.get("color"))
    colour = None if colour_given is None else parse_colour(colour_given)
    colours_given = entry.get("colours", entry.get("colors"))
    colours: tuple[int, ...]
    if colours_given is None:
        colours = () if colour is None else (colour,)
    else:
        colours = tuple(parse_colour(c) for c in _colour_list(colours_given))
    if colours and "colour" not in entry and "color" not in entry:
        colour = colours[0]
    return ClassInfo(index, name, values, colours, None if colour is None else colour & 0xFFFFFF)


def _text(value: object, what: str) -> str:
    if isinstance(value, str) and value:
        return value
    if _is_short_number(value):
        return str(value)
    raise CatalogError(f"{what} must be text, not {_shown(value)}", remedy="put it in quotes")


def _integer(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise CatalogError(
            f"{printable(what)}: a value must be a whole number of 64 bits, not {_shown(value)}"
        )
    return value


def _shown(value: object) -> str:
    """What a message says of a value: short, whatever an untrusted file holds."""
    if value is None or isinstance(value, (str, bool)) or _is_short_number(value):
        return printable(repr(value))[:60]
    return f"a {type(value).__name__}"


def _is_short_number(value: object) -> bool:
    """Whether a number's digits are few; Python refuses to write thousands of them."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) < 10**30


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _colour_list(value: object) -> Iterable[object]:
    """A list of colours; a single colour, also one written [r, g, b], is a list of one."""
    if isinstance(value, list) and len(value) == 3 and all(_is_byte(v) for v in value):
        return [value]
    return _listed(value)


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def parse_colour(value: object) -> int:
    """0xRRGGBB from "#rrggbb", "r,g,b" or [r, g, b]; "#rrggbbaa" as in `MaskTally.values`.

    Raises CatalogError otherwise.
    """
    if isinstance(value, str):
        if re.fullmatch(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?", value):
            return int(value[1:7], 16) | (255 - int(value[7:] or "ff", 16)) << 24
        if re.fullmatch(r"\s*[0-9]{1,3}\s*(,\s*[0-9]{1,3}\s*){2}", value):
            value = [int(part) for part in value.split(",")]
    if isinstance(value, (list, tuple)) and len(value) == 3 and all(_is_byte(v) for v in value):
        red, green, blue = value
        return int(red) << 16 | int(green) << 8 | int(blue)
    raise CatalogError(f"a colour is written #rrggbb or [r, g, b], not {_shown(value)}")


def _from_lines(lines: list[str], *, name: str) -> ClassCatalog:
    """A text list of names, or a label map where every line has its form."""
    kept = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not kept:
        raise CatalogError("holds no class names")
    if all(_LABELMAP_LINE.match(line) for line in kept):
        return _from_labelmap(kept, name=name)
    if any("\0" in line or len(line) > 1000 for line in kept):
        raise CatalogError("not a list of class names")
    ignored: frozenset[int] = frozenset()
    if kept[0] == "__ignore__":
        # LabelMe numbers its list from -1; its converters write that as 255 in 8-bit masks.
        ignored, kept = frozenset({-1, 255}), kept[1:]
    if "__ignore__" in kept:
        raise CatalogError("'__ignore__' must be the first line")
    classes = tuple(ClassInfo(index, label, (index,)) for index, label in enumerate(kept))
    return ClassCatalog(classes, ignored_values=ignored, name=name)


def _from_labelmap(lines: list[str], *, name: str) -> ClassCatalog:
    """CVAT/VOC `name:r,g,b:parts:actions`; the index is the line, whatever is black."""
    classes = []
    for index, line in enumerate(lines):
        label, colour_text = (part.strip() for part in line.split(":")[:2])
        colour = parse_colour(colour_text) if colour_text else None
        colours = () if colour is None else (colour,)
        classes.append(ClassInfo(index, label, (index,), colours, colour))
    return ClassCatalog(tuple(classes), name=name)
