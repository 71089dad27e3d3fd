"""The losses as pure functions: one module a family, and `elements`, what they have in common.

| argument | meaning |
| --- | --- |
| `logits` | floating [N, K, ...]; float16 and bfloat16 are computed in float32 |
| `target` | integer labels [N, ...] or [N, 1, ...], or one-hot or soft labels [N, K, ...] |
| `weight` | [K] class weights, or None for ones |
| `ignore_index` | labels to leave out, one or a list, inside or outside 0..K-1; or None |
| `reduction` | "none", "sum", "mean" by the number of labelled elements (Keras' mean), or |
|  | "weighted-mean" by the sum of their weights (the mean of torch's `CrossEntropyLoss`) |
| `sample_weight` | [N, ...] or its first axes: further factors of the weights, or None |

An element of soft labels y costs sum_k y_k w_k loss(k) and weighs sum_k y_k w_k; it is ignored
where y is all zeros, what y has on `ignore_index` is dropped, and the rest sums to 1 at most. Both
means are 0, with zero gradient, where nothing is left. Labels that are neither classes nor
`ignore_index` raise `ParameterError` on the CPU; on accelerators, in compiled graphs and under
`torch.func`, where looking would cost a wait or can't be done, torch's own index checks stop the
program. Weights are taken to the logits' device and type.

`binary_cross_entropy` and `binary_focal` have targets of the logits' shape and `pos_weight`; what
differs is said there.
"""

from __future__ import annotations

from maskstat.torch.functional.binary import (
    BinaryReduction,
    binary_cross_entropy,
    binary_focal,
)
from maskstat.torch.functional.complement import complement_cross_entropy, complement_entropy
from maskstat.torch.functional.cross_entropy import cross_entropy, focal
from maskstat.torch.functional.distance_aware import distance_aware
from maskstat.torch.functional.elements import IGNORE_INDEX, Reduction
from maskstat.torch.functional.margins import ldam, logit_adjusted

__all__ = [
    "IGNORE_INDEX",
    "BinaryReduction",
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
