"""Predictions and labels of an image as pixels: where the class axis is, and which pixels count."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.decision.ascent import Logits
from maskstat.errors import ParameterError, argument
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels
from maskstat.values.tally import IntArray

_LEAST = float(np.log(np.finfo(np.float32).tiny))  # of a probability that is 0


def on_host(array: Any) -> npt.NDArray[Any]:
    """A NumPy array of a NumPy, PyTorch, TensorFlow or Keras one."""
    for step in ("detach", "cpu"):
        array = getattr(array, step)() if hasattr(array, step) else array
    if type(array).__module__.partition(".")[0] == "torch" and str(array.dtype) == "torch.bfloat16":
        array = array.float()
    return np.asarray(array)


def by_class(
    scores: npt.NDArray[Any], shape: tuple[int, ...], class_count: int
) -> npt.NDArray[Any]:
    """float[K, ...] of float[K, ...] or [..., K] for labels of this shape.

    Raises:
        ParameterError: neither fits, or both do.
    """
    if scores.ndim == len(shape) + 2 and scores.shape[0] == 1:
        scores = scores[0]
    first, last = scores.shape == (class_count, *shape), scores.shape == (*shape, class_count)
    if first and last and len(shape) > 0:
        raise ParameterError(
            f"scores of shape {scores.shape} may have their classes first or last",
            remedy="give them as [K, N] with labels [N]",
        )
    if not first and not last:
        message = f"scores of shape {scores.shape} do not fit {class_count} classes and labels of"
        message += f" shape {shape}"
        classes_fit = class_count in (scores.shape[:1] + scores.shape[-1:])
        remedy = None
        if scores.ndim == 3 and classes_fit and len(shape) == 2:
            remedy = "interpolate the logits to the size of the labels first"
        raise ParameterError(message, remedy=remedy)
    return scores if first else np.moveaxis(scores, -1, 0)


def pixels_of_image(
    scores: Any,
    labels: Any,
    class_count: int,
    *,
    probabilities: bool = False,
    ignore_index: IgnoreIndex = None,
) -> tuple[Logits, IntArray]:
    """Logits float32[K, N] and labels int64[N] of the pixels of an image that count.

    Raises:
        ParameterError: shapes that do not fit, scores that are not finite or are no probabilities,
            labels that are no integers or of no class.
    """
    given, truth = on_host(scores), on_host(labels)
    if given.dtype.kind != "f" and str(given.dtype) != "bfloat16":
        raise ParameterError(
            f"scores are {given.dtype}, and logits or probabilities are floating-point numbers",
            remedy="a folder of predicted labels says nothing of other decisions",
        )
    if truth.dtype.kind not in "iu":
        raise ParameterError(f"labels are {truth.dtype}, not integers")
    given = by_class(given, truth.shape, class_count)
    flat = given.reshape(class_count, -1)
    truth = truth.reshape(-1)
    kept = ~np.isin(truth, ignored_labels(ignore_index))
    if not kept.all():
        flat, truth = flat[:, kept], truth[kept]
    if truth.size and not (truth.min() >= 0 and truth.max() < class_count):
        wrong = int(truth.max()) if truth.max() >= class_count else int(truth.min())
        raise ParameterError(
            f"the label {wrong} is none of {class_count} classes",
            remedy=f"{argument('ignore_index', wrong)} leaves it out",
        )
    logits = np.ascontiguousarray(flat, np.float32)
    if probabilities:
        logits = _logs(logits)
    elif not np.isfinite(logits).all():
        raise ParameterError("logits must be finite")
    return logits, truth.astype(np.int64)


def _logs(shares: Logits) -> Logits:
    """ln, and the ln of the smallest ordinary number for 0. Raises ParameterError for no shares."""
    if shares.size and not (shares >= 0).all():
        raise ParameterError("probabilities must be finite and not negative")
    if not np.allclose(shares.sum(0), 1, atol=0.01):
        raise ParameterError(
            "probabilities do not sum to 1 over the classes",
            remedy=f"say {argument('scores', 'logits')} where they are logits",
        )
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(shares), np.float32(_LEAST))


def look_like_probabilities(scores: npt.NDArray[Any]) -> bool:
    """Whether float[K, ...] are shares of a whole at every pixel, as logits never are by chance."""
    whole = scores.astype(np.float32).sum(0)
    return bool((scores >= 0).all() and np.abs(whole - 1).max(initial=0.0) <= 0.01)
