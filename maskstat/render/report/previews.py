"""Which masks are pictured, and their pictures: small maps of class indices, and thumbnails.

Files are read again for that, each once and several at a time. A file that is gone, can't be read
or no longer has the scan's counts gets no picture.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import FileFormatError, MaskError
from maskstat.naming import percent, printable
from maskstat.readers.tallying import count_pixels
from maskstat.render.report.palette_png import Colour, data_uri, palette_png, rgb
from maskstat.scanning.duplicates import in_parallel
from maskstat.scanning.mask_reader import Reader
from maskstat.values.catalog import ClassCatalog
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray, TallyTable

_compress: Callable[[bytes, int], bytes | bytearray] = zlib.compress
try:
    import deflate
except ImportError:
    pass
else:  # in a third of the time, and a little smaller
    _compress = deflate.zlib_compress

if TYPE_CHECKING:
    from maskstat.scanning.stored_scan import StoredScan
    from maskstat.sources.base import Entry

SIDE = 240
_SMALLEST_SIDE = 60
_LARGEST = 1 << 26  # pixels; larger masks are not decoded for a picture
_PIXELS = 1 << 29  # of all pictured masks together
_SAMPLED = 400  # masks pictured, and more only where classes would else have too few
_LISTED = 5
_VOID: Colour = (232, 235, 240)
_OTHERS: tuple[Colour, ...] = ((214, 218, 224), (196, 201, 209), (205, 209, 216))
_OUTLINE: Colour = (28, 32, 38)
_OWN, _EDGE = 4, 5  # places in a thumbnail's palette


class Thumb(NamedTuple):
    """A mask that shows a class: which of the class's masks it is, and its picture."""

    title: str
    share: str
    mask: str
    image: str


