"""The losses in float64 NumPy, slow and plain: what every framework has to agree with.

The class axis is last. Nothing here is shared with the adapters, and the route is another one:
every element gets its loss for every possible label (O(K^2)), through the log odds

    u_k = logsumexp_{j != k} z_j - z_k = ln((1 - p_k) / p_k),   q^k = softmax of z without z_k,

in which -ln p_k = softplus(u_k), ln(1 - p_k) = -softplus(-u_k), du_k/dz_k = -1 and
du_k/dz_j = q^k_j. So a loss that depends on p_k alone needs its slope in u_k only, and the
gradients below are closed forms; `central_differences` checks those.

Rules that no paper states:

- logit adjustment takes a prior of any scale; a class of prior 0 gets the smallest prior above 0;
- LDAM margins are max_margin (n_min / n_k)^(1/4), n_min the smallest count above 0; a class of
  count 0 gets max_margin;
- hard examples are those of a large cross entropy before weights and smoothing; elements of one
  loss are hard together, and where only some of them are wanted each counts as much as the others;
- a heat map below 0 leaves its element out; `ignore_index` leaves out the channel of that class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ignored = int | list[int] | None

LABEL_LOSSES = (
    "cross_entropy",
    "focal",
    "complement_entropy",
    "complement_cross_entropy",
    "logit_adjusted",
    "ldam",
)
LOSSES = (*LABEL_LOSSES, "distance_aware")
REDUCTIONS = ("none", "sum", "mean", "weighted-mean")
BINARY_LOSSES = ("binary_cross_entropy", "binary_focal")
"""With targets of the logits' shape, and `pos_weight` in place of weights."""
BINARY_REDUCTIONS = ("none", "sum", "mean")


def evaluate(
    loss: str,
    logits: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    weight: npt.ArrayLike | None = None,
    ignore_index: Ignored = None,
    reduction: str = "mean",
    **options: Any,
) -> tuple[Array, Array]:
    """Value, and the gradient of the sum of its entries with respect to the logits.

    Args:
        loss: one of LOSSES or BINARY_LOSSES.
        logits: [..., K].
        target: integer labels [...], one-hot or soft labels [..., K], or a heat map [..., K];
            [..., K] in 0..1 of binary losses.
        weight: [K].
        options: label_smoothing, top_k, threshold, gamma, prior, tau, counts, max_margin, scale,
            alpha, beta, pos_weight, as the loss takes them.
    """
    z = np.asarray(logits, np.float64)
    if loss in BINARY_LOSSES:
        return _binary(loss, z, np.asarray(target), ignore_index, reduction, **options)
    classes = z.shape[-1]
    w = np.ones(classes) if weight is None else np.asarray(weight, np.float64)
    if loss == "distance_aware":
        return _distance_aware(z, np.asarray(target), w, ignore_index, reduction, **options)
    shares = label_shares(np.asarray(target), classes, ignore_index)
    smoothing = options.pop("label_smoothing", 0.0)
    mining = {name: options.pop(name, None) for name in ("top_k", "threshold")}
    values, slopes = PER_LABEL[loss](z, **options)
    weights = (shares * w).sum(-1)
    # What is spread evenly also reaches ignored classes, as in PyTorch.
    mass = ((1 - smoothing) * shares + smoothing / classes * shares.sum(-1, keepdims=True)) * w
    totals = (mass * values).sum(-1)
    gradient = (mass[..., None] * slopes).sum(-2)
    counted = shares.sum(-1) > 0
    hard = hard_shares((shares * values).sum(-1), counted, **mining)
    return _reduce(totals * hard, gradient * hard[..., None], hard, weights * hard, reduction)


def hard_shares(
    difficulty: Array,
    counted: npt.NDArray[np.bool_],
    top_k: float | None = None,
    threshold: float | None = None,
) -> Array:
    """How much of every element is kept: one group of equally hard ones after the other."""
    hard = np.zeros_like(difficulty)
    if top_k is None and threshold is None:
        hard[counted] = 1
    if threshold is not None:
        hard[counted & (np.exp(-difficulty) < threshold)] = 1
    if top_k is not None:
        left = top_k * counted.sum()
        for value in np.unique(difficulty[counted])[::-1]:
            group = counted & (difficulty == value)
            hard[group] = np.maximum(hard[group], min(1.0, left / group.sum()))
            left = max(0.0, left - group.sum())
    return hard


