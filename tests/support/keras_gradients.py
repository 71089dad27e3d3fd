"""Values and gradients by each backend's own means: what its users call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

BACKEND = keras.config.backend()
Function = Callable[[Any], Any]
Both = tuple[np.ndarray, np.ndarray]

if BACKEND == "tensorflow":
    import tensorflow as tf

    # Two processors for tf.distribute, before TensorFlow looks at any.
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
elif BACKEND == "torch":
    import torch

    torch.set_num_threads(1)
else:
    import jax


def tensor(array: Any, dtype: str | None = None) -> Any:
    return keras.ops.convert_to_tensor(array, dtype=dtype)


def numpy(value: Any) -> np.ndarray:
    """As float64, whatever its type."""
    if BACKEND == "torch":
        return np.asarray(value.detach().double())
    return np.asarray(value).astype(np.float64)


def value_and_gradient(loss: Function, logits: Any) -> Both:
    """The loss, and the gradient of the sum of its entries, in the types they come in."""
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(logits)
        return value, tape.gradient(value, logits)
    if BACKEND == "torch":
        z = logits.detach().requires_grad_()
        value = loss(z)
        value.sum().backward()
        return value.detach(), z.grad
    value, back = jax.vjp(loss, logits)
    return value, back(jax.numpy.ones_like(value))[0]


def directional_gradient(loss: Function, logits: np.ndarray, along: np.ndarray) -> np.ndarray:
    """The gradient of (gradient of a scalar loss) . along: a Hessian times a vector."""
    z, direction = tensor(logits), tensor(along)
    if BACKEND == "tensorflow":
        with tf.GradientTape() as outer:
            outer.watch(z)
            with tf.GradientTape() as inner:
                inner.watch(z)
                value = loss(z)
            product = tf.reduce_sum(inner.gradient(value, z) * direction)
        return numpy(outer.gradient(product, z))
    if BACKEND == "torch":
        z = z.requires_grad_()
        (slope,) = torch.autograd.grad(loss(z), z, create_graph=True)
        return numpy(torch.autograd.grad((slope * direction).sum(), z)[0])
    return numpy(jax.grad(lambda z: (jax.grad(loss)(z) * direction).sum())(z))


def compiled(function: Callable[..., Any], *, xla: bool = True) -> dict[str, Callable[..., Any]]:
    """A function of logits [., ., ., 5] and labels, as the backend compiles it, by name."""
    if BACKEND == "tensorflow":
        unknown = [tf.TensorSpec([None] * 3 + [5], "float32"), tf.TensorSpec([None] * 3, "int32")]
        traced = {"tf.function": tf.function(function, input_signature=unknown)}
        if xla:
            traced["XLA"] = tf.function(function, jit_compile=True, autograph=False)
        return traced
    return {"jax.jit": jax.jit(function)} if BACKEND == "jax" else {}
