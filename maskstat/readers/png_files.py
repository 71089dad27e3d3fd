"""PNG masks of files, many at a time: what `maskstat.readers.png` says of each, sooner.

For masks of grey levels or palette indices of 8 bits in small files, as most data sets have. Their
files are read into one buffer and counted by one call (see `maskstat.kernels.whole_files`), so that
threads do not wait for each other. All others are left to who reads one at a time, and so is every
fault: nothing here says what is wrong with a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

import numpy as np

from maskstat.kernels.engine import current_engine
from maskstat.kernels.image_buffers import lent_array
from maskstat.kernels.loading import CAN_READ_MANY
from maskstat.memory import MemoryTask, ask_memory
from maskstat.readers.libdeflate import c_library
from maskstat.regular_files import read_into
from maskstat.values.tally import Encoding, MaskTally

TOGETHER = 1 << 20  # bytes of files that are counted in one call
LARGEST = TOGETHER >> 2  # bytes of a file
_LARGEST_ROWS = 8 << 20  # bytes that the rows of one inflate to
_SMALLEST = 57  # bytes of a PNG file
_SIZE = Struct(">II")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIZE_AT, _COLOUR_AT = 16, 25
HEAD = 26  # bytes that say of which kind one is
_ENCODINGS = {0: Encoding("png", "grey", 8), 3: Encoding("png", "palette", 8)}


def is_usual(name: str, size: int) -> bool:
    """Whether a file is worth a try, by its name and size."""
    return CAN_READ_MANY and _SMALLEST <= size <= LARGEST and name.endswith(".png")


def is_index_png(head: bytes) -> bool:
    """Whether a file that begins so is a PNG of grey levels or palette indices."""
    return head.startswith(_SIGNATURE) and head[_COLOUR_AT : _COLOUR_AT + 1] in {b"\0", b"\3"}


def tally_files(files: Sequence[tuple[str, str, int]]) -> list[MaskTally | None]:
    """The tallies of masks whose name, path and size are given, at most TOGETHER bytes of them.

    None for each that must be read by itself, for whatever reason; for all, where no kernel for
    files is loaded. Raises MemoryError.
    """
    tallies: list[MaskTally | None] = [None] * len(files)
    counter = current_engine().file_counter()
    if counter is None or (library := c_library()) is None:
        return tallies
    data = lent_array(sum(size for _, _, size in files) + 1, np.uint8)
    room = data.data
    wide = rows = start = 0
    places: list[tuple[int, int, int]] = []
    for number, (_, path, size) in enumerate(files):
        try:
            if size < _SMALLEST or read_into(path, room[start : start + size + 1]) != size:
                continue
        except (OSError, ValueError):
            continue
        width, height = _SIZE.unpack_from(room, start + _SIZE_AT)
        if height * (1 + width) <= _LARGEST_ROWS:
            wide, rows = max(wide, width), max(rows, height * (1 + width))
            places.append((number, start, size))
            start += size
    if not places:
        return tallies
    numbers, starts, sizes = np.array(places, np.int64).T.copy()
    with MemoryTask():
        ask_memory(rows)
        found, values, counts = counter.tally(data, starts, sizes, (rows, wide), library)
    first = 0
    for number, start, (height, width, occur) in zip(
        numbers.tolist(), starts.tolist(), found.tolist(), strict=True
    ):
        if occur >= 0:
            mine = slice(first, first := first + occur)
            tallies[number] = MaskTally(
                files[number][0],
                (height, width),
                _ENCODINGS[room[start + _COLOUR_AT]],
                values[mine],
                counts[mine],
            )
    return tallies
