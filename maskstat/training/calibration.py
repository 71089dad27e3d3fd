"""Undo class weights in a trained model's predictions.

Weighted cross entropy is not minimised by the posterior p(c|x) but by q(c|x) proportional to
w_c p(c|x): per input, minimise -sum_c w_c p_c ln q_c over distributions q. So a model trained with
weights overstates the classes that were weighted up. Dividing by w_c, or subtracting ln w_c from
logits, gives the posterior back (prior-shift correction; Elkan 2001, Saerens et al. 2002). This
also changes which class is largest, on purpose: the weighted model's choice is the one that
minimises weighted errors, the corrected one minimises the number of wrong pixels.

Where a mean divides by the weights W_S of its batch S (PyTorch's "mean"), q is proportional to
w_c p(c|x) E[1/W_S | class c, x]. Dividing by w_c is exact where the picture tells its own
composition, at every batch size: 1/W_S then says nothing about c. What stays ambiguous, as a whole
object of one class or another, is off; less so the larger the batches are (docs/equal-cost.md).

A class of weight 0 was never trained, and nothing about it can be recovered: it gets probability
0 (logit -inf), and the rest is the posterior given that the pixel is of a class that was trained.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError
from maskstat.naming import printable
from maskstat.showing import cut

FloatingArray = npt.NDArray[np.floating[Any]]


def unweight_probabilities(
    probabilities: npt.ArrayLike, weights: npt.ArrayLike, axis: int = -1
) -> FloatingArray:
    """Probabilities p proportional to q / w from those of a model trained with weights w.

    Args:
        probabilities: [..., K, ...], non-negative; each vector along `axis` has a positive sum.
        weights: [K], the class weights of training; any scale.
        axis: the class axis.

    Returns:
        As `probabilities`, normalised along `axis`; float16 to float64 are kept, other types
        become float64.

    Raises:
        ParameterError: shapes that do not match, weights that are negative, not finite or all 0,
            probabilities that are negative or not finite, or a pixel whose whole probability is
            on classes of weight 0 (its posterior is not determined).
    """
    given = _floating(probabilities)
    shift = _shift_along(given, weights, axis)
    if not np.isfinite(given).all() or (given < 0).any():
        raise ParameterError("probabilities must be finite and not negative")
    with np.errstate(divide="ignore"):
        logits = np.log(given, dtype=np.float64) + shift
    highest = logits.max(axis=axis, keepdims=True)
    if np.isneginf(highest).any():
        raise ParameterError(
            "a pixel has its whole probability on classes of weight 0, or no probability at all",
            remedy="such classes were never trained: leave these pixels out",
        )
    corrected = np.exp(logits - highest)
    corrected /= corrected.sum(axis=axis, keepdims=True)
    return np.asarray(corrected.astype(given.dtype))


def unweight_logits(logits: npt.ArrayLike, weights: npt.ArrayLike, axis: int = -1) -> FloatingArray:
    """Logits z - ln w, whose softmax is the posterior; -inf for classes of weight 0.

    Weights are scaled so that the largest is 1, which shifts all logits of a pixel alike.

    Args:
        logits: [..., K, ...], finite.
        weights: [K], the class weights of training; any scale.
        axis: the class axis.

    Returns:
        As `logits`; float16 to float64 are kept, other types become float64.

    Raises:
        ParameterError: shapes that do not match, weights that are negative, not finite or all 0,
            logits that are not finite, or a result that its type can't hold.
    """
    given = _floating(logits)
    shift = _shift_along(given, weights, axis)
    if not np.isfinite(given).all():
        raise ParameterError("logits must be finite")
    untrained = np.isneginf(shift)
    corrected = given.astype(np.float64) + np.where(untrained, 0.0, shift)
    if np.abs(corrected).max(initial=0.0) > np.finfo(given.dtype).max:
        raise ParameterError(f"the corrected logits do not fit {given.dtype}")
    corrected[np.broadcast_to(untrained, corrected.shape)] = -np.inf
    return np.asarray(corrected.astype(given.dtype))


def logit_shift(weights: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """float64[K], what to add to the logits of each class: -ln(w / max w).

    Raises:
        ParameterError: weights that are not one number a class, negative, not finite or all 0.
    """
    _check_numbers(weights)
    table = np.asarray(weights, np.float64)
    if table.ndim != 1:
        raise ParameterError(f"weights are one number a class, not of shape {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any() or not (table > 0).any():
        raise ParameterError("weights must be finite, not negative and not all 0")
    with np.errstate(divide="ignore"):
        logs = np.log(table) - np.log(table.max())
    return np.asarray(np.where(table > 0, -logs, -np.inf))


def _check_numbers(weights: npt.ArrayLike) -> None:
    if isinstance(weights, (str, os.PathLike)):
        name = cut(printable(repr(os.fspath(weights))), 60)
        raise ParameterError(
            "weights are one number a class, not the name of a file",
            remedy=f"maskstat.load_weights({name}) reads it",
        )


def _floating(values: npt.ArrayLike) -> FloatingArray:
    array = np.asarray(values)
    if np.issubdtype(array.dtype, np.floating):
        return np.asarray(array)
    return np.asarray(array, np.float64)


def _shift_along(
    given: FloatingArray, weights: npt.ArrayLike, axis: int
) -> npt.NDArray[np.float64]:
    """`logit_shift`, shaped to broadcast along the class axis."""
    if not -given.ndim <= axis < given.ndim:
        raise ParameterError(f"there is no axis {axis} in an array of shape {given.shape}")
    _check_numbers(weights)
    if (found := np.shape(weights)) != (given.shape[axis],):
        raise ParameterError(
            f"weights of shape {found} do not fit {given.shape[axis]} classes on axis {axis}"
        )
    shape = [1] * given.ndim
    shape[axis] = -1
    return np.asarray(logit_shift(weights).reshape(shape))
