"""COCO's panoptic format: PNGs of segment ids, and a JSON that says which category each one is.

A pixel's id is R + 256 G + 65536 B; id 0 belongs to no segment. The JSON lists, for each PNG, its
segments with their categories (https://cocodataset.org/#format-data, 4. Panoptic Segmentation).
Counts are of categories: the raw value of a pixel is its category's id, and VOID where it has none.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import FileFormatError, MaskError, argument, unreadable
from maskstat.files.long_json import members
from maskstat.naming import counted, printable, storable
from maskstat.regular_files import read_file

VOID = -1  # the raw value of a pixel that belongs to no segment
MAX_FILE_BYTES = 4 << 30
_SHOWN_IDS = 5
_LARGEST_ID = (1 << 24) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Panoptic:
    """What the segments of many PNGs are.

    Attributes:
        digest: SHA-256 of the file, in hex.
        file: its absolute path.
        categories: its list of categories, as loaded.
        ids, category_ids: segment ids of all PNGs, one PNG after the other, and their categories.
        places: name of a PNG -> (start, stop) in these.
    """

    digest: str
    file: str
    categories: list[Any]
    ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    places: dict[str, tuple[int, int]]

    def of_masks(self, names: Sequence[str]) -> Panoptic:
        """What it says of masks of these names, and of no others."""
        ids, category_ids = [self.ids[:0]], [self.category_ids[:0]]
        places: dict[str, tuple[int, int]] = {}
        end = 0
        for name in names:
            key = name if self.places.get(name) else name.rpartition("/")[2]
            if key in self.places and key not in places:
                start, stop = self.places[key]
                ids.append(self.ids[start:stop])
                category_ids.append(self.category_ids[start:stop])
                places[key] = (end, end + stop - start)
                end += stop - start
        joined = np.concatenate(ids), np.concatenate(category_ids)
        return replace(self, categories=[], ids=joined[0], category_ids=joined[1], places=places)

    def categories_of(
        self, name: str, colours: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The category of each colour of a PNG, VOID for black.

        Args:
            name: of the PNG in its source; the file names it like that, or by its last part.
            colours: raw values of RGB pixels, as in MaskTally; alpha says nothing.
            counts: pixels of each, for the message.

        Raises:
            MaskError: the file does not know this PNG, or not all of its segments.
        """
        place = self.places.get(name) or self.places.get(name.rpartition("/")[2])
        if place is None:
            raise MaskError(f"{printable(os.path.basename(self.file))} has no annotation of it")
        known, categories = self.ids[slice(*place)], self.category_ids[slice(*place)]
        order = known.argsort()
        known, categories = known[order], categories[order]
        ids = (colours & 0xFF) << 16 | colours & 0xFF00 | colours >> 16 & 0xFF
        found = np.full(ids.shape, VOID, np.int64)
        if known.size:
            at = np.minimum(np.searchsorted(known, ids), known.size - 1)
            listed = known[at] == ids
            found[listed] = categories[at[listed]]
        else:
            listed = np.zeros(ids.shape, bool)
        lost = ~listed & (ids != 0)
        if lost.any():
            unknown = np.unique(ids[lost])
            more = ", ..." if unknown.size > _SHOWN_IDS else ""
            raise MaskError(
                f"{counted(int(counts[lost].sum()), 'pixel')} of segments that"
                f" {printable(os.path.basename(self.file))} does not list:"
                f" {', '.join(map(str, unknown[:_SHOWN_IDS].tolist()))}{more}"
            )
        return found


def load_panoptic(path: str) -> Panoptic:
    """Read a panoptic JSON. Its text is held in memory once, its annotations one at a time.

    Raises:
        FileFormatError: it can't be read, is no JSON, or not of this format.
    """
    where = printable(storable(path))
    try:
        data = read_file(path, MAX_FILE_BYTES)
    except OSError as error:
        raise FileFormatError(unreadable(error), where=where) from error
    if data is None:
        raise FileFormatError(f"larger than {MAX_FILE_BYTES >> 30} GiB", where=where)
    digest = hashlib.sha256(data).hexdigest()
    try:
        text = data.decode("utf-8-sig")
        del data
        return _parse(text, digest, os.path.abspath(path))
    except (ValueError, RecursionError, IndexError) as error:
        raise FileFormatError(
            f"not a COCO panoptic file: {printable(' '.join(str(error).split()))[:200]}",
            where=where,
            remedy=f"{argument('panoptic')} is the JSON whose 'annotations' have 'segments_info'",
        ) from error


def _parse(text: str, digest: str, path: str) -> Panoptic:
    """Raises ValueError where something is missing or contradicts itself."""
    ids, category_ids = array("q"), array("q")
    places: dict[str, tuple[int, int]] = {}
    categories: object = None
    for key, value, _, _, is_element in members(text, {"annotations"}):
        if key == "categories":
            categories = value
        elif key == "annotations" and not is_element:
            if value != []:
                raise ValueError("its 'annotations' are no list")
        elif key == "annotations":
            start = len(ids)
            name = _segments(value, ids, category_ids)
            if name in places:
                raise ValueError(f"{name!r} is annotated twice")
            if len(set(ids[start:])) < len(ids) - start:
                raise ValueError(f"{name!r} has a segment twice")
            places[name] = (start, len(ids))
    if not isinstance(categories, list) or not categories:
        raise ValueError("it has no 'categories'")
    if not places:
        raise ValueError("it has no 'annotations'")
    named = {entry.get("id") for entry in categories if isinstance(entry, dict)}
    strange = set(category_ids) - {number for number in named if isinstance(number, int)}
    if strange:
        raise ValueError(f"category {min(strange)} is not among its 'categories'")
    return Panoptic(
        digest,
        path,
        categories,
        np.frombuffer(ids, np.int64) if ids else np.empty(0, np.int64),
        np.frombuffer(category_ids, np.int64) if ids else np.empty(0, np.int64),
        places,
    )


def _segments(annotation: object, ids: array[int], category_ids: array[int]) -> str:
    """Append the segments of one annotation; returns the name of its PNG."""
    if not isinstance(annotation, dict):
        raise ValueError("an annotation is no object")
    name, segments = annotation.get("file_name"), annotation.get("segments_info")
    if not isinstance(name, str) or not isinstance(segments, list):
        raise ValueError("an annotation has no 'file_name' or no 'segments_info'")
    for segment in segments:
        given = segment if isinstance(segment, dict) else {}
        key, category = given.get("id"), given.get("category_id")
        # `type`, since true is an int too
        if type(key) is not int or type(category) is not int:
            raise ValueError(f"a segment of {name!r} has no 'id' or no 'category_id'")
        if not 0 < key <= _LARGEST_ID or not 0 <= category < 1 << 62:
            raise ValueError(f"a segment of {name!r} has the impossible id {str(key)[:20]}")
        ids.append(key)
        category_ids.append(category)
    return name.replace("\\", "/")
