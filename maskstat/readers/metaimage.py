"""MetaImage volumes (.mha), plain or compressed, as ITK, SimpleITK and elastix write them.

A header is a page of lines `key = value`, and the voxels are one block of bytes or of zlib data.
They are read here: ITK takes a path, not bytes, opens whatever path a header names, and is C++ that
takes the memory a header claims.
"""

from __future__ import annotations

import re
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

_END = re.compile(rb"(?:\A|\n)[ \t]*ElementDataFile[ \t]*=[^\n]*\n")
_TYPE = {"CHAR": "i1", "SHORT": "i2", "INT": "i4", "LONG": "i4", "LONG_LONG": "i8"}
_TYPE |= {f"U{name}": kind.replace("i", "u") for name, kind in _TYPE.items()}
_TYPE |= {"FLOAT": "f4", "DOUBLE": "f8"}


def opened(file: BinaryIO) -> tuple[VoxelStream, Volume]:
    """The stream at its voxels, and what the header says. Raises MaskError."""
    stream = VoxelStream(file)
    keys: dict[str, str] = {}
    for line in stream.header(_END).splitlines():
        key, sign, value = line.partition("=")
        if line.strip() and not sign:
            raise MaskError("a MetaImage header with a line that is no 'key = value'")
        if keys.setdefault(key.strip(), value.strip()) != value.strip():
            raise MaskError(f"a MetaImage header with two {printable(key.strip())[:60]!r}")

    def number(key: str, otherwise: int) -> int:
        (found,) = whole_numbers_in(keys.get(key, ""))[:1] or [otherwise]
        return found

    def is_set(key: str) -> bool:
        return keys.get(key, "").lower() in {"true", "1"}

    if keys.get("ObjectType", "Image") != "Image":
        raise MaskError(f"a MetaImage file of a {printable(keys['ObjectType'])[:60]}, no image")
    if (other := keys.get("ElementDataFile", "")).upper() != "LOCAL":
        raise voxels_elsewhere(other, ".mha")
    kind = keys.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY")
    order = ">" if is_set("BinaryDataByteOrderMSB") or is_set("ElementByteOrderMSB") else "<"
    dtype = np.dtype(order + _TYPE.get(kind, "V1"))
    if dtype.kind == "V":
        raise MaskError(f"MetaImage voxels of type {printable(kind)[:60]!r}")
    if keys.get("BinaryData", "True").lower() not in {"true", "1"}:
        raise MaskError("MetaImage voxels as text: save them as binary data")
    sizes, skipped = whole_numbers_in(keys.get("DimSize", "")), number("HeaderSize", 0)
    if len(sizes) != number("NDims", 0):
        raise MaskError(f"a MetaImage header of {len(sizes)} sizes and another number of axes")
    channels = number("ElementNumberOfChannels", 1)
    spacing = numbers_in(keys.get("ElementSpacing", "")) if len(sizes) > 2 else []
    voxel = voxel_volume(spacing[:3])
    volume = Volume.of(sizes, dtype, "metaimage", channels=channels, voxel=voxel)
    if is_set("CompressedData"):
        stream.unpack("zlib")
    elif skipped == -1:
        stream.go_back_to_last(volume.size)
    if skipped > 0 or (skipped and stream.is_packed):
        raise MaskError(f"a MetaImage header of a HeaderSize of {skipped}")
    return stream, volume


_format = VolumeFormat(opened)
tally, tally_stream = _format.tally, _format.tally_stream
read, planes = _format.read, _format.planes
