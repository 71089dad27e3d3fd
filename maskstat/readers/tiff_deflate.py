"""The checksums of deflate-compressed strips and tiles, before Pillow decodes them.

libtiff stops where it has all pixels, which is before the checksum that the data ends with, so that
a damaged bit makes other labels. All data is inflated once more here: by imagecodecs where it is
installed, which takes a small part of the time of decoding, else by zlib.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

from maskstat.errors import MaskError
from maskstat.readers.tiff_directory import Directory, Page, all_numbers

DEFLATE = frozenset({8, 32946})
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _PLANES = 278, 322, 323, 284
_PLACES_AND_SIZES = {False: (273, 279), True: (324, 325)}  # of strips, of tiles
_TAGS = frozenset({273, 279, 324, 325, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _PLANES})
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_PIECE = 1 << 20
_FAST_BYTES = 64 << 20


def check_deflated(data: bytes, directory: Directory, page: Page) -> None:
    """Raise MaskError where a strip or tile is cut off, or is not what was compressed."""
    tags = all_numbers(io.BytesIO(data), directory, page, _TAGS)
    count, size = _segments(page, tags)
    places, sizes = (tags.get(tag, ()) for tag in _PLACES_AND_SIZES[page.is_tiled])
    inflates, whole = _fast_inflate(size), memoryview(data)
    for number, place in enumerate(places[:count]):
        length = sizes[number] if number < len(sizes) else len(data)
        part = bytes(whole[place : place + length])
        if page.fill_order == 2:
            part = part.translate(_REVERSED)
        if inflates is None or not inflates(part):
            _check(part, 2 * size + _PIECE)


def _segments(page: Page, tags: dict[int, tuple[int, ...]]) -> tuple[int, int]:
    """How many strips or tiles there are, and the bytes of one."""

    def first(tag: int, default: int) -> int:
        return max(1, (tags.get(tag) or (default,))[0])

    planes = page.samples if first(_PLANES, 1) == 2 else 1
    if page.is_tiled:
        high, wide = first(_TILE_HEIGHT, page.height), first(_TILE_WIDTH, page.width)
    else:
        high, wide = min(first(_ROWS_PER_STRIP, page.height), page.height), page.width
    count = -(-page.height // high) * -(-page.width // wide) * planes
    return count, high * ((wide * page.samples // planes * page.bits[0] + 7) // 8)


def _check(part: bytes, most: int) -> None:
    """Inflate to the end, which zlib compares with the checksum; nothing is kept."""
    stream, left, made = zlib.decompressobj(), part, 0
    try:
        while not stream.eof and made <= most:
            made += len(piece := stream.decompress(left, _PIECE))
            left = stream.unconsumed_tail
            if not piece and not left and not stream.eof:
                raise MaskError("corrupt TIFF: damaged deflate data, or cut off")
    except zlib.error as error:
        raise MaskError(f"corrupt TIFF: damaged deflate data ({error})") from error
    if made > most:
        raise MaskError("corrupt TIFF: a strip or tile larger than its pixels need")


def _fast_inflate(size: int) -> Callable[[bytes], bool] | None:
    """Whether data is a zlib stream of at most `size` bytes, by libdeflate where it is there."""
    try:
        from imagecodecs import deflate_decode
    except ImportError:
        return None
    if size > _FAST_BYTES:
        return None
    room = bytearray(size)

    def inflates(part: bytes) -> bool:
        try:
            deflate_decode(part, out=room)
        except Exception:  # zlib says what it is
            return False
        return True

    return inflates
