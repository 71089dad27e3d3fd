"""Weights from files as tensors."""

from __future__ import annotations

from pathlib import Path

import torch

from maskstat.errors import WeightError
from maskstat.naming import printable
from maskstat.weights.fit import Reduction, fitting_table
from maskstat.weights.table import WeightTable


def load_weights(
    source: str | Path | WeightTable,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    class_count: int | None = None,
    reduction: Reduction = "weighted-mean",
) -> torch.Tensor:
    """Class weights as a tensor [K].

    Args:
        source: a file that `maskstat weights -o` wrote, or a table.
        device: where the tensor is to be.
        dtype: its floating type; torch's default (float32) where None.
        class_count: classes of the model, checked where given.
        reduction: what the loss does with the weights. torch.nn.CrossEntropyLoss(weight) and the
            losses of this package take the "weighted-mean" unless told otherwise.

    Raises:
        FileFormatError: the file holds no weights.
        WeightError: another number of classes than the model's, or a weight that `dtype` can't
            hold.

    Warns:
        UserWarning: the weights were made for another average.
    """
    table = fitting_table(source, reduction=reduction, class_count=class_count)
    kind = torch.get_default_dtype() if dtype is None else dtype
    exact = torch.tensor(table.weights.tolist(), dtype=torch.float64)
    cast = exact.to(kind)
    # Neither infinite nor, by underflow, a class that no longer counts.
    lost = ~torch.isfinite(cast) | ((cast == 0) & (exact > 0))
    if bool(lost.any()):
        first = int(lost.nonzero()[0])
        raise WeightError(
            f"weight {float(exact[first]):g} of {printable(table.names[first])} does not fit {kind}"
        )
    return cast.to(device)
