"""The directories of a TIFF: what its pages are, before any library takes its word for it.

Only what decides how a file is read is looked at; numbers are believed only as far as the file
reaches. Every fault is a MaskError with a short fact.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, NamedTuple

from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.readers.base import read_at

_BIG_TIFF = 43
_MOST_PAGES = 1 << 16
_MOST_ENTRIES = 4096
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_OLD_REDUCED = 2
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {
    1: "B",
    3: "H",
    4: "I",
    6: "b",
    7: "B",
    8: "h",
    9: "i",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}
_NEW_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION = 254, 255, 256, 257, 258, 259
_PHOTOMETRIC, _FILL_ORDER, _DESCRIPTION, _SAMPLES = 262, 266, 270, 277
_ORIENTATION, _TILE_WIDTH, _TILE_OFFSETS, _EXTRA_SAMPLES, _FORMAT = 274, 322, 324, 338, 339
_NUMBERS = frozenset(
    {
        _NEW_SUBFILE,
        _OLD_SUBFILE,
        _WIDTH,
        _HEIGHT,
        _BITS,
        _COMPRESSION,
        _PHOTOMETRIC,
        _FILL_ORDER,
        _SAMPLES,
        _ORIENTATION,
        _TILE_WIDTH,
        _TILE_OFFSETS,
        _EXTRA_SAMPLES,
        _FORMAT,
    }
)
_RGB, _YCBCR = 2, 6
_PLACES, _SIZES = frozenset({273, _TILE_OFFSETS}), frozenset({279, 325})  # of strips, of tiles
_COLOURS = frozenset({_RGB, _YCBCR})
_ALPHA = frozenset({(1,), (2,)})
# Orientation -> steps of rows and of columns that set pixels upright, once 5 to 8 are swapped.
_FLIPS = {
    1: (1, 1),
    2: (1, -1),
    3: (-1, -1),
    4: (-1, 1),
    5: (1, 1),
    6: (1, -1),
    7: (-1, -1),
    8: (-1, 1),
}
_MOST_NUMBERS = 16  # of one tag that are looked at
_DESCRIPTION_BYTES = 512
_NODATA, _NODATA_BYTES = 42113, 64  # GDAL's
# ImageJ writes stacks beyond 4 GB as one directory, and tifffile where it is told to.
_HIDDEN_PAGES = re.compile(
    rb'ImageJ=[^\0]*?images=(?!1\s)[0-9]|\{(?=[^}\0]*"shape":)[^}\0]*"truncated": true',
    re.DOTALL,
)


class Page(NamedTuple):
    """One directory of a TIFF; sizes in pixels, other fields as in its tags.

    `number` is its place among the pages, from 0, and `place` that of its directory in the file.
    `orientation` is 1 to 8: which corner the first row and column begin at. `nodata` is the text of
    GDAL's tag, "" where there is none.
    """

    number: int
    width: int
    height: int
    bits: tuple[int, ...]
    compression: int
    photometric: int
    fill_order: int
    samples: int
    extra_samples: tuple[int, ...]
    sample_formats: tuple[int, ...]
    is_reduced: bool
    orientation: int
    is_tiled: bool
    has_tile_offsets: bool
    place: int
    nodata: str

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels, the right way up: orientations 5 to 8 lie on their side."""
        size = self.height, self.width
        return size[::-1] if self.orientation >= 5 else size

    @property
    def decoded_bytes(self) -> int:
        """Bytes of its pixels where every sample takes whole bytes."""
        return self.width * self.height * max(1, self.samples) * max(1, (self.bits[0] + 7) // 8)


class Directory(NamedTuple):
    """The pages of a TIFF in order, byte order "<" or ">", and whether it is a BigTIFF."""

    order: str
    is_big: bool
    pages: tuple[Page, ...]

    @property
    def masks(self) -> tuple[Page, ...]:
        """Pages that are images of their own, not overviews or transparency masks of others."""
        return tuple(page for page in self.pages if not page.is_reduced) or self.pages


def colour_samples(page: Page) -> str:
    """What the samples of a colour page are, as `Encoding.samples` says it; "" for others."""
    if page.photometric in _COLOURS and page.samples == 3 and not page.extra_samples:
        return "rgb"
    alpha = page.extra_samples[:1] in _ALPHA and len(page.extra_samples) == 1
    if page.photometric == _RGB and page.samples == 4 and alpha:
        return "rgba"
    return "greyalpha" if page.photometric <= 1 and page.samples == 2 and alpha else ""


def is_label_page(page: Page) -> bool:
    """Whether its pixels are single values or colours rather than a stack of channels."""
    return page.samples == 1 or bool(colour_samples(page))


def check_labels(page: Page) -> None:
    """Raise MaskError where its pixels are a stack of channels."""
    if not is_label_page(page):
        raise MaskError(
            f"{page.samples} channels where one of class indices is expected"
            f" ({argument('channels', Blank('one-hot|bitmask|multilabel'))} takes them for classes)"
        )


def read_directory(file: BinaryIO) -> Directory:
    """The directories of an open, seekable file.

    Raises:
        MaskError: there is none, one is cut off, or they go round in a circle.
    """
    head = read_at(file, 0, 16)
    order = "<" if head[:1] == b"I" else ">"
    is_big = len(head) >= 4 and struct.unpack_from(f"{order}H", head, 2)[0] == _BIG_TIFF
    try:
        (start,) = struct.unpack_from(f"{order}Q" if is_big else f"{order}I", head, 4 + 4 * is_big)
    except struct.error:
        raise _no_directory() from None
    pages: list[Page] = []
    seen: set[int] = set()
    while start:
        if start in seen:
            raise MaskError("corrupt TIFF: its directories go round in a circle")
        seen.add(start)
        if len(pages) == _MOST_PAGES:
            raise MaskError(f"a TIFF of more than {_MOST_PAGES} pages")
        page, start = _read_page(file, order, is_big, start, len(pages))
        pages.append(page)
    if not pages:
        raise _no_directory()
    return Directory(order, is_big, tuple(pages))


def _no_directory() -> MaskError:
    return MaskError("corrupt TIFF: it has no directory")


def _read_page(
    file: BinaryIO, order: str, is_big: bool, start: int, number: int
) -> tuple[Page, int]:
    """A page and where the next directory is, 0 for none."""
    count_size, entry_size, link_size = (8, 20, 8) if is_big else (2, 12, 4)
    head = read_at(file, start, count_size)
    if len(head) < count_size:
        raise _no_directory()
    (entries,) = struct.unpack(f"{order}{'Q' if is_big else 'H'}", head)
    if entries > _MOST_ENTRIES:
        raise MaskError("corrupt TIFF: a directory of impossible size")
    body = read_at(file, start + count_size, entries * entry_size + link_size)
    if len(body) < entries * entry_size + link_size:
        raise MaskError("corrupt TIFF: it ends within its directory")
    tags: dict[int, tuple[int, ...]] = {}
    description = nodata = b""
    for place in range(entries):
        entry = body[place * entry_size : (place + 1) * entry_size]
        tag, kind = struct.unpack_from(f"{order}HH", entry)
        if tag in _NUMBERS:
            tags.setdefault(tag, _numbers(file, order, is_big, kind, entry))
        elif tag == _DESCRIPTION:
            description = _value(file, order, is_big, 1, entry, _DESCRIPTION_BYTES)
        elif tag == _NODATA:
            nodata = _value(file, order, is_big, 1, entry, _NODATA_BYTES)
    (following,) = struct.unpack_from(
        f"{order}{'Q' if is_big else 'I'}", body, entries * entry_size
    )
    if not number and not following and _HIDDEN_PAGES.match(description):
        raise MaskError("a stack whose pages have no directories of their own (by ImageJ, say)")
    text = nodata.split(b"\0")[0].decode("ascii", "replace").strip()
    return _page(number, start, text, tags), following


def all_numbers(
    file: BinaryIO, directory: Directory, page: Page, tags: Collection[int]
) -> dict[int, tuple[int, ...]]:
    """All numbers of the tags that a page has, at most one a row and a column of each sample.

    Raises MaskError where the file ends within them.
    """
    order, is_big = directory.order, directory.is_big
    most = page.samples * (page.width + 1) * (page.height + 1)
    found: dict[int, tuple[int, ...]] = {}
    for entry in _entries(file, directory, page):
        tag, kind = struct.unpack_from(f"{order}HH", entry)
        if tag in tags and kind in _CODES:
            size = _TYPE_BYTES[kind]
            data = _value(file, order, is_big, size, entry, most * size)
            found.setdefault(tag, struct.unpack(f"{order}{len(data) // size}{_CODES[kind]}", data))
    return found


def leaves_out(file: BinaryIO, directory: Directory, page: Page) -> bool:
    """Whether strips or tiles are nowhere in the file, as in those that GDAL calls sparse."""
    tags = all_numbers(file, directory, page, _PLACES | _SIZES)
    return any(not all(numbers) for numbers in tags.values())


def _entries(file: BinaryIO, directory: Directory, page: Page) -> Iterator[bytes]:
    """The entries of a directory that was read before."""
    count_size, entry_size = (8, 20) if directory.is_big else (2, 12)
    head = read_at(file, page.place, count_size)
    (count,) = struct.unpack(f"{directory.order}{'Q' if directory.is_big else 'H'}", head)
    body = read_at(file, page.place + count_size, count * entry_size)
    for start in range(0, len(body), entry_size):
        yield body[start : start + entry_size]


def upright(data: bytes, directory: Directory, page: Page) -> bytes:
    """The same file with orientation 1, so that no library turns its pixels."""
    order, is_big = directory.order, directory.is_big
    for number, entry in enumerate(_entries(io.BytesIO(data), directory, page)):
        tag, kind = struct.unpack_from(f"{order}HH", entry)
        if tag == _ORIENTATION and kind in _CODES:
            at = page.place + (8 + 20 * number + 12 if is_big else 2 + 12 * number + 8)
            one = struct.pack(f"{order}{_CODES[kind]}", 1)
            return data[:at] + one + data[at + len(one) :]
    return data


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels [height, width, ...] as stored, the right way up."""
    if orientation >= 5:  # the first row is a column
        pixels = pixels.swapaxes(0, 1)
    down, right = _FLIPS[orientation]
    return pixels[::down, ::right]


def stored(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of pixels that are the right way up as they are stored: what undoes `turned`."""
    down, right = _FLIPS[orientation]
    pixels = pixels[::down, ::right]
    return pixels.swapaxes(0, 1) if orientation >= 5 else pixels


def _page(number: int, place: int, nodata: str, tags: dict[int, tuple[int, ...]]) -> Page:
    def first(tag: int, default: int) -> int:
        return (tags.get(tag) or (default,))[0]

    width, height, samples = first(_WIDTH, 0), first(_HEIGHT, 0), first(_SAMPLES, 1)
    if width < 1 or height < 1 or samples < 1:
        raise MaskError("has no pixels")
    orientation = first(_ORIENTATION, 1)
    return Page(
        number,
        width,
        height,
        tags.get(_BITS) or (1,),
        first(_COMPRESSION, 1),
        first(_PHOTOMETRIC, 0),
        first(_FILL_ORDER, 1),
        samples,
        tags.get(_EXTRA_SAMPLES, ()),
        tags.get(_FORMAT) or (1,),
        bool(first(_NEW_SUBFILE, 0) & (_REDUCED | _MASK)) or first(_OLD_SUBFILE, 1) == _OLD_REDUCED,
        orientation if orientation in _FLIPS else 1,
        _TILE_WIDTH in tags,
        _TILE_OFFSETS in tags,
        place,
        nodata,
    )


def _numbers(file: BinaryIO, order: str, is_big: bool, kind: int, entry: bytes) -> tuple[int, ...]:
    """The first numbers of a tag, () where it holds something else."""
    if kind not in _CODES:
        return ()
    size = _TYPE_BYTES[kind]
    data = _value(file, order, is_big, size, entry, size * _MOST_NUMBERS)
    return struct.unpack(f"{order}{len(data) // size}{_CODES[kind]}", data)


def _value(file: BinaryIO, order: str, is_big: bool, size: int, entry: bytes, most: int) -> bytes:
    """The first bytes of a tag's value: in the entry, or where the entry says."""
    (count,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", entry, 4)
    inline = entry[12:] if is_big else entry[8:]
    wanted = min(count * size, most)
    if count * size <= len(inline):
        return inline[:wanted]
    (place,) = struct.unpack(f"{order}{'Q' if is_big else 'I'}", inline)
    data = read_at(file, place, wanted)
    if len(data) < wanted:
        raise MaskError("corrupt TIFF: it ends within a value of its directory")
    return data
