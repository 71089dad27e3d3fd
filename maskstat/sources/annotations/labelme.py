"""LabelMe JSON: one file an image, with shapes that are labelled by name.

The value of a label is its place in `labels.txt`, as LabelMe's own converters have it, or else
among all labels of all files in natural order. So every file is read before the first mask counts,
for its labels and a digest, and once more when its mask is drawn
(https://github.com/wkentaro/labelme).
"""

from __future__ import annotations

import base64
import glob
import hashlib
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import CatalogError, MaskError, SourceError
from maskstat.naming import natural_key, printable, storable
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
    runs_of_pixels,
    runs_of_polygons,
    type_of,
)
from maskstat.sources.annotations.texts import read_text
from maskstat.sources.base import BrokenEntry, Entry, Selection, Source
from maskstat.sources.local.named_files import GlobSource
from maskstat.values.catalog import ClassCatalog
from maskstat.values.catalog_files import read_catalog

BACKGROUND, IGNORED = "_background_", "__ignore__"
LABELS_FILE = "labels.txt"
_IGNORED_VALUE = -1
_FAR = 1 << 30  # pixels; NaN is not within that either
_WITHOUT_AREA = frozenset({"point", "points", "line", "linestrip"})
_OUTLINES = frozenset({"polygon", "oriented_rectangle"})
_SHOWN = 60

Points = list[list[float]]


class _Shape(NamedTuple):
    """A shape as the file has it: its label, what kind it is, its points, the PNG of a mask."""

    label: str
    kind: str
    points: Points
    mask: str | None


class _Sheet(NamedTuple):
    """What is kept of one file; `problem` where it can't be drawn."""

    name: str
    path: str
    size: tuple[object, object] = (None, None)
    labels: tuple[str, ...] = ()
    digest: str = ""
    problem: str = ""


@dataclass(frozen=True)
class LabelMeDrawing(MaskDrawing):
    """The shapes of one file."""

    path: str
    values: Mapping[str, int]
    background: int
    kind: str

    @property
    def local_files(self) -> tuple[str, ...]:
        """The file with the shapes."""
        return (self.path,)

    def pixels(self) -> NDArray[np.integer]:
        """Read and draw them. Raises MaskError naming the shape that can't be drawn."""
        document = _document(self.path)
        size = check_size(*_size(document), self.kind)
        regions = []
        for number, shape in enumerate(_shapes(document), 1):
            try:
                if shape.label not in self.values:
                    raise MaskError(f"there is no such label in {LABELS_FILE}")
                if shape.kind not in _WITHOUT_AREA:
                    regions.append(Region(self.values[shape.label], _runs(shape, size)))
            except MaskError as error:
                label = printable(shape.label)[:_SHOWN]
                raise MaskError(f"shape {number} ({label!r}): {error}") from error
        return draw(regions, size, self.background, self.kind)


