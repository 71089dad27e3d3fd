"""The runs of one mask as bytes, for a store to keep, and back."""

from __future__ import annotations

import zlib
from struct import Struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from maskstat.kernels.coded_runs import CodedRuns

_HEAD = Struct("<4sBIIIII")  # magic, version, CRC-32, height, width, classes, blocks
_MAGIC = b"mskI"
_VERSION = 1


def to_bytes(runs: CodedRuns, name: str) -> bytes:
    """The runs of the mask of this name; equal ones are equal bytes."""
    numbers = np.concatenate([runs.classes, runs.blocks, runs.pixels, runs.sizes])
    body = numbers.astype("<u4").tobytes() + runs.data
    head = *runs.shape, len(runs.classes), len(runs.pixels)
    crc = zlib.crc32(_HEAD.pack(_MAGIC, _VERSION, 0, *head) + body, _crc_of(name))
    return _HEAD.pack(_MAGIC, _VERSION, crc, *head) + body


def from_bytes(content: bytes, name: str) -> CodedRuns:
    """What `to_bytes` made of the mask of this name. What is in the blocks is not looked at.

    Raises:
        ValueError: the bytes are something else, of a version to come, or have changed.
    """
    from maskstat.kernels.coded_runs import CodedRuns

    if len(content) < _HEAD.size:
        raise ValueError("no runs of a mask")
    magic, version, crc, *head = _HEAD.unpack_from(content)
    body = content[_HEAD.size :]
    if magic != _MAGIC or version != _VERSION:
        raise ValueError("no runs that this version knows")
    if zlib.crc32(_HEAD.pack(magic, version, 0, *head) + body, _crc_of(name)) != crc:
        raise ValueError("runs of a mask that have changed")
    height, width, classes, blocks = head
    behind = 8 * (classes + blocks)
    if len(body) < behind:
        raise ValueError("runs that are cut off")
    numbers = np.frombuffer(body[:behind], "<u4").astype(np.int64)
    of, some, pixels, sizes = np.split(numbers, np.cumsum([classes, classes, blocks]))
    found = CodedRuns((height, width), of, some, pixels, sizes, body[behind:])
    if not fits(found):
        raise ValueError("runs that contradict each other")
    return found


def fits(runs: CodedRuns) -> bool:
    """Whether the numbers of a mask agree with each other."""
    from maskstat.kernels.coded_runs import MOST_PIXELS

    area = runs.shape[0] * runs.shape[1]
    return bool(
        0 < area <= MOST_PIXELS
        and (np.diff(runs.classes, prepend=-1) > 0).all()
        and all((part > 0).all() for part in runs[2:5])
        and runs.blocks.sum() == runs.pixels.size
        and runs.pixels.sum() <= area
        and runs.sizes.sum() == len(runs.data)
    )


def _crc_of(name: str) -> int:
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))
