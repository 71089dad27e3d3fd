"""Images of which every class has a file of its own: `00001_hair.png`, or `hair/00001.png`.

In come the files of a source; out goes a mask an image, drawn of its files when it is read, under
the rule of annotations for what overlaps. The classes are what files, or folders, are called.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError, SourceError
from maskstat.memory import ask_memory
from maskstat.naming import counted, natural_key, printable
from maskstat.readers.options import ReadOptions
from maskstat.scanning.mask_reader import Reader
from maskstat.scanning.sibling_names import parts_of
from maskstat.sources.annotations.rasterising import RULE, MaskDrawing, RasterEntry, Region, draw
from maskstat.sources.base import BrokenEntry, Entry, Source, lightly
from maskstat.sources.split_names import split_word
from maskstat.values.catalog import ClassCatalog

if TYPE_CHECKING:
    from maskstat.sources.annotations.drawn_classes import Legend

MOST_CLASSES = 1024  # more words are names of images
_LABEL_STUDIO = re.compile(r"(?P<image>task-.+?)-tag-(?P<label>.+)-\d+(?P<suffix>\.\w+)")
_DIGITS = re.compile(r"\d+")
_SUFFIX = re.compile(r"(?:\.nii|\.zarr)?\.\w+\Z")
_MOST_WORDS = 64  # that are taken for classes unasked
_IMAGES, _FILES, _PAIRS = 32, 8, 8  # that are decoded, and compared
_SHARED_BY_FOLDERS = 0.1  # of the smaller one of two classes
_SHARED_BY_NAMES = 0.5  # of both together
_BY_NAME = -1  # the place of classes that names end in


class ClassFile(NamedTuple):
    """What a file's name says: of which image it is, and of which class."""

    image: str
    label: str


@dataclass(frozen=True)
class NameLayout:
    """Where names have classes: at their ends, or in a folder, the `place`-th of their parts."""

    place: int

    def read(self, name: str) -> ClassFile | None:
        """The image and the class of a file; None where its name has none."""
        *folders, last = name.split("/")
        above = "".join(f"{folder}/" for folder in folders)
        if self.place >= 0:
            if self.place >= len(folders):
                return None
            label = folders.pop(self.place)
            return ClassFile("/".join((*folders, last)), label)
        if found := _LABEL_STUDIO.fullmatch(last):
            return ClassFile(f"{above}{found['image']}{found['suffix']}", found["label"])
        _, root, end = parts_of(name)
        suffix = _SUFFIX.search(end)
        word = end[: suffix.start()] if suffix else end
        label = word.strip("_-. ")
        return ClassFile(f"{above}{root}{suffix[0] if suffix else ''}", label) if label else None


def layout_of(names: Collection[str]) -> NameLayout | None:
    """Where names have classes: where most images have several; None where none has.

    Of places that are alike in that, their ends, else the folder that is nearest to the files.
    Labels that are numbered are images or sequences wherever there are others.
    """
    depth = max((name.count("/") for name in names), default=0)
    several: dict[NameLayout, tuple[bool, int]] = {}
    for layout in map(NameLayout, (_BY_NAME, *reversed(range(depth)))):
        read = {found for name in names if (found := layout.read(name)) is not None}
        images = Counter(found.image for found in read if not split_word(found.label))
        count = sum(count > 1 for count in images.values())
        several[layout] = not are_numbered({found.label for found in read}) and count > 0, count
    best = max(several.values())
    return next(layout for layout, found in several.items() if found == best) if best[1] else None


def are_numbered(labels: Collection[str]) -> bool:
    """Whether some differ by a number only."""
    return len({_DIGITS.sub("0", label) for label in labels}) < len(labels)


@dataclass(frozen=True)
class ClassFiles(MaskDrawing):
    """The files of an image, each with the value of its class."""

    files: tuple[tuple[int, Entry], ...]
    legend: Legend
    options: ReadOptions

    @property
    def local_files(self) -> tuple[str, ...]:
        """What reading the files takes."""
        return tuple(path for _, entry in self.files for path in entry.local_files)

    def pixels(self) -> NDArray[np.integer]:
        """Read the files and draw them. Raises MaskError naming the one that is wrong."""
        inside: dict[int, NDArray[np.bool_]] = {}
        shape, first = None, ""
        for value, entry in self.files:
            name = printable(entry.name.rpartition("/")[2])
            try:
                own = self._inside(entry)
            except (MaskError, OSError) as error:
                text = error.text if isinstance(error, MaskError) else str(error)
                raise MaskError(f"{name}: {text}") from error
            if shape is None:
                shape, first = own.shape, name
            elif own.shape != shape:
                sizes = [f"{size[1]}x{size[0]}" for size in (own.shape, shape)]
                raise MaskError(f"{name} has {sizes[0]} pixels, and {first} {sizes[1]}")
            inside[value] = inside[value] | own if value in inside else own
        assert shape is not None, "an image has a file"
        regions = [Region(value, _runs(own)) for value, own in inside.items()]
        return draw(regions, (shape[0], shape[1]), self.legend.background, self.legend.kind)

    def _inside(self, entry: Entry) -> NDArray[np.bool_]:
        return inside_of(Reader(self.options).label_map(entry).pixels)


