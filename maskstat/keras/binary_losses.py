"""The binary losses as `keras.losses.Loss`: for models whose last layer has no sigmoid.

    model.compile(optimizer="adam", loss=BinaryCrossEntropy("weights.json", ignore_index=255))

With w = 1 or pos_weight, times sample_weight, "mean" is the sum of w · loss over the number of
elements that are neither ignored nor masked, as Keras' own "sum_over_batch_size" is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

import maskstat.keras.functional as functional
from maskstat.errors import ParameterError
from maskstat.keras.functional.binary import (
    PosWeight,
    pos_weight_array,
    standard_binary_reduction,
)
from maskstat.keras.functional.elements import check_per_class, finite, looked_at, share
from maskstat.keras.loading import load_pos_weight
from maskstat.keras.reduced_loss import ReducedLoss
from maskstat.training.binary_arguments import one_weight_of_positives
from maskstat.training.loss_arguments import IgnoreIndex
from maskstat.weights.table import WeightTable


class BinaryLoss(ReducedLoss):
    """What binary losses have in common.

    Args:
        pos_weight: what a positive weighs, where a negative weighs 1: a number; [L] numbers, one
            a label; a table or file of two weights (w1 / w0) or of labels; a file that
            `maskstat weights --layout pos-weight` wrote; None for 1. Kept as a number or a list in
            the configuration.
        ignore_index: targets to leave out, one or several, or None.
        reduction: "none", "sum" or "mean" (Keras' "sum_over_batch_size"), under which pos_weight
            holds.
        name: shown in logs.
        dtype: what logits are converted to first; Keras' floatx unless given. Nothing is converted
            to half precision, and what comes in it is computed in float32.

    Raises:
        ParameterError: arguments that mean nothing.
        FileFormatError, WeightError: as `load_pos_weight`.
    """

    def __init__(
        self,
        pos_weight: PosWeight | str | Path | None = None,
        *,
        ignore_index: IgnoreIndex = None,
        reduction: str | None = "mean",
        name: str | None = None,
        dtype: Any = None,
    ):
        reduction = standard_binary_reduction(reduction)
        super().__init__(ignore_index=ignore_index, reduction=reduction, name=name, dtype=dtype)
        self.pos_weight = None if pos_weight is None else _plain(pos_weight)

    def _statistics(self) -> dict[str, Any]:
        return {"pos_weight": self.pos_weight}


@keras.saving.register_keras_serializable(package="maskstat")
class BinaryCrossEntropy(BinaryLoss):
    """Cross entropy of a sigmoid; `functional.binary_cross_entropy`.

    label_smoothing: from 0 to 1.
    """

    function = staticmethod(functional.binary_cross_entropy)

    def __init__(
        self,
        pos_weight: PosWeight | str | Path | None = None,
        *,
        label_smoothing: float = 0.0,
        name: str = "binary_cross_entropy",
        **common: Any,
    ):
        super().__init__(pos_weight, name=name, **common)
        self._options = {"label_smoothing": share(label_smoothing, "label_smoothing")}


@keras.saving.register_keras_serializable(package="maskstat")
class BinaryFocal(BinaryLoss):
    """Focal loss of a sigmoid (Lin et al. 2017); `functional.binary_focal`.

    Args:
        gamma: at least 0.
        alpha: from 0 to 1, what positives weigh, where negatives weigh 1 - alpha; or None.
    """

    function = staticmethod(functional.binary_focal)

    def __init__(
        self,
        pos_weight: PosWeight | str | Path | None = None,
        *,
        gamma: float = 2.0,
        alpha: float | None = None,
        name: str = "binary_focal",
        **common: Any,
    ):
        one_weight_of_positives(alpha, pos_weight)
        super().__init__(pos_weight, name=name, **common)
        self._options = {
            "gamma": finite(gamma, "gamma", 0.0),
            "alpha": None if alpha is None else share(alpha, "alpha"),
        }


def _plain(given: PosWeight | str | Path) -> float | list[float]:
    """A number or a list of one a label. Raises ParameterError unless finite and not negative."""
    if isinstance(given, (str, os.PathLike, WeightTable)):
        given = load_pos_weight(given)  # type: ignore[arg-type]
    table = check_per_class(np.asarray(looked_at(given, "pos_weight")), "pos_weight")
    pos_weight_array(table)
    if table.size == 0:
        raise ParameterError("pos_weight is of no label")
    return float(table) if table.ndim == 0 else [float(value) for value in table]
