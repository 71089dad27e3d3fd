"""The losses as functions of `keras.ops`: one module a family, and `elements`, what they share.

| argument | meaning |
| --- | --- |
| `logits` | floating [N, ..., K], no probabilities; float16 and bfloat16 are computed in float32 |
| `target` | integer labels [N, ...] or [N, ..., 1], or one-hot or soft labels [N, ..., K] |
| `weight` | [K] class weights, or None for ones |
| `ignore_index` | labels to leave out, one or a list, inside or outside 0..K-1; or None |
| `reduction` | "none", "sum", "mean" (by the number of labelled elements: Keras' own |
|  | "sum_over_batch_size", which is another name for it), "weighted-mean" (by the sum of their |
|  | weights: PyTorch's mean and Keras' "mean_with_sample_weight", another name for it) |
| `sample_weight` | [N, ...] or its first axes: further factors of the weights, or None |
| `mask` | [N, ...] or its first axes, boolean: False leaves an element out, or None |

An element weighs w = weight[label] · sample_weight. The sum of w · loss is divided by nothing, by
the number of elements that are neither ignored nor masked, or by the sum of their w; where that
is 0 the loss is 0 and so is its gradient.

There is no `from_logits`: once a softmax has been rounded, what the loss of a confident pixel
depends on is gone. Leave the last softmax out of the model, and put it behind for predictions.

A label that is neither a class nor `ignore_index` is an error where looking is free: values at hand
on the CPU, outside compiled functions. Elsewhere (`tf.function`, `jax.jit`, accelerators) nothing
can be raised: such an element is left out, as if it were ignored, and never gathered.

`binary_cross_entropy` and `binary_focal` have targets of the logits' shape and `pos_weight`; what
differs is said there.
"""

from __future__ import annotations

from maskstat.keras.functional.binary import binary_cross_entropy, binary_focal
from maskstat.keras.functional.complement import complement_cross_entropy, complement_entropy
from maskstat.keras.functional.cross_entropy import cross_entropy, focal
from maskstat.keras.functional.distance_aware import distance_aware
from maskstat.keras.functional.elements import Reduction
from maskstat.keras.functional.margins import ldam, logit_adjusted

__all__ = [
    "Reduction",
    "binary_cross_entropy",
    "binary_focal",
    "complement_cross_entropy",
    "complement_entropy",
    "cross_entropy",
    "distance_aware",
    "focal",
    "ldam",
    "logit_adjusted",
]
