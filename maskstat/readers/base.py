"""What every module of a format gives, and what none of them takes without leave."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, argument
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import Encoding


class LabelMap(NamedTuple):
    """Pixels (H, W) of any integer type holding raw values, and how the file stored them."""

    pixels: NDArray[np.integer]
    encoding: Encoding


def each_or_all(one: str, many: str) -> str:
    """What a user may say of a file of several: `one` of what is a plane, `many` of what counts."""
    return (
        f"{argument('pages', 'each')} counts each {one} as a mask,"
        f" {argument('pages', Blank('all|first|N'))} one mask of all {many} or of one;"
        f" {argument('channels')} takes them for classes"
    )


def no_page(found: str, asked: int) -> MaskError:
    """What is wrong where the user asks for a page, a plane or a volume that is not there."""
    return MaskError(f"has {found}: there is no {argument('pages', asked)}")


def several_now() -> MaskError:
    """What is wrong where planes are masks each, and a file of one plane has several."""
    return MaskError("has several planes, and had one when it was listed: scan again")


def refuse_lossy(kind: str, options: ReadOptions) -> None:
    """Raise MaskError for a lossy file unless the user allowed it."""
    if not options.allow_lossy:
        raise MaskError(
            f"{kind} compression is lossy and invents classes at borders"
            f" (export masks as PNG; {argument('exclude')} leaves it out,"
            f" {argument('allow_lossy', True)} counts it as it is)"
        )


def read_up_to(file: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, fewer only where the file ends."""
    # One read of something that is no file on disk may give less than it could.
    data = file.read(size)
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def read_at(file: BinaryIO, place: int, size: int) -> bytes:
    """`size` bytes from a place that somebody's header names; fewer where the file ends."""
    try:
        file.seek(place)
    except (ValueError, OverflowError, OSError):  # beyond what a file can have
        return b""
    return read_up_to(file, size)