def inside_of(pixels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """The pixels (H, W) that are of a file's class. Raises MaskError where it has several."""
    ask_memory(4 * pixels.size)
    value = pixels.max() or pixels.min()
    inside: NDArray[np.bool_] = pixels == value
    if not (inside | (pixels == 0)).all():
        values = ", ".join(map(str, np.unique(pixels)[:4].tolist()))
        raise MaskError(
            f"has the values {values}, ..., where 0 is expected and one other: it is a mask of"
            " several classes, or has soft edges"
        )
    return inside if value else np.zeros_like(inside)


def _runs(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Runs of pixels outside and inside in turns, down the columns."""
    flat = inside.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    start = [0, 0] if flat[0] else [0]
    ends: NDArray[np.int64] = np.concatenate([start, edges, [flat.size]]).astype(np.int64)
    return ends[1:] - ends[:-1]


class PerClassSource(Source):
    """The images of a source that has a file for each class of them.

    Raises SourceError where no image has several, or it can't be listed.
    """

    def __init__(self, base: Source, options: ReadOptions):
        from maskstat.sources.annotations.drawn_classes import Legend

        self._base = base
        # Colours that mean a class are black and white here.
        self._options = replace(options, per_class=False, colours=True)
        self.reads = base.reads
        names = [entry.name for entry in lightly(base.entries())]
        layout = layout_of(names)
        if layout is None:
            raise SourceError(
                "no image has several files that differ by a class",
                where=printable(base.location),
                remedy="classes are words at the ends of names (00001_hair.png), or folders"
                " (hair/00001.png)",
            )
        self._layout = layout
        labels = {found.label for name in names if (found := layout.read(name)) is not None}
        if len(labels) > MOST_CLASSES:
            raise SourceError(
                f"{counted(len(labels), 'word')} where names should have a class",
                where=printable(base.location),
            )
        self._values = {label: at for at, label in enumerate(sorted(labels, key=natural_key), 1)}
        categories = [{"id": value, "name": label} for label, value in self._values.items()]
        self._legend = Legend.of(categories, name="classes by file")

    @property
    def default_name(self) -> str:
        """The source's."""
        return self._base.default_name

    @property
    def location(self) -> str:
        """The source's."""
        return self._base.location

    def catalog(self) -> ClassCatalog:
        """The background and the classes."""
        return self._legend.catalog

    def entries(self) -> Iterator[Entry]:
        """One entry an image, and one for every file without a class."""
        self._begin()
        files: dict[str, list[tuple[int, Entry]]] = {}
        for entry in lightly(self._base.entries()):
            found = self._layout.read(entry.name)
            value = None if found is None else self._values.get(found.label)
            if found is None or value is None:
                yield BrokenEntry(entry.name, entry.path, reason="no class in its name")
            else:
                files.setdefault(found.image, []).append((value, entry))
        for image, own in files.items():
            self._meet(image)
            yield self._entry(image, sorted(own, key=lambda file: (file[0], file[1].name)))

    def _entry(self, image: str, files: list[tuple[int, Entry]]) -> RasterEntry:
        digest = hashlib.blake2b(repr((RULE, self._legend.background)).encode(), digest_size=16)
        for value, entry in files:
            digest.update(repr((value, entry.name, entry.mark)).encode())
        drawing = ClassFiles(tuple(files), self._legend, self._options)
        size = sum(entry.size for _, entry in files)
        path = f"{self._base.location}::{image}"
        return RasterEntry(image, path, size, digest.hexdigest(), drawing)

    def skipped(self) -> int:
        """Files passed over by the source."""
        return self._base.skipped()

    def outside(self) -> int:
        """Files outside the folder of their list."""
        return self._base.outside()

    def split_of(self, entry: Entry) -> str | None:
        """That of an image's first file."""
        drawing = getattr(entry, "drawing", None)
        own = drawing.files[0][1] if isinstance(drawing, ClassFiles) else entry
        return self._base.split_of(own)


def by_class(source: Source, options: ReadOptions) -> Source:
    """The source, of images where each of their classes has a file."""
    return PerClassSource(source, options) if options.per_class else source


def classes_by_file(
    entries: Iterable[Entry], pixels_of: Callable[[Entry], NDArray[np.integer] | None]
) -> list[str]:
    """The classes that files seem to be of, some of a source; none where it does not look so.

    Names have words where most images have several files, and those that are looked at hold one
    value beside 0, at other places: in frames of sequences and in copies, things lie upon others.

    Args:
        pixels_of: what a file holds; None where that can't be told.
    """
    by_name = {entry.name: entry for entry in entries}
    layout = layout_of(by_name.keys())
    read = {name: found for name in by_name if layout and (found := layout.read(name)) is not None}
    files: dict[str, list[Entry]] = {}
    for name in sorted(read):
        files.setdefault(read[name].image, []).append(by_name[name])
    several = [own for own in files.values() if len(own) > 1]
    labels = {found.label for found in read.values()}
    if (
        layout is None
        or are_numbered(labels)
        or len(labels) > _MOST_WORDS
        or any(map(split_word, labels))
        or not max(2, len(files) // 4) <= len(several)
    ):
        return []
    shared: list[float] = []
    for own in several[:_IMAGES]:
        if len(shared) >= _PAIRS:
            break
        try:
            seen = [pixels_of(entry) for entry in own[:_FILES]]
            masks = [inside_of(pixels) for pixels in seen if pixels is not None]
        except MaskError:
            return []
        if len(masks) < len(seen) or len({mask.shape for mask in masks}) > 1:
            return []
        for one, other in combinations(filter(np.any, masks), 2):
            least = min(one.sum(), other.sum()) if layout.place >= 0 else (one | other).sum()
            shared.append(float((one & other).sum() / least))
    most = _SHARED_BY_FOLDERS if layout.place >= 0 else _SHARED_BY_NAMES
    return sorted(labels, key=natural_key) if shared and np.mean(shared) < most else []
