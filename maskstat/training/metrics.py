"""How good predictions are, added up exactly: confusion matrices and calibration.

Both values hold int64 counts and are monoids: `+` of batches, processes or machines gives the same
bits as one pass over everything, in any order. Numbers are divided out when somebody asks. Where
a number is not defined (the recall of a class that never occurs) it is NaN in arrays and
None in `to_dict`, never 0 and never an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError
from maskstat.frames import data_frame
from maskstat.naming import counted
from maskstat.parameters import several
from maskstat.showing import one_line
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels
from maskstat.values.sums import added, total
from maskstat.values.tally import IntArray

if TYPE_CHECKING:
    from pandas import DataFrame

FloatArray = npt.NDArray[np.float64]

RESOLUTION = 50_400
"""Confidences are rounded to multiples of 1/RESOLUTION before they are counted.

It divides by 1 to 10, 12, 14, 15, 16, 18, 20, 25, 30, 50 and 100, so that the edges of so many bins
are multiples, too, and a confidence on an edge is in the bin above it, in any precision.
"""

_BLOCK = 1 << 20  # elements taken at a time, so that memory does not grow with the input


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionMatrix:
    """Counts of (true class, predicted class), and every measure that follows from them.

    Attributes:
        counts: int64[K, K], >= 0: row = true class, column = predicted class.
        ignored: how many elements had the label that is ignored.
    """

    counts: IntArray
    ignored: int = 0

    def __post_init__(self) -> None:
        counts = np.array(self.counts)
        if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
            raise ParameterError(f"a confusion matrix is square, not of shape {counts.shape}")
        if counts.dtype.kind not in "iu" or (counts < 0).any() or self.ignored < 0:
            raise ParameterError("a confusion matrix holds whole numbers of at least 0")
        total(counts)  # so that no sum of some of them leaves 64 bits
        object.__setattr__(self, "counts", _read_only(counts.astype(np.int64)))

    @classmethod
    def empty(cls, class_count: int) -> ConfusionMatrix:
        """The identity of `+`: nothing counted. Raises ParameterError below one class."""
        if class_count < 1:
            raise ParameterError(f"there must be at least 1 class, not {class_count}")
        return cls(np.zeros((class_count, class_count), np.int64))

    @classmethod
    def of(
        cls,
        target: npt.ArrayLike,
        prediction: npt.ArrayLike,
        class_count: int,
        *,
        ignore_index: IgnoreIndex = None,
    ) -> ConfusionMatrix:
        """Count one batch.

        Args:
            target: integer labels of any shape.
            prediction: predicted labels, of the same shape; whatever stands where the target is
                ignored does not matter.
            class_count: K; labels are 0 to K - 1.
            ignore_index: labels of elements that do not count, one or several, inside or outside
                of 0..K-1.

        Raises:
            ParameterError: shapes that differ, labels that are no integers, or a label that is
                neither a class nor ignored.
        """
        true, predicted = np.asarray(target), np.asarray(prediction)
        _check_labels(true, "target")
        _check_labels(predicted, "prediction")
        if true.shape != predicted.shape:
            raise ParameterError(
                f"target has shape {true.shape}, prediction {predicted.shape}",
                remedy="scores become labels with argmax over the class axis",
            )
        true, predicted = true.reshape(-1), predicted.reshape(-1)
        cells = cls.empty(class_count).counts.reshape(-1).copy()
        ignored = 0
        for start in range(0, true.size, _BLOCK):
            rows, columns = true[start : start + _BLOCK], predicted[start : start + _BLOCK]
            if ignore_index is not None:
                kept = ~np.isin(rows, ignored_labels(ignore_index))
                ignored += kept.size - int(np.count_nonzero(kept))
                rows, columns = rows[kept], columns[kept]
            _check_range(rows, class_count, "target", ignore_index)
            _check_range(columns, class_count, "prediction", None)
            joint = rows.astype(np.int64) * class_count + columns.astype(np.int64)
            cells += np.bincount(joint, minlength=cells.size)
        return cls(cells.reshape(class_count, class_count), ignored)

    def update(
        self,
        target: npt.ArrayLike,
        prediction: npt.ArrayLike,
        *,
        ignore_index: IgnoreIndex = None,
    ) -> ConfusionMatrix:
        """This matrix and one more batch; arguments as in `of`."""
        return self + ConfusionMatrix.of(target, prediction, len(self), ignore_index=ignore_index)

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    def __repr__(self) -> str:
        return one_line(
            self, counted(len(self.counts), "class"), counted(int(self.counts.sum()), "element")
        )

    def __add__(self, other: object) -> ConfusionMatrix:
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        if len(self) != len(other):
            raise ParameterError(
                f"confusion matrices of {len(self)} and {len(other)} classes do not add"
            )
        return ConfusionMatrix(added(self.counts, other.counts), self.ignored + other.ignored)

    def __radd__(self, other: object) -> ConfusionMatrix:
        return self if other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        return np.array_equal(self.counts, other.counts) and self.ignored == other.ignored

    __hash__ = None  # type: ignore[assignment]

    @property
    def support(self) -> IntArray:
        """int64[K], elements of each true class."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def predicted(self) -> IntArray:
        """int64[K], elements predicted as each class."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def hits(self) -> IntArray:
        """int64[K], elements of each class that were predicted as that class."""
        return self.counts.diagonal()

    @property
    def recall(self) -> FloatArray:
        """float64[K], hits / support; NaN for classes that never occur."""
        return _ratio(self.hits, self.support)

    @property
    def precision(self) -> FloatArray:
        """float64[K], hits / predicted; NaN for classes that are never predicted."""
        return _ratio(self.hits, self.predicted)

    @property
    def iou(self) -> FloatArray:
        """float64[K], intersection over union (Jaccard index), hits / (support + predicted - hits).

        NaN for classes that neither occur nor are predicted.
        """
        return _ratio(self.hits, self.support + self.predicted - self.hits)

    @property
    def dice(self) -> FloatArray:
        """float64[K], Dice coefficient = F1 score, 2 hits / (support + predicted); NaN as `iou`."""
        return _ratio(2.0 * self.hits, self.support.astype(float) + self.predicted)

    @property
    def accuracy(self) -> float:
        """Share of elements predicted right (pixel accuracy); NaN where nothing was counted."""
        return float(_ratio(self.hits.sum(), self.counts.sum()))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that occur (Brodersen et al. 2010); NaN where none does."""
        return _mean(self.recall)

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes that occur or are predicted; NaN where there are none."""
        return _mean(self.iou)

    @property
    def mean_dice(self) -> float:
        """Mean Dice coefficient (macro F1) over the same classes as `mean_iou`."""
        return _mean(self.dice)

    @property
    def frequency_weighted_iou(self) -> float:
        """Sum over classes of support / total * IoU (Long et al. 2015); NaN without elements."""
        occurs = self.support > 0
        if not occurs.any():
            return math.nan
        return float(self.support[occurs] @ self.iou[occurs]) / int(self.counts.sum())

    def to_pandas(self, classes: str | Iterable[str] | None = None) -> DataFrame:
        """The counts: a row a true class, a column a predicted one.

        Args:
            classes: names of the K classes; without, they are numbered.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        named = range(len(self.counts)) if classes is None else several(classes)
        return data_frame(np.array(self.counts), {"class": named}, named)

    def to_dict(self, names: str | Iterable[str] | None = None) -> dict[str, object]:
        """Counts and measures as plain lists and numbers for JSON; None where undefined.

        Args:
            names: K class names; class_0, class_1, ... where None.

        Raises:
            ParameterError: another number of names than of classes.
        """
        called = [f"class_{k}" for k in range(len(self))] if names is None else [*several(names)]
        if len(called) != len(self):
            raise ParameterError(
                f"{len(called)} names do not fit {len(self)} classes", parameter="names"
            )
        scalars = (
            "accuracy",
            "balanced_accuracy",
            "mean_iou",
            "mean_dice",
            "frequency_weighted_iou",
        )
        return {
            "classes": called,
            "counts": self.counts.tolist(),
            "ignored": self.ignored,
            **{name: _plain(getattr(self, name)) for name in scalars},
            **{
                name: [_plain(value) for value in getattr(self, name).tolist()]
                for name in ("recall", "precision", "iou", "dice")
            },
        }


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What a reliability diagram shows, bin by bin of confidence.

    Attributes:
        counts: int64[M], predictions in the bin.
        confidence: float64[M], their mean confidence; NaN where there are none.
        accuracy: float64[M], how many of them are right; NaN where there are none.
    """

    counts: IntArray
    confidence: FloatArray
    accuracy: FloatArray

    __repr__ = one_line


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceHistogram:
    """Right and wrong predictions by their confidence, the probability of the predicted class.

    Confidences are counted in cells of width 1/RESOLUTION, so nothing is rounded when histograms
    are added, and the number of bins is chosen when the error is asked for. A mean confidence
    is known to within half a cell, 1e-5. Where the number of bins divides RESOLUTION (10, 15, 20),
    a confidence on the edge of two bins is in the upper one; one below it by less than half a cell
    is taken for the edge.

    Attributes:
        counts: int64[2, RESOLUTION + 1]: wrong and right predictions of confidence g / RESOLUTION.
        ignored: how many elements had the label that is ignored.
    """

    counts: IntArray
    ignored: int = 0

    def __post_init__(self) -> None:
        counts = np.array(self.counts)
        if counts.shape != (2, RESOLUTION + 1) or counts.dtype.kind not in "iu":
            raise ParameterError(
                f"a confidence histogram has shape (2, {RESOLUTION + 1}), not {counts.shape}"
            )
        if (counts < 0).any() or self.ignored < 0:
            raise ParameterError("a confidence histogram holds whole numbers of at least 0")
        total(counts)  # so that no sum of some of them leaves 64 bits
        object.__setattr__(self, "counts", _read_only(counts.astype(np.int64)))

    def __repr__(self) -> str:
        return one_line(self, counted(int(self.counts.sum()), "prediction"))

    @classmethod
    def empty(cls) -> ConfidenceHistogram:
        """The identity of `+`: nothing counted."""
        return cls(np.zeros((2, RESOLUTION + 1), np.int64))

    @classmethod
    def of(
        cls,
        probabilities: npt.ArrayLike,
        target: npt.ArrayLike,
        *,
        class_axis: int = -1,
        ignore_index: IgnoreIndex = None,
    ) -> ConfidenceHistogram:
        """Count one batch.

        Args:
            probabilities: [..., K, ...], softmax outputs.
            target: integer labels, `probabilities`' shape without the class axis.
            class_axis: the axis of K.
            ignore_index: labels of elements that do not count, one or several.

        Raises:
            ParameterError: shapes that do not fit, values that are no probabilities, or a label
                that is neither a class nor ignored.
        """
        scores, labels = np.asarray(probabilities), np.asarray(target)
        _check_labels(labels, "target")
        if not -scores.ndim <= class_axis < scores.ndim:
            raise ParameterError(f"there is no axis {class_axis} in shape {scores.shape}")
        scores = np.moveaxis(scores, class_axis, -1)
        if scores.shape[:-1] != labels.shape or not scores.shape[-1]:
            raise ParameterError(
                f"target of shape {labels.shape} does not fit probabilities of shape"
                f" {np.asarray(probabilities).shape}"
            )
        kept = ~np.isin(labels, ignored_labels(ignore_index))
        scores, labels = scores[kept], labels[kept]
        _check_range(labels, scores.shape[-1], "target", ignore_index)
        # A softmax in half precision may end a little above 1; logits are far off.
        if scores.size and not (scores.min() >= 0 and scores.max() <= 1.001):
            raise ParameterError("probabilities must be from 0 to 1", remedy="apply softmax first")
        right = (scores.argmax(axis=-1) == labels).astype(np.int64)
        confidence = np.minimum(scores.max(axis=-1).astype(np.float64), 1.0)
        cells = np.rint(confidence * RESOLUTION).astype(np.int64)
        counts = np.bincount(right * (RESOLUTION + 1) + cells, minlength=2 * (RESOLUTION + 1))
        return cls(counts.reshape(2, -1), int(kept.size - np.count_nonzero(kept)))

    def __add__(self, other: object) -> ConfidenceHistogram:
        if not isinstance(other, ConfidenceHistogram):
            return NotImplemented
        return ConfidenceHistogram(added(self.counts, other.counts), self.ignored + other.ignored)

    def __radd__(self, other: object) -> ConfidenceHistogram:
        return self if other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConfidenceHistogram):
            return NotImplemented
        return np.array_equal(self.counts, other.counts) and self.ignored == other.ignored

    __hash__ = None  # type: ignore[assignment]

    def reliability(self, bins: int = 15) -> Reliability:
        """Mean confidence and accuracy in bins of equal width over [0, 1].

        Raises:
            ParameterError: bins outside 1..RESOLUTION.
        """
        bin_of_cell = cell_bins(bins)
        cells = np.arange(RESOLUTION + 1)
        counts, right = np.zeros((2, bins), np.int64)
        np.add.at(counts, bin_of_cell, self.counts.sum(axis=0))
        np.add.at(right, bin_of_cell, self.counts[1])
        # in floating point: exact below 2^53, and products of whole numbers could leave 64 bits
        confidence = np.bincount(bin_of_cell, self.counts.sum(axis=0) * cells.astype(float), bins)
        return Reliability(counts, _ratio(confidence / RESOLUTION, counts), _ratio(right, counts))

    def expected_calibration_error(self, bins: int = 15) -> float:
        """Sum over bins of |accuracy - mean confidence|, weighted by predictions; NaN if empty.

        Naeini et al. 2015; Guo et al. 2017 (arXiv 1706.04599) use 15 bins.
        """
        found = self.reliability(bins)
        used = found.counts > 0
        if not used.any():
            return math.nan
        gaps = np.abs(found.accuracy[used] - found.confidence[used])
        return float(found.counts[used] / found.counts.sum() @ gaps)


def cell_bins(bins: int) -> IntArray:
    """int64[RESOLUTION + 1], the bin of each confidence; equal width, the last one closed."""
    if not 1 <= bins <= RESOLUTION:
        raise ParameterError(f"there must be 1 to {RESOLUTION} bins, not {bins}")
    return np.minimum(np.arange(RESOLUTION + 1) * bins // RESOLUTION, bins - 1)


def _read_only(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array


def _check_labels(labels: npt.NDArray[np.generic], what: str) -> None:
    if labels.dtype.kind not in "iub":
        raise ParameterError(f"{what} must be integer labels, not {labels.dtype}")


def _check_range(
    labels: npt.NDArray[np.generic], class_count: int, what: str, ignore_index: IgnoreIndex
) -> None:
    """Raise ParameterError, naming one label that is no class."""
    if not labels.size:
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= class_count:
        wrong = low if low < 0 else high
        raise ParameterError(
            f"{what} has the label {wrong}, which is no class (0 to {class_count - 1})",
            remedy=f"pass ignore_index={wrong} if it is to be left out"
            if what == "target" and ignore_index is None
            else None,
        )


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> FloatArray:
    """Quotients, NaN where the denominator is 0."""
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.asarray(np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0))


def _mean(values: FloatArray) -> float:
    """The mean of the numbers that are defined; NaN where none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else math.nan


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
