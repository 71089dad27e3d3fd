"""pos_weight of binary losses: what a positive pixel weighs, where a negative one weighs 1.

Binary cross entropy with pos_weight p is cross entropy on the logits (0, z) with weights (1, p), so
two weights become p = w1 / w0. It holds under the plain mean, which divides by pixels: that of
BCEWithLogitsLoss and of Keras' BinaryCrossentropy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from maskstat.errors import Blank, MultilabelError, WeightError, argument, call
from maskstat.naming import printable

if TYPE_CHECKING:
    from maskstat.weights.schemes import FloatArray
    from maskstat.weights.table import WeightTable

LINEAR = "linear"


def of_table(table: WeightTable) -> float | FloatArray:
    """w1 / w0 of two classes, or float64[L] of labels, whose weights are pos_weight as they are.

    Raises:
        WeightError: as `ratio`.
    """
    return ratio(table) if table.negatives is None else table.weights.copy()


def ratio(table: WeightTable) -> float:
    """w1 / w0, finite and above 0, whatever average the weights are for.

    Raises:
        WeightError: other than two classes, one that never occurs, or one that weighs 0.
        MultilabelError: the weights are of labels.
    """
    if table.negatives is not None:
        raise MultilabelError(
            f"its {len(table)} weights are pos_weight already, one a label, and no two classes",
            remedy='the layout "list" writes them alone',
        )
    if len(table) != 2:
        raise WeightError(
            f"pos_weight is w1 / w0 of two classes, and these are {len(table)}",
            remedy="count two, the second being what is looked for (several raw values may be one"
            f" class: {argument('classes', Blank('FILE'))}); of a channel a label weights are one"
            f" pos_weight a label ({argument('channels', 'multilabel')}), or give pos_weight=[...]",
        )
    known = bool(table.pixels.any())
    for name, pixels, weight in zip(table.names, table.pixels, table.weights, strict=True):
        if weight == 0 or (known and pixels == 0):
            raise WeightError(
                f"{printable(name)} {'never occurs' if known and pixels == 0 else 'weighs 0'}, and"
                " pos_weight is w1 / w0 of two classes that both count",
                remedy="count masks in which both occur",
            )
    found = float(table.weights[1]) / float(table.weights[0])
    if not 0 < found < math.inf:
        raise WeightError("w1 / w0 is beyond what numbers hold")
    return found


def plain_ratio(table: WeightTable) -> float:
    """w1 / w0 of weights for a plain mean.

    Raises:
        WeightError: as `ratio`, or weights for a mean that divides every batch by its own weights.
    """
    found = ratio(table)
    if table.reduction not in (None, LINEAR):
        raise WeightError(
            "pos_weight is for a plain mean, and these weights are for one that divides every batch"
            " by its own sum of weights",
            remedy=f"take weights from '{call('Scan.weights', average='pixel')}'",
        )
    return found


def plain_ratio_or_none(table: WeightTable) -> float | None:
    """w1 / w0 of weights for a plain mean; None where they have none, and of labels."""
    try:
        return None if table.negatives is not None else plain_ratio(table)
    except WeightError:
        return None
