"""TIFF, BigTIFF and GeoTIFF: Pillow reads the common small ones, tifffile all others, by windows.

Values are as stored. Overviews (reduced pages, as a cloud-optimised GeoTIFF has them) and
transparency masks do not count. Of several pages `--pages` says which count; several channels that
are no colours need `--channels`. Whatever Pillow can't read, or not within its limits, needs
tifffile and imagecodecs (see `tiff_mosaic`).
"""

from __future__ import annotations

import io
from typing import BinaryIO

from PIL import Image, TiffImagePlugin

from maskstat.errors import MaskError
from maskstat.memory import LARGEST_MASK
from maskstat.naming import counted
from maskstat.readers.base import LabelMap, each_or_all, no_page, several_now
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import Planes
from maskstat.readers.tallying import count_pixels
from maskstat.readers.tiff_directory import (
    Directory,
    check_labels,
    colour_samples,
    leaves_out,
    read_directory,
)
from maskstat.readers.tiff_pillow import read_with_pillow
from maskstat.readers.tiff_plain import tally_plain
from maskstat.values.tally import MaskTally

PILLOW_BYTES = 64 << 20  # decoded; larger images are read by windows where that can be done
_PREMULTIPLIED = 1
# libtiff stops where it has all pixels, before the checksum that these may end with.
_CHECKED_AT_END = {34925: "LZMA", 50000: "Zstandard"}
_LARGE = "a TIFF that Pillow reads, but not by windows,"


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count strips as they lie, by windows, or what Pillow reads."""
    file = io.BytesIO(data)
    directory = read_directory(file)
    if _needs_mosaic(file, directory, options):
        return _by_windows(file, directory, name, options)
    found = tally_plain(data, directory, name)
    return found or count_pixels(name, *read_with_pillow(data, directory, options))


def tally_stream(file: BinaryIO, name: str, options: ReadOptions) -> MaskTally | None:
    """Count by windows from an open, seekable file; None for what Pillow reads."""
    directory = read_directory(file)
    if not _needs_mosaic(file, directory, options):
        return None
    return _by_windows(file, directory, name, options)


def planes(file: BinaryIO, options: ReadOptions) -> Planes | None:
    """The pages of an open, seekable file; None where it has one. Raises MaskError."""
    directory = read_directory(file)
    if len(directory.masks) == 1:
        return None
    if (lacking := _lacking(f"a TIFF of {len(directory.pages)} pages")) is not None:
        raise lacking
    from maskstat.readers.tiff_mosaic import Pages

    return Pages(file, directory, options)


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """Raw values as stored."""
    file = io.BytesIO(data)
    directory = read_directory(file)
    if not _needs_mosaic(file, directory, options):
        return read_with_pillow(data, directory, options)
    from maskstat.readers.tiff_mosaic import read_mosaic

    return read_mosaic(file, directory, options)


def _by_windows(file: BinaryIO, directory: Directory, name: str, options: ReadOptions) -> MaskTally:
    from maskstat.readers.tiff_mosaic import tally_mosaic

    return tally_mosaic(file, directory, name, options)


def _needs_mosaic(file: BinaryIO, directory: Directory, options: ReadOptions) -> bool:
    """Whether tifffile must read it. Raises MaskError where it must and is not there."""
    found = counted(len(directory.masks), "page")
    if len(directory.masks) > 1 and options.pages == "each":
        raise several_now()
    if len(directory.masks) > 1 and options.pages is None and options.channels is None:
        said = each_or_all("page", "pages")
        raise MaskError(f"has {found} where one mask is expected ({said})")
    if isinstance(options.pages, int) and options.pages > len(directory.masks):
        raise no_page(found, options.pages)
    if options.channels is None:
        check_labels(directory.masks[0])
    reason = _beyond_pillow(file, directory, options)
    if reason is None:
        return False
    if (lacking := _lacking(reason)) is not None and reason != _LARGE:
        raise lacking
    return lacking is None


def _lacking(reason: str) -> MaskError | None:
    """What to say where a package is absent that reads what Pillow does not."""
    try:
        import imagecodecs  # noqa: F401
        import tifffile  # noqa: F401
    except ImportError:
        return MaskError(f'{reason} needs tifffile and imagecodecs: pip install "maskstat[tiff]"')
    return None


def _beyond_pillow(file: BinaryIO, directory: Directory, options: ReadOptions) -> str | None:
    """What of a file Pillow does not read, or not as stored; None where it reads all of it."""
    page = directory.pages[0]
    if directory.is_big and directory.order == ">":
        return "a big-endian BigTIFF"
    if len(directory.pages) > 1:
        return f"a TIFF of {len(directory.pages)} pages or overviews"
    if options.channels is not None:
        return "a stack of channels"
    if colour_samples(page) and set(page.bits) == {16}:
        return "a TIFF of 16-bit colours"  # which Pillow would cut to 8 bits
    if page.is_tiled and not page.has_tile_offsets:
        return "a TIFF with its tiles where strips belong"
    limit = Image.MAX_IMAGE_PIXELS
    pixels = page.width * page.height
    if page.decoded_bytes > LARGEST_MASK or (limit is not None and pixels > limit):
        return f"a TIFF of {page.width} x {page.height} pixels"
    if page.compression in _CHECKED_AT_END:
        return f"a TIFF of {_CHECKED_AT_END[page.compression]} data"
    if page.compression not in TiffImagePlugin.COMPRESSION_INFO:
        return f"TIFF compression {page.compression}"
    kind = "/".join(map(str, page.bits))
    if page.fill_order == 2 and page.bits == (8,) and page.photometric == 0:
        return "a TIFF of inverted 8-bit samples with reversed bits"
    if page.extra_samples[:1] == (_PREMULTIPLIED,):
        return "a TIFF of premultiplied colours"
    key = (
        b"II" if directory.order == "<" else b"MM",
        page.photometric,
        page.sample_formats,
        page.fill_order,
        page.bits,
        page.extra_samples,
    )
    if not _pillow_knows(key):
        return f"a TIFF of {kind}-bit samples of this kind"
    if leaves_out(file, directory, page):
        return "a TIFF that leaves out strips or tiles"
    return _LARGE if page.decoded_bytes > PILLOW_BYTES else None


def _pillow_knows(key: tuple[object, ...]) -> bool:
    """Whether Pillow has a mode for such samples; where its table is not found, it is asked."""
    order, photometric, formats, fill, bits, extra = key
    table = getattr(TiffImagePlugin, "OPEN_INFO", None)
    if table is None:
        return True
    assert isinstance(formats, tuple) and isinstance(bits, tuple)
    if len(formats) > 1 and len(set(formats)) == 1:
        formats = formats[:1]
    return (order, photometric, formats, fill, bits, extra) in table
