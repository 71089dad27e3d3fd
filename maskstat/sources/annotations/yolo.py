"""YOLO's segmentation labels: a text file an image, a polygon a line, and a data.yaml over all.

data.yaml names folders of images (or lists of them) under `train`, `val` and `test`, and the
classes under `names`. The labels of `images/train/1.jpg` are `labels/train/1.txt`: "class x y x y
...", with coordinates as fractions of the image's width and height
(https://docs.ultralytics.com/datasets/segment/).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError, SourceError, argument
from maskstat.files.image_headers import read_image_header
from maskstat.naming import printable, storable
from maskstat.sources.annotations.drawn_classes import Legend
from maskstat.sources.annotations.rasterising import (
    RULE,
    MaskDrawing,
    RasterEntry,
    Region,
    check_size,
    draw,
    need_pycocotools,
    polygon,
    runs_of_polygons,
)
from maskstat.sources.annotations.texts import read_text
from maskstat.sources.base import BrokenEntry, Entry, LocalSource, Selection
from maskstat.sources.listed import ListSource
from maskstat.sources.local.folders import FolderSource
from maskstat.sources.local.named_files import file_entry
from maskstat.values.catalog import MAX_CLASSES, ClassCatalog

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".dng",
        ".heic",
        ".heif",
        ".jp2",
        ".jpeg",
        ".jpg",
        ".mpo",
        ".pfm",
        ".png",
        ".tif",
        ".tiff",
        ".webp",
    }
)
_LABELS = frozenset({".txt"})
_NO_LABELS = frozenset({"classes.txt"})  # what labelling tools put beside labels
MAX_YAML_BYTES = 16 << 20
MAX_LABEL_BYTES = 16 << 20
_SLACK = 0.01  # that coordinates may be off the image, as Ultralytics has it
_TURNED = 5  # EXIF orientations from here on lie on their side
_SHOWN = 40
_NONE = "none"  # the time of labels that are not there


class _Pair(NamedTuple):
    """An image and where its labels are, with what tells that both are unchanged."""

    name: str
    image: str
    labels: str
    size: int
    stamp: str


@dataclass(frozen=True)
class YoloDrawing(MaskDrawing):
    """The labels of one image; an image without a file of them has none.

    `labelled` says whether the listing found that file. Another machine may see images only, and
    they must not count as background.
    """

    image: str
    labels: str
    labelled: bool
    classes: int
    background: int
    kind: str

    @property
    def local_files(self) -> tuple[str, ...]:
        """The image, whose size it needs, and its labels where it has a file of them."""
        return (self.image, self.labels) if self.labelled else (self.image,)

    def pixels(self) -> NDArray[np.integer]:
        """Read the image's size and draw its labels. Raises MaskError."""
        try:
            header = read_image_header(self.image)
        except MaskError as error:
            name = printable(storable(os.path.basename(self.image)))
            raise MaskError(f"the size of its image {name} is not to be had: {error}") from error
        size = check_size(header.height, header.width, self.kind)
        if header.orientation >= _TURNED:  # labels are those of the image as it is shown
            size = size[::-1]
        regions = [self._region(number, line, size) for number, line in self._lines()]
        return draw(regions, size, self.background, self.kind)

    def _lines(self) -> Iterable[tuple[int, str]]:
        if not self.labelled and not os.path.lexists(self.labels):
            return ()
        try:
            lines = read_text(self.labels, MAX_LABEL_BYTES).splitlines()
        except MaskError as error:
            raise MaskError(f"its labels: {error}") from error
        return ((number, line) for number, line in enumerate(lines, 1) if line.strip())

    def _region(self, number: int, line: str, size: tuple[int, int]) -> Region:
        try:
            words = line.split()
            try:
                numbers = np.array(words, np.float64)
            except ValueError as error:
                raise MaskError("not all of it are numbers") from error
            if numbers.size in {4, 5}:
                raise MaskError("a box, which is no mask (YOLO's labels for detection)")
            first = float(numbers[0])
            if not (first.is_integer() and 0 <= first < self.classes):
                raise MaskError(
                    f"there is no class {printable(words[0])[:_SHOWN]}: 'names' has {self.classes}"
                )
            points = numbers[1:]
            if not (points >= -_SLACK).all() or not (points <= 1 + _SLACK).all():
                raise MaskError("coordinates that are no fractions of the image's size, 0 to 1")
            scale = np.resize(np.array(size[::-1], np.float64), points.size)
            outline = polygon(points * scale)
        except MaskError as error:
            raise MaskError(f"line {number} of its labels: {error}") from error
        return Region(int(first), runs_of_polygons([outline], size))