class Picks:
    """The masks of each class by how large it is in them.

    Shares are of all pixels of a mask, labelled or not.
    """

    def __init__(self, ledger: MaskLedger):
        self._rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
        # By class, then by falling share, then by mask, which entries are in order of.
        self.shares = ledger.pixels / np.maximum(ledger.areas[self._rows], 1)
        counts = np.bincount(ledger.classes, minlength=ledger.class_count)
        self._starts = np.concatenate(([0], np.cumsum(counts)))
        narrow = np.min_scalar_type(max(ledger.class_count, 1) - 1)  # sorted by radix
        self._order = np.argsort(ledger.classes.astype(narrow), kind="stable")
        less = -self.shares[self._order]
        for start, stop in pairwise(self._starts.tolist()):
            within = np.argsort(less[start:stop], kind="stable")
            self._order[start:stop] = self._order[start:stop][within]

    def of(self, k: int) -> IntArray:
        """Entries of the ledger, the largest share first."""
        return self._order[self._starts[k] : self._starts[k + 1]]

    def rows(self, k: int) -> IntArray:
        """Masks with the class, in the same order."""
        return self._rows[self.of(k)]

    def largest(self, k: int) -> list[tuple[int, float]]:
        """The first masks of the class: (row, share)."""
        entries = self.of(k)[:_LISTED]
        return list(zip(self._rows[entries].tolist(), self.shares[entries].tolist(), strict=True))

    def shown(self, k: int) -> list[tuple[str, int, float]]:
        """Up to three masks for its card, (title, row, share): most, median and fewest pixels."""
        entries = self.of(k)
        places = {"most": 0, "median": entries.size // 2, "fewest": entries.size - 1}
        titles = list(places) if entries.size > 2 else list(places)[: entries.size]
        if entries.size == 2:
            titles = ["most", "fewest"]
        return [
            (title, int(self._rows[entries[at]]), float(self.shares[entries[at]]))
            for title, at in ((title, places[title]) for title in titles)
        ]


@dataclass(frozen=True)
class Previews:
    """Pictures of masks.

    Attributes:
        rows: int64[n], the pictured masks, ascending.
        maps: class indices [h, w] of each, K where a pixel has no class.
        thumbs: pictures for the cards, by class.
    """

    rows: IntArray
    maps: Sequence[NDArray[Any]]
    thumbs: Mapping[int, Sequence[Thumb]]


def sample(ledger: MaskLedger, picks: Picks, classes: Iterable[int], least: int) -> IntArray:
    """int64[n], masks to picture, ascending: all of few, else some of every class.

    Of each class those for its card, and at least `least` masks of it where it has so many; then
    masks at even distances. Fewer where they would be too many pixels to decode.
    """
    total = len(ledger)
    fits = ledger.areas <= _LARGEST
    if total <= _SAMPLED:
        chosen = np.flatnonzero(fits)
    else:
        taken = np.zeros(total, bool)
        for k in sorted(classes, key=lambda k: picks.of(k).size):
            rows = picks.rows(k)
            taken[[row for _, row, _ in picks.shown(k)]] = True
            lacking = least - int(np.count_nonzero(taken[rows]))
            if lacking > 0:
                others = rows[~taken[rows]]
                steps = np.arange(min(lacking, others.size)) * others.size
                taken[others[steps // max(1, min(lacking, others.size))]] = True
        room = _SAMPLED - int(taken.sum())
        if room > 0:
            left = np.flatnonzero(~taken)
            taken[left[np.arange(room) * left.size // room]] = True
        chosen = np.flatnonzero(taken & fits)
    pixels = int(ledger.areas[chosen].sum())
    if pixels > _PIXELS:
        keep = max(1, chosen.size * _PIXELS // pixels)
        chosen = chosen[np.arange(keep) * chosen.size // keep]
    return chosen


def draw(
    scan: StoredScan,
    picks: Picks,
    rows: IntArray,
    classes: Sequence[int],
    colours: Sequence[str],
    side: int,
) -> Previews:
    """Read these masks' files.

    Args:
        scan: of the files.
        picks: of its ledger.
        rows: the masks.
        classes: those that get thumbnails.
        colours: "#rrggbb" of every class.
        side: the longer side of a thumbnail at most, in pixels.

    Raises:
        SourceError: the source is gone.
    """
    ledger = scan.ledger
    try:
        reader = Reader(replace(scan.read_options, colours=scan.catalog.has_colours))
    except FileFormatError:  # the file that says what segments are is gone
        return Previews(rows[:0], (), {})
    wanted = {ledger.names[row]: row for row in rows.tolist()}
    shown: dict[int, list[tuple[int, str, float]]] = {}
    for k in classes:
        for title, row, share in picks.shown(k):
            shown.setdefault(row, []).append((k, title, share))

    def pictured(entry: Entry) -> tuple[NDArray[Any], list[tuple[int, Thumb]]] | None:
        row = wanted[entry.name]
        read = _class_map(scan.catalog, entry, reader)
        if read is None or not _as_counted(ledger, row, read[0].size, read[1]):
            return None
        classes = read[0]
        count, name = ledger.class_count, printable(entry.name)
        small = _resized(classes, SIDE)
        thumbs = [
            (k, Thumb(title, percent(share), name, thumbnail(classes, k, colours[k], side)))
            for k, title, share in shown.get(row, ())
        ]
        plain = np.where(small < 0, count, small).astype(np.uint8 if count < 256 else np.uint16)
        return plain, thumbs

    entries = [entry for entry in scan.entries() if entry.name in wanted]
    found: dict[int, NDArray[Any]] = {}
    thumbs: dict[int, list[Thumb]] = {}
    for entry, made in in_parallel(pictured, entries):
        if made is not None:
            found[wanted[entry.name]] = made[0]
            for k, thumb in made[1]:
                thumbs.setdefault(k, []).append(thumb)
    order = ("most", "median", "fewest")
    for several in thumbs.values():
        several.sort(key=lambda thumb: order.index(thumb.title))
    kept = np.array(sorted(found), np.int64)
    return Previews(kept, [found[row] for row in kept.tolist()], thumbs)


def fitted(previews: Previews, budget: int) -> tuple[Previews, bytes]:
    """The previews as large as `budget` bytes hold them, deflated, and these bytes.

    Where even small ones are too many, some are left out at even distances.
    """
    side, maps = SIDE, list(previews.maps)
    rows = previews.rows
    while True:
        packed = deflated(b"".join(m.astype(_stored(m)).tobytes() for m in maps), 9)
        if len(packed) <= budget or not maps:
            return Previews(rows, maps, previews.thumbs), packed
        if side > _SMALLEST_SIDE:
            side = max(_SMALLEST_SIDE, min(side - 8, int(side * (budget / len(packed)) ** 0.55)))
            maps = [_resized(m, side) for m in previews.maps]
        else:
            keep = np.arange(len(maps) * 3 // 4) * 4 // 3
            previews = Previews(
                previews.rows[keep], [previews.maps[at] for at in keep.tolist()], previews.thumbs
            )
            rows, maps = previews.rows, [_resized(m, side) for m in previews.maps]


def deflated(data: bytes, level: int) -> bytes:
    """A zlib stream, as browsers inflate it."""
    return bytes(_compress(data, level))


def _stored(small: NDArray[Any]) -> str:
    return "u1" if small.dtype == np.uint8 else "<u2"


def _class_map(
    catalog: ClassCatalog, entry: Entry, reader: Reader
) -> tuple[NDArray[np.int32], IntArray] | None:
    """int32[H, W] class indices, IGNORED or UNLISTED, and the pixels of each class, int64[K].

    None where the file can't be read.
    """
    try:
        pixels, encoding = reader.label_map(entry)
        tally = count_pixels(entry.name, pixels, encoding)
    except (MaskError, MemoryError, OSError):
        return None
    targets = catalog.targets(TallyTable.of([tally]))
    counts = np.zeros(len(catalog), np.int64)
    np.add.at(counts, targets[targets >= 0], tally.counts[targets >= 0])
    lowest, span = int(tally.values[0]), int(tally.values[-1] - tally.values[0])
    if span < 1 << 16:  # looked up, which is faster than searched for
        table = np.full(span + 1, -1, np.int32)
        table[tally.values - lowest] = targets
        places = np.asarray(pixels) if not lowest else np.asarray(pixels) - lowest
        return np.asarray(table[places]), counts
    return targets.astype(np.int32)[np.searchsorted(tally.values, pixels)], counts


def _as_counted(ledger: MaskLedger, row: int, size: int, counts: IntArray) -> bool:
    """Whether a mask of so many pixels, and so many of each class, is the one that was counted."""
    start, stop = ledger.indptr[row], ledger.indptr[row + 1]
    occurs = np.flatnonzero(counts)
    return bool(
        size == ledger.areas[row]
        and np.array_equal(occurs, ledger.classes[start:stop])
        and np.array_equal(counts[occurs], ledger.pixels[start:stop])
    )


def _resized(classes: NDArray[Any], side: int) -> NDArray[Any]:
    """[h, w], at most `side` high and wide, by the nearest pixel."""
    height, width = classes.shape
    longest = max(height, width)
    if longest <= side:
        return classes
    rows, columns = (
        (np.arange(count) * 2 + 1) * size // (2 * count)
        for size in (height, width)
        for count in (max(1, round(size * side / longest)),)
    )
    return classes[np.ix_(rows, columns)]


def _middles(classes: NDArray[Any], side: int) -> NDArray[Any]:
    """[h, w], at most `side` high and wide, by the middle pixel of each block."""
    height, width = classes.shape
    step = max(1, -(-max(height, width) // side))
    if step == 1:
        return classes
    rows = np.minimum(np.arange(-(-height // step)) * step + step // 2, height - 1)
    columns = np.minimum(np.arange(-(-width // step)) * step + step // 2, width - 1)
    return classes[np.ix_(rows, columns)]


def shrunk(classes: NDArray[Any], chosen: int, side: int) -> NDArray[Any]:
    """[h, w], at most `side` high and wide, by the middle pixel of each block.

    A block that holds the chosen class shows it, so that a single pixel of it is not lost.
    """
    height, width = classes.shape
    step = max(1, -(-max(height, width) // side))
    if step == 1:
        return classes
    small = _middles(classes, side)
    own = classes == chosen
    own = np.logical_or.reduceat(own, np.arange(0, height, step), axis=0)
    own = np.logical_or.reduceat(own, np.arange(0, width, step), axis=1)
    return np.where(own, chosen, small)


def thumbnail(classes: NDArray[Any], chosen: int, colour: str, side: int) -> str:
    """A PNG as a data URI: the class in its colour and outlined, others in light greys."""
    small = shrunk(classes, chosen, side)
    own = small == chosen
    places = np.where(small < 0, 3, small % 3).astype(np.uint8)
    places[_outline(own)] = _EDGE
    places[own] = _OWN
    palette = [*_OTHERS, _VOID, rgb(colour), _OUTLINE]
    return data_uri(palette_png(places, palette))


def _outline(own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[h, w], pixels outside that touch the class with an edge."""
    padded = np.pad(own, 1)
    near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return np.asarray(near & ~own)
