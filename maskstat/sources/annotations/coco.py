"""COCO JSON: `images`, their `annotations` as polygons or runs, and the `categories` of these.

The text is held in memory once, and of each annotation only where it stands in it; its outline is
taken from there when its image is drawn (https://cocodataset.org/#format-data).
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, SourceError, call
from maskstat.files.long_json import JsonMember
from maskstat.naming import counted, printable, storable
from maskstat.sources.annotations.drawn_classes import Legend
from maskstat.sources.annotations.rasterising import (
    RULE,
    MaskDrawing,
    RasterEntry,
    Region,
    check_size,
    draw,
    encoded_size,
    need_pycocotools,
    polygon,
    runs_of_counts,
    runs_of_polygons,
)
from maskstat.sources.base import BrokenEntry, Entry, LocalSource, Selection
from maskstat.values.catalog import ClassCatalog

LISTS = frozenset({"images", "annotations", "categories"})
_SHOWN = 60

ImageId = int | str


class _Image(NamedTuple):
    """An image as the file lists it; sizes are checked when it becomes an entry."""

    id: ImageId
    file_name: str | None
    height: object
    width: object


class CocoDrawing(MaskDrawing):
    """The annotations of one image, each as its place in the text of the file."""

    def __init__(
        self, text: str, spans: Sequence[tuple[int, int]], size: tuple[int, int], legend: Legend
    ):
        self.text, self.spans, self.size, self.legend = text, spans, size, legend

    def __reduce__(self) -> tuple[object, ...]:
        texts = self.texts()
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64).tolist()
        spans = [*zip([0, *ends[:-1]], ends, strict=False)] if texts else []
        return type(self), ("".join(texts), spans, self.size, self.legend)

    def texts(self) -> list[str]:
        """The annotations as they stand in the file."""
        return [self.text[start:stop] for start, stop in self.spans]

    def pixels(self) -> NDArray[np.integer]:
        """Draw them. Raises MaskError naming the annotation that can't be drawn."""
        try:
            regions = [self._region(json.loads(text)) for text in self.texts()]
        except RecursionError as error:
            raise MaskError("an annotation that is nested too deeply") from error
        return draw(regions, self.size, self.legend.background, self.legend.kind)

    def _region(self, annotation: dict[str, Any]) -> Region:
        try:
            category = annotation.get("category_id")
            if type(category) is not int or category not in self.legend.values:
                raise MaskError(f"its category {_shown(category)} is not among 'categories'")
            crowd = annotation.get("iscrowd", 0)
            if crowd not in (0, 1):
                raise MaskError(f"its 'iscrowd' is {_shown(crowd)} and not 0 or 1")
            return Region(category, self._runs(annotation.get("segmentation")), crowd=bool(crowd))
        except MaskError as error:
            raise MaskError(f"annotation {_shown(annotation.get('id'))}: {error}") from error

    def _runs(self, outline: object) -> NDArray[np.int64]:
        if isinstance(outline, dict):
            if outline.get("size") != list(self.size):
                raise MaskError(
                    f"runs of size {_shown(outline.get('size'))}, while the image has"
                    f" {list(self.size)}"
                )
            return runs_of_counts(outline.get("counts"), self.size)
        if not isinstance(outline, list) or not outline:
            raise MaskError("it has no outline ('segmentation'): a box alone is no mask")
        return runs_of_polygons([polygon(numbers) for numbers in outline], self.size)


@dataclass
class CocoSource(LocalSource):
    """The images of a COCO file, each a mask of its annotations' categories."""

    selection: Selection
    legend: Legend
    _text: str = field(repr=False)
    _images: list[_Image] = field(repr=False)
    _numbers: dict[ImageId, int] = field(repr=False)  # of images in the order of their annotations
    _order: NDArray[np.int64] = field(repr=False)
    _bounds: NDArray[np.int64] = field(repr=False)
    _spans: NDArray[np.int64] = field(repr=False)
    _strays: list[tuple[str, str]] = field(repr=False)

    def catalog(self) -> ClassCatalog:
        """The background and the categories."""
        return self.legend.catalog

    def entries(self) -> Iterator[Entry]:
        """One entry an image, and one for every annotation that belongs to none."""
        self._begin()
        names = Counter(_name(image) for image in self._images)
        ids = Counter(image.id for image in self._images)
        doubled: dict[str, str] = {}
        rules = json.dumps([RULE, self.legend.background, sorted(self.legend.values)]).encode()
        for image in self._images:
            name = _name(image)
            if names[name] > 1 or ids[image.id] > 1:
                name = f"{name} (image {_shown(image.id)})"
            if ids[image.id] > 1:
                doubled.setdefault(name, f"{ids[image.id]} images have this id")
            elif self._takes(name):
                yield self._entry(storable(name), image, rules)
        for name, reason in (*doubled.items(), *self._unlisted(ids)):
            if self._takes(name):
                yield self._broken(storable(name), reason)

    def _takes(self, name: str) -> bool:
        if not self.selection.takes_named(name):
            self._skipped += 1
            return False
        self._meet(name)
        return True

    def _entry(self, name: str, image: _Image, rules: bytes) -> Entry:
        try:
            size = check_size(image.height, image.width, self.legend.kind)
        except MaskError as error:
            return self._broken(name, error.problem)
        drawing = CocoDrawing(self._text, self._spans_of(image.id), size, self.legend)
        digest = hashlib.blake2b(rules, digest_size=16)
        for text in sorted(drawing.texts()):
            digest.update(hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest())
        stamp = f"{size[1]}x{size[0]}-{digest.hexdigest()}"
        encoded = encoded_size(size, self.legend.kind)
        return RasterEntry(name, f"{self.path}::{name}", encoded, stamp, drawing)

    def _broken(self, name: str, reason: str) -> BrokenEntry:
        return BrokenEntry(name, f"{self.path}::{name}", reason=reason)

    def _spans_of(self, image: ImageId) -> list[tuple[int, int]]:
        number = self._numbers.get(image)
        if number is None:
            return []
        own = self._order[self._bounds[number] : self._bounds[number + 1]]
        return [(start, stop) for start, stop in self._spans[own].tolist()]

    def _unlisted(self, listed: Counter[ImageId]) -> Iterator[tuple[str, str]]:
        """(name, reason) of what has no image to be drawn in."""
        yield from self._strays
        for image, number in self._numbers.items():
            if image not in listed:
                found = int(self._bounds[number + 1] - self._bounds[number])
                reason = f"{counted(found, 'annotation')} of an image that 'images' does not list"
                yield f"image {_shown(image)}", reason


