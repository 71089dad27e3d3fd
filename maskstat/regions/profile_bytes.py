"""A `PixelProfile` as bytes, for a store to keep, and back.

The bytes come back from a file that anybody may have written. So sizes are checked before memory is
taken, and whatever passes is consistent: what is computed from it can neither divide by zero nor
overflow.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from struct import Struct
from typing import Any

import numpy as np

from maskstat.errors import ParameterError
from maskstat.regions.components import MAX_NUMBER, Components, CountTable
from maskstat.regions.profile import (
    MAX_PIXELS,
    MOMENT_BITS,
    SIDE_BINS,
    SMALLEST,
    PixelProfile,
    SmallComponent,
    check_size,
    smallest_of,
)
from maskstat.values.catalog import ClassCatalog
from maskstat.values.tally import IntArray

VERSION = 2
_HEAD = Struct("<4sBQI")  # magic, version, bytes inflated, bytes of the JSON part
_MAGIC = b"mskP"
_LEVEL = 1
_RATIO = 1032  # no DEFLATE stream expands by more
_PAIRS = ("four_sizes", "four_in_mask", "eight_sizes", "eight_in_mask", "edges", "sides")


def to_bytes(profile: PixelProfile) -> bytes:
    """The profile without its catalogue, of which only the digest is kept; equal ones are equal."""
    labels = np.flatnonzero(profile.pixels)
    first, second = np.nonzero(np.triu(profile.adjacency))
    sides = profile.sides.reshape(len(profile.catalog), -1)
    owners, bins = np.nonzero(sides)
    tables = {
        "four_sizes": profile.four.sizes,
        "four_in_mask": profile.four.in_mask,
        "eight_sizes": profile.eight.sizes,
        "eight_in_mask": profile.eight.in_mask,
        "edges": CountTable.of(first, second, profile.adjacency[first, second]),
        "sides": CountTable.of(owners, bins, sides[owners, bins]),
    }
    arrays = [labels, profile.heat[labels], profile.moments, profile.frame]
    for name in _PAIRS:
        arrays += [tables[name].keys, tables[name].counts]
    meta = {
        "digest": profile.catalog.digest,
        "grid": profile.grid,
        "masks": profile.mask_count,
        "extent": profile.extent,
        "labels": labels.size,
        "rows": [tables[name].keys.size for name in _PAIRS],
        "smallest": profile.smallest,
    }
    text = json.dumps(meta, separators=(",", ":")).encode()
    numbers = np.concatenate([array.ravel() for array in arrays]).astype("<i8", copy=False)
    # The eight bytes of all numbers side by side: the high ones, nearly all 0, take no room.
    planes = numbers.view(np.uint8).reshape(-1, 8).T.tobytes()
    head = _HEAD.pack(_MAGIC, VERSION, len(text) + len(planes), len(text))
    return head + zlib.compress(text + planes, _LEVEL)


def from_bytes(catalog: ClassCatalog, data: bytes) -> PixelProfile:
    """What `to_bytes` made of a profile under this catalogue.

    Raises:
        ValueError: the bytes are something else, of a version to come, damaged, or of another
            catalogue.
    """
    try:
        text, numbers = _inflated(data)
        return _profile(catalog, json.loads(text), numbers)
    except (KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError("not a pixel profile") from error
    except ParameterError as error:
        raise ValueError(str(error)) from error


def _inflated(data: bytes) -> tuple[bytes, IntArray]:
    """The JSON part and the numbers."""
    if len(data) < _HEAD.size:
        raise ValueError("not a pixel profile")
    magic, version, size, text_size = _HEAD.unpack_from(data)
    if magic != _MAGIC or version != VERSION:
        raise ValueError("not a pixel profile that this version knows")
    packed = memoryview(data)[_HEAD.size :]
    if text_size > size or (size - text_size) % 8 or size > len(packed) * _RATIO:
        raise ValueError("a pixel profile of an impossible size")
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError("a damaged pixel profile") from error
    if len(content) != size or not inflater.eof or inflater.unused_data:
        raise ValueError("a pixel profile of another size than it says")
    planes = np.frombuffer(content, np.uint8, offset=text_size).reshape(8, -1)
    numbers = np.ascontiguousarray(planes.T).view("<i8").reshape(-1)
    return content[:text_size], numbers.astype(np.int64, copy=False)


def _profile(catalog: ClassCatalog, meta: dict[str, Any], numbers: IntArray) -> PixelProfile:
    count, grid = len(catalog), _whole(meta["grid"])
    check_size(count, grid)
    if meta["digest"] != catalog.digest:
        raise ValueError("a pixel profile of another catalogue")
    shown, rows = _whole(meta["labels"]), [_whole(number) for number in meta["rows"]]
    lengths = [shown, shown * grid**2, 2 * count, count]
    lengths += [length for row in rows for length in (row, row)]
    if len(rows) != len(_PAIRS) or shown > count + 1 or sum(lengths) != numbers.size:
        raise ValueError("a pixel profile whose parts do not fit")
    parts = iter(np.split(numbers, np.cumsum(lengths)[:-1]))
    labels = next(parts)
    _demand((np.diff(labels, prepend=-1) > 0).all() and (labels <= count).all())
    heat = np.zeros((count + 1, grid, grid), np.int64)
    heat[labels] = next(parts).reshape(shown, grid, grid)
    moments, frame = next(parts).reshape(count, 2).copy(), next(parts).copy()
    tables = {name: _table(parts) for name in _PAIRS}
    profile = PixelProfile(
        catalog,
        grid,
        _whole(meta["masks"]),
        (_whole(meta["extent"][0]), _whole(meta["extent"][1])),
        _pixels(heat, labels, grid),
        heat,
        moments,
        frame,
        _adjacency(tables["edges"], count),
        Components(count, tables["four_sizes"], tables["four_in_mask"]),
        Components(count, tables["eight_sizes"], tables["eight_in_mask"]),
        _sides(tables["sides"], count),
        tuple(
            tuple(
                SmallComponent(_whole(pixels), str(mask), _whole(y), _whole(x))
                for pixels, mask, y, x in found
            )
            for found in meta["smallest"]
        ),
    )
    check(profile)
    return profile


def _whole(value: object) -> int:
    """A whole number from JSON that a profile may hold."""
    if not isinstance(value, int) or not 0 <= value <= MAX_NUMBER:
        raise ValueError("not a pixel profile")
    return value


def _demand(holds: object) -> None:
    if not holds:
        raise ValueError("a pixel profile whose numbers contradict each other")


def _table(parts: Iterator[IntArray]) -> CountTable:
    keys, counts = next(parts).copy(), next(parts).copy()
    _demand((keys >= 0).all() and (np.diff(keys) > 0).all() and (counts > 0).all())
    _demand((counts <= MAX_PIXELS).all())
    return CountTable(keys, counts)


def _pixels(heat: IntArray, labels: IntArray, grid: int) -> IntArray:
    """Pixels of each label from its heat map."""
    # Each cell below this, no sum of them can leave 64 bits.
    _demand((heat >= 0).all() and (heat <= np.iinfo(np.int64).max // grid**2).all())
    whole, rest = np.divmod(heat.sum(axis=(1, 2)), grid**2)
    _demand((rest == 0).all() and (whole[labels] > 0).all())
    return np.asarray(whole, np.int64)


def _adjacency(edges: CountTable, count: int) -> IntArray:
    first, second = edges.classes, edges.numbers
    _demand((first < second).all() and (second <= count).all())
    table = np.zeros((count + 1, count + 1), np.int64)
    table[first, second] = table[second, first] = edges.counts
    return table


def _sides(found: CountTable, count: int) -> IntArray:
    _demand((found.classes < count).all() and (found.numbers < 2 * SIDE_BINS).all())
    table = np.zeros((count, 2 * SIDE_BINS), np.int64)
    table[found.classes, found.numbers] = found.counts
    return table.reshape(count, 2, SIDE_BINS)


def check(profile: PixelProfile) -> None:
    """Raise ValueError where the parts of a profile contradict each other."""
    pixels, count = profile.class_pixels, len(profile.catalog)
    # A pixel has four edges, and every edge between two labels is an edge of both. Neither sum
    # below overflows: counts are up to MAX_PIXELS, and of up to MAX_CLASSES labels.
    _demand(((profile.frame >= 0) & (profile.frame <= 4 * pixels)).all())
    _demand((profile.adjacency.sum(axis=1) <= 4 * profile.pixels).all())
    _demand((profile.outline <= 4 * pixels).all())
    limit = pixels[:, None] << MOMENT_BITS
    _demand(((profile.moments >= 0) & (profile.moments <= limit)).all())
    _demand((profile.mask_count == 0) == (profile.extent == (0, 0)))
    for components in (profile.four, profile.eight):
        for table in (components.sizes, components.in_mask):
            _demand((table.classes < count).all() and (table.numbers > 0).all())
        sizes = components.sizes
        # Each product is checked before sums are formed, so that none overflows.
        _demand((sizes.numbers <= pixels[sizes.classes] // sizes.counts).all())
        _demand(_same_sums(sizes, pixels))
        in_mask, found = components.in_mask, components.counts
        _demand((in_mask.numbers <= found[in_mask.classes] // in_mask.counts).all())
        _demand(_same_sums(in_mask, found))
        _demand((components.masks <= profile.mask_count).all())
    _demand((profile.sides.sum(axis=2) == profile.components[:, None]).all())
    _demand(len(profile.smallest) == count)
    for k, found_smallest in enumerate(profile.smallest):
        numbers, counts = profile.eight.sizes.of_class(k)
        first = np.repeat(numbers[:SMALLEST], np.minimum(counts[:SMALLEST], SMALLEST))[:SMALLEST]
        _demand([component.pixels for component in found_smallest] == first.tolist())
        _demand(smallest_of(found_smallest) == found_smallest)


def _same_sums(table: CountTable, expected: IntArray) -> bool:
    """Whether the numbers of each class sum to `expected`, without overflow on the way."""
    products = table.numbers * table.counts
    high, low = np.zeros_like(expected), np.zeros_like(expected)
    np.add.at(high, table.classes, products >> 24)
    np.add.at(low, table.classes, products & 0xFFFFFF)
    same = (high + (low >> 24) == expected >> 24) & (low & 0xFFFFFF == expected & 0xFFFFFF)
    return bool(same.all())
