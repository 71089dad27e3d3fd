"""What a user may say about how masks are to be read, and how a tally says that it was heeded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import fspath
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import Blank, MaskError, ParameterError, argument
from maskstat.kernels.runs import add_up
from maskstat.memory import ask_memory
from maskstat.naming import printable, storable
from maskstat.parameters import check_word
from maskstat.readers.channels import labels_of_colours
from maskstat.readers.choices import CHANNEL, CHANNELS, DIVISORS, Channel, is_multilabel
from maskstat.readers.index_channel import indices_of
from maskstat.readers.plugin_readers import is_of_plugin, is_outdated
from maskstat.readers.spacing import SPATIAL
from maskstat.values.tally import KEPT_IDS, LABELS, NO_NUMBER, Encoding, MaskTally

if TYPE_CHECKING:
    from maskstat.readers.panoptic import Panoptic

Pages = Literal["all", "each"] | int
STACKED = frozenset(
    {"tiff", "npy", "npz", "zarr", "nifti", "nrrd", "metaimage", "dicom", "hdf5", "matlab"}
)  # containers of pages and channels
# What a user says where a file alone does not say how it is read, and what a store records of it.
SAID = frozenset(
    {
        "pages",
        "channels",
        "channel",
        "array",
        "value_divisor",
        "divide_all",
        "panoptic",
        "per_class",
    }
)
_PAGES_READ: dict[object, str] = {"all": "all pages", "each": "each page"}
NAMED = frozenset({"npz", "zarr", "hdf5", "matlab", "pytorch"})  # containers of named arrays


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the user allows and says.

    Attributes:
        allow_lossy: read formats whose compression may have changed labels.
        colours: whether a catalogue with colours is at hand to explain RGB masks.
        pages: "all" pages of a TIFF, planes of an array or volumes of a series as one mask, the
            number of one, from 1, or "each" plane, page or slice as a mask of its own, which
            `formats.open_planes` opens; None where a file holds one mask.
        channels: "one-hot", "bitmask" or "multilabel", how several channels make one value; with
            "-first" where an array's channels are its first axis rather than its last.
        channel: where a mask of indices is stored as colours: "r" has the index in red, "grey" in
            every channel, "ade20k" in red and green; what is no colours is read as it is.
        array: which array of a file that has several.
        value_divisor: N, where a value is class * N + instance: value // N is counted. Values
            below N are classes already, as in Cityscapes, unless `divide_all`.
        panoptic: what the segments of COCO panoptic PNGs are; categories are counted.
        knows_zero: whether a class has the value 0, or it is ignored: where a file calls 0 nodata.
        per_class: whether an image has a file for each class, of which its mask is drawn.
    """

    allow_lossy: bool = False
    colours: bool = False
    pages: Pages | None = None
    channels: str | None = None
    channel: Channel | None = None
    array: str | None = None
    value_divisor: int | None = None
    divide_all: bool = False
    panoptic: Panoptic | None = None
    knows_zero: bool = False
    per_class: bool = False

    @classmethod
    def of(
        cls, reading: Mapping[str, object], *, allow_lossy: bool = False, colours: bool = False
    ) -> ReadOptions:
        """Check what the user said, by the names in `SAID`, and load what it names.

        Raises:
            ParameterError: an option means nothing, or not beside another one.
            FileFormatError: the panoptic file is none.
            TypeError: there is no such option.
        """
        unknown = reading.keys() - SAID
        if unknown:
            raise TypeError(f"there is no option {min(unknown)!r}")
        divisor = reading.get("value_divisor")
        divide_all = bool(reading.get("divide_all"))
        if isinstance(divisor, str) and divisor in DIVISORS:
            divisor, by_name = DIVISORS[divisor]
            divide_all |= by_name
        if divisor is not None and (not isinstance(divisor, int) or not 1 < divisor < 1 << 62):
            raise ParameterError(
                f"is a whole number from 2 to {(1 << 62) - 1}, or one of {', '.join(DIVISORS)},"
                f" not {printable(repr(divisor))}",
                parameter="value_divisor",
            )
        if divide_all and divisor is None:
            needed = argument("value_divisor", Blank("N"))
            raise ParameterError(f"needs {needed}", parameter="divide_all")
        channels = reading.get("channels")
        if channels is not None:
            channels = check_word(channels, CHANNELS, parameter="channels")
        channel = reading.get("channel")
        if channel is not None:
            channel = check_word(channel, CHANNEL, parameter="channel")
        if is_multilabel(channels) and divisor is not None:
            raise ParameterError(
                f"divides ids, and {argument('channels', channels)} has none",
                parameter="value_divisor",
            )
        array = reading.get("array")
        panoptic = reading.get("panoptic")
        if panoptic is not None and divisor is not None:
            raise ParameterError(
                "its file says what ids mean",
                parameter="panoptic",
                remedy=f"leave out {argument('value_divisor')}",
            )
        for other in ("channels", "panoptic"):
            if channel is not None and reading.get(other) is not None:
                raise ParameterError(
                    f"{argument(other)} says what channels are",
                    parameter="channel",
                    remedy="leave out one of them",
                )
        per_class = bool(reading.get("per_class"))
        for other in ("pages", "channels", "value_divisor", "panoptic"):
            if per_class and reading.get(other) is not None:
                raise ParameterError(
                    f"a file is of one class, and {argument(other)} of files that hold several",
                    parameter="per_class",
                    remedy="leave out one of them",
                )
        return cls(
            allow_lossy,
            colours,
            _pages(reading.get("pages")),
            channels,
            channel,
            None if array is None else str(array).strip("/"),
            divisor,
            divide_all,
            None if panoptic is None else _load_panoptic(fspath(str(panoptic))),
            per_class=per_class,
        )

    @property
    def recorded(self) -> dict[str, object]:
        """What `of` makes these options from again, as far as the user said something; for JSON."""
        said: dict[str, object] = {
            "pages": self.pages,
            "channels": self.channels,
            "channel": self.channel,
            "array": self.array,
            "value_divisor": self.value_divisor,
            "divide_all": self.divide_all,
            "panoptic": None if self.panoptic is None else self.panoptic.file,
            "per_class": self.per_class,
        }
        return {key: value for key, value in said.items() if value not in (None, False)}

    @property
    def _as_stored(self) -> bool:
        """Whether values are those of the files, whatever these are."""
        said = (self.channels, self.channel, self.value_divisor, self.panoptic)
        return said == (None,) * 4 and self.pages is None and self.array is None

    def of_masks(self, names: Sequence[str]) -> ReadOptions:
        """These options as far as they concern masks of these names."""
        if self.panoptic is None:
            return self
        return replace(self, panoptic=self.panoptic.of_masks(names))

    def reading(self, container: str, *, colour: bool) -> str:
        """What of these options concerns a mask, in words: what `Encoding.reading` then is.

        A mask that a store holds with other words has to be read again.
        """
        words: list[str] = []
        stacked = container.split()[0] in STACKED or is_of_plugin(container)
        if stacked and self.pages is not None:
            words.append(_PAGES_READ.get(self.pages, f"page {self.pages}"))
        if self.channels is not None and (stacked or is_multilabel(self.channels)):
            words.append(self.channels)
        if self.channel is not None:
            words.append(f"channel {self.channel}")
        if container in NAMED and self.array is not None:
            words.append(f"array {printable(storable(self.array))}")
        if self.value_divisor is not None and not colour:
            words.append(f"{'all ' if self.divide_all else ''}ids // {self.value_divisor}")
        if self.panoptic is not None:
            words.append(f"panoptic {self.panoptic.digest[:12]}")
        return ", ".join(words)

    def refuses(self, encoding: Encoding) -> bool:
        """Whether a mask that was counted before must be read again under these options."""
        if encoding.is_lossy and not self.allow_lossy:
            return True
        if encoding.is_colour and not self.colours:
            return True
        if encoding.nodata == 0 and not self.knows_zero:
            return True
        if encoding.voxel is None and encoding.container in SPATIAL:  # a store of before schema 10
            return True
        if is_of_plugin(encoding.container) and is_outdated(encoding.container):
            return True
        reading = self.reading(encoding.container, colour=encoding.is_colour)
        return encoding.reading.removesuffix(KEPT_IDS) != reading

    def interpreted(self, tally: MaskTally) -> MaskTally:
        """The tally as these options have it: indices for colours, ids divided, or segments as
        their categories.

        Raises:
            MaskError: no indices in its colours; no panoptic PNG, or one with segments that its
                file does not know.
        """
        if self._as_stored:  # most masks come this way
            return tally
        if tally.encoding.is_colour and (self.channel is not None or self.labels):
            found, encoding = self._of_colours(tally.values, tally.encoding)
            sums = add_up(found.astype(np.int64, copy=False), tally.counts)
            tally = MaskTally(tally.name, tally.shape, encoding, *sums)
        self._demand_labels(tally.encoding)
        reading = self.reading(tally.encoding.container, colour=tally.encoding.is_colour)
        if not reading:
            return tally
        if self.panoptic is not None:
            encoding = Encoding(tally.encoding.container, "int", 64, reading)
            _check_panoptic(tally.encoding)
            values = self.panoptic.categories_of(tally.name, tally.values, tally.counts)
        else:
            kept = KEPT_IDS if self._keeps(tally.values, tally.encoding) else ""
            nodata = self._nodata(tally.encoding)
            encoding = tally.encoding._replace(reading=reading + kept, nodata=nodata)
            values = self._divided(tally.values, tally.encoding).astype(np.int64, copy=False)
        if values is tally.values:
            return MaskTally(tally.name, tally.shape, encoding, tally.values, tally.counts)
        return MaskTally(tally.name, tally.shape, encoding, *add_up(values, tally.counts))

    def interpreted_pixels(
        self, pixels: NDArray[np.integer], encoding: Encoding, name: str
    ) -> tuple[NDArray[np.integer], Encoding]:
        """The same of pixels (H, W) of raw values."""
        if encoding.is_colour and (self.channel is not None or self.labels):
            pixels, encoding = self._of_colours(pixels, encoding)
        self._demand_labels(encoding)
        reading = self.reading(encoding.container, colour=encoding.is_colour)
        if self.panoptic is not None:
            _check_panoptic(encoding)
            ask_memory(32 * pixels.size)
            values, inverse, counts = np.unique(pixels, return_inverse=True, return_counts=True)
            known = self.panoptic.categories_of(name, values.astype(np.int64), counts)
            return known[inverse.reshape(pixels.shape)], Encoding(
                encoding.container, "int", 64, reading
            )
        nodata = self._nodata(encoding)
        return self._divided(pixels, encoding), encoding._replace(reading=reading, nodata=nodata)

    @property
    def labels(self) -> bool:
        """Whether every mask is read as channels that are labels."""
        return is_multilabel(self.channels)

    def _of_colours(
        self, colours: NDArray[np.integer], encoding: Encoding
    ) -> tuple[NDArray[np.integer], Encoding]:
        """The indices that stand in colours, or the labels. Raises MaskError."""
        if self.channel == "ade20k" and encoding.samples == "greyalpha":
            raise MaskError(f"{encoding}: no mask of ADE20K's")
        if self.channel is not None:
            bits = 16 if self.channel == "ade20k" else encoding.bits
            indices = indices_of(colours, self.channel)
            return indices, encoding._replace(samples="grey", bits=bits)
        if encoding.is_lossy or encoding.samples == "greyalpha":
            raise MaskError(f"{encoding}: no stack of labels")
        ask_memory(64 * colours.size)
        return labels_of_colours(colours), encoding._replace(samples=LABELS, bits=3)

    def _demand_labels(self, encoding: Encoding) -> None:
        """Raise MaskError where channels should be labels, and there are none."""
        if self.labels and not encoding.is_multilabel:
            raise MaskError(
                f"{encoding}: one channel, where {argument('channels', self.channels)} expects one"
                " for each label"
            )

    def _keeps(self, values: NDArray[np.int64], encoding: Encoding) -> bool:
        """Whether a value would be another one if all were divided."""
        if self.value_divisor is None or self.divide_all or encoding.is_colour:
            return False
        small = values[values < self.value_divisor]
        if encoding.nodata is not None:
            small = small[small != encoding.nodata]
        return bool((small // self.value_divisor != small).any())

    def _divided(self, values: NDArray[np.integer], encoding: Encoding) -> NDArray[np.integer]:
        if self.value_divisor is None or encoding.is_colour:
            return values
        ask_memory(24 * values.size)
        wide = values.astype(np.int64)
        divided: NDArray[np.int64] = wide // self.value_divisor
        if not self.divide_all:
            divided = np.where(wide < self.value_divisor, wide, divided)
        if (nodata := self._nodata(encoding)) is not None:
            divided = np.where(wide == encoding.nodata, nodata, divided)
        return divided

    def _nodata(self, encoding: Encoding) -> int | None:
        """Its raw value where ids are divided: never that of a class that is none."""
        nodata, divisor = encoding.nodata, self.value_divisor
        if nodata is None or divisor is None:
            return nodata
        stays = nodata < divisor and not self.divide_all
        return nodata if stays or nodata == 0 else NO_NUMBER


def _check_panoptic(encoding: Encoding) -> None:
    if encoding.samples not in {"rgb", "rgba"}:
        raise MaskError(
            f"{encoding} where {argument('panoptic')} expects segment ids as RGB colours"
        )


def _pages(given: object) -> Pages | None:
    if given is None:
        return None
    if given == "all" or given == "each":
        return given
    text = "1" if given == "first" else str(given)
    if re.fullmatch(r"[1-9][0-9]{0,8}", text):
        return int(text)
    raise ParameterError(
        f"is each, all, first, or the number of a page from 1, not {printable(repr(text))}",
        parameter="pages",
    )


def _load_panoptic(path: str) -> Panoptic:
    from maskstat.readers.panoptic import load_panoptic

    return load_panoptic(path)