class CocoParts:
    """Takes in the members of a COCO file, one after another."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.images: list[_Image] = []
        self.categories: list[Any] = []
        self.strays: list[tuple[str, str]] = []
        self.panoptic = False
        self._numbers: dict[ImageId, int] = {}
        self._images_of, self._spans = array("q"), array("q")
        self._met: Counter[str] = Counter()

    def add(self, member: JsonMember) -> None:
        """Take in what is one of `LISTS`. Raises ValueError where that is no list, or is twice."""
        key, value = member.key, member.value
        if not member.is_element:
            if value != []:
                raise ValueError(f"its {key!r} are no list")
            if key in self.found:
                raise ValueError(f"{key!r} is there twice")
            self.found.add(key)
            return
        place = f"{key}[{self._met[key]}]"
        self._met[key] += 1
        if key == "categories":
            self.categories.append(value)
        elif key == "images":
            self._add_image(value, place)
        else:
            self._add_annotation(value, member, place)

    def _add_image(self, value: object, place: str) -> None:
        image = value if isinstance(value, dict) else {}
        number, name = _image_id(image.get("id")), image.get("file_name")
        if number is None:
            reason = "an image without an 'id' that is a number or a text"
            self.strays.append((place, reason))
            return
        name = name.replace("\\", "/") if isinstance(name, str) and name.strip() else None
        self.images.append(_Image(number, name, image.get("height"), image.get("width")))

    def _add_annotation(self, value: object, member: JsonMember, place: str) -> None:
        annotation = value if isinstance(value, dict) else {}
        self.panoptic |= "segments_info" in annotation
        image = _image_id(annotation.get("image_id"))
        if image is None:
            self.strays.append((place, "an annotation without an 'image_id'"))
            return
        self._images_of.append(self._numbers.setdefault(image, len(self._numbers)))
        self._spans.extend((member.start, member.stop))

    def source(self, path: str, text: str, selection: Selection) -> CocoSource:
        """The source that these parts are.

        Raises:
            SourceError: it is a panoptic file, something is missing, or the categories are none.
            MissingExtraError: pycocotools is not installed.
        """
        if self.panoptic:
            raise SourceError(
                "its annotations are those of panoptic PNGs",
                remedy=f"type: {call('scan', Blank('FOLDER_OF_PNGS'), panoptic=printable(path))}",
            )
        missing = sorted(LISTS - self.found)
        if missing:
            raise SourceError(f"a COCO file without {' and '.join(map(repr, missing))}")
        legend = Legend.of(self.categories, name=f"categories of {storable(Path(path).name)}")
        need_pycocotools()
        images_of = np.array(self._images_of, np.int64)
        order = np.argsort(images_of, kind="stable")
        bounds = np.searchsorted(images_of[order], np.arange(len(self._numbers) + 1))
        spans = np.array(self._spans, np.int64).reshape(-1, 2)
        return CocoSource(
            path,
            selection,
            legend,
            text,
            self.images,
            self._numbers,
            order,
            bounds,
            spans,
            self.strays,
        )


def _image_id(value: object) -> ImageId | None:
    # `type`, since true is an int too
    return value if type(value) is int or isinstance(value, str) else None


def _name(image: _Image) -> str:
    """What an image's mask is called: by its file, or by its id where there is none."""
    return image.file_name or f"image {_shown(image.id)}"


def _shown(value: object) -> str:
    """A value of the file in few characters."""
    short = isinstance(value, list) and len(value) < 5 and all(type(part) is int for part in value)
    if not short and not isinstance(value, (str, int, float, type(None))):
        return f"a {type(value).__name__}"
    text = printable(storable(value if isinstance(value, str) else repr(value)))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
