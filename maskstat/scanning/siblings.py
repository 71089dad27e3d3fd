"""Which files of a source are its masks, where each image has several: said, or asked for.

In comes a request; out goes the same request, of the masks that its preset's are called like, or an
error that shows the choices. Names are listed once; only a few files of a suspicion are decoded.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, SourceError, argument
from maskstat.files.image_headers import image_header
from maskstat.files.photographs import changes_everywhere
from maskstat.naming import counted, natural_key, printable, split_plane
from maskstat.readers.formats import LabelMap
from maskstat.readers.options import ReadOptions
from maskstat.readers.png_files import HEAD, is_index_png
from maskstat.scanning.mask_reader import Reader
from maskstat.scanning.per_class import classes_by_file
from maskstat.scanning.plane_entries import first_plane
from maskstat.scanning.request import ScanRequest
from maskstat.scanning.sibling_names import Family, Item, Label, Sample
from maskstat.sources.base import Entry, Source
from maskstat.sources.opening import PatternSource
from maskstat.values.tally import Encoding, IntArray, TallyTable

KEPT_ENTRIES = 1 << 14  # of a listing, which is then not made twice
_IMAGES = 4  # of a pair that are decoded
_SHOWN = 6  # classes
_NAMED = 256  # images whose names are looked at for classes
_MOST_BYTES = 64 << 20  # of a file that is
_MOST_DECODED = 1 << 26  # pixels
_MOST_PIXELS = 1 << 18  # that are compared
_OVERLAP = 0.5  # share of all values that two kinds have in common at most


class Seen(NamedTuple):
    """What a file holds.

    Attributes:
        encoding: how.
        photograph: whether it looks like one.
        values: that occur.
        parts: what two files are compared by: some of its pixels, or the counts of all values.
    """

    encoding: Encoding
    photograph: bool
    values: frozenset[int]
    parts: IntArray

    @property
    def mode(self) -> tuple[bool, bool]:
        """Whether it holds colours, and whether indices of more than 8 bits."""
        return self.encoding.is_colour, self.encoding.bits > 8 and not self.encoding.is_colour


@dataclass(frozen=True)
class Kinds:
    """Labels of files that are several of one image and differ in kind, and what each holds.

    Attributes:
        images: of which the names that were looked at have several; of many names a sample.
        photographs: labels of photographs only.
    """

    labels: dict[Label, str]
    images: int
    photographs: frozenset[Label]

    def in_words(self) -> str:
        """The labels, each with what it holds."""
        return ", ".join(f"{printable(at.pattern)} ({holds})" for at, holds in self.labels.items())

    def records(self) -> Iterator[dict[str, str]]:
        """The labels, as JSON-ready records."""
        for label, holds in self.labels.items():
            yield {"masks": label.pattern, "hold": holds}

    def choices(self) -> str:
        """The arguments that choose one of them."""
        chosen = []
        for label in self.labels:
            if label in self.photographs:
                continue
            others = [o.pattern for o in self.labels if _takes(label.pattern, o)]
            said = [argument("include", label.pattern)]
            said += [argument("exclude", pattern) for pattern in others if pattern != label.pattern]
            chosen.append(" ".join(said))
        return ", or ".join(chosen)


def _takes(pattern: str, other: Label) -> bool:
    return other.place < 0 and fnmatchcase(f"x{other.text}", pattern)


def narrowed(asked: ScanRequest) -> tuple[ScanRequest, list[Entry] | None]:
    """The request, of the masks of its preset where others are beside them; and what it lists.

    The latter only where that was looked at and is little.

    Raises:
        SourceError: each image has several files that differ in kind, and nobody said which ones
            are the masks; or the source can't be listed.
    """
    from maskstat.values.catalog_files import masks_of_preset

    source = asked.source
    patterns = dict.fromkeys(masks_of_preset(asked.catalog), 0)
    is_far = source.reads is not None  # over a network names are cheap at most once, files never
    if asked.chosen or not source.lists_fast or (is_far and not patterns):
        return asked, None
    sample = Sample[Entry]()
    kinds: Counter[str] = Counter()
    listed: list[Entry] = []
    for entry in source.sketched(KEPT_ENTRIES + 1):
        if len(listed) <= KEPT_ENTRIES:
            listed.append(entry)
        kinds[entry.name.rpartition(".")[2]] += 1
        sample.add(entry)
        for pattern in patterns:
            patterns[pattern] += fnmatchcase(entry.name, pattern)
        entry.let_go()
    sample = sample.made_of(source.seen)
    used = next((pattern for pattern, count in patterns.items() if count), None)
    if used is not None:
        source = PatternSource(source, used)
        sample = sample.matching(lambda name: fnmatchcase(name, used))
    if is_far:
        return replace(asked, source=source), None
    options = replace(asked.options, allow_lossy=True, colours=True)
    if sample.has_several():
        some_images = sample.of_images(_NAMED)
        if classes := classes_by_file(some_images, lambda entry: _pixels(entry, options)):
            raise _of_classes(source, classes)
    for family in sample.families():
        if (found := kinds_of(family, lambda entry: _look(entry, options), _recoded)) is not None:
            raise SourceError(
                f"has several files for each image, of different kinds: {found.in_words()}",
                where=printable(source.location),
                remedy=f"say which ones are the masks: {found.choices()}",
            )
    if not asked.options.allow_lossy:
        some = sorted(sample.some(_IMAGES), key=lambda entry: entry.size)  # masks are small
        if some and all(_is_picture(entry, options) for entry in some):
            raise _photographs(source, kinds)
    # Folders that are trusted have to be listed when their masks are.
    again = used is not None or asked.trust_folders or len(listed) > KEPT_ENTRIES
    return replace(asked, source=source), None if again else listed


def _of_classes(source: Source, classes: list[str]) -> SourceError:
    """What to say of a source that has a file for each class of an image, or seems to."""
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    return SourceError(
        "looks like a file for each class of an image:"
        f" {', '.join(map(printable, classes[:_SHOWN]))}{more}",
        where=printable(source.location),
        remedy=f"{argument('per_class', True)} makes one mask of them;"
        f" {argument('include', '*')} counts every file as a mask",
    )


def _pixels(entry: Entry, options: ReadOptions) -> NDArray[np.integer] | None:
    found = _decoded(entry, options)
    return None if found is None else found.pixels


def _photographs(source: Source, files: Counter[str]) -> SourceError:
    """What to say of a source of which everything looked at is a photograph."""
    from maskstat.sources.tables.mask_columns import is_called_masks

    here = source.location
    beside = os.path.dirname(here.rstrip("/"))
    try:
        folders = sorted(item.name for item in os.scandir(beside) if item.is_dir())
    except OSError:
        folders = []
    meant = next(filter(is_called_masks, folders), None)
    kinds = {{"JPG": "JPEG", "TIF": "TIFF"}.get(s, s) for s in map(str.upper, files)}
    several = counted(files.total(), kinds.pop() if len(kinds) == 1 else "file")
    return SourceError(
        f"{several} look like photographs, not masks",
        where=printable(here),
        remedy=f"did you mean {printable(os.path.join(beside, meant))}?"
        if meant
        else f"give the folder of the masks, or choose them: {argument('include', Blank('GLOB'))}",
    )


def kinds_of(
    family: Family[Item],
    look: Callable[[Item], Seen | None],
    recoded: Callable[[Seen, Seen], bool | None],
) -> Kinds | None:
    """The labels of a family that differ in kind; None where none do.

    Args:
        look: what a file holds; None where that can't be told.
        recoded: whether two files are one map in different values; None where that can't be told.
    """
    seen: dict[str, Seen | None] = {}

    def once(item: Item) -> Seen | None:
        if item.name not in seen:
            seen[item.name] = look(item)
        return seen[item.name]

    holds: dict[Label, list[Seen]] = {}
    images = 0
    for (one, other), found in family.pairs.items():
        looked = [(once(a), once(b)) for a, b in found[:_IMAGES]]
        pairs = [(a, b) for a, b in looked if a is not None and b is not None]
        if _differ(pairs, recoded, in_one_folder=one.place < 0):
            images = max(images, len(found))
            holds.setdefault(one, []).extend(a for a, _ in pairs)
            holds.setdefault(other, []).extend(b for _, b in pairs)
    if not holds:
        return None
    ordered = sorted(holds, key=lambda label: (*natural_key(label.text), label.text))
    return Kinds(
        {label: _in_words(holds[label]) for label in ordered},
        images,
        frozenset(label for label in ordered if all(one.photograph for one in holds[label])),
    )


def _differ(
    pairs: list[tuple[Seen, Seen]],
    recoded: Callable[[Seen, Seen], bool | None],
    *,
    in_one_folder: bool,
) -> bool:
    """Whether files of the same images, some of each, are of two kinds.

    Folders of equal names may be sequences, of which some have other values than others: only
    photographs beside masks, colours beside indices, or one map in two codes are two kinds there.
    """
    if len(pairs) < 2:
        return False
    for differs in (
        {one.photograph is other.photograph for one, other in pairs} == {False},
        {one.mode[0] is other.mode[0] for one, other in pairs} == {False}
        and len({one.mode[0] for one, _ in pairs}) == 1,
    ):
        if differs:
            return True
    if any(one.photograph or other.photograph for one, other in pairs):
        return False
    found = {recoded(one, other) for one, other in pairs} - {None}
    if found == {True}:
        return True
    if not in_one_folder:
        return False
    if len({one.mode for one, _ in pairs}) == len({other.mode for _, other in pairs}) == 1 and (
        pairs[0][0].mode != pairs[0][1].mode
    ):
        return True
    ones = frozenset[int]().union(*(one.values for one, _ in pairs))
    others = frozenset[int]().union(*(other.values for _, other in pairs))
    common = ones & others
    return common not in (ones, others) and len(common) < _OVERLAP * len(ones | others)


def _in_words(seen: list[Seen]) -> str:
    if all(one.photograph for one in seen):
        return "photographs"
    if all(one.encoding.is_colour for one in seen):
        return "colours"
    values = sorted(frozenset[int]().union(*(one.values for one in seen)))
    listed = ", ".join(map(str, values)) if len(values) <= 4 else f"{values[0]} to {values[-1]}"
    return f"{max(one.encoding.bits for one in seen)}-bit, {listed}"


# --- by pixels ----------------------------------------------------------------------------------


def _may_be_opened(entry: Entry) -> bool:
    return entry.size <= _MOST_BYTES and entry.folder is None


def _decoded(entry: Entry, options: ReadOptions) -> LabelMap | None:
    if not _may_be_opened(entry):
        return None
    if options.pages == "each":
        entry = first_plane(entry, options)
    try:
        return Reader(options).label_map(entry)
    except (MaskError, MemoryError, OSError):
        return None


def _is_mosaic(entry: Entry) -> bool:
    """Whether an image has so many pixels that decoding it takes far more memory than a scan."""
    if entry.size < _MOST_DECODED >> 10:  # no PNG holds more than 1,032 times its size
        return False
    try:
        with entry.open() as file:
            header = image_header(file)
    except (MaskError, OSError):
        return False
    return header.height * header.width > _MOST_DECODED


def _is_index_png(entry: Entry) -> bool:
    """Whether its first bytes say so: most masks are, and need not be decoded to tell."""
    if not _may_be_opened(entry):
        return False
    try:
        with entry.open() as file:
            return is_index_png(file.read(HEAD))
    except (MaskError, OSError):
        return False


def _is_picture(entry: Entry, options: ReadOptions) -> bool:
    """Whether it is a photograph that nobody took for a mask of grey levels."""
    if _is_index_png(entry) or _is_mosaic(entry) or (found := _decoded(entry, options)) is None:
        return False
    pixels, encoding = found
    return (encoding.is_colour or encoding.is_lossy) and changes_everywhere(pixels)


def _look(entry: Entry, options: ReadOptions) -> Seen | None:
    if (found := _decoded(entry, options)) is None:
        return None
    pixels, encoding = found
    step = 1
    while (pixels.shape[0] // step) * (pixels.shape[1] // step) > _MOST_PIXELS:
        step += 1
    some = np.ascontiguousarray(pixels[::step, ::step]).astype(np.int64, copy=False)
    if pixels.dtype == np.uint8:  # counted in a tenth of the time that it takes to sort them
        values = np.flatnonzero(np.bincount(pixels.reshape(-1), minlength=256))
    else:
        values = np.unique(pixels)
    return Seen(encoding, changes_everywhere(pixels), frozenset(values.tolist()), some)


def _recoded(one: Seen, other: Seen) -> bool | None:
    """Whether the values of one decide those of the other, pixel for pixel."""
    if one.parts.shape != other.parts.shape:
        return False
    (ones, first), (others, second) = (
        np.unique(seen.parts, return_inverse=True) for seen in (one, other)
    )
    # Few pixels a value decide anything, and one value decides nothing.
    if min(ones.size, others.size) < 2 or first.size < 4 * max(ones.size, others.size):
        return None
    if np.array_equal(one.parts, other.parts):
        return False
    pairs = np.unique(first.reshape(-1) * others.size + second.reshape(-1)).size
    return bool(pairs == ones.size or pairs == others.size)


# --- by counts ----------------------------------------------------------------------------------


class Row(NamedTuple):
    """A mask of a scan: its name, and its counts."""

    name: str
    encoding: Encoding
    values: IntArray
    counts: IntArray

    @classmethod
    def of(cls, name: str, table: TallyTable, at: int) -> Row:
        """A row of a table, which is not kept with it."""
        part = slice(table.indptr[at], table.indptr[at + 1])
        return cls(name, table.encodings[at], table.values[part].copy(), table.counts[part].copy())

    @property
    def seen(self) -> Seen:
        """What its counts show."""
        values = frozenset(self.values.tolist())
        return Seen(self.encoding, False, values, np.sort(self.counts))


def counted_kinds(tables: Iterable[TallyTable], *, by_plane: bool = False) -> list[Kinds]:
    """The same from the counts of a scan: several masks of each image that differ in kind.

    Where masks are planes of files, the first of each stands for its file.
    """
    sample = Sample[Row]()
    for table in tables:
        for at, name in enumerate(table.names):
            file, plane = split_plane(name) if by_plane else (name, None)
            if (plane is None or plane == 1) and sample.takes(file):
                sample.add(Row.of(file, table, at))
    found = (kinds_of(family, lambda row: row.seen, _equal_counts) for family in sample.families())
    return [kinds for kinds in found if kinds is not None]


def _equal_counts(one: Seen, other: Seen) -> bool | None:
    """Whether other values have the same counts."""
    if min(one.parts.size, other.parts.size) < 2:
        return None
    return one.values != other.values and np.array_equal(one.parts, other.parts)
