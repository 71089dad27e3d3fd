"""Which share of the weight each class needs so that all constant predictors cost the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from maskstat.errors import ParameterError, WeightError
from maskstat.naming import printable
from maskstat.values.tally import IntArray
from maskstat.weights.batches import FloatArray

LARGEST_CONDITION = 1e10
"""A cost matrix with a larger condition number (rows and columns scaled) is refused."""


def equal_cost_shares(
    cost_matrix: npt.ArrayLike | None,
    present: IntArray,
    class_count: int,
    names: Sequence[str] | None,
) -> FloatArray:
    """float64[K], the shares of the weight that make costs equal: 1/K, or solved from L v = 1."""
    count = len(present)
    if cost_matrix is None:
        return np.full(count, 1.0 / count)
    matrix = np.asarray(cost_matrix, np.float64)
    if matrix.shape != (class_count, class_count):
        raise ParameterError(
            f"the cost matrix has shape {matrix.shape}; {class_count} classes need "
            f"{class_count} x {class_count}"
        )
    if not np.isfinite(matrix).all():
        raise ParameterError("the cost matrix holds a value that is not a finite number")
    if count == 1:
        return np.ones(1)
    matrix = matrix[np.ix_(present, present)]
    by_row = np.abs(matrix).max(axis=1, keepdims=True)
    if not by_row.all():
        free = class_name(present[int(by_row.argmin())], names)
        raise WeightError(f"the cost matrix is singular: answering {free} costs nothing")
    matrix = matrix / by_row
    by_column = np.abs(matrix).max(axis=0)
    if not by_column.all():
        free = class_name(present[int(by_column.argmin())], names)
        raise WeightError(f"the cost matrix is singular: {free} costs no predictor anything")
    matrix = matrix / by_column
    condition = float(np.linalg.cond(matrix))
    if not condition <= LARGEST_CONDITION:
        raise WeightError(
            "the cost matrix is singular or nearly so (condition number "
            f"{condition:.1e}), so it does not determine the weights"
        )
    solution = np.linalg.solve(matrix, 1.0 / by_row[:, 0]) / by_column
    if solution.sum() < 0:
        solution = -solution
    lacking = present[solution <= 1e-12 * np.abs(solution).max()]
    if lacking.size:
        raise WeightError(
            "no positive weights make all predictors equally costly under this cost matrix: "
            f"{listed(lacking, names)} would need a weight of zero or less"
        )
    return np.asarray(solution / solution.sum())


def class_name(index: int, names: Sequence[str] | None) -> str:
    """The name, safe to print, or `class 3` where there are no names."""
    return printable(names[index]) if names is not None else f"class {index}"


def listed(classes: IntArray, names: Sequence[str] | None) -> str:
    """The names in a sentence, at most six of them."""
    shown = [class_name(int(c), names) for c in classes]
    if len(shown) > 6:
        shown = [*shown[:5], f"{len(shown) - 5} other classes"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
