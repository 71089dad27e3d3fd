"""What every loss as `keras.losses.Loss` has: its types, its reduction, its form in files."""

from __future__ import annotations

from typing import Any

import keras

from maskstat.keras.functional.elements import (
    Tensor,
    is_half,
    refuse_probabilities,
    standard_reduction,
)
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels, one_or_several

KERAS_REDUCTIONS = {
    "none": "none",
    "sum": "sum",
    "mean": "sum_over_batch_size",
    "weighted-mean": "mean_with_sample_weight",
}


class ReducedLoss(keras.losses.Loss):  # type: ignore[misc]
    """A function of logits and target, which reduces, and ignores labels, by itself."""

    function: Any = None
    """The loss as a function of logits and target."""
    deferred: bool
    """Whether it goes without weights for now; `DeferredReweighting` says so."""

    def __init__(
        self,
        *,
        ignore_index: IgnoreIndex,
        reduction: str | None,
        name: str | None,
        dtype: Any,
    ):
        own = standard_reduction(reduction)
        super().__init__(name=name, dtype=dtype)
        self.reduction = KERAS_REDUCTIONS[own]  # of which older versions of Keras know fewer
        self.ignore_index = one_or_several(ignored_labels(ignore_index))
        self._own_reduction = own
        self._given_dtype = None if dtype is None else self.dtype
        self._options: dict[str, Any] = {}
        self.deferred = False

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The loss of logits `y_pred`, reduced; a mask that Keras attached to them is obeyed."""
        loss = self._evaluate(
            y_true, y_pred, self._own_reduction, sample_weight, getattr(y_pred, "_keras_mask", None)
        )
        return per_replica(loss) if "mean" in self._own_reduction else loss

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The weighted loss of every element, 0 where it is ignored."""
        return self._evaluate(y_true, y_pred, "none", None, None)

    def _statistics(self) -> dict[str, Any]:
        """What is known of the classes, by the name of the function's argument."""
        raise NotImplementedError

    @property
    def has_weights(self) -> bool:
        """Whether it was made with weights, or pos_weight."""
        return any(value is not None for value in self._statistics().values())

    def _evaluate(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        reduction: str,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Tensor:
        refuse_probabilities(y_pred)
        statistics = {} if self.deferred else self._statistics()
        with keras.name_scope(self.name):
            return type(self).function(
                keras.ops.convert_to_tensor(
                    y_pred, dtype=None if is_half(self.dtype) else self.dtype
                ),
                y_true,
                ignore_index=self.ignore_index,
                reduction=reduction,
                sample_weight=sample_weight,
                mask=mask,
                **statistics,
                **self._options,
            )

    def get_config(self) -> dict[str, Any]:
        """Everything that `from_config` needs, as numbers, texts and lists."""
        return {
            "name": self.name,
            "reduction": self._own_reduction,
            "dtype": self._given_dtype,
            "ignore_index": self.ignore_index,
            **self._statistics(),
            **self._options,
        }


def per_replica(loss: Tensor) -> Tensor:
    """A mean divided by the number of replicas of `tf.distribute`, which adds gradients up."""
    if keras.config.backend() != "tensorflow":
        return loss
    import tensorflow

    replicas = tensorflow.distribute.get_strategy().num_replicas_in_sync
    return loss if replicas == 1 else loss / replicas
