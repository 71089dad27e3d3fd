"""`Situation`: the facts that advice follows from, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.advice.choices import Goal
from maskstat.advice.prices import FloatArray, damped
from maskstat.showing import one_line
from maskstat.values.tally import IntArray

EVEN = 2.0
"""Weights that differ by less are none: those of `effective-number` in docs/evidence.md did."""
FEWEST = 3
"""Masks or groups from which a class can be learned and judged at all."""
UNSURE = 4.0  # the upper end of an interval over the lower one: known to a factor of 2
SHIFTED = 3.0  # times the share, in validation

_STRENGTH: Mapping[Goal, float] = {"iou": 0.5, "recall": 1.0, "accuracy": 0.0}


@dataclass(frozen=True, slots=True, eq=False)
class Lacking:
    """Classes that no weights make equally costly under a mean over each batch's weights.

    Attributes:
        classes: their indices.
        smallest_batch_size: the first at which some do; None where none does.
    """

    classes: tuple[int, ...]
    smallest_batch_size: int | None

    __repr__ = one_line


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What is known of K classes and their masks, and what is wanted. At least one class occurs.

    Attributes:
        names: of the classes.
        measure: what counts after training.
        frequency: float64[K], shares of the labelled pixels, or of those in crops.
        batch_size: masks or crops in a batch.
        batch_is_known: whether somebody said so.
        row: what a batch is made of: "mask" or "crop".
        masks: int64[K], masks with each class; None where that is unknown, as in the next three.
        groups: int64[K], groups of masks with each class.
        width: float64[K], upper over lower end of the 95% interval of the share; NaN where nobody
            knows.
        in_batches: float64[K], chance of a batch to contain the class.
        lacking: where `batch_size` is too small for equal cost under PyTorch's mean.
        groups_are_named: whether somebody said which masks belong together, or that none do.
        suggestion: what names suggest about that, in a sentence, or "".
        group_by: the rule that was named, or that names suggest, or "".
        ignored: share of the pixels that have no class; None where unknown.
        validation: float64[K], shares of the labelled pixels of the masks to validate on; None
            without any.
        validation_name: what those are called, or "".
        calls: options of calls that name the scan, for `errors.call`.
        of_files: the same without a recipe and without groups.
        crop: the size of crops: 512, or "512x1024" (height x width); None of whole masks.
        ignored_label: of pixels without a class in labels; None where there is none.
        draws_classes: whether crops are drawn by class.
    """

    names: tuple[str, ...]
    measure: Goal
    frequency: FloatArray
    batch_size: int = 8
    batch_is_known: bool = False
    row: str = "mask"
    masks: IntArray | None = None
    groups: IntArray | None = None
    width: FloatArray | None = None
    in_batches: FloatArray | None = None
    lacking: Lacking | None = None
    groups_are_named: bool = False
    suggestion: str = ""
    group_by: str = ""
    ignored: float | None = None
    validation: FloatArray | None = None
    validation_name: str = ""
    calls: Mapping[str, object] = field(default_factory=dict)
    of_files: Mapping[str, object] = field(default_factory=dict)
    crop: int | str | None = None
    draws_classes: bool = False
    ignored_label: int | None = None

    __repr__ = one_line

    @property
    def present(self) -> NDArray[np.bool_]:
        """bool[K], classes that occur."""
        return self.frequency > 0

    @property
    def rare_first(self) -> list[int]:
        """The classes that occur, the rarest first."""
        order = np.argsort(self.frequency, kind="stable").tolist()
        return [k for k in order if self.frequency[k] > 0]

    @property
    def imbalance(self) -> float:
        """Pixels of the most frequent class over those of the rarest that occurs."""
        p = self.frequency[self.present]
        return float(p.max() / p.min())

    @property
    def strength(self) -> float:
        """The alpha of the weights that the measure calls for, were the classes far apart."""
        return _STRENGTH[self.measure]

    @property
    def apart(self) -> float:
        """Largest over smallest of the weights that the measure calls for."""
        return float(self.imbalance**self.strength)

    @property
    def are_even(self) -> bool:
        """Whether weights would make no difference that was ever told from chance."""
        return self.apart < EVEN

    @property
    def alpha(self) -> float:
        """The damping of the weights that are recommended; 0 is none."""
        return 0.0 if self.are_even else self.strength

    @property
    def weights(self) -> FloatArray:
        """float64[K], those weights; the average labelled pixel weighs 1."""
        return damped(self.frequency, self.alpha)

    @property
    def few(self) -> list[int]:
        """Classes in too few masks or groups, the rarest first."""
        if self.masks is None:
            return []
        seen = self.masks if self.groups is None else np.minimum(self.masks, self.groups)
        return [k for k in self.rare_first if seen[k] < FEWEST]

    @property
    def absent(self) -> list[int]:
        """Classes without a pixel."""
        return np.flatnonzero(~self.present).tolist()

    @property
    def missing(self) -> list[int]:
        """Classes that most batches lack, the rarest in batches first."""
        if self.in_batches is None:
            return []
        found = [k for k in self.rare_first if self.in_batches[k] < 0.5]
        return sorted(found, key=self.in_batches.__getitem__)

    @property
    def unsure(self) -> list[int]:
        """Classes whose share is known to a factor of 2 at best, the least sure first."""
        if self.width is None:
            return []
        wide = self.width
        few = set(self.few)
        found = [k for k in self.rare_first if wide[k] >= UNSURE and k not in few]
        return sorted(found, key=lambda k: -wide[k])

    @property
    def shifted(self) -> list[int]:
        """Classes whose share of the validation masks is another, the largest difference first."""
        if self.validation is None:
            return []
        both = self.present & (self.validation > 0)
        apart = np.ones(len(self.names))
        apart[both] = np.exp(np.abs(np.log(self.validation[both] / self.frequency[both])))
        return [k for k in np.argsort(-apart, kind="stable").tolist() if apart[k] >= SHIFTED]

    @property
    def unseen(self) -> list[int]:
        """Classes that no validation mask has, and training does."""
        if self.validation is None:
            return []
        return np.flatnonzero(self.present & (self.validation == 0)).tolist()

    def to_document(self) -> dict[str, Any]:
        """All of it as plain JSON, a record a class; what is unknown is None."""
        columns = {
            "share": self.frequency,
            "masks": self.masks,
            "groups": self.groups,
            "in_batches": self.in_batches,
            "interval_ratio": self.width,
            "validation_share": self.validation,
        }
        return {
            "measure": self.measure,
            "batch_size": self.batch_size,
            "batch_size_is_known": self.batch_is_known,
            "row": self.row,
            "imbalance": self.imbalance,
            "ignored": self.ignored,
            "groups_are_named": self.groups_are_named,
            "validation": self.validation_name or None,
            "classes": [
                {"index": k, "name": name}
                | {key: _plain(values, k) for key, values in columns.items()}
                for k, name in enumerate(self.names)
            ],
        }


def _plain(values: NDArray[Any] | None, k: int) -> float | int | None:
    if values is None:
        return None
    value = values[k]
    return value.item() if np.isfinite(value) else None
