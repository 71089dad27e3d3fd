"""The losses as `keras.losses.Loss`: for `model.compile`, and saved with the model.

What divides by what: with w = weight[label] · sample_weight, "mean" (Keras' own
"sum_over_batch_size") is the sum of w · loss over the **number** of elements that are neither
ignored nor masked, "weighted-mean" over the **sum of their w**. So `model.fit(sample_weight=...)`,
a dataset's third entry, `class_weight=` and Keras masks mean what they mean in Keras' own losses,
and ignored elements are no longer there. A `sample_weight` may also be [N], one number an image.

Under `tf.distribute` each replica divides by what it sees itself, and means are divided by the
number of replicas, as Keras does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

import maskstat.keras.functional as functional
from maskstat.errors import ParameterError
from maskstat.keras.functional.elements import (
    PerClass,
    check_per_class,
    finite,
    looked_at,
    occurring,
    refuse_files,
    share,
)
from maskstat.keras.loading import load_weights
from maskstat.keras.reduced_loss import ReducedLoss
from maskstat.training.loss_arguments import IgnoreIndex, check_mining
from maskstat.weights.table import WeightTable


class WeightedLoss(ReducedLoss):
    """What all have in common: weights, an ignored label, a reduction, their form in files.

    Args:
        weight: [K] finite, not negative; a table or file of weights; None for ones. Kept as a list
            in the configuration.
        ignore_index: labels to leave out, one or several, inside or outside 0..K-1, or None.
        reduction: "none", "sum", "mean", "weighted-mean", or Keras' names of them.
        name: shown in logs.
        dtype: what logits are converted to first; Keras' floatx unless given. Nothing is converted
            to half precision, and what comes in it is computed in float32.

    Raises:
        ParameterError: arguments that mean nothing.
        FileFormatError, WeightError: as `load_weights`.
    """

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        ignore_index: IgnoreIndex = None,
        reduction: str | None = "mean",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(ignore_index=ignore_index, reduction=reduction, name=name, dtype=dtype)
        if isinstance(weight, (str, os.PathLike, WeightTable)):
            own = self._own_reduction
            weight = load_weights(weight, reduction=own, dtype="float64")  # type: ignore[arg-type]
        self.weight = None if weight is None else listed(weight, "weight")

    def _statistics(self) -> dict[str, Any]:
        return {"weight": self.weight}


@keras.saving.register_keras_serializable(package="maskstat")
class CrossEntropy(WeightedLoss):
    """Cross entropy of logits and sparse, one-hot or soft labels; `functional.cross_entropy`.

    Args:
        label_smoothing: from 0 to 1.
        top_k: above 0, at most 1: the share of labelled elements that count, the hardest.
        threshold: above 0, at most 1: elements whose true class is less likely count.
    """

    function = staticmethod(functional.cross_entropy)

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        label_smoothing: float = 0.0,
        top_k: float | None = None,
        threshold: float | None = None,
        name: str = "cross_entropy",
        **common: Any,
    ):
        super().__init__(weight, name=name, **common)
        check_mining(top_k, threshold)
        self._options = {
            "label_smoothing": share(label_smoothing, "label_smoothing"),
            "top_k": top_k,
            "threshold": threshold,
        }


@keras.saving.register_keras_serializable(package="maskstat")
class Focal(WeightedLoss):
    """Focal loss (Lin et al. 2017); `functional.focal`. gamma: at least 0."""

    function = staticmethod(functional.focal)

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        gamma: float = 2.0,
        name: str = "focal",
        **common: Any,
    ):
        super().__init__(weight, name=name, **common)
        self._options = {"gamma": finite(gamma, "gamma", 0.0)}


@keras.saving.register_keras_serializable(package="maskstat")
class ComplementEntropy(WeightedLoss):
    """Complement entropy C (Chen et al. 2019), not negated; `functional.complement_entropy`.

    To be made larger: by itself it is a metric, or the second step of complement objective
    training.
    """

    function = staticmethod(functional.complement_entropy)

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        name: str = "complement_entropy",
        **common: Any,
    ):
        super().__init__(weight, name=name, **common)


@keras.saving.register_keras_serializable(package="maskstat")
class ComplementCrossEntropy(WeightedLoss):
    """Complement cross entropy (Kim et al. 2020); `functional.complement_cross_entropy`."""

    function = staticmethod(functional.complement_cross_entropy)

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        gamma: float = -1.0,
        name: str = "complement_cross_entropy",
        **common: Any,
    ):
        super().__init__(weight, name=name, **common)
        self._options = {"gamma": finite(gamma, "gamma")}


@keras.saving.register_keras_serializable(package="maskstat")
class LogitAdjusted(WeightedLoss):
    """Logit-adjusted cross entropy (Menon et al. 2021); `functional.logit_adjusted`.

    Args:
        prior: [K], how often classes occur: counts or shares (`load_counts`), never weights.
        tau: 1 in theory.
    """

    function = staticmethod(functional.logit_adjusted)

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        prior: PerClass,
        tau: float = 1.0,
        name: str = "logit_adjusted",
        **common: Any,
    ):
        super().__init__(weight, name=name, **common)
        self._options = {"prior": amounts(prior, "prior"), "tau": finite(tau, "tau")}


@keras.saving.register_keras_serializable(package="maskstat")
class LDAM(WeightedLoss):
    """Label-distribution-aware margin loss (Cao et al. 2019); `functional.ldam`.

    The paper trains without weights until the last learning rate: `DeferredReweighting`.

    Args:
        counts: [K], how often classes occur: counts or shares (`load_counts`), never weights.
        max_margin: of the rarest class, at least 0.
        scale: of the logits, at least 0.
    """

    function = staticmethod(functional.ldam)

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        counts: PerClass,
        max_margin: float = 0.5,
        scale: float = 30.0,
        name: str = "ldam",
        **common: Any,
    ):
        super().__init__(weight, name=name, **common)
        self._options = {
            "counts": amounts(counts, "counts"),
            "max_margin": finite(max_margin, "max_margin", 0.0),
            "scale": finite(scale, "scale", 0.0),
        }


@keras.saving.register_keras_serializable(package="maskstat")
class DistanceAware(WeightedLoss):
    """Heat-map loss (Law & Deng 2018) of logits and heat maps; `functional.distance_aware`.

    "mean" divides by the number of key points (y = 1), "weighted-mean" by the sum of their weights.
    """

    function = staticmethod(functional.distance_aware)

    def __init__(
        self,
        weight: PerClass | str | Path | WeightTable | None = None,
        *,
        alpha: float = 2.0,
        beta: float = 4.0,
        name: str = "distance_aware",
        **common: Any,
    ):
        super().__init__(weight, name=name, **common)
        self._options = {"alpha": finite(alpha, "alpha", 0.0), "beta": finite(beta, "beta", 0.0)}


def listed(values: PerClass, name: str) -> list[float]:
    """[K] numbers as a list. Raises ParameterError unless finite and not negative."""
    refuse_files(values, name)
    table = looked_at(values, name)
    if table.ndim != 1:
        raise ParameterError(f"{name} of shape {table.shape} is no list of one number a class")
    return [float(value) for value in check_per_class(table, name)]


def amounts(values: PerClass, name: str) -> list[float]:
    """[K] counts or shares as a list. Raises ParameterError for weights."""
    numbers = listed(values, name)
    occurring(np.asarray(numbers), name)
    return numbers
