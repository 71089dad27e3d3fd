"""Weights from files, for losses and for `model.fit`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError, WeightError
from maskstat.naming import printable
from maskstat.weights.fit import Reduction, class_counts, fitting_table, pos_weight_of
from maskstat.weights.table import WeightTable


def load_weights(
    source: str | Path | WeightTable,
    *,
    dtype: str = "float32",
    class_count: int | None = None,
    reduction: Reduction = "mean",
) -> npt.NDArray[np.floating]:
    """Class weights as a NumPy array [K], which every backend takes.

    Args:
        source: a file that `maskstat weights -o` wrote, or a table.
        dtype: float16, float32 or float64.
        class_count: classes of the model, checked where given.
        reduction: what the loss does with the weights: "mean" (Keras' sum_over_batch_size, the
            default of Keras and of the losses of this package), "sum", "none", or "weighted-mean"
            (Keras' mean_with_sample_weight).

    Raises:
        FileFormatError: the file holds no weights.
        WeightError: another number of classes than the model's, or a weight that `dtype` can't
            hold.
        ParameterError: a type that is none of the three.

    Warns:
        UserWarning: the weights were made for another average.
    """
    if dtype not in {"float16", "float32", "float64"}:
        raise ParameterError(f"weights are float16, float32 or float64, not {printable(dtype)}")
    table = fitting_table(source, reduction=reduction, class_count=class_count)
    return _cast(table, dtype)


def load_counts(
    source: str | Path | WeightTable, *, class_count: int | None = None
) -> npt.NDArray[np.float64]:
    """The pixel counts that weights were made from, [K], for `prior=` and `counts=` of losses.

    Divided by their sum they are the classes' frequencies. Where a file knows no more than these
    (weights made from shares), it is they.

    Args:
        source: a file that `maskstat weights -o` wrote, or a table.
        class_count: classes of the model, checked where given.

    Raises:
        FileFormatError: the file holds no weights.
        WeightError: another number of classes than the model's, or a file that holds numbers alone.
    """
    return class_counts(source, class_count=class_count)


def load_pos_weight(source: str | Path | WeightTable) -> float | npt.NDArray[np.float64]:
    """`pos_weight` of binary losses: w1 / w0 of two classes, 0 what is not there, 1 what is.

    Of multi-label masks one number a label, [L].

    Args:
        source: a file that `maskstat weights -o` wrote, of two classes, of multi-label masks or of
            the layout "pos-weight", or a table.

    Raises:
        FileFormatError: the file holds no weights.
        WeightError: other than two classes, or one that never occurs.

    Warns:
        UserWarning: the weights were made for another average.
    """
    return pos_weight_of(source)


def class_weight(
    source: str | Path | WeightTable, *, class_count: int | None = None
) -> dict[int, float]:
    """Weights as `model.fit(class_weight=...)` takes them, for one label an image.

    Keras looks classes up in targets of shape (N,), (N, 1) or one-hot (N, K), and arrays of masks
    end in a TypeError: there, give a loss its `weight`, or see `add_sample_weights`.

    Raises:
        FileFormatError, WeightError: as `load_weights`.

    Warns:
        UserWarning: the weights were not made for Keras' plain mean.
    """
    table = fitting_table(source, reduction="mean", class_count=class_count)
    return dict(enumerate(table.weights.tolist()))


def _cast(table: WeightTable, dtype: str) -> npt.NDArray[np.floating]:
    with np.errstate(over="ignore", under="ignore"):
        cast = table.weights.astype(dtype)
    # Neither infinite nor, by underflow, a class that no longer counts.
    lost = ~np.isfinite(cast) | ((cast == 0) & (table.weights > 0))
    if lost.any():
        first = int(np.flatnonzero(lost)[0])
        raise WeightError(
            f"weight {table.weights[first]:g} of {printable(table.names[first])} does not fit"
            f" {dtype}"
        )
    return cast
