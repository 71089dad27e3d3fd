"""`ExposureCounts`: masks under a recipe, added up to a histogram and a ledger of crops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import ParameterError, UnknownCountsError, WeightError
from maskstat.exposure.joining import ANYWHERE, CropNames, Joined, starts_of
from maskstat.exposure.recipe import Recipe
from maskstat.exposure.units import (
    CHANCE_BITS,
    REPLICATES,
    UNIT_BITS,
    AimedExposure,
    MaskExposure,
)
from maskstat.naming import counted, printable
from maskstat.showing import one_line
from maskstat.values.catalog import ClassCatalog
from maskstat.values.contributions import Contributions
from maskstat.values.crop_draws import CropDraws
from maskstat.values.histogram import ClassHistogram, ValueCount
from maskstat.values.ledger import MaskLedger
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]

NO_CLASS = "no class"  # what is ignored or filled, among the ignored values of an exposure


@dataclass(frozen=True, eq=False)
class ExposureCounts:
    """What training sees of B masks of K classes, with J sampled crops of each of P parts.

    A part is a mask. Where crops are drawn by class it is a class of a mask, that is the crops that
    are aimed at it, or the crops that lie anywhere in the mask; parts that are never drawn are left
    out.

    Attributes:
        recipe: what lies between the masks and the loss.
        catalog: the classes.
        names: of the B masks.
        parts: int64[P], the mask of each part.
        aims: int64[P], the class that its crops are drawn for, -1 where they lie anywhere.
        draws: float64[P], how often each is drawn in an epoch of B crops on average; all 1 without
            a sampler.
        indptr: int64[P + 1]; part p owns entries indptr[p]:indptr[p + 1] of the next three.
        classes: int64[nnz], class indices, ascending within a part.
        expected: int64[nnz], pixels in a crop of the part, on average, in units of 2^-20.
        chance: int64[nnz] that a crop has the class, in units of 2^-32; None: only sampled.
        rest: int64[P], as `expected`, of pixels without a class: ignored, unlisted or filled.
        crops: the J crops of each part, part by part, as rows of a ledger.
    """

    recipe: Recipe
    catalog: ClassCatalog
    names: tuple[str, ...]
    parts: IntArray
    aims: IntArray
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
        masks: Iterable[tuple[str, MaskExposure | AimedExposure]],
    ) -> ExposureCounts:
        """Put masks together, in their order, drawn as the recipe says.

        Raises ParameterError for masks with different numbers of crops, and for classes that can't
        be drawn from them.
        """
        joined = Joined()
        for name, one in masks:
            joined.add(name, one)
        names, parts = tuple(joined.names), joined.done()
        labels, draws = names, np.ones(len(names))
        if recipe.draws is not None:
            draws = _draws(recipe.draws, parts.aims, joined.ledger(len(catalog)))
            parts, draws = parts.take(draws > 0), draws[draws > 0]
            pairs = zip(parts.masks.tolist(), parts.aims.tolist(), strict=True)
            labels = tuple(
                names[mask] if aim == ANYWHERE else f"{names[mask]} {catalog.names[aim]}"
                for mask, aim in pairs
            )
        return cls(
            recipe,
            catalog,
            names,
            parts.masks,
            parts.aims,
            draws,
            starts_of(parts.lengths),
            parts.classes,
            parts.expected,
            parts.chance if joined.exact and names else None,
            parts.rest,
            MaskLedger(
                len(catalog),
                CropNames(labels, joined.crops),  # type: ignore[arg-type]
                parts.areas,
                starts_of(parts.crop_lengths),
                parts.crop_classes,
                parts.crop_pixels,
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

    @property
    def shuffled(self) -> bool:
        """Whether an epoch takes every mask once: without a sampler, and not by class."""
        return self.recipe.draws is None and bool((self.draws == 1).all())

    def __repr__(self) -> str:
        return one_line(
            self, counted(len(self.names), "mask"), counted(self.crops_per_mask, "crop") + " each"
        )

    @property
    def crops_per_mask(self) -> int:
        """J, of each part."""
        return len(self.crops) // max(1, len(self.draws))

    @property
    def crop_pixels(self) -> FloatArray:
        """float64[P], pixels of a crop of each part on average."""
        sums = np.zeros(len(self.draws))
        np.add.at(sums, self._spread, self.expected.astype(np.float64))
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
        """float64[nnz] of a crop of the part to contain the class, as `classes`."""
        if self.chance is not None:
            return self.chance / 2.0**CHANCE_BITS
        keys = self._spread * len(self.catalog) + self.classes
        part = np.repeat(np.arange(len(self.crops)) // self.crops_per_mask, self.crops.class_counts)
        found = np.searchsorted(keys, part * len(self.catalog) + self.crops.classes)
        return np.bincount(found, minlength=keys.size) / self.crops_per_mask

    @property
    def contributions(self) -> Contributions:
        """What each mask adds to the totals of an epoch: all of its crops are one contribution.

        Where crops are drawn by class this is not known: one mask more changes how often others
        are drawn. Raises UnknownCountsError.
        """
        if self.recipe.draws is not None:
            raise UnknownCountsError(
                "crops are drawn by class, and how shares then vary with the masks is not worked"
                " out"
            )
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
        # Parts of masks add up to 1 only within rounding.
        return np.minimum(self._summed(self.chances) / max(1, len(self.names)), 1.0)

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
        if not self.shuffled:
            return np.asarray((1 - self.in_crops) ** drawn)
        from maskstat.kernels.draws import chance_of_none

        order = np.argsort(self.classes, kind="stable")
        starts = np.searchsorted(self.classes[order], np.arange(len(self.catalog) + 1))
        total = len(self.names)
        return chance_of_none(starts, self.chances[order], total, min(drawn, total))

    def _summed(self, values: FloatArray) -> FloatArray:
        """float64[K], entries added up by class, each part as often as it is drawn."""
        sums = np.zeros(len(self.catalog))
        np.add.at(sums, self.classes, values * self.draws[self._spread])
        return sums

    @cached_property
    def _spread(self) -> IntArray:
        """int64[nnz], the part of each entry."""
        return np.repeat(np.arange(len(self.draws)), np.diff(self.indptr))

    @cached_property
    def histogram(self) -> ClassHistogram:
        """Totals of an epoch: pixels expected, crops that contain a class, pixels of those crops.

        Whole numbers, of what is there at least 1.
        """
        spread = self._spread
        chances, crop = self.chances, self.crop_pixels
        labelled = crop - self.rest / 2.0**UNIT_BITS
        pixels = _whole(self.expected_pixels)
        masks = np.where(pixels > 0, np.maximum(_whole(self._summed(chances)), 1), 0)
        images = np.maximum(_whole(self._summed(chances * crop[spread])), pixels)
        labelled_images = np.maximum(_whole(self._summed(chances * labelled[spread])), pixels)
        rest = int(np.rint((self.rest / 2.0**UNIT_BITS * self.draws).sum()))
        total = int(pixels.sum()) + rest
        classes = self.crops.class_counts
        often = np.repeat(self.draws, self.crops_per_mask) / max(1, self.crops_per_mask)
        return ClassHistogram(
            self.catalog,
            pixels,
            np.minimum(masks, len(self.names)),
            np.minimum(images, total),
            np.minimum(labelled_images, int(pixels.sum())),
            {NO_CLASS: ValueCount(rest, len(self.names))} if rest else {},
            {},
            len(self.names),
            round(float(often[classes == 1].sum())),
            round(float(often[classes == 0].sum())),
            total,
            seen=self.words,
        )

    @cached_property
    def ledger(self) -> MaskLedger:
        """The crops; each as often as its part is drawn, rounded with sums kept."""
        if self.shuffled:
            return self.crops
        ends = np.rint(np.cumsum(np.repeat(self.draws, self.crops_per_mask))).astype(np.int64)
        return self._taken(np.repeat(np.arange(len(self.crops)), np.diff(ends, prepend=0)))

    def _taken(self, rows: IntArray) -> MaskLedger:
        """These of the crops; millions of names are not made for it."""
        numbered = replace(self.crops, names=range(len(self.crops)))  # type: ignore[arg-type]
        names = self.crops.names.of(rows)  # type: ignore[attr-defined]
        return replace(numbered.take(rows), names=names)

    @property
    def words(self) -> str:
        """What lies between the masks and the loss, in a few words."""
        name = "" if self.recipe.name is None else f"{self.recipe.name}: "
        by_sampler = self.recipe.draws is None and not self.shuffled
        drawn = ", masks drawn by a sampler" if by_sampler else ""
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


def _draws(law: CropDraws, aims: IntArray, ledger: MaskLedger) -> FloatArray:
    """float64[P], how often each part is drawn in an epoch of B crops."""
    anywhere = aims == ANYWHERE
    draws = np.where(anywhere, law.chance, 0.0)
    if law.chance < 1 and len(ledger):
        try:
            pairs = law.pair_probabilities(ledger)
        except ParameterError as error:
            error.parameter = "draw"
            raise
        draws[~anywhere] = pairs * ((1 - law.chance) * len(ledger))
    return draws


def _whole(values: FloatArray) -> IntArray:
    """Rounded; what is there stays there."""
    rounded = np.rint(values).astype(np.int64)
    return np.where(values > 0, np.maximum(rounded, 1), 0)
