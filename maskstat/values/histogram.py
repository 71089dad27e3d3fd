"""ClassHistogram: the totals of a dataset under one catalogue. Histograms add up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from maskstat.errors import UnknownCountsError
from maskstat.frames import data_frame
from maskstat.naming import counted, natural_key
from maskstat.showing import html, one_line
from maskstat.values.catalog import DEFAULT_IGNORE, IGNORED, UNLISTED, ClassCatalog
from maskstat.values.class_volumes import VoxelSizes
from maskstat.values.known import Known, known, of_shares
from maskstat.values.labels import Entries, beside, labels_of
from maskstat.values.ledger import MaskLedger
from maskstat.values.sums import added, total, within
from maskstat.values.tally import IntArray, TallyTable, value_label

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class ValueCount:
    """How often a raw value that is no class occurs.

    Attributes:
        pixels: pixels that have it.
        masks: masks that contain it.
        first: the first of them in natural order; None for ignored values, where nobody asks.
    """

    pixels: int
    masks: int
    first: str | None = None

    __repr__ = one_line

    def __add__(self, other: ValueCount) -> ValueCount:
        firsts = [name for name in (self.first, other.first) if name is not None]
        return ValueCount(
            self.pixels + other.pixels,
            self.masks + other.masks,
            min(firsts, key=natural_key, default=None),
        )


Values = Mapping[int | str, ValueCount]
Unit = Literal["pixels", "shares", "volume"]
Row = Literal["mask", "crop"]


@dataclass(frozen=True, eq=False)
class ClassHistogram:
    """Exact totals over a set of masks: an identity, `+`, and builtin `sum`.

    Totals that would pass 2^63 raise CountOverflowError.

    Of counts that somebody gave (`maskstat.from_counts`) only `catalog`, `pixels` and `unlisted`
    are always known. Reading any other raises UnknownCountsError where it is unknown: it is
    never 0 instead. `knows` and `known` ask first.

    Where classes are labels (`catalog.multilabel`), `pixels` are positives: a pixel counts for each
    label that it has, and `negatives` are the pixels that lack it. Every pixel that is neither
    ignored nor unlisted is labelled then, `frequency` is each label's share of those, and shares do
    not add up to one.

    Attributes:
        catalog: what the classes are (K of them).
        pixels: int64[K], pixels of each class; in proportion to them where `unit` is "shares".
        masks: int64[K], image count: masks that contain the class.
        image_pixels: int64[K], all pixels of those masks (MATLAB's ImagePixelCount).
        labelled_image_pixels: int64[K], labelled pixels of those masks.
        ignored: ignored raw value -> count. Colours are keyed "#rrggbb", index values by int.
        unlisted: the same for values that are neither a class nor ignored.
        mask_count: masks counted.
        single_class_masks: masks with exactly one class.
        unlabelled_masks: masks without one labelled pixel.
        total_pixels: all pixels. Always pixels.sum() + ignored + unlisted; of labels (see below)
            pixels + negatives + ignored + unlisted for each.
        unit: "shares" where only the shares of classes are known: `pixels` are then whole numbers
            that have these shares, and of how many pixels is unknown. "volume" where `pixels`,
            `image_pixels` and `labelled_image_pixels` are in proportion to volumes (see
            `maskstat.Scan.by_volume`); all else counts pixels there, too.
        seen: what lies between masks and these counts, in words, where they are of what training
            sees: what is called a mask above is a crop then. "" where they are of masks.
        voxels: how large voxels are, of masks whose files say it.
    """

    catalog: ClassCatalog
    pixels: IntArray
    masks: Known[IntArray] = Known()
    image_pixels: Known[IntArray] = Known()
    labelled_image_pixels: Known[IntArray] = Known()
    ignored: Known[Values] = Known()
    unlisted: Values = field(default_factory=dict)
    mask_count: Known[int] = Known()
    single_class_masks: Known[int] = Known()
    unlabelled_masks: Known[int] = Known()
    total_pixels: Known[int] = Known()
    unit: Unit = "pixels"
    seen: str = ""
    voxels: VoxelSizes = field(default_factory=VoxelSizes)

    def __post_init__(self) -> None:
        total(self.pixels)  # so that no sum of some of them wraps round
        within(known(self, "total_pixels") or 0)

    def __repr__(self) -> str:
        masks, pixels = known(self, "mask_count"), known(self, "total_pixels")
        pixels = int(self.pixels.sum()) if pixels is None else pixels
        return one_line(
            self,
            counted(len(self.catalog), "class"),
            "unknown masks" if masks is None else counted(masks, self.row),
            counted(pixels, "pixel") if self.unit == "pixels" else self.unit,
        )

    def _repr_html_(self) -> str | None:
        return html(self)

    @classmethod
    def empty(cls, catalog: ClassCatalog) -> ClassHistogram:
        """The identity of `+`: no masks."""
        zeros = _read_only(np.zeros(len(catalog), np.int64))
        return cls(catalog, zeros, zeros, zeros, zeros, {}, {}, 0, 0, 0, 0)

    @classmethod
    def of(
        cls, catalog: ClassCatalog, table: TallyTable, ledger: MaskLedger | None = None
    ) -> ClassHistogram:
        """The totals of raw tallies under a catalogue (`ledger`: theirs, where at hand)."""
        total_pixels = total(table.areas)  # no sum below is larger
        ignored, unlisted = _beside_classes(catalog, table)
        ledger = MaskLedger.of(catalog, table) if ledger is None else ledger
        per_mask = ledger.class_counts
        mask_of_entry = np.repeat(np.arange(len(ledger)), per_mask)

        def per_class(weights: IntArray) -> IntArray:
            # np.bincount sums weights in float64, which is not exact beyond 2**53.
            sums = np.zeros(len(catalog), np.int64)
            np.add.at(sums, ledger.classes, weights)
            return _read_only(sums)

        return cls(
            catalog,
            per_class(ledger.pixels),
            per_class(np.ones_like(ledger.pixels)),
            per_class(ledger.areas[mask_of_entry]),
            per_class(ledger.labelled[mask_of_entry]),
            ignored,
            unlisted,
            len(table),
            int((per_mask == 1).sum()),
            int((per_mask == 0).sum()),
            total_pixels,
            voxels=VoxelSizes.of(table),
        )

    def __add__(self, other: object) -> ClassHistogram:
        if not isinstance(other, ClassHistogram):
            return NotImplemented
        if self.catalog.digest != other.catalog.digest:
            raise ValueError("histograms of different catalogues do not add")
        if known(other, "total_pixels") == 0:
            return self
        if known(self, "total_pixels") == 0:
            return other
        if self.seen != other.seen:
            raise ValueError("counts of masks and of what training sees of them do not add")
        if {"shares", "volume"} & {self.unit, other.unit}:
            raise UnknownCountsError(
                "shares do not add: the number of pixels they are of is unknown"
            )

        def both(name: str) -> Any:
            mine, others = known(self, name), known(other, name)
            if mine is None or others is None:
                return None  # what one side does not know, nobody knows of both
            if isinstance(mine, Mapping):
                return _merged(mine, others)
            if isinstance(mine, np.ndarray):
                return _read_only(added(mine, others))
            return mine + others

        names = [f.name for f in fields(self) if f.name not in {"catalog", "unit", "seen"}]
        return ClassHistogram(self.catalog, **{name: both(name) for name in names}, seen=self.seen)

    def __radd__(self, other: object) -> ClassHistogram:
        return self if other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClassHistogram):
            return NotImplemented
        return self.catalog.digest == other.catalog.digest and all(
            np.array_equal(mine, others)
            if isinstance(mine, np.ndarray) and others is not None
            else mine is others or (type(mine) is type(others) and mine == others)
            for f in fields(self)
            if f.name != "catalog"
            for mine, others in [(known(self, f.name), known(other, f.name))]
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def row(self) -> Row:
        """What is counted: "mask", or "crop" where counts are of what training sees."""
        return "crop" if self.seen else "mask"

    @property
    def unknown(self) -> tuple[str, ...]:
        """The attributes that are unknown; none where masks were counted."""
        names = tuple(f.name for f in fields(self) if known(self, f.name) is None)
        return (*names, "labelled_pixels") if self.unit == "shares" else names

    @property
    def labelled_pixels(self) -> int:
        """N: pixels that belong to a class. Raises UnknownCountsError where they are shares."""
        if self.unit == "shares":
            raise of_shares()
        if self.catalog.multilabel or self.unit == "volume":
            return self.total_pixels - self.ignored_pixels - self.unlisted_pixels
        return int(self.pixels.sum())

    @property
    def negatives(self) -> IntArray:
        """int64[K], labelled pixels that are not of each class (of labels: that lack it)."""
        return _read_only(self.labelled_pixels - self.pixels)

    @property
    def ignored_pixels(self) -> int:
        """Pixels whose value is ignored."""
        return sum(count.pixels for count in self.ignored.values())

    @property
    def void_by_default(self) -> ValueCount | None:
        """Pixels of 255 that are ignored although nobody said so; None where there are none."""
        if DEFAULT_IGNORE in self.catalog.ignored_values:
            return None
        ignored = known(self, "ignored") or {}
        # "#ffffff" is the grey level 255 of a format without grey; listed colours have no default.
        labels = [DEFAULT_IGNORE] if self.catalog.has_colours else [DEFAULT_IGNORE, "#ffffff"]
        counts = [
            count
            for label, count in ignored.items()
            if label in labels and 0xFFFFFF not in self.catalog.ignored_colours
        ]
        return sum(counts[1:], counts[0]) if counts else None

    @property
    def doubtful_255(self) -> ValueCount | None:
        """`void_by_default`, where a declared class has no pixel."""
        inferred = self.catalog.origin == "inferred"  # nobody declared anything
        return None if inferred or self.present.all() else self.void_by_default

    @property
    def probable_255(self) -> ValueCount | None:
        """`doubtful_255`, where 255 is as likely that class as void.

        255 is one value and the largest, so it would be one class, and the last: where that alone
        has no pixel, as many values occur as classes are declared. Where the first has none, masks
        may be drawn on white; where one at most has pixels, they are binary, whatever was declared.
        Nobody draws a class between two others as 255; and where several have none, some lack
        whatever 255 is, as in any few masks of Pascal VOC.
        """
        absent = np.flatnonzero(~self.present)
        first, others = 0 in absent, self.present.sum() > 1
        only_last = absent.tolist() == [len(self.catalog) - 1]
        return None if others and not first and not only_last else self.doubtful_255

    @property
    def unlisted_pixels(self) -> int:
        """Pixels whose value is neither a class nor ignored."""
        return sum(count.pixels for count in self.unlisted.values())

    @property
    def frequency(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """float64[K], pixel frequency p_c = n_c / N; zeros where nothing is labelled."""
        if self.catalog.multilabel:
            return self.pixels / max(self.labelled_pixels, 1)
        return self.pixels / max(int(self.pixels.sum()), 1)

    @property
    def present(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """bool[K], classes that occur."""
        return self.pixels > 0

    def to_pandas(self) -> DataFrame:
        """A row a class: index, pixels, masks, image_pixels, frequency; what is known of these.

        Of labels negatives as well.

        Raises MissingExtraError where pandas is not installed.
        """
        shares = self.unit != "pixels"  # numbers in proportion to something are none of pixels
        names = ("masks",) if shares else ("pixels", "masks", "image_pixels")
        columns = {name: known(self, name) for name in names}
        return data_frame(
            {
                "index": np.arange(len(self.catalog)),
                **{name: column for name, column in columns.items() if column is not None},
                **({"negatives": self.negatives} if self.catalog.multilabel else {}),
                "frequency": self.frequency,
            },
            {"class": self.catalog.names},
        )

    def to_text(self) -> str:
        """The totals as JSON, for a store to keep beside the tallies they were added up from."""
        document: dict[str, object] = {
            f.name: value.tolist() if isinstance(value, np.ndarray) else value
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), (np.ndarray, int))
        }
        for what, values in (("ignored", self.ignored), ("unlisted", self.unlisted)):
            document[what] = [
                [value, count.pixels, count.masks, count.first] for value, count in values.items()
            ]
        if self.voxels.masks:
            document["voxels"] = astuple(self.voxels)
        return json.dumps(document)

    @classmethod
    def from_text(cls, catalog: ClassCatalog, text: str) -> ClassHistogram:
        """What `to_text` wrote for this catalogue. Raises ValueError or KeyError otherwise."""
        document = json.loads(text)

        def array(name: str) -> IntArray:
            counts = np.array(document[name], np.int64)
            if counts.shape != (len(catalog),):
                raise ValueError("totals of another catalogue")
            return _read_only(counts)

        def values(name: str) -> Values:
            return {value: ValueCount(*rest) for value, *rest in document[name]}

        return cls(
            catalog,
            array("pixels"),
            array("masks"),
            array("image_pixels"),
            array("labelled_image_pixels"),
            values("ignored"),
            values("unlisted"),
            int(document["mask_count"]),
            int(document["single_class_masks"]),
            int(document["unlabelled_masks"]),
            int(document["total_pixels"]),
            voxels=VoxelSizes(*document.get("voxels", ())),
        )

    def counts_digest(self) -> str:
        """SHA-256 over catalogue and totals: the provenance of weights made from them."""
        import hashlib

        digest = hashlib.sha256(self.catalog.digest.encode())
        for name in ("pixels", "masks", "image_pixels", "labelled_image_pixels"):
            counts = known(self, name)
            digest.update(b"unknown" if counts is None else counts.astype("<i8").tobytes())
        digest.update(f"{known(self, 'mask_count')},{known(self, 'total_pixels')}".encode())
        if self.unit != "pixels":
            digest.update(self.unit.encode())
        return digest.hexdigest()


def _read_only(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array


def _beside_classes(catalog: ClassCatalog, table: TallyTable) -> tuple[Values, Values]:
    """What is ignored and what is unlisted; of labels channels, a pixel at the first it is in."""
    if catalog.multilabel:
        labels = labels_of(catalog, table.values)
        return _channel_counts(table, beside(table, labels, labels.ignored)), _channel_counts(
            table, beside(table, labels, labels.unlisted), find_first=True
        )
    targets = catalog.targets(table)
    ignored = _value_counts(table, targets == IGNORED)
    return ignored, _value_counts(table, targets == UNLISTED, find_first=True)


def _channel_counts(
    table: TallyTable, entries: Entries, *, find_first: bool = False
) -> dict[int | str, ValueCount]:
    """Pixels and masks (and the first mask) of every channel of these entries."""
    found: dict[int | str, ValueCount] = {}
    for channel in np.unique(entries.what).tolist():
        chosen = entries.what == channel
        names = [table.names[row] for row in entries.masks[chosen].tolist()] if find_first else []
        found[channel] = ValueCount(
            int(entries.pixels[chosen].sum()),
            int(np.count_nonzero(chosen)),
            min(names, key=natural_key, default=None),
        )
    return found


def _value_counts(
    table: TallyTable, chosen: np.ndarray, *, find_first: bool = False
) -> dict[int | str, ValueCount]:
    """Pixels and masks (and the first mask) of every raw value among the chosen entries."""
    if not chosen.any():
        return {}
    mask_of_entry = np.repeat(np.arange(len(table)), np.diff(table.indptr))[chosen]
    colour = np.array(table.by_encoding(lambda e: e.is_colour), bool)[mask_of_entry]
    # Within one table an index 5 and a colour #000005 are different values.
    pairs = np.stack([colour.astype(np.int64), table.values[chosen]])
    unique, inverse = np.unique(pairs, axis=1, return_inverse=True)
    inverse = inverse.reshape(-1)
    pixels = np.zeros(unique.shape[1], np.int64)
    np.add.at(pixels, inverse, table.counts[chosen])
    masks = np.bincount(inverse, minlength=unique.shape[1])
    firsts: list[str | None] = [None] * masks.size
    if find_first:
        rank = {row: natural_key(table.names[row]) for row in np.unique(mask_of_entry).tolist()}
        members = np.split(mask_of_entry[np.argsort(inverse, kind="stable")], np.cumsum(masks)[:-1])
        firsts = [table.names[min(rows.tolist(), key=rank.__getitem__)] for rows in members]
    return {
        value_label(int(value), colour=bool(is_colour)): ValueCount(int(px), int(count), first)
        for is_colour, value, px, count, first in zip(*unique, pixels, masks, firsts, strict=True)
    }


def _merged(left: Values, right: Values) -> dict[int | str, ValueCount]:
    merged = dict(left)
    for value, count in right.items():
        merged[value] = merged[value] + count if value in merged else count
    return dict(sorted(merged.items(), key=lambda item: (isinstance(item[0], str), item[0])))
