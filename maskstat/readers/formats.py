"""From the bytes of one mask to its raw value counts, or to its pixels.

One module a format. The first bytes of a file decide its format, never its name. A format module
has

    read(data, options) -> LabelMap          the pixels, raw values exactly as stored
    tally(data, name, options) -> MaskTally | None
                                             optional: counts without making the pixels; None
                                             where this file needs `read` after all
    tally_stream(file, name, options)        optional: the same from an open file, in pieces
    tally_and_pixels(data, name, options)    optional: counts and pixels from one pass, or None
    planes(file, options) -> Planes | None   optional: the planes of an open file, where every plane
                                             is a mask; None where it is one mask

and raises `MaskError` with a short fact for whatever is wrong with the file. This table imports
none of them; a module is imported when the first file of its format turns up. Files of no format
of this table are offered to the readers that other packages bring (`plugged`).
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.kernels.region_types import Pixels, raw_pixels
from maskstat.memory import LARGEST_MASK, MemoryTask, ask_memory
from maskstat.readers.base import LabelMap as LabelMap
from maskstat.readers.base import read_up_to
from maskstat.readers.foreign import LOOKED_AT, kind_of
from maskstat.readers.index_channel import offer
from maskstat.readers.options import ReadOptions as ReadOptions
from maskstat.readers.planes import Planes
from maskstat.readers.plugin_readers import READERS as READERS
from maskstat.readers.plugin_readers import taking, troubles
from maskstat.readers.tallying import MAX_DISTINCT_VALUES, count_pixels, too_many_values
from maskstat.values.tally import GREY, MaskTally

_MOST_CLASS_COLOURS = 4096  # a mask of classes has fewer, a photograph more


class Format(NamedTuple):
    """One file format: the suffixes worth a look, its magic bytes, the module that reads it."""

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    module: str


_TIFF_MAGIC = frozenset({b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"})
_JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_METAIMAGE = re.compile(rb"\s*(?:ObjectType|NDims|Comment)[ \t]*=")
_NIFTI_SIZES = frozenset({348, 540})  # of headers, in either byte order


def _is_nifti(data: bytes) -> bool:
    """A NIfTI header, or gzip data, which nothing else here is packed in."""
    sizes = {int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big")}
    return data[:2] == b"\x1f\x8b" or bool(sizes & _NIFTI_SIZES)


def _is_metaimage(data: bytes) -> bool:
    """A line of a header: there are no magic bytes."""
    return _METAIMAGE.match(data) is not None


def _is_hdf5(data: bytes) -> bool:
    """HDF5 from its first byte on, or behind 512 bytes of MATLAB's own."""
    return data.startswith((b"\x89HDF\r\n\x1a\n", b"MATLAB 7."))


def _is_pytorch(data: bytes) -> bool:
    """A zip whose first record is the pickle of what torch.save was given."""
    size = int.from_bytes(data[26:28], "little")
    return data[:4] == b"PK\3\4" and data[30 : 30 + size].endswith(b"/data.pkl")


FORMATS = (
    Format("PNG", (".png",), lambda d: d[:8] == b"\x89PNG\r\n\x1a\n", "png"),
    Format("TIFF", (".tif", ".tiff"), lambda d: d[:4] in _TIFF_MAGIC, "tiff"),
    Format("BMP", (".bmp",), lambda d: d[:2] == b"BM", "bmp"),
    Format("GIF", (".gif",), lambda d: d[:6] in {b"GIF87a", b"GIF89a"}, "gif"),
    Format("WebP", (".webp",), lambda d: d[:4] == b"RIFF" and d[8:12] == b"WEBP", "webp"),
    Format("NPY", (".npy",), lambda d: d[:6] == b"\x93NUMPY", "npy"),
    Format("PyTorch", (".pt",), _is_pytorch, "pytorch"),
    Format("NPZ", (".npz", ".zarr.zip"), lambda d: d[:4] in {b"PK\3\4", b"PK\5\6"}, "npz"),
    Format("NIfTI", (".nii", ".nii.gz"), _is_nifti, "nifti"),
    Format("NRRD", (".nrrd", ".nhdr"), lambda d: d[:4] == b"NRRD", "nrrd"),
    Format("MetaImage", (".mha", ".mhd"), _is_metaimage, "metaimage"),
    Format("DICOM", (".dcm",), lambda d: d[128:132] == b"DICM", "dicom"),
    Format("HDF5", (".h5", ".hdf5"), _is_hdf5, "hdf5"),
    Format("MATLAB", (".mat",), lambda d: d.startswith(b"MATLAB 5.0 MAT-file"), "matlab"),
    Format("JPEG 2000", (".jp2", ".j2k"), lambda d: d.startswith(_JPEG_2000), "jpeg2000"),
    Format("JPEG", (".jpg", ".jpeg"), lambda d: d[:3] == b"\xff\xd8\xff", "jpeg"),
)
READERS.built_in = lambda: {*(form.module for form in FORMATS), "zarr"}
STORE_SUFFIXES = (".zarr",)  # of folders that are one mask
SUFFIXES = frozenset([*(suffix for form in FORMATS for suffix in form.suffixes), *STORE_SUFFIXES])


