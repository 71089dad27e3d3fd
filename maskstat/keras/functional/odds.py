"""What the losses are made of: log odds against a class, and the complement entropy.

u_g = ln((1 - p_g) / p_g) = logsumexp_{j != g} z_j - z_g, and with q = softmax of the logits
without z_g, C_g = -sum_j q_j ln q_j. Then -ln p_g = softplus(u_g) and ln(1 - p_g) =
-softplus(-u_g), which stay exact where p_g rounds to 0 or 1. Nothing is divided by 1 - p_g, which
is 0 in floating point as soon as the true logit leads by 18 (float32).

Slopes are closed forms, du_g/dz_g = -1, du_g/dz_j = q_j, dC_g/dz_j = -q_j (ln q_j + C_g): nothing
of the logits' size is kept from the loss to its gradient, which takes the logits again.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from maskstat.keras.functional.elements import Tensor, is_class

FLOOR = -1e20
"""In place of a logit that is taken out: its exponential is 0, and 0 · FLOOR is 0, not NaN."""


def softplus(x: Tensor) -> Tensor:
    """ln(1 + e^x), everywhere: PyTorch's own function of this name is x from 20 on."""
    return -ops.log_sigmoid(-x)


def log_odds(z: Tensor, labels: Tensor) -> Tensor:
    """u [...] of the labels, from logits [..., K] and int32 labels [...]."""
    at = is_class(labels, z.shape[-1])

    def forward(z: Tensor) -> tuple[Tensor, Any]:
        still = _still(z)
        others = _without(still, at)
        highest = ops.max(others, axis=-1, keepdims=True)
        total = ops.sum(ops.exp(others - highest), axis=-1, keepdims=True)
        odds = (highest - _true(still, labels)) + ops.log(total)

        def slope(*given: Tensor, upstream: Tensor = None) -> Tensor:
            logits, of_odds = _backward(given, upstream, z)
            of_odds = ops.expand_dims(of_odds, -1)
            shares = ops.exp(_without(logits, at) - highest)
            scale = of_odds / (ops.sum(shares, -1, keepdims=True) if _tracked(shares) else total)
            return ops.where(at, -of_odds, shares * scale)

        return ops.squeeze(odds, -1), slope

    return ops.custom_gradient(forward)(z)


def log_odds_and_complement(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """u [...] and C [...] of the labels, from logits [..., K] and int32 labels [...]."""
    at = is_class(labels, z.shape[-1])

    def forward(z: Tensor) -> tuple[Tensor, Any]:
        still = _still(z)
        others = _without(still, at)
        highest = ops.max(others, axis=-1, keepdims=True)
        others = others - highest
        total, complement = _entropy(others, ops.exp(others))
        odds = (highest - _true(still, labels)) + ops.log(total)

        def slope(*given: Tensor, upstream: Tensor = None) -> Tensor:
            logits, slopes = _backward(given, upstream, z)
            of_odds, of_complement = slopes[..., :1], slopes[..., 1:]
            below = _without(logits, at) - highest
            shares = ops.exp(below)
            sums = _entropy(below, shares) if _tracked(below) else (total, complement)
            constant = of_odds + of_complement * (ops.log(sums[0]) - sums[1])
            # One array of the logits' size at a time: there are no others to spare.
            gradient = below * (-of_complement / sums[0])
            del below
            gradient = gradient + constant / sums[0]
            gradient = gradient * shares
            del shares
            return ops.where(at, -of_odds, gradient)

        return ops.concatenate([odds, complement], axis=-1), slope

    both = ops.custom_gradient(forward)(z)
    return both[..., 0], both[..., 1]


def log_odds_of_all(z: Tensor) -> Tensor:
    """u [..., K] of every class, were it the true one.

    The largest probability is taken out; for the others 1 - p_k, at least 1/2, loses nothing.
    """
    top = ops.cast(ops.argmax(z, axis=-1), "int32")
    at_top = is_class(top, z.shape[-1])
    logs = ops.log_softmax(z, axis=-1)
    lower = ops.where(at_top, ops.zeros_like(logs), ops.exp(logs))
    of_top = ops.expand_dims(log_odds(z, top), -1)
    return ops.where(at_top, of_top, ops.log1p(-lower) - logs)


def complement_of_all(z: Tensor) -> Tensor:
    """C [..., K] of every class, were it the true one, in O(K).

    With H the entropy of p, C_k = ln(1 - p_k) + (H + p_k ln p_k) / (1 - p_k), which is stable for
    all classes but the largest, and that one is taken out.
    """
    top = ops.cast(ops.argmax(z, axis=-1), "int32")
    at_top = is_class(top, z.shape[-1])
    logs = ops.log_softmax(z, axis=-1)
    p = ops.exp(logs)
    entropy = -ops.sum(p * logs, axis=-1, keepdims=True)
    lower = ops.where(at_top, ops.zeros_like(p), p)
    closed = ops.log1p(-lower) + (entropy + lower * logs) / (1.0 - lower)
    of_top = ops.expand_dims(log_odds_and_complement(z, top)[1], -1)
    return ops.where(at_top, of_top, closed)


# --- parts: [..., K] and, at the labels, [..., 1] -----------------------------------------------


def _still(z: Tensor) -> Tensor:
    """Logits whose way forward TensorFlow's tapes need not keep; JAX has to differentiate it."""
    return z if keras.config.backend() == "jax" else ops.stop_gradient(z)


def _without(z: Tensor, at: Tensor) -> Tensor:
    return ops.where(at, ops.cast(FLOOR, z.dtype), z)


def _entropy(below: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the exponentials and C, both parts of which are at least 0."""
    total = ops.sum(shares, axis=-1, keepdims=True)
    if keras.config.backend() == "tensorflow":  # which would keep an array of products
        product = ops.expand_dims(ops.einsum("...k,...k->...", shares, below), -1)
    else:
        product = ops.sum(shares * below, axis=-1, keepdims=True)
    return total, ops.log(total) - product / total


def _true(z: Tensor, labels: Tensor) -> Tensor:
    if keras.config.backend() == "tensorflow":  # where `take_along_axis` copies the logits
        import tensorflow

        return tensorflow.gather(z, labels, batch_dims=len(labels.shape))[..., None]
    return ops.take_along_axis(z, ops.expand_dims(labels, -1), axis=-1)


def _backward(
    given: tuple[Tensor, ...], upstream: Tensor | None, z: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits and upstream gradient; backends hand them over in two ways (`ops.custom_gradient`).

    The logits are taken from where the backend tracks them, so that gradients have gradients.
    """
    return (z, given[0]) if upstream is None else (given[0], upstream)


def _tracked(tensor: Tensor) -> bool:
    """Whether a gradient may be differentiated again: only PyTorch says that it will not be."""
    return bool(getattr(tensor, "requires_grad", True))
