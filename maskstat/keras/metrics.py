"""Metrics that count exactly on every backend, channels last, also under `tf.function` and `jit`.

`update_state(y_true, y_pred, sample_weight)` takes raw scores (floating) with the class axis last,
(N, K), (N, H, W, K) or (N, D, H, W, K), or integer labels. Targets are labels, with or without a
last axis of length 1, or one-hot or soft labels in the scores' shape, of which the largest
counts. Elements of sample weight 0 do not count, others count once whatever their weight.

JAX has no int64 unless asked, and on PyTorch some sums of keras.ops pass through float32. So a
count is two int32, n = high * 2^24 + low, which holds 2^55 and never rounds; adding both over
replicas gives the right sum. Ratios are float32; `confusion()` has them in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from maskstat.errors import ParameterError
from maskstat.keras.functional.elements import other_classes
from maskstat.training import metrics as exact
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels, one_or_several
from maskstat.training.metrics import RESOLUTION

__all__ = [
    "BalancedAccuracy",
    "CalibrationError",
    "ClassIoU",
    "ClassRecall",
    "ConfusionMatrix",
    "MeanIoU",
]

_BASE = 1 << 24


class _Counter(keras.metrics.Metric):  # type: ignore[misc, unused-ignore]
    """A metric whose state is counts, the last two of what is ignored and what is invalid."""

    def __init__(self, size: int, ignore_index: IgnoreIndex, name: str | None, dtype: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self.ignore_index = one_or_several(ignored_labels(ignore_index))
        self._size = size + 2
        self.cells = self.add_variable((2, self._size), "zeros", dtype="int32", name="cells")

    def _add(self, cell: Any) -> None:
        """Count every element of an int32 tensor of cells."""
        counts = _count(ops.reshape(cell, (-1,)), self._size)
        high, low = self.cells[0], self.cells[1] + counts
        carry = ops.floor_divide(low, _BASE)
        self.cells.assign(ops.stack([high + carry, low - carry * _BASE]))

    def _counts(self) -> Any:
        """float32[size], without the last two; all NaN where something invalid was counted."""
        counts = ops.cast(self.cells[0], "float32") * _BASE + ops.cast(self.cells[1], "float32")
        return ops.where(counts[-1] > 0, math.nan, counts[:-2])

    def _exact_counts(self) -> tuple[npt.NDArray[np.int64], int]:
        """int64[size] and the number of ignored elements. Raises ParameterError."""
        high, low = ops.convert_to_numpy(self.cells).astype(np.int64)
        counts = high * _BASE + low
        if counts[-1]:
            raise ParameterError(
                f"{counts[-1]} elements have a label or prediction that is neither a class nor"
                f" ignore_index={self.ignore_index}, or scores that are no numbers"
            )
        return counts[:-2], int(counts[-2])


class _ClassCounter(_Counter):
    """A metric that follows from the confusion matrix."""

    def __init__(
        self,
        class_count: int,
        *,
        ignore_index: IgnoreIndex = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        exact.ConfusionMatrix.empty(class_count)
        super().__init__(class_count * class_count, ignore_index, name, dtype)
        self.class_count = class_count

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch."""
        classes = self.class_count
        labels, left_out, y_pred = _labels(
            y_true, y_pred, sample_weight, classes, self.ignore_index
        )
        if _is_floating(y_pred):
            y_pred = ops.argmax(y_pred, axis=-1)
        predicted = ops.cast(y_pred, "int32")
        valid = (labels >= 0) & (labels < classes) & (predicted >= 0) & (predicted < classes)
        cell = ops.where(valid, labels * classes + predicted, classes * classes + 1)
        self._add(ops.where(left_out, classes * classes, cell))

    def confusion(self) -> exact.ConfusionMatrix:
        """The counts as a value, with every measure in float64.

        Raises:
            ParameterError: a label or prediction was neither a class nor ignored; `result` is NaN
                then, because it can't raise inside a compiled step.
        """
        counts, ignored = self._exact_counts()
        return exact.ConfusionMatrix(counts.reshape(self.class_count, -1), ignored)

    def get_config(self) -> dict[str, Any]:
        """Arguments that build the metric again."""
        return {
            **super().get_config(),
            "class_count": self.class_count,
            "ignore_index": self.ignore_index,
        }

    def _matrix(self) -> tuple[Any, Any, Any, Any]:
        """float32: counts [K, K], support [K], predicted [K], hits [K]."""
        counts = ops.reshape(self._counts(), (self.class_count, self.class_count))
        return counts, ops.sum(counts, axis=1), ops.sum(counts, axis=0), ops.diagonal(counts)

    def _recall(self) -> Any:
        _, support, _, hits = self._matrix()
        return _ratio(hits, support)

    def _iou(self) -> Any:
        _, support, predicted, hits = self._matrix()
        return _ratio(hits, support + predicted - hits)

    def _pixel_accuracy(self) -> Any:
        counts, _, _, hits = self._matrix()
        return _ratio(ops.sum(hits), ops.sum(counts))