def label_shares(target: npt.NDArray[Any], classes: int, ignore_index: Ignored) -> Array:
    """[..., K]: how much of every element is of each class; all 0 where it is ignored."""
    if np.issubdtype(target.dtype, np.integer):
        shares = np.zeros((*target.shape, classes))
        for index in np.ndindex(target.shape):
            if target[index] not in several(ignore_index):
                shares[(*index, target[index])] = 1
    else:
        shares = np.array(target, np.float64)
    for label in several(ignore_index):
        if 0 <= label < classes:
            shares[..., label] = 0
    return shares


def several(ignore_index: Ignored) -> list[int]:
    if ignore_index is None:
        return []
    return ignore_index if isinstance(ignore_index, list) else [ignore_index]


def _reduce(
    totals: Array, gradient: Array, counted: Array, weights: Array, reduction: str
) -> tuple[Array, Array]:
    if reduction == "none":
        return totals, gradient
    divisor = {"sum": 1.0, "mean": counted.sum(), "weighted-mean": weights.sum()}[reduction]
    if divisor == 0:
        return np.zeros(()), np.zeros_like(gradient)
    return np.asarray(totals.sum() / divisor), gradient / divisor


# --- the loss of every label, [..., K], and its slopes [..., label, logit] --------------------


def odds(z: Array) -> tuple[Array, Array, Array]:
    """u [..., K], q [..., label, logit] (0 on the diagonal) and ln q (0 there, for products)."""
    classes = z.shape[-1]
    diagonal = np.eye(classes, dtype=bool)
    others = np.where(diagonal, -np.inf, z[..., None, :])
    highest = others.max(-1, keepdims=True)
    log_sum = np.log(np.exp(others - highest).sum(-1, keepdims=True)) + highest
    log_q = np.where(diagonal, 0.0, others - log_sum)
    q = np.where(diagonal, 0.0, np.exp(log_q))
    return log_sum[..., 0] - z, q, log_q


def softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, x))


def sigmoid(x: Array) -> Array:
    return np.asarray(np.exp(-softplus(-x)))


def through_odds(slope: Array, q: Array) -> Array:
    """[..., label, logit] from dl/du [..., label]."""
    return np.asarray(slope[..., None] * (q - np.eye(q.shape[-1])))


def _cross_entropy(z: Array) -> tuple[Array, Array]:
    u, q, _ = odds(z)
    return softplus(u), through_odds(sigmoid(u), q)


def _focal(z: Array, gamma: float = 2.0) -> tuple[Array, Array]:
    u, q, _ = odds(z)
    factor = np.exp(-gamma * softplus(-u))
    slope = factor * (gamma * sigmoid(-u) * softplus(u) + sigmoid(u))
    return factor * softplus(u), through_odds(slope, q)


def _complement_entropy(z: Array) -> tuple[Array, Array]:
    _, q, log_q = odds(z)
    entropy = -(q * log_q).sum(-1)
    return entropy, -q * (log_q + entropy[..., None])


def _complement_cross_entropy(z: Array, gamma: float = -1.0) -> tuple[Array, Array]:
    value, slopes = _cross_entropy(z)
    complement, complement_slopes = _complement_entropy(z)
    factor = gamma / (z.shape[-1] - 1)
    return value + factor * complement, slopes + factor * complement_slopes


def _logit_adjusted(z: Array, prior: npt.ArrayLike, tau: float = 1.0) -> tuple[Array, Array]:
    shares = np.asarray(prior, np.float64)
    shares = np.where(shares > 0, shares, shares[shares > 0].min())
    return _cross_entropy(z + tau * np.log(shares))


