"""Shift a trained model's logits: to decide otherwise, or to undo class weights.

`maskstat.training.calibration` says why and when weights are undone, docs/deciding.md how shifts
are chosen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from maskstat.errors import ParameterError
from maskstat.training.calibration import logit_shift
from maskstat.training.shifts import Shifts, shift_values
from maskstat.weights.table import WeightTable, load_weights

Weights: TypeAlias = npt.ArrayLike | str | Path | WeightTable


@keras.saving.register_keras_serializable(package="maskstat")
class ShiftLogits(keras.layers.Layer):  # type: ignore[misc, unused-ignore]
    """Adds a number to the logits of each class, so that argmax decides otherwise.

    A last layer for export, without variables. Its dtype is float32 unless told otherwise, also
    under mixed precision.

    Args:
        shift: [K], nats, as numbers, `Shifts`, or the file that `maskstat decide` wrote.
        axis: the class axis.

    Raises:
        ParameterError: shifts that are not finite.
        FileFormatError: a file that holds none.
    """

    def __init__(self, shift: npt.ArrayLike | Shifts | str | Path, axis: int = -1, **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.axis = axis
        self._shift = shift_values(shift)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that the class axis is K long. Raises ParameterError otherwise."""
        _check_axis(input_shape, self.axis, self._shift.size)
        self.built = True

    def call(self, logits: Any) -> Any:
        """Logits of the same shape."""
        return _shifted(logits, self._shift, self.axis)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Arguments that build the layer again."""
        return {**super().get_config(), "shift": self._shift.tolist(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="maskstat")
class UnweightLogits(ShiftLogits):
    """Turns logits of a model trained with class weights into logits of the posterior, z - ln w.

    A last layer for export, as `ShiftLogits` is. Classes of weight 0 get -inf.

    Args:
        weight: [K], the class weights of training; any scale; a table or a file of weights.
        axis: the class axis.

    Raises:
        FileFormatError: the file holds no weights.
        ParameterError: weights that are negative, not finite or all 0.
    """

    def __init__(self, weight: Weights, axis: int = -1, **kwargs: Any):
        super().__init__(np.zeros(1), axis, **kwargs)
        self.weight = _numbers(weight).tolist()
        self._shift = logit_shift(self.weight)

    def get_config(self) -> dict[str, Any]:
        """Arguments that build the layer again."""
        config = super().get_config()
        del config["shift"]
        return {**config, "weight": self.weight}


def unweight_logits(logits: Any, weight: Weights, *, axis: int = -1) -> Any:
    """Logits z - ln w along `axis`, in float32 at least; errors as `UnweightLogits`."""
    shift = logit_shift(_numbers(weight))
    logits = ops.convert_to_tensor(logits)
    if keras.backend.standardize_dtype(logits.dtype) not in {"float32", "float64"}:
        logits = ops.cast(logits, "float32")
    _check_axis(logits.shape, axis, shift.size)
    return _shifted(logits, shift, axis)


def _numbers(weight: Weights) -> npt.NDArray[np.float64]:
    given = load_weights(weight) if isinstance(weight, (str, Path)) else weight
    return np.asarray(given, np.float64)


def _check_axis(shape: Any, axis: int, class_count: int) -> None:
    if not -len(shape) <= axis < len(shape) or shape[axis] not in (None, class_count):
        raise ParameterError(
            f"{class_count} classes do not fit axis {axis} of logits of shape {tuple(shape)}"
        )


def _shifted(logits: Any, shift: npt.NDArray[np.float64], axis: int) -> Any:
    along = [1] * len(logits.shape)
    along[axis] = -1
    return logits + ops.convert_to_tensor(shift.reshape(along), dtype=logits.dtype)