@keras.saving.register_keras_serializable(package="maskstat")
class ConfusionMatrix(_ClassCounter):
    """Everything at once: `result` has pixel_accuracy, balanced_accuracy and mean_iou.

    The matrix itself and all other measures are in `confusion()`.

    Args:
        class_count: K.
        ignore_index: labels that do not count, one or several, inside or outside of 0..K-1; None:
            all count.
        name, dtype: as any metric's.
    """

    def result(self) -> dict[str, Any]:
        """float32 scalars; NaN where undefined, or where a label was invalid."""
        return {
            "pixel_accuracy": self._pixel_accuracy(),
            "balanced_accuracy": _mean_of_defined(self._recall()),
            "mean_iou": _mean_of_defined(self._iou()),
        }


@keras.saving.register_keras_serializable(package="maskstat")
class MeanIoU(_ClassCounter):
    """Mean IoU over the classes that occur or are predicted; NaN where none does.

    Args: as `ConfusionMatrix`.
    """

    def result(self) -> Any:
        """float32 scalar."""
        return _mean_of_defined(self._iou())


@keras.saving.register_keras_serializable(package="maskstat")
class BalancedAccuracy(_ClassCounter):
    """Mean recall over the classes that occur (Brodersen et al. 2010); NaN where none does.

    Args: as `ConfusionMatrix`.
    """

    def result(self) -> Any:
        """float32 scalar."""
        return _mean_of_defined(self._recall())


