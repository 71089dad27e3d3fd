"""Whether weights fit the loss that is to use them: number of classes, and the average it takes."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Literal

import numpy as np

from maskstat.errors import (
    Blank,
    FileFormatError,
    MultilabelError,
    WeightError,
    call,
    spelled,
)
from maskstat.files.documents.numbers import read_number
from maskstat.naming import printable
from maskstat.parameters import check_word
from maskstat.weights.pos_weight import LINEAR, of_table
from maskstat.weights.schemes import FloatArray
from maskstat.weights.table import WeightTable, load_weights

Reduction = Literal["mean", "sum", "none", "weighted-mean"]

# The average that `WeightTable.reduction` must name, for each reduction of a loss.
_AVERAGE: dict[str, str] = {
    "mean": "linear",
    "sum": "linear",
    "none": "linear",
    "weighted-mean": "weight-normalised",
}
_OF_EQUAL_COST = {"linear": "pixel", "weight-normalised": "batch"}
_WORDING = {
    "linear": "a plain mean of the weighted losses",
    "weight-normalised": "a mean that divides every batch by its own sum of weights",
}


def demand_classes(table: WeightTable, where: str) -> None:
    """Raise MultilabelError where weights are pos_weight of labels."""
    if table.negatives is not None:
        raise MultilabelError(
            "holds pos_weight of labels, and a softmax has classes, one a pixel",
            where=where,
            remedy="BinaryCrossEntropy and BinaryFocal take it, as"
            " torch.nn.BCEWithLogitsLoss(pos_weight=...) does",
        )


def fitting_table(
    source: str | Path | WeightTable,
    *,
    reduction: Reduction,
    class_count: int | None = None,
    stacklevel: int = 3,
) -> WeightTable:
    """The weights, with a UserWarning where they were made for another average than the loss's.

    Args:
        source: a file of weights or a table.
        reduction: what the loss does.
        class_count: classes of the model, checked where given.
        stacklevel: whose line the warning names; 3 is the caller's caller.

    Raises:
        FileFormatError: the file holds no weights.
        WeightError: it has another number of classes than the model.
        ParameterError: no reduction is called that.
        MultilabelError: it holds pos_weight of labels.
    """
    check_word(reduction, tuple(_AVERAGE), parameter="reduction")
    table = source if isinstance(source, WeightTable) else load_weights(source)
    where = None if isinstance(source, WeightTable) else printable(str(source))
    demand_classes(table, where or "weights")
    _check_length(table, class_count, where or "weights")
    needed = _AVERAGE[reduction]
    if table.reduction is not None and table.reduction != needed:
        made_for = table.reduction
        other = "mean" if made_for == "linear" else "weighted-mean"
        warnings.warn(
            spelled(
                f"{where or 'weights'}: made for {_WORDING.get(made_for, printable(made_for))}, but"
                f" reduction={reduction!r} is {_WORDING[needed]}; use reduction={other!r} in the"
                " loss and here, or weights from"
                f" '{call('Scan.weights', average=_OF_EQUAL_COST[needed])}'"
            ),
            UserWarning,
            stacklevel=stacklevel,
        )
    return table


def class_counts(source: str | Path | WeightTable, *, class_count: int | None = None) -> FloatArray:
    """float64[K], the pixel counts that weights were made from; shares where no more is known.

    Args:
        source: a file of weights or a table.
        class_count: classes of the model, checked where given.

    Raises:
        FileFormatError: the file holds no weights.
        WeightError: it has another number of classes than the model, or it does not say what its
            weights were made from.
        MultilabelError: they are of labels, which are no prior of classes.
    """
    table = source if isinstance(source, WeightTable) else load_weights(source)
    where = "weights" if isinstance(source, WeightTable) else printable(str(source))
    demand_classes(table, where)
    _check_length(table, class_count, where)
    if not table.pixels.any():
        raise WeightError(
            "holds weights alone, not the counts they were made from",
            where=where,
            remedy=f"write the file with '{call('WeightTable.save', Blank('FILE'))}', whose layout"
            ' "full" has both',
        )
    return table.frequency if table.unit == "shares" else table.pixels.astype(np.float64)


def pos_weight_of(source: str | Path | WeightTable, *, stacklevel: int = 3) -> float | FloatArray:
    """pos_weight from a table, a file of two weights or of labels, or of the layout "pos-weight".

    Args:
        source: where from.
        stacklevel: whose line a warning names; 3 is the caller's caller.

    Raises:
        FileFormatError: the file holds none of these.
        WeightError: as `ratio`, or two numbers without a word on what they are.

    Warns:
        UserWarning: the weights were made for another average.
    """
    if isinstance(source, WeightTable):
        table, where = source, None
    else:
        where = printable(str(source))
        number = read_number(Path(source))
        if number is not None:
            if not 0 <= number < math.inf:
                raise FileFormatError("holds no finite number of at least 0", where=where)
            return number
        table = load_weights(source)
        _refuse_bare(table, where)
    try:
        found = of_table(table)
    except WeightError as error:
        raise WeightError(error.problem, where=where, remedy=error.remedy) from error
    if table.reduction not in (None, LINEAR):
        warnings.warn(
            spelled(
                f"{where or 'weights'}: made for {_WORDING['weight-normalised']}, but pos_weight is"
                f" for a plain mean; take weights from '{call('Scan.weights', average='pixel')}'"
            ),
            UserWarning,
            stacklevel=stacklevel,
        )
    return found


def _refuse_bare(table: WeightTable, where: str) -> None:
    """Numbers alone may be weights of classes, or already pos_weight, one a label."""
    if table.scheme == "unknown" and not table.provenance:
        raise WeightError(
            f"holds {len(table)} numbers alone: weights of classes, or pos_weight of labels",
            where=where,
            remedy="give pos_weight= numbers (w1 / w0 of two classes), or a file of the layout"
            ' "full" or "pos-weight"',
        )


def _check_length(table: WeightTable, class_count: int | None, where: str) -> None:
    if class_count is not None and class_count != len(table):
        raise WeightError(
            f"has weights of {len(table)} classes, the model has {class_count}",
            where=where,
            remedy="count the masks with the model's classes:"
            f" '{call('scan', classes=Blank('K'))}'",
        )