@dataclass
class YoloSource(LocalSource):
    """The images that a data.yaml names, each a mask of its labels."""

    selection: Selection
    legend: Legend
    root: str
    parts: Mapping[str, tuple[str, ...]]
    _split_of: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    @property
    def default_name(self) -> str:
        """The name of the folder that the file is in: the file is mostly called data.yaml."""
        return storable(Path(self.path).resolve().parent.name or "masks")

    def catalog(self) -> ClassCatalog:
        """The background and the classes."""
        return self.legend.catalog

    def entries(self) -> Iterator[Entry]:
        """One entry an image, and one for all labels that have none."""
        self._begin()
        self._split_of.clear()
        seen: set[str] = set()
        plain = replace(self.selection, split=None)
        for split, places in self.parts.items():
            if self.selection.split not in {None, split}:
                continue
            for place in places:
                for found in self._found(os.path.normpath(place)):
                    if found.name in seen:
                        continue
                    seen.add(found.name)
                    if not plain.takes_named(found.name):
                        self._skipped += 1
                        continue
                    self._split_of[found.name] = split
                    self._splits |= {split}
                    yield self._entry(found) if isinstance(found, _Pair) else found

    def split_of(self, entry: Entry) -> str | None:
        """The first key of the file that names it: train, val or test."""
        return self._split_of.get(entry.name)

    def _entry(self, pair: _Pair) -> RasterEntry:
        legend = self.legend
        classes = len(legend.values)
        labelled = not pair.stamp.startswith(f"{_NONE}-")
        drawing = YoloDrawing(
            pair.image, pair.labels, labelled, classes, legend.background, legend.kind
        )
        stamp = f"{pair.stamp}-{classes}.{RULE}"
        path = f"{pair.labels}::{pair.name}"
        return RasterEntry(pair.name, path, pair.size, stamp, drawing)

    def _found(self, place: str) -> Iterator[_Pair | BrokenEntry]:
        """The images of a folder, or of a list, and labels without images."""
        if os.path.isdir(place):
            yield from self._of_folder(place)
        elif os.path.isfile(place) and place.lower().endswith(".txt"):
            for mask in ListSource(place, Selection(include=("*",))).masks():
                entry = file_entry(mask.place, mask.name)
                yield self._pair(entry, _status(_labels_path(entry.path)))
        else:
            problem = "the file names this, and there is no such folder or list of images"
            yield BrokenEntry(self._name(place), place, reason=problem)

    def _of_folder(self, folder: str) -> Iterator[_Pair | BrokenEntry]:
        labels_folder = _labels_folder(folder)
        known: dict[str, tuple[int, str]] = {}
        if os.path.isdir(labels_folder):
            for entry in FolderSource(labels_folder, Selection(suffixes=_LABELS)).entries():
                if entry.name.rpartition("/")[2].lower() not in _NO_LABELS:
                    known[entry.path] = entry.size, str(entry.stamp)
        used: set[str] = set()
        for entry in FolderSource(folder, Selection(suffixes=IMAGE_SUFFIXES)).entries():
            if entry.name.endswith("/"):  # a folder that can't be listed
                yield BrokenEntry(
                    self._name(entry.path), entry.path, reason="the folder can't be listed"
                )
                continue
            labels = _labels_path(entry.path)
            used.add(labels)
            yield self._pair(entry, known.get(labels) or _status(labels))
        for labels in known.keys() - used:
            reason = "labels without an image, whose size they are fractions of"
            yield BrokenEntry(self._name(labels), labels, reason=reason)

    def _pair(self, image: Entry, labels: tuple[int, str]) -> _Pair:
        size, stamp = labels
        path, mark = image.path, f"{stamp}-{image.size}.{image.stamp}"
        return _Pair(self._name(path), path, _labels_path(path), size, mark)

    def _name(self, path: str) -> str:
        """The path below the dataset's folder."""
        try:
            name = os.path.relpath(path, self.root)
        except ValueError:  # on another drive
            name = os.path.abspath(path)
        return storable(name.replace(os.sep, "/"))