class _PerClass(_ClassCounter):
    """A metric with one number a class; Keras wants those as scalars in a dict."""

    prefix = ""

    def __init__(
        self, class_count: int, *, class_names: Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(class_count, **kwargs)
        self.class_names = None if class_names is None else list(class_names)
        if class_names is not None and len(class_names) != class_count:
            raise ParameterError(f"{len(class_names)} names do not fit {class_count} classes")

    def get_config(self) -> dict[str, Any]:
        """Arguments that build the metric again."""
        return {**super().get_config(), "class_names": self.class_names}

    def _by_name(self, values: Any) -> dict[str, Any]:
        names = self.class_names or [f"class_{k}" for k in range(self.class_count)]
        return {f"{self.prefix}_{name}": values[k] for k, name in enumerate(names)}


@keras.saving.register_keras_serializable(package="maskstat")
class ClassIoU(_PerClass):
    """IoU of each class, "iou_NAME"; NaN for classes that neither occur nor are predicted.

    Args: as `ConfusionMatrix`, and
        class_names: K names; class_0, class_1, ... where None.
    """

    prefix = "iou"

    def result(self) -> dict[str, Any]:
        """float32 scalars."""
        return self._by_name(self._iou())


@keras.saving.register_keras_serializable(package="maskstat")
class ClassRecall(_PerClass):
    """Recall of each class, "recall_NAME"; NaN for classes that never occur.

    Args: as `ClassIoU`.
    """

    prefix = "recall"

    def result(self) -> dict[str, Any]:
        """float32 scalars."""
        return self._by_name(self._recall())


@keras.saving.register_keras_serializable(package="maskstat")
class CalibrationError(_Counter):
    """Expected calibration error of the predicted class (Guo et al. 2017); NaN if nothing counted.

    Confidences are counted as in `maskstat.training.metrics.ConfidenceHistogram`.

    Args:
        bins: bins of confidence, of equal width.
        ignore_index: labels that do not count, one or several; None: all count.
        from_logits: whether scores are logits rather than probabilities.
        name, dtype: as any metric's.
    """

    def __init__(
        self,
        *,
        bins: int = 15,
        ignore_index: IgnoreIndex = None,
        from_logits: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._bin_of_cell = exact.cell_bins(bins)
        super().__init__(2 * (RESOLUTION + 1), ignore_index, name, dtype)
        self.bins = bins
        self.from_logits = from_logits

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch."""
        y_pred = ops.convert_to_tensor(y_pred)
        if not _is_floating(y_pred) or y_pred.shape[-1] is None:
            raise ParameterError("the calibration error needs scores of a known number of classes")
        classes = int(y_pred.shape[-1])
        labels, left_out, y_pred = _labels(
            y_true, y_pred, sample_weight, classes, self.ignore_index
        )
        if keras.backend.standardize_dtype(y_pred.dtype) in {"float16", "bfloat16"}:
            y_pred = ops.cast(y_pred, "float32")
        confidence = ops.max(y_pred, axis=-1)
        if self.from_logits:
            confidence = ops.exp(confidence - ops.logsumexp(y_pred, axis=-1))
        # A softmax may end a little above 1; NaN compares as false.
        valid = (confidence >= 0) & (confidence <= 1.001) & (labels >= 0) & (labels < classes)
        share = ops.minimum(ops.where(valid, confidence, ops.zeros_like(confidence)), 1.0)
        cell = ops.cast(ops.round(share * RESOLUTION), "int32")
        right = ops.cast(ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), labels), "int32")
        last = 2 * (RESOLUTION + 1)
        joint = ops.where(valid, right * (RESOLUTION + 1) + cell, last + 1)
        self._add(ops.where(left_out, last, joint))

    def result(self) -> Any:
        """float32 scalar."""
        counts = ops.reshape(self._counts(), (2, RESOLUTION + 1))
        total = counts[0] + counts[1]
        confidence = total * ops.convert_to_tensor(
            np.arange(RESOLUTION + 1) / RESOLUTION, dtype="float32"
        )
        gaps = [self._binned(values) for values in (counts[1], confidence)]
        return _ratio(ops.sum(ops.abs(gaps[0] - gaps[1])), ops.sum(total))

    def _binned(self, values: Any) -> Any:
        ids = ops.convert_to_tensor(self._bin_of_cell, dtype="int32")
        return ops.segment_sum(values, ids, num_segments=self.bins)

    def histogram(self) -> exact.ConfidenceHistogram:
        """The counts as a value. Raises ParameterError where something invalid was counted."""
        counts, ignored = self._exact_counts()
        return exact.ConfidenceHistogram(counts.reshape(2, -1), ignored)

    def get_config(self) -> dict[str, Any]:
        """Arguments that build the metric again."""
        return {
            **super().get_config(),
            "bins": self.bins,
            "ignore_index": self.ignore_index,
            "from_logits": self.from_logits,
        }


def _count(cell: Any, size: int) -> Any:
    """int32[size], how often each cell occurs. Exact on every backend, compiled or not."""
    if keras.backend.backend() == "torch":  # its segment_sum adds in float32
        return ops.bincount(cell, minlength=size)
    return ops.segment_sum(ops.ones_like(cell), cell, num_segments=size)


def _labels(
    y_true: Any, y_pred: Any, sample_weight: Any, class_count: int, ignore_index: IgnoreIndex
) -> tuple[Any, Any, Any]:
    """int32 labels, bool "left out", and the predictions, all without a last axis of length 1.

    Of soft labels the largest counts; mass on the ignored class is dropped, and an element
    without mass is left out, as in the losses.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    rank = len(y_pred.shape)
    if _is_floating(y_pred):
        if rank < 2 or y_pred.shape[-1] not in (None, class_count):
            raise ParameterError(
                f"scores of shape {tuple(y_pred.shape)} do not have {class_count} classes on the"
                " last axis"
            )
        rank -= 1
    elif rank > 1 and y_pred.shape[-1] == 1:
        y_pred, rank = ops.squeeze(y_pred, axis=-1), rank - 1
    soft = len(y_true.shape) == rank + 1 and _is_floating(y_pred) and y_true.shape[-1] != 1
    if soft:
        mass = ops.cast(y_true, "float32")
        others = other_classes(class_count, ignore_index)
        if others is not None:
            mass = mass * ops.cast(ops.convert_to_tensor(others), "float32")
        labels = ops.cast(ops.argmax(mass, axis=-1), "int32")
        left_out = ops.max(mass, axis=-1) <= 0
    else:
        if len(y_true.shape) == rank + 1 and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, axis=-1)
        if len(y_true.shape) != rank:
            raise ParameterError(
                f"a target of shape {tuple(y_true.shape)} does not fit predictions of shape"
                f" {tuple(y_pred.shape)}"
            )
        labels = ops.cast(y_true, "int32")
        left_out = ops.zeros_like(labels, dtype="bool")
        for index in ignored_labels(ignore_index):
            left_out = left_out | ops.equal(labels, index)
    if sample_weight is not None:
        weight = ops.convert_to_tensor(sample_weight)
        if len(weight.shape) == rank + 1 and weight.shape[-1] == 1:
            weight = ops.squeeze(weight, axis=-1)
        while len(weight.shape) < rank:
            weight = ops.expand_dims(weight, axis=-1)
        left_out = left_out | ops.equal(weight, 0)
    return labels, left_out, y_pred


def _is_floating(tensor: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(tensor.dtype)


def _ratio(numerator: Any, denominator: Any) -> Any:
    """Quotients, NaN where the denominator is 0."""
    defined = denominator != 0
    return ops.where(defined, numerator / ops.where(defined, denominator, 1.0), math.nan)


def _mean_of_defined(values: Any) -> Any:
    """The mean without NaN; NaN where nothing else is there."""
    defined = ops.logical_not(ops.isnan(values))
    count = ops.sum(ops.cast(defined, "float32"))
    return _ratio(ops.sum(ops.where(defined, values, 0.0)), count)
