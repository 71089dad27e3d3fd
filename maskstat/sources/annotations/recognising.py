"""Annotation files, of which masks are drawn when they are read: COCO, LabelMe, YOLO.

What a file is is decided by what it holds; a JSON may be a list of masks, too. This module tells
them apart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice

from maskstat.errors import MaskError, SourceError, call
from maskstat.files.long_json import members
from maskstat.naming import printable, storable
from maskstat.regular_files import open_file
from maskstat.sources.addresses import without_secrets
from maskstat.sources.annotations.texts import read_text
from maskstat.sources.base import Selection, Source, SourceKind, no_columns
from maskstat.sources.locations import Given, ends_in, options_of
from maskstat.sources.tables.json_lists import MOST_BYTES, open_json_list
from maskstat.sources.tables.manifests import ManifestSource

SUFFIXES = (".json", ".yaml", ".yml")
_LOOKED_AT = 10_000  # files of a folder without masks
_TRIED = 4  # of them, to see what they are
_TRIED_BYTES = {".json": 64 << 20, ".yaml": 1 << 20, ".yml": 1 << 20}


def _open(given: Given, selection: Selection) -> Source:
    if given.is_url:
        raise SourceError(
            "annotation files are read from disk",
            where=printable(without_secrets(given.text)),
            remedy="download it first",
        )
    source = open_annotations(given, selection) if given.is_file else None
    if given.column is not None and not isinstance(source, ManifestSource):
        raise no_columns()
    return open_pattern(given.text, selection) if source is None else source


def _takes(given: Given) -> bool:
    return given.ends_in(SUFFIXES) and (
        given.is_one or (given.is_pattern and given.ends_in((".json",)))
    )


def open_annotations(given: Given, selection: Selection) -> Source:
    """The source that a .json, .yaml or .yml file on disk is.

    Raises:
        SourceError: it is none of COCO, LabelMe or YOLO and no list, or contradicts itself.
        MissingExtraError: pycocotools is not installed.
    """
    path = given.text
    where = printable(storable(path))
    try:
        if path.lower().endswith(".json"):
            return _open_json(given, selection)
        from maskstat.sources.annotations.yolo import open_yolo

        return open_yolo(path, selection)
    except MaskError as error:
        raise SourceError(error.problem, where=where) from error
    except SourceError as error:
        remedy = error.remedy
        raise SourceError(error.problem, where=error.where or where, remedy=remedy) from error


def _open_json(given: Given, selection: Selection) -> Source:
    from maskstat.sources.annotations.coco import LISTS, CocoParts
    from maskstat.sources.annotations.labelme import LabelMeSource

    path = given.text
    parts, found = CocoParts(), set[str]()
    text = read_text(path)
    try:
        if text.lstrip()[:1] == "[":
            return _list_of(given, text, selection)
        for member in members(text, LISTS):
            found.add(member.key)
            if member.key in LISTS and "shapes" not in found:
                parts.add(member)
    except (ValueError, IndexError, RecursionError) as error:
        problem = f"no annotation file: {printable(' '.join(str(error).split()))[:200]}"
        raise SourceError(problem, remedy=_REMEDY) from error
    if "shapes" in found:
        return LabelMeSource(path, selection)
    if not found & LISTS:
        return _list_of(given, text, selection)
    return parts.source(path, text, selection)


def _list_of(given: Given, text: str, selection: Selection) -> Source:
    """The list of masks that a JSON text is. Raises SourceError."""
    found = None
    if len(text) <= MOST_BYTES:
        found = open_json_list(given, text, selection)
    if found is None:
        raise SourceError("no annotation file: neither COCO's nor LabelMe's", remedy=_REMEDY)
    return found


_REMEDY = (
    "COCO files have 'images', 'annotations' and 'categories', LabelMe's have 'shapes', and lists"
    " of masks are [{'image': 'a.jpg', 'mask': 'a.png'}, ...], or several such by split; exports of"
    " other tools are read by plugins (docs/plugins.md)"
)


def open_pattern(pattern: str, selection: Selection) -> Source:
    """The LabelMe files that a pattern matches. Raises MissingExtraError."""
    from maskstat.sources.annotations.labelme import LabelMeSource

    return LabelMeSource(pattern, selection)


def remedy_for(folder: str) -> str | None:
    """What to do where no mask was found in a folder, or a file, because of annotation files.

    None where there are none. Folders are never taken for annotations by themselves: they would
    have to be looked through before the first mask counts, and LabelMe's files lie beside images,
    which count as masks.
    """
    from maskstat.sources.annotations.yolo import SPLITS

    if os.path.isfile(folder):
        lists = folder.lower().endswith(SUFFIXES)
        return "the file lists no images, or options leave none" if lists else None
    found: dict[str, list[str]] = {}
    for path in islice(_files_below(folder), _LOOKED_AT):
        found.setdefault(os.path.splitext(path)[1].lower(), []).append(path)
    for path in (*found.get(".yaml", ())[:_TRIED], *found.get(".yml", ())[:_TRIED]):
        if _keys(path) & {*SPLITS}:
            return f"for YOLO's labels type: {_scan(path)}"
    for path in found.get(".json", ())[:_TRIED]:
        keys = _keys(path)
        if "shapes" in keys:
            pattern = os.path.join(folder, "**", "*.json")
            return f"for LabelMe's files type: {_scan(pattern)}"
        if {"images", "annotations"} <= keys:
            return f"for COCO's annotations type: {_scan(path)}"
    if any(map(_is_yolo, found.get(".txt", ())[:_TRIED])):
        return f"for YOLO's labels type: {_scan('data.yaml')}, the file that names their images"
    return None


def _scan(path: str) -> str:
    """What to type to scan this."""
    return call("scan", printable(storable(path)))


def _files_below(folder: str) -> Iterator[str]:
    """Files below a folder that are not hidden, in order."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(parent, name)
            if not name.startswith(".") and os.path.isfile(path):
                yield path


def _keys(path: str) -> frozenset[str]:
    """The keys of the mapping that a small JSON or YAML file is."""
    import yaml

    suffix = os.path.splitext(path)[1].lower()
    try:
        text = read_text(path, _TRIED_BYTES[suffix])
        document = json.loads(text) if suffix == ".json" else yaml.safe_load(text)
    except (MaskError, ValueError, RecursionError, yaml.YAMLError):
        return frozenset()
    keys = document if isinstance(document, dict) else ()
    return frozenset(key for key in keys if isinstance(key, str))


def _is_yolo(path: str) -> bool:
    """Whether a text file begins like YOLO's labels: a class and coordinates from 0 to 1."""
    try:
        with open_file(path) as file:
            words = file.readline(1 << 16).split()
        numbers = [float(word) for word in words]
    except (OSError, ValueError):
        return False
    return len(numbers) >= 5 and all(0 <= number <= 1 for number in numbers[1:])


def _is_list(location: str) -> bool:
    """Whether a location is that of a JSON list, of which a column holds paths."""
    where, options = options_of(location)
    return "column" in options and ends_in(where, (".json",))


KIND = SourceKind(
    takes=_takes, open=_open, has_columns=True, names_are_paths=_is_list, remedy=remedy_for
)
