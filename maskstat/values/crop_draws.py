"""`CropDraws`: how crops are drawn so that rare classes are met: which class, which mask, where."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import ParameterError
from maskstat.parameters import check_word
from maskstat.showing import one_line
from maskstat.values.ledger import MaskLedger

ClassLaw = Literal["rare", "uniform"]
First = Literal["class", "mask"]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Place = TypeVar("Place", int, IntArray)


class CropBox(NamedTuple):
    """A crop, in pixels of its mask. What lies below the mask, or right of it, is padding.

    Attributes:
        top, left: the first row and column.
        height, width: of the crop, padding included.
        mask: (height, width) of the mask.
    """

    top: int
    left: int
    height: int
    width: int
    mask: tuple[int, int]

    def __repr__(self) -> str:
        size = f"{self.height} × {self.width} at {self.top}, {self.left}"
        return one_line(self, size, f"of {self.mask[0]} × {self.mask[1]}")

    @property
    def rows(self) -> slice:
        """The rows of the mask that it has."""
        return slice(self.top, min(self.top + self.height, self.mask[0]))

    @property
    def columns(self) -> slice:
        """The columns of the mask that it has."""
        return slice(self.left, min(self.left + self.width, self.mask[1]))

    @property
    def is_padded(self) -> bool:
        """Whether the mask does not fill it."""
        bottom, right = self.top + self.height, self.left + self.width
        return bottom > self.mask[0] or right > self.mask[1]


@dataclass(frozen=True, slots=True)
class CropDraws:
    """How crops are drawn so that rare classes are met.

    A draw is a class c, a mask b that has it, a pixel of c, uniformly among those of b, and the
    crop in which this pixel is at a uniformly drawn place (`crop_start`).

    Attributes:
        classes: the law of c. "rare": in proportion to exp((1 - f_c) / temperature), f_c the share
            of the labelled pixels (Hoyer et al. 2022, DAFormer, arXiv 2111.14887). "uniform". Or K
            numbers, which the chances are in proportion to; a WeightTable is such numbers.
        temperature: of "rare". The smaller, the more only the rarest classes are drawn.
        chance: share of the draws that are left to chance: any mask, uniformly, and any crop of it,
            uniformly. The share with a class is 1 - chance: nnU-Net's oversample_foreground_percent
            of 0.33 is a chance of 0.67.
        least_pixels: pixels of a class that a mask needs to be drawn for it. (DAFormer asks for
            more than `min_pixels`.)
        first: "class": c by its chance, then b uniformly among the masks with c, as DAFormer does.
            "mask": b uniformly among the masks with any such class, then c by the chances of those
            that b has, as MONAI and nnU-Net do: no mask is drawn more often than another.
    """

    classes: ClassLaw | tuple[float, ...] = "rare"
    temperature: float = 0.01
    chance: float = 0.0
    least_pixels: int = 1
    first: First = "class"

    __repr__ = one_line

    def __post_init__(self) -> None:
        if isinstance(self.classes, str):
            check_word(self.classes, get_args(ClassLaw), parameter="classes")
        else:
            object.__setattr__(self, "classes", _numbers(self.classes))
        if not (_is_number(self.temperature) and self.temperature > 0):
            raise ParameterError("is a number above 0", parameter="temperature")
        if not (_is_number(self.chance) and 0 <= self.chance <= 1):
            raise ParameterError("is a share from 0 to 1", parameter="chance")
        least = self.least_pixels
        if not isinstance(least, int) or isinstance(least, bool) or least < 1:
            raise ParameterError("is a whole number from 1 on", parameter="least_pixels")
        check_word(self.first, get_args(First), parameter="first")

    def class_probabilities(self, ledger: MaskLedger) -> FloatArray:
        """float64[K], the chances of the classes; they sum to 1. One that no mask has gets 0.

        Raises:
            ParameterError: there is no class to draw, or one of chance above 0 occurs, but no mask
                has `least_pixels` of it; or there are not K numbers.
        """
        pixels, most = np.zeros(ledger.class_count, np.int64), np.zeros(ledger.class_count, int)
        np.add.at(pixels, ledger.classes, ledger.pixels)
        np.maximum.at(most, ledger.classes, ledger.pixels)
        chances = np.where(pixels > 0, self._relative(pixels), 0.0)
        total = float(chances.sum())
        if not total > 0:
            raise ParameterError("no mask has a class that could be drawn", parameter="classes")
        few = np.flatnonzero((chances > 0) & (most < self.least_pixels))
        if few.size:
            raise ParameterError(
                f"class {few[0]} has {most[few[0]]:,} pixels in a mask at most,"
                f" not {self.least_pixels:,}",
                parameter="least_pixels",
            )
        return np.asarray(chances / total)

    def pair_probabilities(self, ledger: MaskLedger) -> FloatArray:
        """float64[nnz], of each entry (mask, class) of the ledger its chance in a draw of a class.

        They sum to 1: of all draws they are the share 1 - chance.

        Raises:
            ParameterError: as `class_probabilities`.
        """
        chances = self.class_probabilities(ledger)
        enough = ledger.pixels >= self.least_pixels
        of_entry = np.where(enough, chances[ledger.classes], 0.0)
        if self.first == "class":
            masks = np.bincount(ledger.classes[enough], minlength=ledger.class_count)
            return np.asarray(of_entry / np.maximum(masks, 1)[ledger.classes])
        rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
        sums = np.bincount(rows, weights=of_entry, minlength=len(ledger))
        divisors = np.where(sums > 0, sums, 1.0) * np.count_nonzero(sums)
        return np.asarray(of_entry / divisors[rows])

    def _relative(self, pixels: IntArray) -> FloatArray:
        """float64[K], chances in any scale, also of classes that do not occur."""
        if self.classes == "uniform":
            return np.ones(pixels.size)
        if self.classes == "rare":
            shares = pixels / max(float(pixels.sum()), 1.0)
            rarest = shares[pixels > 0].min(initial=1.0)
            # exp((1 - f) / T), divided by the largest of them: nothing overflows.
            with np.errstate(over="ignore", under="ignore"):
                return np.asarray(np.exp(np.minimum(rarest - shares, 0.0) / self.temperature))
        if len(self.classes) != pixels.size:
            raise ParameterError(
                f"are {len(self.classes)} numbers for {pixels.size} classes", parameter="classes"
            )
        return np.array(self.classes)

    @property
    def digest(self) -> str:
        """Of all that decides what is drawn."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> CropDraws:
        """From a mapping of its attributes, as a YAML file has them.

        Raises:
            ParameterError: an attribute that there is not, or a value out of range.
        """
        unknown = said.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise ParameterError(f"has {min(unknown)!r}, and knows {known}", parameter="draws")
        return cls(**said)

    def to_dict(self) -> dict[str, object]:
        """What `of` reads: all attributes that are not the default."""
        plain = type(self)()
        said = {key: value for key, value in asdict(self).items() if value != getattr(plain, key)}
        if "classes" in said and not isinstance(self.classes, str):
            said["classes"] = list(self.classes)
        return said

    def words(self) -> str:
        """What it does, in a few words."""
        law = "classes by given chances"
        if self.classes == "uniform":
            law = "classes drawn uniformly"
        elif self.classes == "rare":
            law = f"rare classes drawn (T = {self.temperature:g})"
        parts = [law]
        if self.first == "mask":
            parts.append("masks first")
        if self.least_pixels > 1:
            parts.append(f"from {self.least_pixels:,} pixels on")
        if self.chance:
            parts.append(f"{self.chance:.3g} left to chance")
        return ", ".join(parts)


def crop_start(at: Place, size: Place, side: int, jitter: Place) -> Place:
    """Where a crop begins along an axis, so that the pixel `at` is at place `jitter` of it.

    The crop is moved into the mask where it would leave it, and a mask that is smaller begins where
    the crop begins. Plain integers, or int64 arrays of one shape.

    Args:
        at: the pixel, 0..size-1.
        size: pixels of the mask along the axis.
        side: of the crop.
        jitter: uniform in 0..side-1.
    """
    if isinstance(at, int):
        return max(min(at - jitter, size - side), 0)
    return np.asarray(np.maximum(np.minimum(at - jitter, size - side), 0))


def _numbers(given: object) -> tuple[float, ...]:
    """Chances in any scale, none negative, some above 0; a table of weights is an array."""
    if hasattr(given, "__array__"):
        given = np.asarray(given).tolist()
    try:
        numbers = tuple(float(one) for one in given)  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        numbers = ()
    good = all(math.isfinite(number) and number >= 0 for number in numbers)
    if not (good and math.isfinite(sum(numbers)) and sum(numbers) > 0):
        raise ParameterError(
            f"is {', '.join(get_args(ClassLaw))}, or a number of at least 0 for each class",
            parameter="classes",
        )
    return numbers


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
