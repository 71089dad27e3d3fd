"""Per-pixel sample weights for `model.fit`, as in TensorFlow's segmentation tutorial."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError
from maskstat.keras.loading import load_weights
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels
from maskstat.weights.table import WeightTable

_NOT_ONE_HOT = (
    "labels with an axis of classes are not one-hot; maskstat.keras.CrossEntropy(weights) takes"
    " soft labels, and label[..., None] are classes"
)
_NOT_WHOLE = (
    "labels are not whole numbers; maskstat.keras.CrossEntropy(weights) takes soft labels, their"
    " last axis being that of classes"
)


def add_sample_weights(
    weights: str | Path | WeightTable | npt.ArrayLike,
    ignore: IgnoreIndex = 255,
    *,
    ignored_label: int | None = 0,
) -> Callable[..., tuple[Any, Any, Any]]:
    """A function (image, label) -> (image, label, sample weight) for `tf.data.Dataset.map`.

    The weight of a pixel is its class's weight, and 0 where it is ignored. There, the label
    becomes `ignored_label`, because Keras' own losses look labels up before they weigh them, and
    255 is an error or NaN to them. So metrics must see the weights too: pass them as
    `weighted_metrics`. With Keras' default reduction the mean still divides by all
    pixels, ignored ones included.

    Works on batches and on single elements, of TensorFlow tensors or of anything that NumPy takes,
    which gives NumPy arrays. A third element, sample weights there are already, is multiplied.

    Labels are whole numbers of any type, or one-hot: of as many axes as the image, the last one K
    long. One-hot labels stay what they are, and vectors of zeros are ignored.

    Args:
        weights: [K] numbers, a table, or a file that `maskstat weights -o` wrote.
        ignore: labels that get weight 0, one or several; None where every label counts.
        ignored_label: what it becomes, a class; None leaves it as it is, for losses that know it.

    Returns:
        The function. Labels keep shape and type; sample weights are float32 of the labels' shape,
        without the last axis of one-hot labels. A label that is neither a class nor ignored raises:
        tf.errors.InvalidArgumentError in a TensorFlow pipeline, else ParameterError. So do soft
        labels, which `CrossEntropy` takes, and a shape that may be of one-hot labels or not.

    Raises:
        FileFormatError, WeightError: as `load_weights`.
        ParameterError: weights that are not one finite number of at least 0 a class, or an
            `ignored_label` that is no class.
    """
    ignored_labels(ignore)
    if isinstance(weights, (str, Path, WeightTable)):
        table: npt.NDArray[np.floating] = load_weights(weights)
    else:
        table = np.asarray(weights, np.float32)
    if table.ndim != 1 or not table.size or not np.isfinite(table).all() or (table < 0).any():
        raise ParameterError("weights must be one finite number of at least 0 a class")
    if ignored_label is not None and not 0 <= ignored_label < table.size:
        raise ParameterError(f"ignored_label={ignored_label} is no class (0 to {table.size - 1})")

    def with_sample_weights(
        image: Any, label: Any, sample_weight: Any = None
    ) -> tuple[Any, Any, Any]:
        tensorflow = sys.modules.get("tensorflow")
        if tensorflow is not None and tensorflow.is_tensor(label):
            if _is_one_hot(image, label, table.size):
                weight = _weigh_one_hot_tensors(label, table, ignore)
            else:
                label, weight = _weigh_tensors(label, table, ignore, ignored_label)
        else:
            label = np.asarray(label)
            if _is_one_hot(image, label, table.size):
                weight = _weigh_one_hot(label, table, ignore)
            else:
                label, weight = _weigh(label, table, ignore, ignored_label)
        return image, label, weight if sample_weight is None else weight * sample_weight

    return with_sample_weights


def _is_one_hot(image: Any, label: Any, class_count: int) -> bool:
    """Whether the last axis of the labels is that of classes, by the shapes alone."""
    labels = _shape(label)
    images = _shape(image)
    as_deep = labels is not None and images is not None and len(labels) == len(images)
    if labels is None or (as_deep and labels[-1:] == (None,)):
        raise ParameterError(
            "labels have no known shape, so they may be one-hot or not",
            remedy="set it before, label.set_shape([None, None, 1])",
        )
    if class_count == 1 or not labels or labels[-1] != class_count:
        return False
    if as_deep:
        return True
    if images is not None and images[: len(labels)] == labels:
        return False  # as wide as there are classes
    raise ParameterError(
        f"labels of shape {labels} for {class_count} classes may be one-hot or not",
        remedy="label[..., None] are classes; one-hot labels have as many axes as the image, or go"
        " to maskstat.keras.CrossEntropy(weights)",
    )


def _shape(values: Any) -> tuple[int | None, ...] | None:
    """What is known of a shape, None where nothing is."""
    shape = getattr(values, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        return None
    return tuple(shape)


def _message(class_count: int, ignore: IgnoreIndex) -> str:
    return f"a label is neither a class (0 to {class_count - 1}) nor ignored ({ignore})"


def _without(table: npt.NDArray[np.floating], ignore: IgnoreIndex) -> npt.NDArray[np.floating]:
    """The table with 0 for classes that are ignored."""
    return np.where(np.isin(np.arange(table.size), ignored_labels(ignore)), 0, table)


def _weigh_one_hot(label: Any, table: npt.NDArray[np.floating], ignore: IgnoreIndex) -> Any:
    if not (np.isin(label, (0, 1)).all() and (np.count_nonzero(label, axis=-1) <= 1).all()):
        raise ParameterError(_NOT_ONE_HOT)
    return label.astype(np.float32) @ _without(table, ignore).astype(np.float32)


def _weigh(
    labels: Any, table: npt.NDArray[np.floating], ignore: IgnoreIndex, ignored_label: int | None
) -> tuple[Any, Any]:
    if labels.dtype.kind not in "iuf":
        raise ParameterError(f"labels must be whole numbers, not {labels.dtype}")
    # NaN and infinity are neither.
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.floor(labels))).all():
        raise ParameterError(_NOT_WHOLE)
    ignored = np.isin(labels, ignored_labels(ignore))
    safe = np.where(ignored, 0, labels.astype(np.int64))
    if safe.size and not (safe.min() >= 0 and safe.max() < table.size):
        raise ParameterError(_message(table.size, ignore))
    weight = np.where(ignored, np.float32(0), table[safe])
    if ignored_label is not None:
        labels = np.where(ignored, labels.dtype.type(ignored_label), labels)
    return labels, weight


# The pipeline is TensorFlow's whatever the backend of Keras, so this can't be keras.ops.


def _weigh_one_hot_tensors(label: Any, table: npt.NDArray[np.floating], ignore: IgnoreIndex) -> Any:
    import tensorflow as tf

    parts = tf.cast(label, tf.float32)
    binary = tf.reduce_all((parts == 0) | (parts == 1))
    single = tf.reduce_all(tf.reduce_sum(parts, -1) <= 1)
    with _asserted(binary & single, _NOT_ONE_HOT):
        return tf.linalg.matvec(tf.identity(parts), tf.constant(_without(table, ignore)))


def _weigh_tensors(
    label: Any, table: npt.NDArray[np.floating], ignore: IgnoreIndex, ignored_label: int | None
) -> tuple[Any, Any]:
    import tensorflow as tf

    if not (label.dtype.is_integer or label.dtype.is_floating):
        raise ParameterError(f"labels must be whole numbers, not {label.dtype.name}")
    if label.dtype.is_floating:
        # NaN is not even itself, and 2**31 is no class, so that infinity is none of them either.
        whole = tf.reduce_all((label == tf.floor(label)) & (tf.abs(label) < 2.0**31))
        with _asserted(whole, _NOT_WHOLE):
            label = tf.identity(label)
    labels = tf.cast(label, tf.int64)
    ignored = tf.zeros_like(labels, tf.bool)
    for index in ignored_labels(ignore):
        ignored = ignored | tf.equal(labels, index)
    safe = tf.where(ignored, tf.zeros_like(labels), labels)
    with _asserted(tf.reduce_all((safe >= 0) & (safe < table.size)), _message(table.size, ignore)):
        weight = tf.gather(tf.constant(table), tf.identity(safe))
    weight = tf.where(ignored, tf.zeros_like(weight), weight)
    if ignored_label is not None:
        label = tf.where(ignored, tf.cast(ignored_label, label.dtype), label)
    return label, weight


def _asserted(condition: Any, message: str) -> Any:
    """A block whose results wait for the condition, in a graph too."""
    import tensorflow as tf

    check = tf.debugging.Assert(condition, [message])
    return tf.control_dependencies([check] if check is not None else [])
