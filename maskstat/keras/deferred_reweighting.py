"""Deferred re-weighting (Cao et al. 2019): weights that are off until an epoch."""

from __future__ import annotations

from typing import Any

import keras

from maskstat.errors import ParameterError
from maskstat.keras.reduced_loss import ReducedLoss
from maskstat.training.loss_arguments import check_start


class DeferredReweighting(keras.callbacks.Callback):  # type: ignore[misc]
    """Weights that are off until an epoch (Cao et al. 2019, arXiv 1906.07413, section 3.3).

        model.compile("adam", LDAM("weights.json", counts=load_counts("weights.json"), scale=1.0))
        model.fit(dataset, epochs=200, callbacks=[DeferredReweighting(start=160)])

    Until then every weight (or pos_weight) of the model's losses is 1, in training and in
    validation. The epoch alone says which phase it is, so `fit(initial_epoch=...)` and
    `keras.callbacks.BackupAndRestore` go on as if training had not stopped; a saved model has its
    weights in both phases. Training steps are compiled once more where the weights come in. After
    `fit` the weights are on.

    Under "mean" weights that do not average 1 change the size of the loss at the start:
    `maskstat weights --normalize pixel`. Under "weighted-mean" their scale plays no part.

    Args:
        start: the first epoch with weights, counted from 0.

    Raises:
        ParameterError: a start that is no whole number from 0 on; in `fit`, a model whose losses
            are of other packages or have no weights.
    """

    def __init__(self, start: int):
        super().__init__()
        self.start = check_start(start)

    def on_train_begin(self, logs: Any = None) -> None:
        """Look for losses with weights. Raises ParameterError where there are none."""
        if not self._losses():
            raise ParameterError(
                "the model has no loss of maskstat.keras with weights, so there is nothing to defer"
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Turn weights off or on."""
        self._defer(epoch < self.start)

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the weights on."""
        self._defer(False)

    def _losses(self) -> list[ReducedLoss]:
        losses = keras.tree.flatten(self.model.loss)
        return [loss for loss in losses if isinstance(loss, ReducedLoss) and loss.has_weights]

    def _defer(self, deferred: bool) -> None:
        changed = [loss for loss in self._losses() if loss.deferred != deferred]
        for loss in changed:
            loss.deferred = deferred
        if changed:
            # A compiled step has the weights in it; validation makes its own where it has none.
            self.model.make_train_function(force=True)
            self.model.test_function = None
