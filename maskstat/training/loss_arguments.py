"""What losses and metrics of every framework take for labels to leave out, and for class counts."""

from __future__ import annotations

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
