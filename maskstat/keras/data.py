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

    Args:
        weights: [K] numbers, a table, or a file that `maskstat weights -o` wrote.
        ignore: labels that get weight 0, one or several; None where every label counts.
        ignored_label: what it becomes, a class; None leaves it as it is, for losses that know it.

    Returns:
        The function. Labels keep shape and type; sample weights are float32 of the labels' shape.
        A label that is neither a class nor ignored raises: tf.errors.InvalidArgumentError in a
        TensorFlow pipeline, else ParameterError.

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
        weigh = _weigh
        if tensorflow is not None and tensorflow.is_tensor(label):
            weigh = _weigh_tensors
        label, weight = weigh(label, table, ignore, ignored_label)
        return image, label, weight if sample_weight is None else weight * sample_weight

    return with_sample_weights


def _message(class_count: int, ignore: IgnoreIndex) -> str:
    return f"a label is neither a class (0 to {class_count - 1}) nor ignored ({ignore})"


def _weigh(
    label: Any, table: npt.NDArray[np.floating], ignore: IgnoreIndex, ignored_label: int | None
) -> tuple[Any, Any]:
    labels = np.asarray(label)
    if labels.dtype.kind not in "iu":
        raise ParameterError(f"labels must be integers, not {labels.dtype}")
    ignored = np.isin(labels, ignored_labels(ignore))
    safe = np.where(ignored, 0, labels.astype(np.int64))
    if safe.size and not (safe.min() >= 0 and safe.max() < table.size):
        raise ParameterError(_message(table.size, ignore))
    weight = np.where(ignored, np.float32(0), table[safe])
    if ignored_label is not None:
        labels = np.where(ignored, labels.dtype.type(ignored_label), labels)
    return labels, weight


def _weigh_tensors(
    label: Any, table: npt.NDArray[np.floating], ignore: IgnoreIndex, ignored_label: int | None
) -> tuple[Any, Any]:
    # The pipeline is TensorFlow's whatever the backend of Keras, so this can't be keras.ops.
    import tensorflow as tf

    if not label.dtype.is_integer:
        raise ParameterError(f"labels must be integers, not {label.dtype.name}")
    labels = tf.cast(label, tf.int64)
    ignored = tf.zeros_like(labels, tf.bool)
    for index in ignored_labels(ignore):
        ignored = ignored | tf.equal(labels, index)
    safe = tf.where(ignored, tf.zeros_like(labels), labels)
    valid = tf.reduce_all((safe >= 0) & (safe < table.size))
    check = tf.debugging.Assert(valid, [_message(table.size, ignore)])
    with tf.control_dependencies([check] if check is not None else []):
        weight = tf.gather(tf.constant(table), tf.identity(safe))
    weight = tf.where(ignored, tf.zeros_like(weight), weight)
    if ignored_label is not None:
        label = tf.where(ignored, tf.cast(ignored_label, label.dtype), label)
    return label, weight
