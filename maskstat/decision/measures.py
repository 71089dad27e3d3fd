"""`DecisionCounts`: what a decision got right in each image, and the measures that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstat.decision.choices import Measure
from maskstat.naming import counted
from maskstat.showing import one_line
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Counts = IntArray | FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCounts:
    """What one decision made of B images with K classes; ignored pixels are left out.

    Attributes:
        labelled: int64[B, K], pixels of each class; float64 where those of a sample stand for more.
        predicted: likewise, pixels that were decided to be of it.
        hits: likewise, those of both.
    """

    labelled: Counts
    predicted: Counts
    hits: Counts

    def __repr__(self) -> str:
        images, classes = self.labelled.shape
        return one_line(self, counted(images, "image"), counted(classes, "class"))

    @classmethod
    def of(cls, labels: IntArray, decided: IntArray, class_count: int) -> DecisionCounts:
        """Of the pixels of one image, int[N] each, in 0..K-1."""
        hit = labels[labels == decided]
        counts = (np.bincount(one, minlength=class_count)[None] for one in (labels, decided, hit))
        return cls(*counts)

    @classmethod
    def joined(cls, parts: list[DecisionCounts]) -> DecisionCounts:
        """The images of all of them, one part after the other."""
        return cls(
            np.concatenate([part.labelled for part in parts]),
            np.concatenate([part.predicted for part in parts]),
            np.concatenate([part.hits for part in parts]),
        )

    def sums(self, groups: IntArray, group_count: int) -> DecisionCounts:
        """Added up by group; groups int64[B] in 0..G-1. A row a group."""

        def summed(counts: Counts) -> Counts:
            total: Any = np.zeros((group_count, counts.shape[1]), counts.dtype)
            np.add.at(total, groups, counts)
            return total  # type: ignore[no-any-return]

        return DecisionCounts(summed(self.labelled), summed(self.predicted), summed(self.hits))

    def chosen(self, rows: BoolArray) -> DecisionCounts:
        """The images of rows bool[B]."""
        return DecisionCounts(self.labelled[rows], self.predicted[rows], self.hits[rows])

    def iou(self) -> FloatArray:
        """float64[K], intersection over union of all images taken together; NaN of absent classes.

        A class is absent where no pixel is labelled with it, whatever is predicted: measures of
        two decisions are then means over the same classes.
        """
        return class_iou(self.labelled.sum(0), self.predicted.sum(0), self.hits.sum(0))

    def recall(self) -> FloatArray:
        """float64[K], of all images taken together; NaN of absent classes."""
        labelled, hits = self.labelled.sum(0), self.hits.sum(0)
        return _ratio(hits, labelled, labelled > 0)

    def score(self, measure: Measure) -> float:
        """A measure of all images, 0 to 1; NaN where no pixel is labelled.

        - "iou": mean over classes of the IoU of the data set (PASCAL VOC's and Cityscapes').
        - "image-iou": mean over images of the mean IoU of the classes labelled in the image
          (Wang et al. 2023, arXiv 2310.19252).
        - "recall": mean over classes of the recall, which is the balanced accuracy.
        """
        if measure == "image-iou":
            return _mean(self.image_iou())
        return _mean(self.iou() if measure == "iou" else self.recall())

    def image_iou(self) -> FloatArray:
        """float64[B], the mean IoU of the classes labelled in each image; NaN where none is."""
        return _row_means(class_iou(self.labelled, self.predicted, self.hits))

    def accuracy(self) -> float:
        """Pixel accuracy; NaN where no pixel is labelled."""
        labelled = self.labelled.sum()
        return float(self.hits.sum() / labelled) if labelled else float("nan")


def class_iou(labelled: Counts, predicted: Counts, hits: Counts) -> FloatArray:
    """Intersection over union, float64 of the shape of all three; NaN where nothing is labelled."""
    return _ratio(hits, labelled + predicted - hits, labelled > 0)


def without_each_group(
    outcomes: DecisionCounts, groups: IntArray, group_count: int, measure: Measure
) -> FloatArray:
    """float64[G]: the measure of all images but those of one group, for every group."""
    if measure == "image-iou":
        of_images = outcomes.image_iou()
        there = np.isfinite(of_images)
        total = np.bincount(groups[there], of_images[there], group_count)
        count = np.bincount(groups[there], minlength=group_count)
        return _ratio(total.sum() - total, count.sum() - count, count.sum() > count)
    sums = outcomes.sums(groups, group_count)
    rest = DecisionCounts(*(a.sum(0) - a for a in (sums.labelled, sums.predicted, sums.hits)))
    bottom = rest.labelled
    if measure == "iou":
        bottom = rest.labelled + rest.predicted - rest.hits
    return _row_means(_ratio(rest.hits, bottom, rest.labelled > 0))


def _ratio(top: NDArray[np.generic], bottom: NDArray[np.generic], where: object) -> FloatArray:
    result = np.full(np.shape(top), np.nan)
    np.divide(top, bottom, out=result, where=np.asarray(where))
    return result


def _row_means(values: FloatArray) -> FloatArray:
    """float64[...]: means over the last axis of what is not NaN; NaN where all is."""
    there = np.isfinite(values)
    return _ratio(np.where(there, values, 0.0).sum(-1), there.sum(-1), there.any(-1))


def _mean(values: FloatArray) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else float("nan")
