"""Gradient accumulation whose mean is that of the whole optimiser step, for `model.fit`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError
from maskstat.keras.binary_losses import BinaryLoss
from maskstat.keras.functional.elements import refuse_strange_labels
from maskstat.keras.losses import DistanceAware, WeightedLoss
from maskstat.parameters import check_word
from maskstat.training.loss_arguments import ignored_labels

Numbers = npt.NDArray[Any]


def accumulated(model: Any, batches: Any, reduction: str = "mean") -> Iterator[tuple[Any, ...]]:
    """Batches (x, y, sample weight), without end, that Keras accumulates to the exact mean.

        optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)
        model.compile(optimizer, CrossEntropy("weights.json", ignore_index=255, reduction="sum"))
        data = accumulated(model, batches, "weighted-mean")
        model.fit(data, steps_per_epoch=400, epochs=9, shuffle=False)

    Keras averages the gradients of `gradient_accumulation_steps` batches. Where these have more or
    fewer labelled elements, or other weights, an average of means is not the mean of the whole
    step. Here the loss is a sum, and each batch gets as sample weights, one number an image, what
    makes the average sum / divisor of the whole step. The logs show its mean.

    As many batches as an optimiser step has are held at once. An optimiser step takes the batches
    where it is; give `steps_per_epoch` a multiple of `gradient_accumulation_steps`, so that
    epochs end with a step.

    Args:
        model: compiled, with one output, one loss of this package for labels with
            reduction="sum", and an optimiser that accumulates.
        batches: of (x, y) or (x, y, sample weight), one pass after the other: a data set, a
            loader, a `keras.utils.PyDataset`, a list. An iterator is one pass. `y` is as the loss
            takes it; masks that layers attach to outputs are not seen.
        reduction: "mean", by the number of labelled elements, or "weighted-mean", by the sum of
            their weights.

    Raises:
        ParameterError: a model, loss or reduction of another kind, or labels that mean nothing.
    """
    check_word(reduction, ("mean", "weighted-mean"), parameter="reduction")
    loss, steps = _checked(model, reduction)
    return _weighted(model, loss, steps, batches, reduction)


def _checked(model: Any, reduction: str) -> tuple[WeightedLoss | BinaryLoss, int]:
    """The model's loss, and how many batches its optimiser accumulates."""
    loss, optimizer = getattr(model, "loss", None), getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    steps = getattr(optimizer, "gradient_accumulation_steps", None)
    if not steps:
        raise ParameterError(
            "the model's optimiser accumulates no gradients",
            remedy="compile it with gradient_accumulation_steps=, 2 or more",
        )
    if not isinstance(loss, (WeightedLoss, BinaryLoss)) or isinstance(loss, DistanceAware):
        raise ParameterError("the model's loss must be one of maskstat.keras, and of labels")
    if loss.reduction != "sum":
        raise ParameterError(
            f"the model's loss divides each batch by what that has: its reduction is "
            f"{loss.reduction}",
            remedy='compile it with reduction="sum"; accumulated divides by what the step has',
        )
    if isinstance(loss, BinaryLoss) and reduction != "mean":
        raise ParameterError('binary losses divide by elements: reduction="mean"')
    if any(loss.get_config().get(name) is not None for name in ("top_k", "threshold")):
        raise ParameterError(
            "which elements are hard depends on logits, so labels alone have no divisor",
            remedy="leave out top_k= and threshold=, or let Keras average the means of batches",
        )
    return loss, int(steps)


def _weighted(
    model: Any, loss: WeightedLoss | BinaryLoss, steps: int, batches: Any, reduction: str
) -> Iterator[tuple[Any, ...]]:
    source = _passes(batches)
    while group := list(islice(source, steps)):
        if len(group) < steps:
            return  # no step comes of it
        parts = [keras.utils.unpack_x_y_sample_weight(batch) for batch in group]
        total = sum(_divisor(model, loss, y, factor, reduction) for _, y, factor in parts)
        scale = np.float32(steps / total if total > 0 else 0.0)
        for x, y, factor in parts:
            if factor is None:
                factor = np.ones(len(y), np.float32)
            yield x, y, factor * scale


def _passes(batches: Any) -> Iterator[Any]:
    """Pass after pass; an iterator has one."""
    while True:
        empty = True
        for batch in _once(batches):
            empty = False
            yield batch
        if empty or isinstance(batches, Iterator):
            return
        if hasattr(batches, "on_epoch_end"):
            batches.on_epoch_end()


def _once(batches: Any) -> Iterable[Any]:
    if isinstance(batches, keras.utils.PyDataset):
        return (batches[k] for k in range(len(batches)))
    found: Iterable[Any] = batches
    return found


def _divisor(
    model: Any, loss: WeightedLoss | BinaryLoss, y: Any, factor: Any, reduction: str
) -> float:
    """What the mean of a batch divides by, in float64."""
    labels = np.asarray(keras.ops.convert_to_numpy(y))
    ignored = ignored_labels(loss.ignore_index)
    if isinstance(loss, BinaryLoss):
        return float((~np.isin(labels, ignored)).sum())
    shape = tuple(model.output_shape)
    classes = int(shape[-1])
    if labels.ndim == len(shape) and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if loss.deferred and reduction != "mean":
        raise ParameterError(
            "batches are read ahead of the epoch in which deferred weights come in",
            remedy='take reduction="mean", which divides by no weights',
        )
    w = np.ones(classes) if loss.weight is None else np.asarray(loss.weight, np.float64)
    w = np.where(np.isin(np.arange(classes), ignored), 0.0, w)
    if labels.ndim == len(shape):
        kept = (labels.sum(-1, where=~np.isin(np.arange(classes), ignored))) > 0
        weights = labels.astype(np.float64) @ w
    else:
        refuse_strange_labels(labels, classes, loss.ignore_index, None)
        kept = ~np.isin(labels, ignored)
        weights = w[np.where(kept, labels, 0).astype(np.int64)] * kept
    if reduction == "mean":
        return float(kept.sum())
    if factor is not None:
        given = np.asarray(keras.ops.convert_to_numpy(factor), np.float64)
        if given.ndim == weights.ndim + 1 and given.shape[-1] == 1:
            given = given[..., 0]
        weights = weights * given.reshape(given.shape + (1,) * (weights.ndim - given.ndim))
    return float(weights.sum())