def _ldam(
    z: Array, counts: npt.ArrayLike, max_margin: float = 0.5, scale: float = 30.0
) -> tuple[Array, Array]:
    n = np.asarray(counts, np.float64)
    n = np.where(n > 0, n, n[n > 0].min())
    margins = max_margin * (n.min() / n) ** 0.25
    u, q, _ = odds(scale * z)
    u = u + scale * margins
    return softplus(u), scale * through_odds(sigmoid(u), q)


PER_LABEL: dict[str, Callable[..., tuple[Array, Array]]] = {
    "cross_entropy": _cross_entropy,
    "focal": _focal,
    "complement_entropy": _complement_entropy,
    "complement_cross_entropy": _complement_cross_entropy,
    "logit_adjusted": _logit_adjusted,
    "ldam": _ldam,
}


# --- heat maps ----------------------------------------------------------------------------------


def _distance_aware(
    z: Array,
    heat: npt.NDArray[Any],
    w: Array,
    ignore_index: Ignored,
    reduction: str,
    alpha: float = 2.0,
    beta: float = 4.0,
) -> tuple[Array, Array]:
    positive = heat == 1
    counted = heat >= 0
    for label in several(ignore_index):
        if 0 <= label < z.shape[-1]:
            counted[..., label] = False
    log_p, log_not_p = -softplus(-z), -softplus(z)
    p, not_p = sigmoid(z), sigmoid(-z)
    hit = -np.exp(alpha * log_not_p) * log_p
    hit_slope = np.exp(alpha * log_not_p) * (alpha * p * log_p - not_p)
    away = np.maximum(1 - heat.astype(np.float64), 0) ** beta
    miss = -away * np.exp(alpha * log_p) * log_not_p
    miss_slope = away * np.exp(alpha * log_p) * (p - alpha * not_p * log_not_p)
    weights = np.where(counted, w, 0.0)
    values = weights * np.where(positive, hit, miss)
    gradient = weights * np.where(positive, hit_slope, miss_slope)
    if reduction == "none":
        return values, gradient
    divisor = {
        "sum": 1.0,
        "mean": float((positive & counted).sum()),
        "weighted-mean": float(weights[positive].sum()),
    }[reduction]
    divisor = divisor or 1.0
    return np.asarray(values.sum() / divisor), gradient / divisor


# --- sigmoids -----------------------------------------------------------------------------------


def _binary(
    loss: str,
    z: Array,
    target: npt.NDArray[Any],
    ignore_index: Ignored,
    reduction: str,
    gamma: float = 2.0,
    alpha: float | None = None,
    pos_weight: npt.ArrayLike = 1.0,
    label_smoothing: float = 0.0,
) -> tuple[Array, Array]:
    """torchvision's sigmoid focal loss, with cross entropy as gamma = 0; pos_weight is [K] or 1.

    With ce = -ln p_t, p_t what sigmoids give the outcome: alpha_t (1 - p_t)^gamma ce, for both
    outcomes of every element, which y and 1 - y share.
    """
    if loss == "binary_cross_entropy":
        gamma = 0.0
    counted = ~np.isin(target, several(ignore_index))
    y = np.where(counted, target, 0).astype(np.float64)
    y = y + label_smoothing * (0.5 - y)
    values, gradient = np.zeros_like(z), np.zeros_like(z)
    of_positives, of_negatives = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    for sign, mass in ((1, y * of_positives * pos_weight), (-1, (1 - y) * of_negatives)):
        right = sign * z
        cross_entropy, left = softplus(-right), np.exp(-gamma * softplus(right))
        values += mass * left * cross_entropy
        slope = -left * (sigmoid(-right) + gamma * sigmoid(right) * cross_entropy)
        gradient += mass * sign * slope
    return _reduce(
        np.where(counted, values, 0.0), np.where(counted, gradient, 0.0), counted, y, reduction
    )


# --- a second route to gradients ----------------------------------------------------------------


def central_differences(
    function: Callable[[Array], float], logits: Array, step: float = 1e-5
) -> Array:
    """The gradient of a function of the logits, to about step^2."""
    gradient = np.zeros_like(logits)
    for index in np.ndindex(logits.shape):
        up, down = logits.copy(), logits.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient
