"""`cooccurrence`: which classes share masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maskstat.naming import counted, printable
from maskstat.render.plots.drawing import Drawing, ScanView
from maskstat.render.plots.matrix import MOST_CLASSES, matrix_figure
from maskstat.render.plots.style import MUTED, figure_of, order_of, write_at
from maskstat.statistics.cooccurrence import CoOccurrence
from maskstat.values.histogram import Row
from maskstat.values.tally import IntArray


def draw(view: ScanView) -> Drawing:
    """P(b | a): among the masks with class a (row), the share that has class b (column) too.

    Classes that keep the same company stand side by side (average linkage of Jaccard distances).
    The diagonal, always 1, is left blank. Classes that never occur are left out, and of more than
    `MOST_CLASSES` those in the fewest masks.
    """
    masks, row = view.histogram.masks, view.histogram.row
    shown = order_of(masks, "frequency")[: min(MOST_CLASSES, int((masks > 0).sum()))]
    if not shown.size:
        figure = figure_of(200, 40)
        write_at(figure, 10, 16, "no class occurs", color=MUTED)
        return Drawing(figure, f"No class occurs, so no classes share {row}s.")
    together = CoOccurrence.of(view.ledger).masks[np.ix_(shown, shown)]
    order = clustered(together)
    shown, together = shown[order], together[np.ix_(order, order)]
    chances = conditional(together)
    names = [view.catalog.names[k] for k in shown]
    figure = matrix_figure(
        names,
        chances,
        rows=f"among {row}s with …",
        columns="… the share with",
        left_out=len(masks) - len(names),
    )
    return Drawing(figure, _description(names, chances, together, row))


def conditional(together: IntArray) -> npt.NDArray[np.float64]:
    """float64[K, K], P(b | a) from the numbers of masks that hold both; NaN on the diagonal.

    Every class must occur.
    """
    chances = together / np.maximum(np.diag(together), 1)[:, None]
    np.fill_diagonal(chances, np.nan)
    return chances


def clustered(together: IntArray) -> IntArray:
    """An order of the classes in which those that share their masks are neighbours."""
    masks = np.diag(together)
    either = masks[:, None] + masks[None, :] - together
    return ordered_by(1.0 - together / np.maximum(either, 1))


def ordered_by(distance: npt.NDArray[np.float64]) -> IntArray:
    """An order in which what is near is neighbours, from symmetric distances [K, K]."""
    count = len(distance)
    if count < 3:
        return np.arange(count)
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return np.asarray(leaves_list(tree), np.int64)


def _description(
    names: list[str], chances: npt.NDArray[np.float64], together: IntArray, what: Row
) -> str:
    text = (
        f"Matrix of {counted(len(names), 'class')}: among the {what}s with the class of a row, the"
        " share that has the class of a column too"
    )
    if len(names) < 2:
        return f"{text}."
    upper = np.triu(together, 1)
    row, column = np.unravel_index(int(np.argmax(upper)), upper.shape)
    never = int((together[np.triu_indices(len(names), 1)] == 0).sum())
    return (
        f"{text}. {printable(names[row])} and {printable(names[column])} share the most {what}s,"
        f" {together[row, column]:,}; {counted(never, 'pair')} never meet."
    )
