"""MaskTally: the raw value counts of one mask, before anything is known about classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import counted
from maskstat.showing import cut, one_line
from maskstat.values.sums import IntArray as IntArray
from maskstat.values.sums import multiplied

_Said = TypeVar("_Said")

_COLOUR_SAMPLES = frozenset({"rgb", "rgba", "greyalpha"})
_LOSSY_MARK = "lossy"
KEPT_IDS = ", some as they are"  # behind the reading of ids that are divided: some were classes
NO_NUMBER = 1 - (1 << 63)  # raw value of a nodata that is no label: no float has this value
NO_SPACING = 0.0  # the volume of a voxel whose file has a spacing, and none that can be
LABELS = "labels"  # the samples of a mask whose channels are labels
GREY = 0x010101  # a grey level times this is its colour


class Encoding(NamedTuple):
    """How a mask stores its pixels.

    `container` is the file format ("png", "tiff", ...; with " lossy" appended where its pixels were
    compressed with loss), `samples` one of grey, palette, bool, int, uint, float, rgb, rgba,
    greyalpha, labels, and `bits` the bits of one sample; of labels how many channels there are.
    `reading` says what else made values of samples ("page 2", "ids // 1000"), in words; it is empty
    where values are as stored. `nodata` is the raw value that the file itself says stands for no
    data (GDAL's tag of a TIFF), where a pixel has it; `NO_NUMBER` where that is no label at all,
    such as NaN. `voxel` is the volume of a voxel in mm³, as the file's spacing has it: `NO_SPACING`
    where it has none that can be, None where the format knows of no spacing, or nobody looked yet.
    """

    container: str
    samples: str
    bits: int
    reading: str = ""
    nodata: int | None = None
    voxel: float | None = None

    def __repr__(self) -> str:
        return one_line(self)

    @property
    def is_colour(self) -> bool:
        """Whether raw values are colours (0xRRGGBB) rather than indices."""
        return self.samples in _COLOUR_SAMPLES

    @property
    def lacks_grey(self) -> bool:
        """Whether the format has no grey mode, so that a grey label map comes as R = G = B."""
        return self.is_colour and self.container.startswith("webp")

    @property
    def is_lossy(self) -> bool:
        """Whether the file format may have changed the label values."""
        return self.container.endswith(_LOSSY_MARK)

    @property
    def is_eight_bit(self) -> bool:
        """Whether values are indices stored in 8 bits, where 255 is the usual ignore index."""
        return not self.is_colour and not self.is_multilabel and self.bits == 8

    @property
    def is_multilabel(self) -> bool:
        """Whether raw values are sums of 2^k over the labels k that a pixel has."""
        return self.samples == LABELS

    def lossy(self) -> Encoding:
        """The same encoding, marked as compressed with loss."""
        return self if self.is_lossy else self._replace(container=f"{self.container} {_LOSSY_MARK}")

    def __str__(self) -> str:
        # Two masks are of one kind whether one of them has ids that need no division or not.
        reading = self.reading.removesuffix(KEPT_IDS)
        extra = f", {reading}" if reading else ""
        if self.nodata is not None:
            value = "NaN or the like" if self.nodata == NO_NUMBER else self.nodata
            extra = f", nodata {value}{extra}"
        if self.is_multilabel:
            return f"{self.container} {counted(self.bits, 'label')}{extra}"
        return f"{self.container} {self.samples} {self.bits}-bit{extra}"

    def to_text(self) -> str:
        """The form kept in a store; `Encoding.from_text` reads it back."""
        extra = f";{self.reading}" if self.reading else ""
        nodata = "" if self.nodata is None else f"~{self.nodata}"
        voxel = "" if self.voxel is None else f"@{float(self.voxel)!r}"
        return f"{self.container}/{self.samples}/{self.bits}{nodata}{voxel}{extra}"

    @staticmethod
    @lru_cache(maxsize=256)
    def from_text(text: str) -> Encoding:
        """Read what `to_text` wrote."""
        stored, _, reading = text.partition(";")
        container, samples, bits = stored.rsplit("/", 2)
        bits, _, voxel = bits.partition("@")
        bits, _, nodata = bits.partition("~")
        return Encoding(
            container,
            samples,
            int(bits),
            reading,
            int(nodata) if nodata else None,
            float(voxel) if voxel else None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class MaskTally:
    """Raw value counts of one mask.

    Attributes:
        name: the mask's name within its source.
        shape: (height, width) in pixels. The slices of a volume, or the pages of a stack, stand one
            below the other: (slices x height, width).
        encoding: how the file stores pixels.
        values: int64[V], raw values that occur, ascending. Grey levels, palette *indices* or ids;
            for colour-coded masks 0xRRGGBB, plus (255 - alpha) << 24 so that an opaque pixel has
            the plain colour.
        counts: int64[V], pixels of each value, all >= 1; their sum is height x width.
    """

    name: str
    shape: tuple[int, int]
    encoding: Encoding
    values: IntArray
    counts: IntArray

    def __repr__(self) -> str:
        return one_line(
            self,
            cut(self.name),
            f"{self.shape[1]}×{self.shape[0]}",
            str(self.encoding),
            counted(self.values.size, "value"),
        )

    @property
    def area(self) -> int:
        """All pixels of the mask."""
        return self.shape[0] * self.shape[1]

    @classmethod
    def of_pixels(cls, name: str, pixels: NDArray[np.integer], encoding: Encoding) -> MaskTally:
        """Count a label map (H, W) of raw values the plain way."""
        values, counts = np.unique(pixels, return_counts=True)
        height, width = pixels.shape
        return cls(
            name, (height, width), encoding, values.astype(np.int64), counts.astype(np.int64)
        )

    @classmethod
    def of_bins(
        cls, name: str, shape: tuple[int, int], encoding: Encoding, bins: IntArray
    ) -> MaskTally:
        """From a dense histogram: bins[v] pixels have the raw value v."""
        values = bins.nonzero()[0]
        return cls(name, shape, encoding, values, bins[values])

    def check(self) -> None:
        """Raise ValueError where an invariant is broken (readers are tested against this)."""
        if self.values.dtype != np.int64 or self.counts.dtype != np.int64:
            raise ValueError("values and counts must be int64")
        if self.values.shape != self.counts.shape or self.values.ndim != 1:
            raise ValueError("values and counts must be 1-d and equally long")
        if (self.values[1:] <= self.values[:-1]).any():
            raise ValueError("values must ascend")
        if (self.counts < 1).any() or int(self.counts.sum()) != self.area:
            raise ValueError("counts must be positive and sum to the mask's area")


@dataclass(frozen=True, slots=True, eq=False)
class TallyTable:
    """The tallies of many masks in columns: what a store hands out a block at a time.

    Attributes:
        names: names of the B masks.
        shapes: int64[B, 2], height and width.
        encodings: B encodings.
        indptr: int64[B + 1]; mask b owns entries indptr[b]:indptr[b + 1].
        values, counts: int64[nnz], as in MaskTally.
    """

    names: tuple[str, ...]
    shapes: IntArray
    encodings: tuple[Encoding, ...]
    indptr: IntArray
    values: IntArray
    counts: IntArray

    @classmethod
    def of(cls, tallies: Iterable[MaskTally]) -> TallyTable:
        """Put tallies side by side."""
        rows = list(tallies)
        empty = [np.empty(0, np.int64)]
        return cls(
            tuple(row.name for row in rows),
            np.array([row.shape for row in rows], np.int64).reshape(-1, 2),
            tuple(row.encoding for row in rows),
            np.concatenate(([0], np.cumsum([row.values.size for row in rows], dtype=np.int64))),
            np.concatenate([row.values for row in rows] or empty),
            np.concatenate([row.counts for row in rows] or empty),
        )

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return one_line(self, counted(len(self), "mask"))

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        arrays = (self.shapes, self.indptr, self.values, self.counts)
        return sum(array.nbytes for array in arrays) + sum(map(len, self.names)) + 64 * len(self)

    def by_encoding(self, say: Callable[[Encoding], _Said]) -> list[_Said]:
        """What a function says of the encoding of each mask; it is asked once for each."""
        said = {encoding: say(encoding) for encoding in set(self.encodings)}
        return [said[encoding] for encoding in self.encodings]

    @property
    def areas(self) -> IntArray:
        """int64[B], all pixels of each mask. Raises CountOverflowError where one passes 2^63."""
        return multiplied(self.shapes[:, 0], self.shapes[:, 1])

    def index_values(self, *, eight_bit: bool) -> IntArray:
        """Raw values that occur in index masks (not in colour-coded ones), ascending.

        Of masks with 8 bits a pixel, where 255 is the usual ignore index, or of all others. What
        a mask's file calls nodata is none of its values. Those of labels are the numbers of the
        channels, from 0, whether one is set anywhere or not.
        """
        lengths = np.diff(self.indptr)
        counts = np.ones(self.values.size, bool)
        for row, encoding in enumerate(self.encodings):
            if encoding.nodata is not None:
                mine = slice(self.indptr[row], self.indptr[row + 1])
                counts[mine] = self.values[mine] != encoding.nodata

        labels = max((e.bits for e in self.encodings if e.is_multilabel), default=0)

        def values_of(chosen: list[bool]) -> IntArray:
            values: IntArray = self.values[np.repeat(np.array(chosen, bool), lengths) & counts]
            return values

        if not eight_bit:
            wide = self.by_encoding(
                lambda e: not (e.is_colour or e.is_eight_bit or e.is_multilabel)
            )
            return np.unique(np.concatenate([values_of(wide), np.arange(labels)]))
        colours = values_of(self.by_encoding(lambda e: e.lacks_grey))
        grey = colours[colours == (colours & 0xFF) * GREY] & 0xFF
        eight_bit_values = values_of(self.by_encoding(lambda e: e.is_eight_bit))
        return np.unique(np.concatenate([eight_bit_values, grey]))


def value_label(value: int, *, colour: bool) -> int | str:
    """A raw value as people write it: 7, "#804080", or "#80408000" where not opaque.

    A nodata that is no label (`NO_NUMBER`) is "nodata".
    """
    if not colour:
        return "nodata" if value == NO_NUMBER else value
    text = f"#{value & 0xFFFFFF:06x}"
    transparency = value >> 24
    return f"{text}{255 - transparency:02x}" if transparency else text
