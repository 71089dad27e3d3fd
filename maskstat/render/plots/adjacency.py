"""`adjacency`: which classes touch, against chance."""

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

OCTAVES = 3


def draw(view: ScanView) -> Drawing:
    """Pixel edges between two classes over those expected if outlines paired at random.

    Classes that share much of their outlines stand side by side (average linkage); the diagonal is
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
    shown = shown[ordered_by(1.0 - (shares + shares.T) / 2)]
    ratio = profile.touch_ratio[np.ix_(shown, shown)]
    np.fill_diagonal(ratio, np.nan)
    names = [view.catalog.names[k] for k in shown]
    figure = matrix_figure(
        names,
        ratio,
        octaves=OCTAVES,
        title="side by side, against chance",
        left_out=len(view.catalog) - len(names),
    )
    return Drawing(figure, _description(profile, names, shown))


def _description(profile: PixelProfile, names: list[str], shown: IntArray) -> str:
    text = (
        f"Matrix of {counted(len(names), 'class')}: pixel edges between the classes of a row and"
        " of a column over those expected by chance"
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
