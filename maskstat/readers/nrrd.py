"""NRRD volumes (.nrrd) and the segmentations of 3D Slicer (.seg.nrrd), raw or gzipped.

A header is a page of lines `field: value`, of which a mask needs six, and the voxels are one block.
They are read here: pynrrd inflates whatever a file holds, opens whatever path a header names, and
gives up where a field that says nothing of voxels is malformed.

Segments that overlap are in several layers, side by side in a voxel. Where the numbers of segments
differ they are one mask, in which the smaller segment lies on top, as in masks of annotations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from maskstat.errors import MaskError
from maskstat.naming import printable
from maskstat.readers.spacing import voxel_volume
from maskstat.readers.volumes import (
    Volume,
    VolumeFormat,
    VoxelStream,
    numbers_in,
    voxels_elsewhere,
    whole_numbers_in,
)
from maskstat.values.tally import NO_SPACING

_END = re.compile(rb"\n\r?\n")
_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64,"
    " int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPE = {name: kind for kind, names in _TYPES.items() for name in re.split(", ?", names)}
_ORDERS = {"little": "<", "big": ">"}
_IN_SPACE = frozenset({"domain", "space", "time", "???", "none"})  # kinds of axes with no channels
_AXIS = re.compile(r"none|\([^)]*\)")
_UNITS = {"m": 1e3, "cm": 10.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "microns": 1e-3}  # in mm
_SEGMENT = re.compile(r"Segment(\d{1,6})_(LabelValue|Layer)")


def opened(file: BinaryIO) -> tuple[VoxelStream, Volume]:
    """The stream at its voxels, and what the header says. Raises MaskError."""
    stream = VoxelStream(file)
    fields, pairs = _lines(stream.header(_END))
    if (other := fields.get("datafile")) is not None:
        raise voxels_elsewhere(other, ".nrrd")
    kind, encoding = fields.get("type", ""), fields.get("encoding", "").lower()
    order = _ORDERS.get(fields.get("endian", "").lower(), "")
    dtype = np.dtype(order + _TYPE.get(kind.lower(), "V1"))
    if dtype.kind == "V":
        raise MaskError(f"NRRD voxels of type {printable(kind)[:60]!r}")
    if encoding not in {"raw", "gzip", "gz"}:
        raise MaskError(
            f"NRRD voxels encoded as {printable(encoding)[:60]!r}: save them raw or as gzip"
        )
    if dtype.itemsize > 1 and not order:
        raise MaskError("an NRRD header that does not say in which order bytes are")
    sizes = whole_numbers_in(fields.get("sizes", ""))
    if [len(sizes)] != whole_numbers_in(fields.get("dimension", "")):
        raise MaskError(f"an NRRD header of {len(sizes)} sizes and another dimension")
    (skipped,) = whole_numbers_in(fields.get("byteskip", "0"))[:1] or [0]
    if fields.get("lineskip", "0") != "0" or skipped < (-1 if encoding == "raw" else 0):
        raise MaskError("an NRRD header that skips lines, or bytes that can't be skipped")
    kinds, channels = fields.get("kinds", "").lower().split(), 1
    if len(kinds) == len(sizes) > 2 and kinds[0] not in _IN_SPACE:
        channels, *sizes = sizes
    segments = _segments(pairs) if channels > 1 else ()
    voxel = _voxel(fields, int(channels > 1)) if len(sizes) > 2 else NO_SPACING
    volume = Volume.of(sizes, dtype, "nrrd", channels=channels, segments=segments, voxel=voxel)
    if encoding != "raw":
        stream.unpack("gzip")
    if skipped == -1:
        stream.go_back_to_last(volume.size)
    else:
        stream.skip(skipped)
    return stream, volume


def _voxel(fields: Mapping[str, str], first: int) -> float:
    """Cubic millimetres of a voxel, whose three axes begin at `first`; lengths are in mm unless
    the header says another unit."""
    units = set(re.findall(r'"([^"]*)"', fields.get("spaceunits", fields.get("units", ""))))
    unit = _UNITS.get((units - {""} or {"mm"}).pop()) if len(units - {""}) < 2 else None
    axes = [numbers_in(axis) for axis in _AXIS.findall(fields.get("spacedirections", ""))]
    edges = axes[first : first + 3]
    if not axes:
        spacings = numbers_in(fields.get("spacings", ""))[first : first + 3]
        return NO_SPACING if unit is None else voxel_volume(spacings, unit=unit)
    if unit is None or [len(edge) for edge in edges] != [3, 3, 3]:
        return NO_SPACING
    return voxel_volume(edges, unit=unit)


def _lines(header: str) -> tuple[dict[str, str], dict[str, str]]:
    """Fields, whose names may be written with blanks, and pairs of keys and values."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for line in header.splitlines()[1:]:
        if line.startswith("#") or not line:
            continue
        name, sign, value = line.partition(":")
        if not sign:
            raise MaskError("an NRRD header with a line that is no 'field: value'")
        if value.startswith("="):
            pairs[name.strip()] = value[1:].strip()
            continue
        name = name.replace(" ", "").lower()
        if fields.setdefault(name, value.strip()) != value.strip():
            raise MaskError(f"an NRRD header with two fields {printable(name)[:60]!r}")
    return fields, pairs


def _segments(pairs: Mapping[str, str]) -> tuple[tuple[int, int], ...]:
    """The layer and the value of each of Slicer's segments. Raises MaskError.

    Segments of before Slicer 4.11 have neither: a layer is a segment, and a channel like any other.
    """
    found: dict[str, dict[str, int]] = {}
    for key, text in pairs.items():
        if segment := _SEGMENT.fullmatch(key):
            (number,) = whole_numbers_in(text)[:1] or [-1]
            found.setdefault(segment[1], {})[segment[2]] = number
    return tuple((own.get("Layer", -1), own.get("LabelValue", -1)) for own in found.values())


_format = VolumeFormat(opened)
tally, tally_stream = _format.tally, _format.tally_stream
read, planes = _format.read, _format.planes