def _status(path: str) -> tuple[int, str]:
    """Size and time of a file of labels, which may not be there."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, _NONE
    return status.st_size, str(status.st_mtime_ns)


def _labels_folder(folder: str) -> str:
    """Where the labels of a folder of images are: the last `images` in its path is `labels`."""
    parts = folder.split(os.sep)
    for at in reversed(range(len(parts))):
        if parts[at] == "images":
            return os.sep.join((*parts[:at], "labels", *parts[at + 1 :]))
    return folder


def _labels_path(image: str) -> str:
    folder, name = os.path.split(image)
    return os.path.join(_labels_folder(folder), f"{os.path.splitext(name)[0]}.txt")


def open_yolo(path: str, selection: Selection) -> YoloSource:
    """The source that a data.yaml is.

    Raises:
        SourceError: it is none.
        MissingExtraError: pycocotools is not installed.
    """
    document = _document(path)
    parts = {split: _places(document[split], split) for split in SPLITS if document.get(split)}
    if not parts:
        raise SourceError(
            "no dataset of YOLO: it names no images under 'train', 'val' or 'test'",
            remedy=f"a catalogue of classes is for {argument('classes')}, and masks are the source",
        )
    categories = _categories(document)
    root = _root(path, document.get("path"))
    need_pycocotools()
    folders = {
        split: tuple(_resolved(root, place) for place in places) for split, places in parts.items()
    }
    legend = Legend.of(categories, name=f"names of {storable(Path(path).name)}")
    return YoloSource(path, selection, legend, root, folders)


def _document(path: str) -> dict[Any, Any]:
    import yaml

    text = read_text(path, MAX_YAML_BYTES)
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = printable(" ".join(str(error).split()))[:200]
        raise SourceError(f"not valid YAML: {said}") from error
    if not isinstance(document, dict):
        raise SourceError("no dataset of YOLO: it holds no mapping")
    return document


def _places(given: object, split: str) -> tuple[str, ...]:
    places = given if isinstance(given, list) else [given]
    if not all(isinstance(place, str) and place and "\0" not in place for place in places):
        raise SourceError(f"'{split}' is no path and no list of paths")
    return tuple(places)


def _categories(document: Mapping[Any, Any]) -> list[dict[str, object]]:
    """The classes by number. Raises SourceError where the numbers are not 0, 1, 2, ..."""
    names, number = document.get("names"), document.get("nc")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if names is None and type(number) is int and 0 < number <= MAX_CLASSES:
        names = {at: f"class_{at}" for at in range(number)}
    if not isinstance(names, dict) or not names or set(names) != {*range(len(names))}:
        raise SourceError("no dataset of YOLO: its 'names' are no list of classes")
    return [{"id": at, "name": names[at]} for at in range(len(names))]


def _root(path: str, given: object) -> str:
    """The dataset's folder: what `path` says, from where the file is, or just that."""
    own = os.path.dirname(os.path.abspath(path))
    if not isinstance(given, str) or not given or "\0" in given:
        return own
    for folder in (os.path.join(own, given), os.path.abspath(given)):
        if os.path.isdir(folder):
            return os.path.normpath(folder)
    return own


def _resolved(root: str, place: str) -> str:
    """A path of the file; exports of Roboflow say "../train" for what is right beside them."""
    path = os.path.normpath(os.path.join(root, place))
    beside = os.path.normpath(os.path.join(root, place.removeprefix("../")))
    return path if os.path.exists(path) or not os.path.exists(beside) else beside
