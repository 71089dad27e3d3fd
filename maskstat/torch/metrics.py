"""Metrics that count exactly: int64 on the device, the same bits on one process or many.

`update(preds, target)` takes raw scores with the class axis at 1, (N, K), (N, K, H, W) or
(N, K, D, H, W), or integer labels in the target's shape. Targets are integer labels (an axis of
length 1 in the place of the class axis is left out), or one-hot or soft labels in the scores'
shape, of which the largest counts. Where torchmetrics is installed, these are torchmetrics.Metric;
elsewhere modules used in the same way.
"""

from __future__ import annotations

import torch

from maskstat.errors import ParameterError
from maskstat.torch.counters import Counter
from maskstat.torch.functional.elements import left_out
from maskstat.training import metrics as exact
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels
from maskstat.training.metrics import RESOLUTION

__all__ = [
    "BalancedAccuracy",
    "CalibrationError",
    "ClassIoU",
    "ClassRecall",
    "ConfusionMatrix",
    "MeanIoU",
]


class ConfusionMatrix(Counter):
    """The confusion matrix; `compute` returns int64[K, K], row = true class.

    Args:
        class_count: K.
        ignore_index: labels that do not count, one or several, inside or outside of 0..K-1; None:
            all count.

    A label that is neither a class nor ignored is an error: at once on the CPU, when the metric
    is computed elsewhere, where looking at every batch would make the device wait.
    """

    higher_is_better: bool | None = None

    def __init__(self, class_count: int, *, ignore_index: IgnoreIndex = -100):
        exact.ConfusionMatrix.empty(class_count)
        # K x K cells, and two more: ignored, and neither a class nor ignored.
        super().__init__(class_count * class_count + 2, ignored_labels(ignore_index))
        self.class_count = class_count
        self.ignore_index = ignore_index

    def tally(self, preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """int64[K * K + 2], one batch."""
        classes = self.class_count
        labels, left_out = _labels(preds, target, classes, self.ignore_index)
        predicted = preds.argmax(dim=1) if preds.is_floating_point() else preds.long()
        valid = (labels >= 0) & (labels < classes) & (predicted >= 0) & (predicted < classes)
        joint = torch.where(valid, labels * classes + predicted, classes * classes + 1)
        joint = torch.where(left_out, classes * classes, joint)
        cells = torch.bincount(joint.reshape(-1), minlength=classes * classes + 2)
        if cells.device.type == "cpu":
            self._refuse_invalid(cells)
        return cells

    def value(self, cells: torch.Tensor) -> torch.Tensor:
        """int64[K, K]."""
        self._refuse_invalid(cells)
        return cells[:-2].reshape(self.class_count, self.class_count).clone()

    def confusion(self) -> exact.ConfusionMatrix:
        """What this process counted, with every measure that follows; such values add up."""
        return self._matrix(self.cells)

    def _matrix(self, cells: torch.Tensor) -> exact.ConfusionMatrix:
        self._refuse_invalid(cells)
        counts = cells.cpu().numpy()
        shape = (self.class_count, self.class_count)
        return exact.ConfusionMatrix(counts[:-2].reshape(shape), int(counts[-2]))

    def _refuse_invalid(self, cells: torch.Tensor) -> None:
        if wrong := int(cells[-1]):
            raise ParameterError(
                f"{wrong} labels or predictions are neither a class (0 to {self.class_count - 1})"
                f" nor ignore_index={self.ignore_index}"
            )


class MeanIoU(ConfusionMatrix):
    """Mean IoU over the classes that occur or are predicted, a scalar; NaN where none does."""

    higher_is_better = True

    def value(self, cells: torch.Tensor) -> torch.Tensor:
        """float32 scalar."""
        return _tensor(self._matrix(cells).mean_iou, cells)


class BalancedAccuracy(ConfusionMatrix):
    """Mean recall over the classes that occur (Brodersen et al. 2010), a scalar; NaN where none."""

    higher_is_better = True

    def value(self, cells: torch.Tensor) -> torch.Tensor:
        """float32 scalar."""
        return _tensor(self._matrix(cells).balanced_accuracy, cells)


class ClassIoU(ConfusionMatrix):
    """IoU of each class, [K]; NaN for classes that neither occur nor are predicted."""

    higher_is_better = True

    def value(self, cells: torch.Tensor) -> torch.Tensor:
        """float32[K]."""
        return _tensor(self._matrix(cells).iou.tolist(), cells)


class ClassRecall(ConfusionMatrix):
    """Recall of each class, [K]; NaN for classes that never occur."""

    higher_is_better = True

    def value(self, cells: torch.Tensor) -> torch.Tensor:
        """float32[K]."""
        return _tensor(self._matrix(cells).recall.tolist(), cells)


class CalibrationError(Counter):
    """Expected calibration error of the predicted class (Guo et al. 2017), a scalar.

    Args:
        bins: bins of confidence, of equal width.
        ignore_index: labels that do not count, one or several; None: all count.
        from_logits: whether scores are logits rather than probabilities.

    Confidences are counted as in `training.metrics.ConfidenceHistogram`. Labels that are no class
    and scores that are no numbers are errors, raised as in `ConfusionMatrix`.
    """

    higher_is_better: bool | None = False

    def __init__(
        self, *, bins: int = 15, ignore_index: IgnoreIndex = -100, from_logits: bool = True
    ):
        exact.cell_bins(bins)
        super().__init__(2 * (RESOLUTION + 1) + 2, (*ignored_labels(ignore_index), from_logits))
        self.bins = bins
        self.ignore_index = ignore_index
        self.from_logits = from_logits

    def tally(self, preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """int64[2 * (RESOLUTION + 1) + 2], one batch."""
        if not preds.is_floating_point() or preds.ndim < 2:
            raise ParameterError("the calibration error needs scores, not labels")
        labels, left_out = _labels(preds, target, preds.shape[1], self.ignore_index)
        scores = preds.detach()
        if scores.dtype in (torch.float16, torch.bfloat16):
            scores = scores.float()
        confidence, predicted = scores.max(dim=1)
        if self.from_logits:
            confidence = (confidence - scores.logsumexp(dim=1)).exp()
        # A softmax may end a little above 1; NaN compares as false.
        valid = (confidence >= 0) & (confidence <= 1.001)
        valid &= (labels >= 0) & (labels < preds.shape[1])
        cell = torch.where(valid, confidence, 0).clamp(max=1).mul(RESOLUTION).round().long()
        right = (predicted == labels).long()
        last = 2 * (RESOLUTION + 1)
        joint = torch.where(valid, right * (RESOLUTION + 1) + cell, last + 1)
        joint = torch.where(left_out, last, joint)
        cells = torch.bincount(joint.reshape(-1), minlength=last + 2)
        if cells.device.type == "cpu":
            self._refuse_invalid(cells)
        return cells

    def value(self, cells: torch.Tensor) -> torch.Tensor:
        """float32 scalar; NaN where nothing was counted."""
        return _tensor(self._histogram(cells).expected_calibration_error(self.bins), cells)

    def histogram(self) -> exact.ConfidenceHistogram:
        """What this process counted; such values add up."""
        return self._histogram(self.cells)

    def _histogram(self, cells: torch.Tensor) -> exact.ConfidenceHistogram:
        self._refuse_invalid(cells)
        counts = cells.cpu().numpy()
        return exact.ConfidenceHistogram(counts[:-2].reshape(2, -1), int(counts[-2]))

    def _refuse_invalid(self, cells: torch.Tensor) -> None:
        if wrong := int(cells[-1]):
            raise ParameterError(
                f"{wrong} elements have a label that is neither a class nor"
                f" ignore_index={self.ignore_index}, or scores that are no"
                f" {'finite logits' if self.from_logits else 'probabilities'}"
            )


def _labels(
    preds: torch.Tensor, target: torch.Tensor, class_count: int, ignore_index: IgnoreIndex
) -> tuple[torch.Tensor, torch.Tensor]:
    """int64 labels and bool "left out", in the shape of the labels.

    Of soft labels the largest counts; mass on the ignored class is dropped, and an element
    without mass is left out, as in the losses.
    """
    shape = tuple(preds.shape)
    if preds.is_floating_point():
        if preds.ndim < 2 or preds.shape[1] != class_count:
            raise ParameterError(
                f"scores of shape {shape} do not have {class_count} classes on axis 1"
            )
        if target.shape == preds.shape:
            inside = [k for k in ignored_labels(ignore_index) if 0 <= k < class_count]
            if inside:
                target = target.clone()
                target[:, inside] = 0
            mass, labels = target.max(dim=1)
            return labels, mass <= 0
        shape = (shape[0], *shape[2:])
    if tuple(target.shape) == (*shape[:1], 1, *shape[1:]):
        target = target.squeeze(1)
    if target.is_floating_point() or tuple(target.shape) != shape:
        raise _misfit(preds, target)
    labels = target.long()
    ignored = left_out(labels, ignore_index)
    return labels, torch.zeros_like(labels, dtype=torch.bool) if ignored is None else ignored


def _misfit(preds: torch.Tensor, target: torch.Tensor) -> ParameterError:
    return ParameterError(
        f"predictions of shape {tuple(preds.shape)} ({preds.dtype}) do not fit a target of shape"
        f" {tuple(target.shape)} ({target.dtype})",
        remedy="scores are floating with the class axis at 1, labels are integers",
    )


def _tensor(value: float | list[float], cells: torch.Tensor) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float32, device=cells.device)
