"""Grey TIFFs of 8 and 16 bits, plain, deflated or LZW: counted strip by strip, no image made.

In come the bytes of a file and its directory; out go counts, or None wherever anything is not as
plain as that. Then other readers take the file, and say what is wrong with it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

from maskstat.errors import MaskError
from maskstat.kernels.engine import current_engine
from maskstat.memory import ask_memory
from maskstat.readers.libdeflate import Buffer, InflateError, inflate
from maskstat.readers.tallying import PixelCounter
from maskstat.readers.tiff_directory import Directory, Page, all_numbers
from maskstat.values.tally import Encoding, MaskTally

MOST_BYTES = 64 << 20  # of all pixels
_WORTH_COUNTING = 1 << 18
_DEFLATE_RATIO = 1032  # no stream expands by more
_UNCOMPRESSED, _LZW = 1, 5
_MIN_IS_BLACK, _UNSIGNED = 1, 1
_DEFLATED = frozenset({8, 32946})
_WIDTH, _HEIGHT, _ROWS_PER_STRIP, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT = (
    256,
    257,
    278,
    317,
    322,
    323,
)
# Of one number each where they are: what Page says of size and samples, and how a page is cut.
_SINGLE = frozenset(
    {_WIDTH, _HEIGHT, 258, 259, 262, 266, 274, 277, 339}
    | {_ROWS_PER_STRIP, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT}
)
_PLACES_AND_SIZES = {False: (273, 279), True: (324, 325)}  # of strips, of tiles
_TAGS = _SINGLE.union(*_PLACES_AND_SIZES.values())


def tally_plain(data: bytes, directory: Directory, name: str) -> MaskTally | None:
    """Count the first page of a file; None where it is not plain. Raises MaskError as counting."""
    page = directory.pages[0]
    if not _is_plain(page):
        return None
    try:
        tags = all_numbers(io.BytesIO(data), directory, page, _TAGS)
    except MaskError:
        return None
    single = {tag: numbers for tag, numbers in tags.items() if tag in _SINGLE}
    if any(len(numbers) != 1 for numbers in single.values()) or not {_WIDTH, _HEIGHT} <= set(
        single
    ):
        return None
    counter, pixels = PixelCounter(), 0
    for part in _together(_parts(memoryview(data), page, tags)):
        block = np.frombuffer(part, f"{directory.order}u{page.bits[0] // 8}")
        counter.add(block)
        pixels += block.size
    if pixels != page.width * page.height:
        return None
    return counter.finish(name, page.shape, Encoding("tiff", "grey", page.bits[0]))


def _is_plain(page: Page) -> bool:
    return (
        page.bits in {(8,), (16,)}
        and page.samples == 1
        and not page.extra_samples
        and page.sample_formats == (_UNSIGNED,)
        and page.photometric == _MIN_IS_BLACK
        and page.fill_order == 1
        and not page.nodata
        and page.is_tiled == page.has_tile_offsets
        and page.decoded_bytes <= MOST_BYTES
        and (
            page.compression in {_UNCOMPRESSED, _LZW}
            or (page.compression in _DEFLATED and inflate is not None)
        )
    )


def _together(parts: Iterator[Buffer]) -> Iterator[Buffer]:
    """The same bytes in parts that are worth counting, which their processor's cache holds."""
    small: list[Buffer] = []
    held = 0
    for part in parts:
        small.append(part)
        held += len(part)
        if held >= _WORTH_COUNTING:
            yield small[0] if len(small) == 1 else b"".join(small)
            small, held = [], 0
    if held:
        yield b"".join(small)


def _parts(data: memoryview, page: Page, tags: dict[int, tuple[int, ...]]) -> Iterator[Buffer]:
    """The pixels of all strips or tiles, in any order; fewer where one is not as it should be."""

    def first(tag: int, default: int) -> int:
        return (tags.get(tag) or (default,))[0]

    item = page.bits[0] // 8
    if page.is_tiled:
        high, wide = first(_TILE_HEIGHT, 0), first(_TILE_WIDTH, 0)
    else:
        high, wide = min(first(_ROWS_PER_STRIP, page.height), page.height), page.width
    places, sizes = (tags.get(tag, ()) for tag in _PLACES_AND_SIZES[page.is_tiled])
    if min(high, wide) < 1 or first(_PREDICTOR, 1) != 1:
        return
    across = -(-page.width // wide)
    if not len(places) == len(sizes) == across * -(-page.height // high):
        return
    ask_memory(high * wide * item + 2 * _WORTH_COUNTING)
    begin = end = 0  # of uncompressed neighbours, which are one part
    for number, (place, size) in enumerate(zip(places, sizes, strict=True)):
        rows = min(high, page.height - number // across * high)
        columns = min(wide, page.width - number % across * wide)
        stored = (high if page.is_tiled else rows) * wide * item
        if stored > MOST_BYTES or place + size > len(data):
            return
        whole = rows * columns * item == stored
        if page.compression == _UNCOMPRESSED:
            if size != stored:
                return
            if whole and place == end:
                end += size
                continue
            part: Buffer | None = data[place : place + size]
        elif page.compression == _LZW:
            part = current_engine().unpack_lzw(data[place : place + size], stored)
        else:
            part = _inflated(data[place : place + size], stored)
        if part is None or len(part) != stored:
            return
        if not whole:
            tile = np.frombuffer(part, np.uint8).reshape(high, wide * item)
            yield tile[:rows, : columns * item].tobytes()
        elif page.compression == _UNCOMPRESSED:
            if end > begin:
                yield data[begin:end]
            begin, end = place, place + size
        else:
            yield part
    if end > begin:
        yield data[begin:end]


def _inflated(data: memoryview, size: int) -> bytearray:
    """The bytes that data inflates to; none where it is damaged, or makes more than `size`."""
    assert inflate is not None
    if size > len(data) * _DEFLATE_RATIO:
        return bytearray()
    try:
        return inflate(data, size)
    except InflateError:
        return bytearray()
