"""DICOM segmentations (SEG): numbers of segments as values, 0 where there is none; by pydicom.

Frames at one place are one slice, and slices stand one below the other in the order of their
places. Where segments overlap, the smaller one lies on top, as in masks of annotations.

Frames are unpacked here, from bytes that are there: highdicom keeps a database of all frames, makes
what a header claims, and has no rule for segments that overlap.
"""

from __future__ import annotations

import io
import math
import zlib
from collections import Counter
from dataclasses import replace
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.memory import LARGEST_MASK, ask_memory
from maskstat.naming import printable
from maskstat.readers.base import LabelMap
from maskstat.readers.chunked import ChunkedPlanes, InMemory
from maskstat.readers.dicom_places import FrameGroups, places_of
from maskstat.readers.options import ReadOptions
from maskstat.readers.planes import Planes
from maskstat.readers.raw_masks import ArrayInMemory, check_decoded, read_whole
from maskstat.values.tally import MaskTally

NEEDS_PYDICOM = 'a DICOM segmentation needs pydicom: pip install "maskstat[medical]"'
_SEGMENTATIONS = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
_IMPLICIT, _EXPLICIT, _DEFLATED = (f"1.2.840.10008.1.2{rest}" for rest in ("", ".1", ".1.99"))
_MOST_HEADER = 64 << 20  # bytes
_PIXELS = b"\xe0\x7f\x10\0"  # the tag of pixel data


class _Stack(NamedTuple):
    """The slices (slices, height, width) of a file, and cubic millimetres of a voxel."""

    values: NDArray[np.integer]
    voxel: float


def tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
    """Count a segmentation."""
    found, voxel = _of_stack(data, options)
    counts = found.tally(name)
    return replace(counts, encoding=counts.encoding._replace(voxel=voxel))


def read(data: bytes, options: ReadOptions) -> LabelMap:
    """The slices one below the other. Raises MaskError."""
    found, voxel = _of_stack(data, options)
    pixels, encoding = found.read()
    return LabelMap(pixels, encoding._replace(voxel=voxel))


def planes(file: BinaryIO, options: ReadOptions) -> Planes:
    """The slices of a segmentation. Raises MaskError."""
    values, voxel = _stack(read_whole(file))
    found = ChunkedPlanes(InMemory(values, "dicom"), options)
    found.plan = found.plan._replace(encoding=found.plan.encoding._replace(voxel=voxel))
    return found


def _of_stack(data: bytes, options: ReadOptions) -> tuple[ArrayInMemory, float]:
    values, voxel = _stack(data)
    return ArrayInMemory(values.reshape(-1, values.shape[-1]), "dicom", options), voxel


def _stack(data: bytes) -> _Stack:
    """The slices. Raises MaskError."""
    try:
        import pydicom
    except ImportError as error:
        raise MaskError(NEEDS_PYDICOM) from error
    try:
        return _placed(*_header(pydicom, data))
    except (MaskError, MemoryError):
        raise
    except Exception as error:  # pydicom raises anything on hostile bytes
        text = printable(" ".join(str(error).split()))[:120] or type(error).__name__
        raise MaskError(f"not a readable DICOM segmentation: {text}") from error


def _header(pydicom: Any, data: bytes) -> tuple[Any, memoryview]:
    """All but the pixels of a segmentation, and its pixels as stored. Raises MaskError."""
    end = 144 + int.from_bytes(data[140:144], "little")  # of what no syntax concerns
    meta = pydicom.dcmread(io.BytesIO(data[:end]), force=False).file_meta
    form = str(meta.get("MediaStorageSOPClassUID") or "none is said")
    if form not in _SEGMENTATIONS:
        kind = printable(str(pydicom.uid.UID(form, pydicom.config.IGNORE).name))
        raise MaskError(
            f"DICOM of another kind, {kind[:60]!r}: only segmentations (SEG) are masks"
            f" ({argument('exclude', Blank('PATTERN'))} leaves it out)"
        )
    syntax = str(meta.TransferSyntaxUID)
    if syntax == _DEFLATED:
        ask_memory(min(LARGEST_MASK, 1032 * len(data)))
        stream = zlib.decompressobj(-15)
        body = stream.decompress(data[end:], LARGEST_MASK)
        if not stream.eof:
            raise MaskError("its deflated data ends early, or is too much")
        plain = _EXPLICIT.encode().ljust(len(_DEFLATED), b"\0")
        data = data[:end].replace(_DEFLATED.encode(), plain) + body
    elif syntax not in {_IMPLICIT, _EXPLICIT}:
        raise MaskError(
            f"its frames are packed ({printable(str(meta.TransferSyntaxUID.name))[:60]}):"
            " save it with the transfer syntax Explicit VR Little Endian"
        )
    file = io.BytesIO(data[:_MOST_HEADER])
    header = pydicom.dcmread(file, stop_before_pixels=True)
    at = file.tell()
    start = at + (8 if syntax == _IMPLICIT else 12)
    is_plain = syntax == _IMPLICIT or data[at + 4 : at + 6] in {b"OB", b"OW"}
    if data[at : at + 4] != _PIXELS or not is_plain:
        raise MaskError("has no pixels, or too much before them")
    size = int.from_bytes(data[start - 4 : start], "little")
    return header, memoryview(data)[start : start + size]


