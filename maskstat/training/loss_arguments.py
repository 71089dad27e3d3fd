"""What losses and metrics of every framework take for labels to leave out, and for class counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError
from maskstat.naming import printable
from maskstat.showing import cut

IgnoreIndex: TypeAlias = int | Sequence[int] | None
"""One label to leave out, several, or none."""

SHARES = 0.01
"""How far the sum of shares may be from 1: they may have been rounded to three digits."""


def ignored_labels(ignore_index: IgnoreIndex) -> tuple[int, ...]:
    """The labels to leave out. Raises ParameterError for what is not one or several integers."""
    if ignore_index is None:
        return ()
    if type(ignore_index) is int:
        return (ignore_index,)
    several = isinstance(ignore_index, (list, tuple, range, set, frozenset, np.ndarray))
    return tuple(_whole(label) for label in (ignore_index if several else (ignore_index,)))  # type: ignore[union-attr]


def one_or_several(labels: Sequence[int]) -> int | list[int] | None:
    """Labels in the form that configurations and texts have them."""
    return None if not labels else labels[0] if len(labels) == 1 else list(labels)


def _whole(label: Any) -> int:
    if isinstance(label, (bool, np.bool_)) or not isinstance(label, (int, np.integer)):
        raise ParameterError(
            f"{cut(printable(repr(label)), 40)} is no integer",
            parameter="ignore_index",
            remedy="give one label, several in a list, or None",
        )
    return int(label)


def check_amounts(table: npt.NDArray[np.float64], name: str) -> None:
    """Refuse numbers that can't be counts of classes or their shares.

    Weights are large where classes are rare, so a loss that took them for counts would do the
    reverse of what it is for.

    Raises:
        ParameterError: all are 0, or they are neither whole numbers nor sum to 1.
    """
    if not (table > 0).any():
        raise ParameterError(f"{name} is 0 for every class")
    if not (table == np.floor(table)).all() and not abs(table.sum() - 1) <= SHARES:
        raise ParameterError(
            f"{name} holds neither counts, which are whole numbers, nor shares, which sum to 1",
            remedy=f"weights are of no use here: {name}=load_counts('weights.json') has what the"
            " weights were made from",
        )


def check_mining(top_k: float | None, threshold: float | None) -> None:
    """Refuse shares of hard elements and probabilities that mean nothing.

    Raises:
        ParameterError: one of them is not above 0 and at most 1.
    """
    for name, value, remedy in (
        (
            "top_k",
            top_k,
            "it is a share of the labelled elements: 20% is 0.2, and 100,000 of 512 x 1,024 are "
            "0.19",
        ),
        ("threshold", threshold, "it is a probability of the true class, 0.7 for instance"),
    ):
        if value is not None and not 0 < value <= 1:
            raise ParameterError(
                f"{name} is {value}, but must be above 0 and at most 1", remedy=remedy
            )


def least_loss(threshold: float) -> float:
    """-ln threshold: the loss from which the true class's probability is below it."""
    return -math.log(threshold)


def check_start(start: int) -> int:
    """The first epoch with weights. Raises ParameterError unless it is a whole number from 0 on."""
    if isinstance(start, bool) or not isinstance(start, (int, np.integer)) or start < 0:
        raise ParameterError(
            f"start is {cut(printable(repr(start)), 40)}, but must be a whole number of at least 0",
            remedy="it is the first epoch with weights",
        )
    return int(start)