@dataclass
class LabelMeSource(Source):
    """All LabelMe files that a pattern matches, or one of them."""

    pattern: str
    selection: Selection
    _sheets: list[_Sheet] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        need_pycocotools()

    @property
    def _is_single(self) -> bool:
        return os.path.isfile(self.pattern)

    @property
    def default_name(self) -> str:
        """The file's stem, or the name of the folder above the first wildcard."""
        if self._is_single:
            return storable(Path(self.pattern).stem)
        return GlobSource(self.pattern, self.selection).default_name

    @property
    def location(self) -> str:
        """The absolute path or pattern."""
        return storable(os.path.abspath(self.pattern))

    def catalog(self) -> ClassCatalog:
        """The background and the labels. Raises SourceError."""
        return self._legend()[1].catalog

    def entries(self) -> Iterator[Entry]:
        """One entry a file. Raises SourceError where `labels.txt` is not LabelMe's."""
        self._begin()
        values, legend = self._legend()
        for sheet in self._read():
            if not self.selection.takes_named(sheet.name):
                self._skipped += 1
                continue
            self._meet(sheet.name)
            try:
                if sheet.problem:
                    raise MaskError(sheet.problem)
                size = check_size(*sheet.size, legend.kind)
            except MaskError as error:
                yield BrokenEntry(storable(sheet.name), sheet.path, reason=error.problem)
                continue
            own = {label: values[label] for label in sheet.labels if label in values}
            drawing = LabelMeDrawing(sheet.path, own, legend.background, legend.kind)
            stamp = _digest([RULE, size, legend.background, sorted(own.items()), sheet.digest])
            encoded = encoded_size(size, legend.kind)
            yield RasterEntry(storable(sheet.name), sheet.path, encoded, stamp, drawing)

    def _read(self) -> list[_Sheet]:
        """All files, whatever the selection: the values of labels hang on them."""
        if self._sheets is None:
            if self._is_single:
                listed = [(os.path.basename(self.pattern), self.pattern)]
            else:
                files = GlobSource(self.pattern, Selection(include=("*",))).entries()
                listed = [(entry.name, entry.path) for entry in files]
            self._sheets = [_sheet(name, path) for name, path in listed]
        return self._sheets

    def _legend(self) -> tuple[Mapping[str, int], Legend]:
        """The value of every label, and what values there are. Raises SourceError."""
        folder = self._folder()
        if (file := folder / LABELS_FILE).is_file():
            return _legend_of_file(file)
        # LabelMe's own layout: labels.txt beside data_annotated/.
        if _is_labelmes(file := Path(os.path.abspath(folder)).parent / LABELS_FILE):
            return _legend_of_file(file)
        labels = {label for sheet in self._read() for label in sheet.labels}
        named = sorted(labels - {BACKGROUND, IGNORED}, key=natural_key)
        values = {BACKGROUND: 0, **{label: value for value, label in enumerate(named, 1)}}
        categories = [{"id": value, "name": label} for label, value in values.items() if value]
        legend = Legend.of(categories, name="labels")
        if IGNORED not in labels:
            return values, legend
        return values | {IGNORED: _IGNORED_VALUE}, Legend(
            legend.values,
            legend.background,
            type_of([_IGNORED_VALUE, 0, len(named)]),
            legend.catalog.ignoring([_IGNORED_VALUE]),
        )

    def _folder(self) -> Path:
        """Where the file is, or the folder above the first wildcard."""
        parts = Path(self.pattern).parts[:-1]
        return Path(
            *(parts if self._is_single else takewhile(lambda p: not glob.has_magic(p), parts))
        )


def _is_labelmes(file: Path) -> bool:
    """Whether a file begins as LabelMe's lists of labels do."""
    try:
        lines = read_text(str(file)).split()
    except MaskError:
        return False
    return lines[:1] == [BACKGROUND] or lines[:2] == [IGNORED, BACKGROUND]


def _legend_of_file(file: Path) -> tuple[Mapping[str, int], Legend]:
    """The values of `labels.txt`. Raises SourceError where it has no background as 0."""
    where = printable(storable(str(file)))
    try:
        catalog = read_catalog(file)
    except CatalogError as error:
        remedy = "it lists a label a line; without the file, labels go by their names"
        raise SourceError(error.problem, where=where, remedy=remedy) from error
    values = {info.name: info.values[0] for info in catalog.classes}
    if values.get(BACKGROUND) != 0:
        raise SourceError(
            f"its first label is not {BACKGROUND} (after {IGNORED}, if that is there)",
            where=where,
            remedy="LabelMe's converters need that too; without the file, labels go by their names",
        )
    if catalog.ignored_values:
        values[IGNORED] = _IGNORED_VALUE
    kind = type_of(values.values())
    return values, Legend(frozenset(values.values()), 0, kind, catalog)


def _sheet(name: str, path: str) -> _Sheet:
    """Read one file; what is wrong with it is part of the answer."""
    try:
        document = _document(path)
        shapes = _shapes(document)
    except MaskError as error:
        return _Sheet(name, path, problem=error.problem)
    labels = tuple(sorted({shape.label for shape in shapes}))
    return _Sheet(name, path, _size(document), labels, _digest(shapes))


def _digest(said: Sequence[object]) -> str:
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=16).hexdigest()