def recognise(data: bytes) -> Format:
    """The format of a file from its first bytes: one of ours, else one that a plugin knows.

    Raises MaskError where nobody knows it.
    """
    for form in FORMATS:
        if form.recognises(data):
            return form
    if not data:
        raise MaskError("empty file")
    head = data[:LOOKED_AT]
    if (reader := taking(head)) is not None:
        return Format(reader.plugin.name, reader.suffixes, bool, "plugged")
    known = ", ".join([*(form.name for form in FORMATS), *READERS.usable()])
    kind = kind_of(data)
    also = "".join(f"; {trouble}" for trouble in troubles(head))
    raise MaskError(f"not an image{f': {kind}' if kind else ''} (known are {known}{also})")


def format_of(file: BinaryIO) -> Format:
    """The same of an open file, which then stands at its beginning again."""
    file.seek(0)
    found = recognise(read_up_to(file, LOOKED_AT))
    file.seek(0)
    return found


def read_tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Raw value counts of one encoded mask.

    Raises:
        MaskError: corrupt, of no known format, lossy without leave, colour-coded without a
            catalogue that has colours, or with so many values that it can't be a label mask.
    """
    module = _module(recognise(data).module)
    with MemoryTask():
        tally: MaskTally | None = None
        if hasattr(module, "tally"):
            tally = module.tally(data, name, options)
        if tally is None:
            pixels, encoding = module.read(data, options)
            tally = count_pixels(name, pixels, encoding)
    return accepted(tally, options)


def read_tally_stream(file: BinaryIO, name: str, options: ReadOptions) -> MaskTally:
    """`read_tally` from an open file; only formats that can't be streamed are read whole.

    Raises MaskError as `read_tally` does, and OSError where reading fails.
    """
    module = _module(recognise(file.read(LOOKED_AT)).module)
    file.seek(0)
    with MemoryTask():
        if hasattr(module, "tally_stream"):
            tally = module.tally_stream(file, name, options)
            if tally is not None:
                return accepted(tally, options)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        ask_memory(min(size, LARGEST_MASK))
        data = file.read(LARGEST_MASK + 1)
        if len(data) > LARGEST_MASK:
            raise MaskError(f"larger than the {LARGEST_MASK >> 20} MiB that can be read at once")
        return read_tally(data, name, options)


def read_tally_folder(path: str, name: str, options: ReadOptions) -> MaskTally:
    """`read_tally` of a mask that is a folder: a Zarr store."""
    with MemoryTask():
        return accepted(_module("zarr").tally_folder(path, name, options), options)


def read_tally_and_pixels(data: bytes, name: str, options: ReadOptions) -> tuple[MaskTally, Pixels]:
    """What `read_tally` says of a mask, and its pixels, decoded once.

    Raises MaskError as `read_tally` does, and for an image too large to be held in memory.
    """
    module = _module(recognise(data).module)
    found: tuple[MaskTally, Pixels] | None = None
    if hasattr(module, "tally_and_pixels"):
        found = module.tally_and_pixels(data, name, options)
    if found is None:
        pixels, encoding = module.read(data, options)
        found = count_pixels(name, pixels, encoding), pixels
    tally, pixels = accepted(found[0], options), found[1]
    if tally.encoding.reading:
        pixels, _ = options.interpreted_pixels(raw_pixels(pixels), found[0].encoding, name)
    return tally, pixels


class OpenPlanes:
    """The planes of an open file, each a mask that counts as it would in a file of its own.

    Attributes:
        count: how many there are.
        in_order: whether they are quick to read only one after another.

    Every method raises MaskError as `read_tally` does, and OSError where reading fails.
    """

    def __init__(self, planes: Planes, options: ReadOptions):
        self._planes, self._options = planes, options
        self.count, self.in_order = planes.count, planes.in_order

    def prepare(self) -> None:
        """Before the first is read: look at what speaks for all of them, as a checksum does."""
        self._planes.prepare()

    @property
    def held(self) -> int:
        """Bytes of memory that are kept for all of them."""
        return self._planes.held

    def tally(self, plane: int, name: str) -> MaskTally:
        """Raw value counts of one of them, from 0."""
        with MemoryTask():
            tally = self._planes.mask(plane).tally(name)
        return accepted(tally, self._options)

    def tally_and_pixels(self, plane: int, name: str) -> tuple[MaskTally, NDArray[np.integer]]:
        """The same, and its pixels (H, W)."""
        pixels, encoding = self._planes.mask(plane).read()
        tally = accepted(count_pixels(name, pixels, encoding), self._options)
        return tally, self._options.interpreted_pixels(pixels, encoding, name)[0]

    def label_map(self, plane: int, name: str) -> LabelMap:
        """The pixels of one of them, as `tally` counts them."""
        found = self._planes.mask(plane).read()
        return LabelMap(*self._options.interpreted_pixels(*found, name))


def open_planes(file: BinaryIO, options: ReadOptions) -> OpenPlanes | None:
    """The planes of an open file, which it must stay; None where it is one mask by its format.

    Raises MaskError, and OSError where reading fails.
    """
    module = _module(format_of(file).module)
    if not hasattr(module, "planes"):
        return None
    planes: Planes | None = module.planes(file, options)
    return None if planes is None else OpenPlanes(planes, options)


def open_planes_folder(path: str, options: ReadOptions) -> OpenPlanes:
    """The same of a mask that is a folder: a Zarr store."""
    return OpenPlanes(_module("zarr").planes_in_folder(path, options), options)


def accepted(tally: MaskTally, options: ReadOptions) -> MaskTally:
    """The tally, if it may count. Raises MaskError."""
    if tally.values.size > MAX_DISTINCT_VALUES:
        raise too_many_values()
    tally = options.interpreted(tally)
    if tally.encoding.is_colour and not options.colours:
        _refuse_colours(tally)
    nodata = tally.encoding.nodata
    if nodata is not None and nodata not in tally.values:
        return replace(tally, encoding=tally.encoding._replace(nodata=None))
    if nodata == 0 and not options.knows_zero:
        raise MaskError(
            f"calls 0 nodata, which may be a class as well ({argument('ignore', 0)} leaves it out,"
            f" {argument('classes', Blank('N|FILE'))} with the value 0 counts it)"
        )
    return tally


def read_label_map(data: bytes, options: ReadOptions, name: str = "") -> LabelMap:
    """The pixels of one encoded mask, as `read_tally` counts them. Raises MaskError as that does.

    `name` is the mask's name in its source, by which panoptic segments are looked up.
    """
    label_map = _module(recognise(data).module).read(data, options)
    if not isinstance(label_map, LabelMap):
        raise TypeError("a format module must return a LabelMap")
    return LabelMap(*options.interpreted_pixels(*label_map, name))


def _refuse_colours(tally: MaskTally) -> None:
    """Colours without a catalogue mean nothing, but a grey map in a format without grey does."""
    if tally.values.size > _MOST_CLASS_COLOURS:
        raise too_many_values(_MOST_CLASS_COLOURS)
    grey = bool((tally.values == (tally.values & 0xFF) * GREY).all())
    if grey and tally.encoding.lacks_grey:
        return
    offered = offer(tally.values)
    catalogue = (
        f"give {argument('classes')} a catalogue with colours;"
        f" {argument('draft', Blank('FILE'))} writes one to fill in"
    )
    hint = offered if grey and offered else "; or ".join(filter(None, [offered, catalogue]))
    raise MaskError(
        f"{tally.encoding.samples.upper()} image where class indices are expected ({hint})"
    )


@cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(f"maskstat.readers.{name}")
