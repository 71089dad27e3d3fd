"""`adjacency`: which classes touch, and how much of their outlines they share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maskstat.naming import counted, printable
from maskstat.regions.profile import PixelProfile
from maskstat.render.plots.cooccurrence import ordered_by
from maskstat.render.plots.drawing import Drawing, ScanView
from maskstat.render.plots.matrix import MOST_CLASSES, matrix_figure
from maskstat.render.plots.style import MUTED, figure_of, order_of, write_at
from maskstat.values.tally import IntArray


def draw(view: ScanView) -> Drawing:
    """Of the outline of class a (row), the share that it has in common with class b (column).

    Outlines are counted in pixel edges. What a row lacks to 1 is the outline towards pixels
    without a class. Classes that touch much stand side by side (average linkage); the diagonal is
    left blank, classes that never occur are left out, and of more than `MOST_CLASSES` those with
    the shortest outlines.

    Raises:
        ProfileError: the scan has no pixel profile.
    """
    profile = view.need_profile()
    outlines = profile.adjacency.sum(axis=1)[:-1]
    occurs = int((profile.class_pixels > 0).sum())
    # By outline, classes without one but with pixels before those that never occur.
    shown = order_of(outlines + (profile.class_pixels > 0), "frequency")
    shown = shown[: min(MOST_CLASSES, occurs)]
    if not shown.size:
        figure = figure_of(200, 40)
        write_at(figure, 10, 16, "no class occurs", color=MUTED)
        return Drawing(figure, "No class occurs, so no classes touch.")
    shares = profile.neighbours[np.ix_(shown, shown)]
    order = ordered_by(1.0 - (shares + shares.T) / 2)
    shown, shares = shown[order], shares[np.ix_(order, order)]
    np.fill_diagonal(shares, np.nan)
    names = [view.catalog.names[k] for k in shown]
    figure = matrix_figure(
        names,
        shares,
        rows="of the outline of …",
        columns="… the share along",
        left_out=len(view.catalog) - len(names),
    )
    return Drawing(figure, _description(profile, names, shown))


def _description(profile: PixelProfile, names: list[str], shown: IntArray) -> str:
    text = (
        f"Matrix of {counted(len(names), 'class')}: of the outline of the class of a row, the"
        " share along the class of a column"
    )
    edges: npt.NDArray[np.int64] = np.triu(profile.adjacency[np.ix_(shown, shown)], 1)
    if not edges.any():
        return f"{text}. No two classes touch."
    row, column = np.unravel_index(int(np.argmax(edges)), edges.shape)
    never = int((edges[np.triu_indices(len(names), 1)] == 0).sum())
    return (
        f"{text}. {printable(names[row])} and {printable(names[column])} touch along the most"
        f" pixel edges, {edges[row, column]:,}; {counted(never, 'pair')} never touch."
    )