def _document(path: str) -> dict[str, Any]:
    """The mapping that a file is. Raises MaskError."""
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        said = printable(" ".join(str(error).split()))[:120]
        raise MaskError(f"not valid JSON: {said}") from error
    if not isinstance(document, dict) or not isinstance(document.get("shapes"), list):
        raise MaskError("no file of LabelMe: it has no list 'shapes'")
    return document


def _size(document: Mapping[str, object]) -> tuple[object, object]:
    return document.get("imageHeight"), document.get("imageWidth")


def _shapes(document: Mapping[str, Any]) -> list[_Shape]:
    """The shapes of a file. Raises MaskError where one has no label or no points."""
    shapes = []
    for number, shape in enumerate(document["shapes"], 1):
        given: dict[str, Any] = shape if isinstance(shape, dict) else {}
        label, mask = given.get("label"), given.get("mask")
        kind = given.get("shape_type") or "polygon"
        if not isinstance(label, str) or not label.strip() or not isinstance(kind, str):
            raise MaskError(f"shape {number} has no label")
        if "\0" in label or label != storable(label):
            raise MaskError(f"shape {number} has a label that is not text")
        points = _points(given.get("points"))
        if points is None:
            raise MaskError(f"shape {number}: its points are no list of [x, y] in pixels")
        shapes.append(_Shape(label, kind, points, mask if isinstance(mask, str) else None))
    return shapes


def _runs(shape: _Shape, size: tuple[int, int]) -> NDArray[np.int64]:
    """The pixels of a shape. Raises MaskError."""
    points = shape.points
    flat: list[float] | NDArray[np.float64]
    if shape.kind in _OUTLINES:
        flat = [number for point in points for number in point]
    elif shape.kind == "mask":
        return _runs_of_mask(points, shape.mask, size)
    elif shape.kind in {"rectangle", "circle"} and len(points) == 2:
        (ax, ay), (bx, by) = points
        if shape.kind == "rectangle":
            flat = [ax, ay, bx, ay, bx, by, ax, by]
        else:
            flat = _circle(ax, ay, math.hypot(bx - ax, by - ay))
    elif shape.kind in {"rectangle", "circle"}:
        raise MaskError(f"a {shape.kind} of {len(points)} points: it takes two")
    else:
        raise MaskError(f"a shape of the unknown kind {printable(storable(shape.kind))[:_SHOWN]!r}")
    return runs_of_polygons([polygon(flat)], size)


def _points(given: object) -> Points | None:
    points = given if isinstance(given, list) else []
    fine = points and all(
        isinstance(point, list)
        and len(point) == 2
        and all(type(number) in (int, float) and abs(number) <= _FAR for number in point)
        for point in points
    )
    return points if fine else None


def _circle(x: float, y: float, radius: float) -> NDArray[np.float64]:
    """A polygon of corners a pixel apart, of the circle's area to a hundredth of a percent."""
    if not radius < 1 << 20:
        raise MaskError("a circle that is too large")
    corners = max(256, math.ceil(2 * math.pi * radius))
    angles = np.arange(corners) * (2 * math.pi / corners)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1).ravel()


def _runs_of_mask(points: Points, encoded: str | None, size: tuple[int, int]) -> NDArray[np.int64]:
    """A PNG that stands in the file, laid on the image with its first point at its corner."""
    from PIL import PngImagePlugin

    if encoded is None:
        raise MaskError("a mask without its PNG")
    left, top = (round(number) for number in points[0])
    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(base64.b64decode(encoded, validate=True)))
        if image.height > size[0] or image.width > size[1]:
            raise MaskError("a mask that is larger than the image")
        inside = np.asarray(image.convert("L")) > 0
    except MaskError:
        raise
    except Exception as error:  # plugins raise anything on hostile bytes
        raise MaskError("a mask that is no PNG") from error
    whole = np.zeros(size, bool)
    high, wide = (
        slice(max(0, start), max(0, min(start + length, limit)))
        for start, length, limit in ((top, image.height, size[0]), (left, image.width, size[1]))
    )
    whole[high, wide] = inside[
        high.start - top : high.stop - top, wide.start - left : wide.stop - left
    ]
    return runs_of_pixels(whole)
