"""`cooccurrence`: which classes share masks, against chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maskstat.naming import counted, printable
from maskstat.render.plots.drawing import Drawing, ScanView
from maskstat.render.plots.matrix import MOST_CLASSES, matrix_figure
from maskstat.render.plots.style import MUTED, figure_of, order_of, write_at
from maskstat.statistics.cooccurrence import CoOccurrence
from maskstat.values.tally import IntArray

OCTAVES = 2


def draw(view: ScanView) -> Drawing:
    """Masks with both classes over those expected if each were spread by itself: lift.

    Classes that keep the same company stand side by side (average linkage of Jaccard distances).
    The diagonal is left blank. Classes that never occur are left out, and of more than
    `MOST_CLASSES` those in the fewest masks.
    """
    masks = view.histogram.masks
    row = view.histogram.row
    shown = order_of(masks, "frequency")[: min(MOST_CLASSES, int((masks > 0).sum()))]
    if not shown.size:
        figure = figure_of(200, 40)
        write_at(figure, 10, 16, "no class occurs", color=MUTED)
        return Drawing(figure, f"No class occurs, so no classes share {row}s.")
    together = CoOccurrence.of(view.ledger)
    order = clustered(together.masks[np.ix_(shown, shown)])
    shown = shown[order]
    lift = together.lift[np.ix_(shown, shown)]
    np.fill_diagonal(lift, np.nan)
    names = [view.catalog.names[k] for k in shown]
    figure = matrix_figure(
        names,
        lift,
        octaves=OCTAVES,
        title=f"in the same {row}, against chance",
        left_out=len(masks) - len(names),
    )
    said = _description(names, lift, together.masks[np.ix_(shown, shown)], row)
    return Drawing(figure, said)


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
    names: list[str], lift: npt.NDArray[np.float64], together: IntArray, row: str
) -> str:
    text = (
        f"Matrix of {counted(len(names), 'class')}: {row}s with the classes of a row and of a"
        " column over those expected by chance"
    )
    if len(names) < 2:
        return f"{text}."
    upper = np.where(np.triu(np.ones_like(lift), 1) > 0, lift, 0.0)
    first, second = np.unravel_index(int(np.argmax(upper)), upper.shape)
    never = int((together[np.triu_indices(len(names), 1)] == 0).sum())
    return (
        f"{text}. {printable(names[first])} and {printable(names[second])} meet most above it,"
        f" {upper[first, second]:.3g} times; {counted(never, 'pair')} never meet."
    )
