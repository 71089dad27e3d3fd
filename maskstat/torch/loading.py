"""Weights from files as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from maskstat.errors import WeightError
from maskstat.naming import printable
from maskstat.torch.precise_buffers import least_precise
from maskstat.weights.fit import Reduction, class_counts, fitting_table, pos_weight_of
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
        dtype: its floating type; torch's default where None, float32 at least.
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
    kind = dtype or least_precise()
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


def load_counts(
    source: str | Path | WeightTable,
    *,
    device: torch.device | str | None = None,
    class_count: int | None = None,
) -> torch.Tensor:
    """The pixel counts that weights were made from, [K], for `prior=` and `counts=` of losses.

    Divided by their sum they are the classes' frequencies. Where a file knows no more than these
    (weights made from shares), it is they.

    Args:
        source: a file that `maskstat weights -o` wrote, or a table.
        device: where the tensor is to be.
        class_count: classes of the model, checked where given.

    Raises:
        FileFormatError: the file holds no weights.
        WeightError: another number of classes than the model's, or a file that holds numbers alone.
    """
    counts = class_counts(source, class_count=class_count)
    return torch.tensor(counts.tolist(), dtype=least_precise(), device=device)


def load_pos_weight(
    source: str | Path | WeightTable, *, device: torch.device | str | None = None
) -> torch.Tensor:
    """`pos_weight` of binary losses: of two classes w1 / w0, a tensor without axes; of labels [L].

    Class 0 is what is not there, class 1 what is. For `torch.nn.BCEWithLogitsLoss(pos_weight)` and
    the binary losses of this package, whose mean divides by pixels.

    Args:
        source: a file that `maskstat weights -o` wrote, of two classes, of multi-label masks or of
            the layout "pos-weight", or a table.
        device: where the tensor is to be.

    Raises:
        FileFormatError: the file holds no weights.
        WeightError: other than two classes, or one that never occurs.

    Warns:
        UserWarning: the weights were made for another average.
    """
    found = np.asarray(pos_weight_of(source)).tolist()
    return torch.tensor(found, dtype=least_precise(), device=device)
