"""Whole PNG files, many in one call: chunks, checksums, inflating and counting.

Two threads count small masks twice as fast as one this way. As calls from Python, a dozen a mask
that each let go of the interpreter's lock and wait for it again, they spend more on handing over
the lock than they gain.

Only what most masks are is counted here: grey levels or palette indices of 8 bits, not interlaced,
of files without fault. Everything else is left to `maskstat.readers.png`, which says what is wrong.
So this may refuse what that one takes, and never takes what that one refuses.
"""

from __future__ import annotations

import numpy as np

from maskstat.kernels.compiling import inlined, outlined
from maskstat.kernels.event_histogram import drain, walk_rows
from maskstat.kernels.native_calls import crc32_of, inflate_to
from maskstat.kernels.vector import item_pointer

SMALLEST = 57  # bytes of a file: signature, IHDR, and an IDAT and an IEND without data
LEFT_OUT = -1  # a file that is not counted here

_SIGNATURE_HIGH, _SIGNATURE_LOW = 0x89504E47, 0x0D0A1A0A
_IHDR, _PLTE, _IDAT, _IEND = 0x49484452, 0x504C5445, 0x49444154, 0x49454E44
_IHDR_END = 33
_PALETTE_COLOUR = 3
_MOST = (1 << 31) - 1  # of width and height
_ANCILLARY = 1 << 29  # the bit of a chunk's name which says that it may be skipped

_ZERO = np.int64(0)
_BINS = np.int64(256)


@inlined
def _number(data, at):
    """Four bytes, the highest first."""
    high = np.int64(data[at]) << 24 | np.int64(data[at + 1]) << 16
    return high | np.int64(data[at + 2]) << 8 | np.int64(data[at + 3])


@inlined
def _is_name(kind):
    """Whether a chunk's name is four letters."""
    good = True
    for shift in range(0, 32, 8):
        letter = (kind >> shift) & 0xDF  # upper case
        good = good and 65 <= letter <= 90
    return good


@outlined
def _header_fits(data, size):
    """Whether the file begins as those that are counted here do; the CRC is checked with others."""
    if size < SMALLEST or _number(data, 0) != _SIGNATURE_HIGH:
        return False
    if _number(data, 4) != _SIGNATURE_LOW or _number(data, 8) != 13 or _number(data, 12) != _IHDR:
        return False
    width, height = _number(data, 16), _number(data, 20)
    if not (0 < width <= _MOST and 0 < height <= _MOST):
        return False
    grey_or_palette = data[25] == 0 or data[25] == _PALETTE_COLOUR
    return data[24] == 8 and grey_or_palette and data[26] == data[27] == data[28] == 0


@outlined
def _pixel_data(data, size, joined, crc32, found):
    """Walk through all chunks up to IEND; whether they are as they should be.

    found[0] is where the zlib stream begins, in `joined` where found[2] is set, else in `data`;
    found[1] its bytes.
    """
    at = np.int64(8)
    length = first = pieces = palettes = _ZERO
    behind = False
    while True:
        if at + 12 > size:
            return False
        chunk, kind = _number(data, at), _number(data, at + 4)
        if chunk > size - at - 12:
            return False
        if crc32_of(crc32, item_pointer(data, at + 4), chunk + 4) != _number(data, at + 8 + chunk):
            return False
        if kind == _IDAT:
            if behind or (data[25] == _PALETTE_COLOUR and palettes == 0):
                return False
            if pieces == 0:
                first = at + 8
            else:
                if pieces == 1:
                    for k in range(length):
                        joined[k] = data[first + k]
                for k in range(chunk):
                    joined[length + k] = data[at + 8 + k]
            pieces += 1
            length += chunk
        else:
            behind = pieces > 0
            if kind == _IEND:
                found[0], found[1], found[2] = first, length, np.int64(pieces > 1)
                return chunk == 0 and pieces > 0
            if kind == _PLTE:
                palettes += 1
                if behind or palettes > 1 or chunk % 3 != 0 or not 3 <= chunk <= 768:
                    return False
            elif not (_is_name(kind) and ((kind & _ANCILLARY) != 0 or at == 8)):
                return False
        at += 12 + chunk


def tally_files(
    data,
    starts,
    sizes,
    files,
    crc32,
    inflate,
    decompressor,
    joined,
    stream,
    most,
    row,
    widest,
    bins,
    place,
    found,
    values,
    counts,
):
    """Histograms of the pixels of N files. It is compiled by `maskstat.kernels.compiled_files`.

    Args:
        data: uint8[n], which has them all.
        starts, sizes: int64[N], where each begins and how many bytes it has.
        files: N.
        crc32, inflate: addresses of libdeflate's C functions.
        decompressor: what its `libdeflate_alloc_decompressor` gave, used by nobody else meanwhile.
        joined: uint8, scratch, as many as the largest file has bytes.
        stream, most: uint8[most], scratch: a file whose rows need more is left out.
        row, widest: uint8[widest + PADDING], scratch: one that is wider is left out.
        bins: int64[256], scratch: all zeros before and after.
        place: int64[3], scratch.
        found: int64[N, 3], receives height, width and number of values, or LEFT_OUT for that.
        values, counts: int64[256 * N], receive the values that occur and their counts, file by
            file.

    Returns how many values there are of all files.
    """
    at = _ZERO
    for file in range(files):
        said = item_pointer(found, 3 * file)
        said[2] = LEFT_OUT
        begin = item_pointer(data, starts[file])
        if not _header_fits(begin, sizes[file]):
            continue
        width, height = _number(begin, 16), _number(begin, 20)
        size = height * (1 + width)
        if size > most or width > widest:
            continue
        if not _pixel_data(begin, sizes[file], joined, crc32, place):
            continue
        source = joined if place[2] else item_pointer(begin, place[0])
        if inflate_to(inflate, decompressor, source, place[1], stream, size) != 0:
            continue
        for x in range(width):
            row[x] = 0
        bad = walk_rows(stream, height, width, row, _ZERO, bins, bins, _ZERO)
        occur = drain(bins, _BINS, item_pointer(values, at), item_pointer(counts, at))
        if bad < 0:
            said[0], said[1], said[2] = height, width, occur
            at += occur
    return at
