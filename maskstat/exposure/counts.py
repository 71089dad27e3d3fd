"""`ExposureCounts`: masks under a recipe, added up to a histogram and a ledger of crops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import ParameterError, WeightError
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.units import CHANCE_BITS, REPLICATES, UNIT_BITS, MaskExposure
from maskstat.naming import counted, printable
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.contributions import Contributions
from maskstat.values.histogram import ClassHistogram, ValueCount
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

_BLOCK = 1024  # masks that are looked at one by one before they are put together
NO_CLASS = "no class"  # what is ignored or filled, among the ignored values of an exposure


class CropNames(Sequence[str]):
    """Names of the J crops of each of some masks, or of some of them, made when asked for."""

    def __init__(self, masks: tuple[str, ...], crops: int, rows: IntArray | None = None):
        self._masks, self._crops, self._rows = masks, crops, rows

    def __len__(self) -> int:
        return len(self._masks) * self._crops if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[str, ...]: ...

    def __getitem__(self, at: int | slice) -> str | tuple[str, ...]:
        if isinstance(at, slice):
            return tuple(self[number] for number in range(*at.indices(len(self))))
        row = range(len(self))[at]
        mask, crop = divmod(row if self._rows is None else int(self._rows[row]), self._crops)
        return f"{self._masks[mask]} crop {crop}"


@dataclass(frozen=True, eq=False)
class ExposureCounts:
    """What training sees of B masks of K classes, with J sampled crops of each.

    Attributes:
        recipe: what lies between the masks and the loss.
        catalog: the classes.
        names: of the B masks.
        draws: float64[B], how often each is drawn in an epoch on average; all 1 without a sampler.
        indptr: int64[B + 1]; mask b owns entries indptr[b]:indptr[b + 1] of the next three.
        classes: int64[nnz], class indices, ascending within a mask.
        expected: int64[nnz], pixels in a crop of the mask, on average, in units of 2^-20.
        chance: int64[nnz] that a crop has the class, in units of 2^-32; None: only sampled.
        rest: int64[B], as `expected`, of pixels without a class: ignored, unlisted or filled.
        crops: the J crops of each mask, mask by mask, as rows of a ledger.
    """

    recipe: Recipe
    catalog: ClassCatalog
    names: tuple[str, ...]
    draws: FloatArray
    indptr: IntArray
    classes: IntArray
    expected: IntArray
    chance: IntArray | None
    rest: IntArray
    crops: MaskLedger

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        catalog: ClassCatalog,
        masks: Iterable[tuple[str, MaskExposure]],
    ) -> ExposureCounts:
        """Put masks together, in their order, all drawn alike.

        Raises ParameterError for masks with different numbers of crops.
        """
        joined = _Joined()
        for name, part in masks:
            joined.add(name, part)
        names, columns = joined.done()
        return cls(
            recipe,
            catalog,
            names,
            np.ones(len(names)),
            _starts(columns["classes of a mask"]),
            columns["classes"],
            columns["expected"],
            columns["chance"] if joined.exact and names else None,
            columns["rest"],
            MaskLedger(
                len(catalog),
                CropNames(names, joined.crops),  # type: ignore[arg-type]
                columns["areas"],
                _starts(columns["classes of a crop"]),
                columns["classes in crops"],
                columns["pixels in crops"],
            ),
        )

    def drawn(self, draws: Mapping[str, float]) -> ExposureCounts:
        """The same masks, drawn so often: a number for each by its name, in any unit.

        Raises ParameterError where a mask has none.
        """
        missing = next((name for name in self.names if name not in draws), None)
        if missing is not None:
            raise ParameterError(
                f"says nothing of {printable(missing)}: it is of other masks", parameter="sampler"
            )
        weights = np.array([draws[name] for name in self.names], np.float64)
        if not (weights > 0).any():
            raise ParameterError("draws no mask of this scan", parameter="sampler")
        return replace(self, draws=weights * (len(weights) / weights.sum()))

    def __repr__(self) -> str:
        return one_line(
            self, counted(len(self.names), "mask"), counted(self.crops_per_mask, "crop") + " each"
        )

    @property
    def crops_per_mask(self) -> int:
        """J."""
        return len(self.crops) // max(1, len(self.names))

    @property
    def crop_pixels(self) -> FloatArray:
        """float64[B], pixels of a crop of each mask on average."""
        mask = np.repeat(np.arange(len(self.names)), np.diff(self.indptr))
        sums = np.zeros(len(self.names))
        np.add.at(sums, mask, self.expected.astype(np.float64))
        return (sums + self.rest) / 2.0**UNIT_BITS

    @property
    def expected_pixels(self) -> FloatArray:
        """float64[K], pixels of each class in an epoch, on average."""
        return self._summed(self.expected / 2.0**UNIT_BITS)

    @property
    def frequency(self) -> FloatArray:
        """float64[K], shares among pixels of classes. Raises WeightError where there are none."""
        pixels = self.expected_pixels
        if not pixels.any():
            raise WeightError("no pixel of any class is in a crop")
        return np.asarray(pixels / pixels.sum())

    @cached_property
    def chances(self) -> FloatArray:
        """float64[nnz] of a crop of the mask to contain the class, as `classes`."""
        if self.chance is not None:
            return self.chance / 2.0**CHANCE_BITS
        keys = np.repeat(np.arange(len(self.names)), np.diff(self.indptr)) * len(self.catalog)
        keys += self.classes
        mask = np.repeat(np.arange(len(self.crops)) // self.crops_per_mask, self.crops.class_counts)
        found = np.searchsorted(keys, mask * len(self.catalog) + self.crops.classes)
        return np.bincount(found, minlength=keys.size) / self.crops_per_mask

    @property
    def contributions(self) -> Contributions:
        """What each mask adds to the totals of an epoch: all of its crops are one contribution."""
        drawn = np.repeat(self.draws, np.diff(self.indptr))
        kept = (self.expected > 0) & (drawn > 0)
        starts = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
        crop = self.crop_pixels
        return Contributions(
            len(self.catalog),
            starts[self.indptr],
            self.classes[kept],
            (self.expected * drawn)[kept] / 2.0**UNIT_BITS,
            (self.chances * drawn)[kept],
            crop,
            crop - self.rest / 2.0**UNIT_BITS,
        )

    @property
    def in_crops(self) -> FloatArray:
        """float64[K], the chance that a crop contains each class."""
        return self._summed(self.chances) / max(1, len(self.names))

    def in_batches(self, batch_size: int | None = None) -> FloatArray:
        """float64[K], the chance that a batch contains each class: masks drawn without replacement.

        With a sampler they are drawn independently. The last batch of an epoch counts where the
        recipe keeps it. `batch_size` is the recipe's by default.
        """
        size = self.recipe.batch_size if batch_size is None else batch_size
        masks = -(-len(self.names) // self.recipe.processes)
        whole, left = divmod(masks, size)
        if self.recipe.last_batch == "keep" and left:
            found = (whole * (1 - self._lacking(size)) if whole else 0.0) + 1 - self._lacking(left)
            return np.asarray(found / (whole + 1))
        return np.asarray(1 - self._lacking(size))

    def _lacking(self, drawn: int) -> FloatArray:
        """float64[K]: chance that so many masks have no crop with each class."""
        if not (self.draws == 1).all():
            return np.asarray((1 - self.in_crops) ** drawn)
        from maskstat.kernels.draws import chance_of_none

        order = np.argsort(self.classes, kind="stable")
        starts = np.searchsorted(self.classes[order], np.arange(len(self.catalog) + 1))
        total = len(self.names)
        return chance_of_none(starts, self.chances[order], total, min(drawn, total))

    def _summed(self, values: FloatArray) -> FloatArray:
        """float64[K], entries added up by class, each mask as often as it is drawn."""
        sums = np.zeros(len(self.catalog))
        np.add.at(sums, self.classes, values * np.repeat(self.draws, np.diff(self.indptr)))
        return sums

    @cached_property
    def histogram(self) -> ClassHistogram:
        """Totals of an epoch: pixels expected, crops that contain a class, pixels of those crops.

        Whole numbers, of what is there at least 1.
        """
        spread = np.repeat(np.arange(len(self.names)), np.diff(self.indptr))
        chances, crop = self.chances, self.crop_pixels
        labelled = crop - self.rest / 2.0**UNIT_BITS
        pixels = _whole(self.expected_pixels)
        masks = np.where(pixels > 0, np.maximum(_whole(self._summed(chances)), 1), 0)
        images = np.maximum(_whole(self._summed(chances * crop[spread])), pixels)
        labelled_images = np.maximum(_whole(self._summed(chances * labelled[spread])), pixels)
        rest = int(np.rint((self.rest / 2.0**UNIT_BITS * self.draws).sum()))
        total = int(pixels.sum()) + rest
        classes = self.crops.class_counts
        share = len(self.names) / max(1, len(self.crops))
        return ClassHistogram(
            self.catalog,
            pixels,
            np.minimum(masks, len(self.names)),
            np.minimum(images, total),
            np.minimum(labelled_images, int(pixels.sum())),
            {NO_CLASS: ValueCount(rest, len(self.names))} if rest else {},
            {},
            len(self.names),
            round(int((classes == 1).sum()) * share),
            round(int((classes == 0).sum()) * share),
            total,
            seen=self.words,
        )

    @cached_property
    def ledger(self) -> MaskLedger:
        """The crops; under a sampler each as often as its mask is drawn, rounded with sums kept."""
        if (self.draws == 1).all():
            return self.crops
        ends = np.rint(np.cumsum(np.repeat(self.draws, self.crops_per_mask))).astype(np.int64)
        return self._taken(np.repeat(np.arange(len(self.crops)), np.diff(ends, prepend=0)))

    def _taken(self, rows: IntArray) -> MaskLedger:
        """These of the crops; millions of names are not made for it."""
        numbered = replace(self.crops, names=range(len(self.crops)))  # type: ignore[arg-type]
        names = CropNames(self.names, self.crops_per_mask, rows)
        return replace(numbered.take(rows), names=names)  # type: ignore[arg-type]

    @property
    def words(self) -> str:
        """What lies between the masks and the loss, in a few words."""
        name = "" if self.recipe.name is None else f"{self.recipe.name}: "
        drawn = "" if (self.draws == 1).all() else ", masks drawn by a sampler"
        return f"{name}{self.recipe.words()}{drawn}"

    @property
    def masks(self) -> MaskLedger:
        """A row a mask: pixels expected in a crop of it, rounded, of what is there at least 1."""
        return MaskLedger(
            len(self.catalog),
            self.names,
            _whole(self.crop_pixels),
            self.indptr,
            self.classes,
            _whole(self.expected / 2.0**UNIT_BITS),
        )

    def replicates(self) -> list[MaskLedger]:
        """The crops in parts that were drawn independently: what weights vary by, crops vary by."""
        count = min(REPLICATES, self.crops_per_mask)
        turn = np.arange(len(self.crops)) % max(1, self.crops_per_mask) % max(1, count)
        return [self._taken(np.flatnonzero(turn == number)) for number in range(count)]


class _Joined:
    """Masks on their way into one table, a block of them at a time: what is sparse stays so.

    Attributes:
        crops: of each mask.
        exact: whether all masks have the exact chances of their classes.
    """

    COLUMNS = (
        "classes of a mask",
        "classes",
        "expected",
        "chance",
        "rest",
        "areas",
        "classes of a crop",
        "classes in crops",
        "pixels in crops",
    )

    def __init__(self) -> None:
        self.crops, self.exact = 0, True
        self._names: list[str] = []
        self._block: list[MaskExposure] = []
        self._done: list[tuple[IntArray, ...]] = []

    def add(self, name: str, part: MaskExposure) -> None:
        """Add a mask. Raises ParameterError where it has another number of crops."""
        if not self._names:
            self.crops = len(part.counts)
        if len(part.counts) != self.crops:
            raise ParameterError("masks have different numbers of crops", parameter="crops")
        self._names.append(name)
        self._block.append(part)
        if len(self._block) == _BLOCK:
            self._close()

    def done(self) -> tuple[tuple[str, ...], dict[str, IntArray]]:
        """Names of the masks, and the columns of the table. It is used up."""
        self._close()
        columns, blocks = {}, [list(block) for block in self._done]
        self._done = []
        for at, column in enumerate(self.COLUMNS):
            columns[column] = np.concatenate([np.empty(0, np.int64), *(b[at] for b in blocks)])
            for block in blocks:  # most of it is in two places for one column at a time
                block[at] = np.empty(0, np.int64)
        return tuple(self._names), columns

    def _close(self) -> None:
        parts, self._block = self._block, []
        if not parts:
            return
        self.exact = self.exact and all(part.chance is not None for part in parts)
        lengths = np.array([part.classes.size for part in parts])
        rows, columns, pixels = [], [], []
        for at, part in enumerate(parts):
            row, column = part.counts.nonzero()
            rows.append(row + at * self.crops)
            columns.append(part.classes[column])
            pixels.append(part.counts[row, column])
        chances = [part.chance for part in parts if part.chance is not None]
        self._done.append(
            (
                lengths,
                np.concatenate([part.classes for part in parts]),
                np.concatenate([part.expected for part in parts]),
                np.concatenate(chances) if self.exact else np.empty(0, np.int64),
                np.array([part.rest for part in parts], np.int64),
                np.concatenate([part.area for part in parts]),
                np.bincount(np.concatenate(rows), minlength=len(parts) * self.crops),
                np.concatenate(columns),
                np.concatenate(pixels),
            )
        )


def _starts(lengths: IntArray) -> IntArray:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def _whole(values: FloatArray) -> IntArray:
    """Rounded; what is there stays there."""
    rounded = np.rint(values).astype(np.int64)
    return np.where(values > 0, np.maximum(rounded, 1), 0)