class _Frames:
    """The frames of a file as stored. Raises MaskError where it can't have as many."""

    def __init__(self, header: Any, pixels: memoryview):
        self.shape = int(header.Rows), int(header.Columns)
        self.count = int(header.get("NumberOfFrames") or 1)
        self._bits, self._pixels = int(header.BitsAllocated), pixels
        self._area = math.prod(self.shape)
        if self._bits not in {1, 8, 16} or header.SamplesPerPixel != 1 or self.count < 1:
            raise MaskError("frames of other samples than one of 1, 8 or 16 bits")
        said = -(-self.count * self._area * self._bits // 8)
        if not self._area or len(pixels) < said:
            raise MaskError("the file ends within its pixels")
        if len(pixels) > said + said % 2:
            raise MaskError(f"holds {len(pixels)} bytes of pixels where its header says {said}")
        self.dtype = np.dtype("<u2" if self._bits == 16 else "u1")

    def __getitem__(self, at: int) -> NDArray[np.integer]:
        first = at * self._area
        if self._bits > 1:
            place = first * self.dtype.itemsize
            flat = np.frombuffer(self._pixels, self.dtype, self._area, place)
            return flat.reshape(self.shape)
        start, skipped = divmod(first, 8)  # frames follow each other bit by bit
        packed = np.frombuffer(self._pixels, np.uint8, -(-(skipped + self._area) // 8), start)
        flat = np.unpackbits(packed, bitorder="little")[skipped : skipped + self._area]
        return flat.reshape(self.shape)


def _placed(header: Any, pixels: memoryview) -> _Stack:
    """The stack of a file's frames. Raises MaskError, and what pydicom raises."""
    if "TotalPixelMatrixColumns" in header:
        raise MaskError("tiles of a slide: only segmentations of volumes and images are read")
    frames, kind = _Frames(header, pixels), str(header.SegmentationType)
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    own = header.PerFrameFunctionalGroupsSequence
    if len(own) != frames.count:
        raise MaskError(f"{frames.count} frames, of which {len(own)} are described")
    if kind not in {"BINARY", "FRACTIONAL", "LABELMAP"}:
        raise MaskError(f"a segmentation of the type {printable(kind)[:20]!r}")
    groups = [FrameGroups(one, shared) for one in own]
    places, slices, voxel = places_of(groups)
    shape = slices, *frames.shape
    if kind == "LABELMAP":
        _ask_for(shape, frames.dtype)
        if len(set(places)) < frames.count:
            raise MaskError("several frames at one place")
        stack = np.full(shape, int(header.get("PixelPaddingValue") or 0), frames.dtype)
        for at, place in enumerate(places):
            stack[place] = frames[at]
        return _Stack(stack, voxel)
    said = [one.item("SegmentIdentificationSequence").ReferencedSegmentNumber for one in groups]
    segments = [int(number) for number in said]
    if len(set(zip(places, segments, strict=True))) < frames.count:
        raise MaskError("several frames of one segment at one place")
    if not 0 < min(segments) <= max(segments) < 1 << 16:
        raise MaskError("a frame of no segment, or of one that can't be")
    dtype = np.dtype("u1" if max(segments) < 255 else "u2")
    _ask_for(shape, dtype)
    top = int(header.MaximumFractionalValue) if kind == "FRACTIONAL" else 1
    areas: Counter[int] = Counter()
    for at, segment in enumerate(segments):
        frame = frames[at]
        inside = int(np.count_nonzero(frame == top))
        areas[segment] += inside
        if inside != np.count_nonzero(frame):
            raise MaskError(
                f"a segmentation of the type {kind}, in which pixels are partly of a segment: take"
                " a threshold and save it as BINARY or LABELMAP"
            )
    stack = np.zeros(shape, dtype)
    for at in sorted(range(frames.count), key=lambda at: (-areas[segments[at]], segments[at])):
        np.copyto(stack[places[at]], dtype.type(segments[at]), where=frames[at] == top)
    return _Stack(stack, voxel)


def _ask_for(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    """Ask for a stack, and what counting it takes. Raises MaskError where it is too large."""
    size = math.prod(shape) * dtype.itemsize
    check_decoded(size)
    ask_memory(2 * size)
