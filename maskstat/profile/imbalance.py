"""How unequal a distribution over classes is, in the field's usual numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from maskstat.tally import IntArray


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Measures of one distribution.

    Attributes:
        ratio: n_max / n_min over the classes that occur; None where none does.
        entropy: Shannon entropy of p in nats.
        normalised_entropy: entropy / ln K, 1 for equal counts; None for fewer than two classes.
        effective_classes: e^entropy, the number of equally frequent classes as diverse as these.
        gini: 0 for equal counts, (K - 1) / K where one class has everything.
    """

    ratio: float | None
    entropy: float
    normalised_entropy: float | None
    effective_classes: float
    gini: float


def imbalance(counts: IntArray) -> Imbalance:
    """Measures of int64[K] counts; classes that never occur count in K."""
    total = int(counts.sum())
    present = counts[counts > 0]
    if total == 0:
        return Imbalance(None, 0.0, None, 0.0, 0.0)
    shares = present / total
    entropy = max(0.0, float(-(shares * np.log(shares)).sum()))
    ordered = np.sort(counts) / total
    ranks = np.arange(1, counts.size + 1)
    gini = float(((2 * ranks - counts.size - 1) * ordered).sum() / counts.size)
    return Imbalance(
        ratio=float(present.max() / present.min()),
        entropy=entropy,
        normalised_entropy=entropy / math.log(counts.size) if counts.size > 1 else None,
        effective_classes=math.exp(entropy),
        gini=max(0.0, gini),
    )
