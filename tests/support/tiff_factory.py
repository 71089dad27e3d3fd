"""Uncompressed TIFF files from our own plain writer: any bit depth, sign, fill order, photometric.

The common writers make neither 2-bit samples nor reversed bits; readers must know both.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE = 0, 1, 2, 3
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
COLOUR_MAP, EXTRA_SAMPLES, SAMPLE_FORMAT = 320, 338, 339


def packed(pixels: NDArray[np.integer], bits: int, order: str) -> bytes:
    """Rows of samples, the first pixel in the highest bits, each row padded to a byte."""
    height = pixels.shape[0]
    if bits >= 8:
        kind = pixels.dtype.kind
        return pixels.astype(np.dtype(f"{order}{kind}{bits // 8}")).tobytes()
    shifts = np.arange(bits - 1, -1, -1)
    digits = (pixels.astype(np.uint8)[..., None] >> shifts) & 1
    return np.packbits(digits.reshape(height, -1), axis=1).tobytes()


def tiff(
    pixels: NDArray[np.generic],
    bits: int,
    *,
    order: str = "<",
    photometric: int = BLACK_IS_ZERO,
    sample_format: int = UNSIGNED,
    reverse_bits: bool = False,
    extra: Mapping[int, tuple[int, ...]] | None = None,
    without: Collection[int] = (),
    directory_last: bool = False,
) -> bytes:
    """A TIFF of pixels (H, W) or (H, W, C), one strip; `extra` tags replace or join the usual."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    data = packed(pixels, bits, order)
    if reverse_bits:
        data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    tags: dict[int, tuple[int, ...]] = {
        WIDTH: (width,),
        HEIGHT: (height,),
        BITS: (bits,) * channels,
        COMPRESSION: (1,),
        PHOTOMETRIC: (photometric,),
        FILL_ORDER: (2 if reverse_bits else 1,),
        STRIP_OFFSETS: (0,),
        SAMPLES: (channels,),
        ROWS_PER_STRIP: (height,),
        STRIP_BYTES: (len(data),),
        SAMPLE_FORMAT: (sample_format,) * channels,
        **(extra or {}),
    }
    if photometric == PALETTE:
        tags[COLOUR_MAP] = tuple(k * 257 % 65536 for k in range(3 << bits))
    tags = {tag: numbers for tag, numbers in tags.items() if tag not in without}
    long_tags = {WIDTH, HEIGHT, STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES}
    directory_size = 2 + 12 * len(tags) + 4
    start = 8 + len(data) + len(data) % 2 if directory_last else 8
    values_at = start + directory_size
    entries, values = b"", b""
    for tag, numbers in sorted(tags.items()):
        code, size = ("I", 4) if tag in long_tags else ("H", 2)
        block = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        entries += struct.pack(f"{order}HHI", tag, 4 if size == 4 else 3, len(numbers))
        if len(block) <= 4:
            entries += block.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", values_at + len(values))
            values += block
    pixels_at = 8 if directory_last else values_at + len(values)
    marker = struct.pack(f"{order}HHI", STRIP_OFFSETS, 4, 1)
    entries = entries.replace(marker + b"\0\0\0\0", marker + struct.pack(f"{order}I", pixels_at))
    directory = struct.pack(f"{order}H", len(tags)) + entries + b"\0\0\0\0"
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    if directory_last:
        # The very last bytes are those of the directory, as libtiff writes them.
        assert not values
        return head + data + b"\0" * (len(data) % 2) + directory
    return head + directory + values + data
