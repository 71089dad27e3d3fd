"""`cooccurrence`: which classes share masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from maskstat.naming import counted, printable
from maskstat.profile.cooccurrence import CoOccurrence
from maskstat.report.plots.drawing import Drawing, ScanView
from maskstat.report.plots.scale import Scale
from maskstat.report.plots.style import (
    MUTED,
    SEQUENTIAL,
    SIZE,
    SMALL,
    axes_at,
    figure_of,
    fitted,
    order_of,
    percent_tick,
    text_width,
    write_at,
)
from maskstat.tally import IntArray

MOST_CLASSES = 240
_ANNOTATED = 16
_LABEL = 110.0
_BAR, _BAR_LENGTH, _GAP = 8.0, 120.0, 10.0


def draw(view: ScanView) -> Drawing:
    """P(b | a): among the masks with class a (row), the share that has class b (column) too.

    Classes that keep the same company stand side by side (average linkage of Jaccard distances).
    The diagonal, always 1, is left blank. Classes that never occur are left out, and of more than
    `MOST_CLASSES` those in the fewest masks.
    """
    masks = view.histogram.masks
    shown = order_of(masks, "frequency")[: min(MOST_CLASSES, int((masks > 0).sum()))]
    if not shown.size:
        figure = figure_of(200, 40)
        write_at(figure, 10, 16, "no class occurs", color=MUTED)
        return Drawing(figure, "No class occurs, so no classes share masks.")
    together = CoOccurrence.of(view.ledger).masks[np.ix_(shown, shown)]
    order = clustered(together)
    shown, together = shown[order], together[np.ix_(order, order)]
    chances = conditional(together)
    names = [view.catalog.names[k] for k in shown]
    return Drawing(_figure(names, chances, len(masks)), _description(names, chances, together))


def conditional(together: IntArray) -> npt.NDArray[np.float64]:
    """float64[K, K], P(b | a) from the numbers of masks that hold both; NaN on the diagonal.

    Every class must occur.
    """
    chances = together / np.maximum(np.diag(together), 1)[:, None]
    np.fill_diagonal(chances, np.nan)
    return chances


def clustered(together: IntArray) -> IntArray:
    """An order of the classes in which those that share their masks are neighbours."""
    count = len(together)
    if count < 3:
        return np.arange(count)
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    masks = np.diag(together)
    either = masks[:, None] + masks[None, :] - together
    distance = 1.0 - together / np.maximum(either, 1)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return np.asarray(leaves_list(tree), np.int64)


def _pitch(count: int) -> tuple[float, float]:
    """Cell side and label size in points."""
    if count <= 8:
        return 34.0, SIZE
    if count <= _ANNOTATED:
        return 25.0, SIZE
    return (12.0, SMALL + 0.5) if count <= 42 else (7.6, 6.0)


def _figure(names: list[str], chances: npt.NDArray[np.float64], class_count: int) -> Any:
    count = len(names)
    cell, size = _pitch(count)
    labels = [fitted(name, size, _LABEL) for name in names]
    room = max((text_width(label, size) for label in labels), default=0.0) + 8
    side = max(cell * count, _BAR_LENGTH)
    left, below = room + 22.0, room + 52.0
    left_out = class_count - count
    note = f"{counted(left_out, 'class')} left out" if left_out else ""
    noted = _BAR_LENGTH + 24 + text_width(note, SMALL) if note else 0.0
    figure = figure_of(left + max(side, noted) + 14, below + side + 12)
    axes = axes_at(figure, left, below, side, side)
    axes.imshow(chances, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(count), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(count), labels, fontsize=size)
    axes.tick_params(length=0, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _annotate(axes, chances)
    middle = below + side / 2
    write_at(figure, 10, middle, "among masks with …", rotation=90, va="center", ha="center")
    write_at(figure, left + side / 2, 42, "… the share with", va="center", ha="center")
    _colour_bar(figure, left)
    if note:
        write_at(figure, left + _BAR_LENGTH + 24, 20, note, fontsize=SMALL, color=MUTED)
    return figure


def _annotate(axes: Any, chances: npt.NDArray[np.float64]) -> None:
    """Percentages in the cells where they are large enough."""
    if len(chances) > _ANNOTATED:
        return
    for (row, column), chance in np.ndenumerate(chances):
        if not np.isnan(chance):
            axes.text(
                column, row, _whole_percent(chance), fontsize=SMALL, ha="center", va="center",
                color="#fefefe" if chance < 0.55 else "#010101",
            )  # fmt: skip


def _whole_percent(chance: float) -> str:
    """Whole percent; only never is 0 and only always is 100."""
    if 0 < chance < 0.005:
        return "<1"
    return ">99" if 0.995 <= chance < 1 else f"{chance * 100:.0f}"


def _colour_bar(figure: Any, left: float) -> None:
    axes = axes_at(figure, left, 18, _BAR_LENGTH, _BAR)
    axes.imshow(np.linspace(0, 1, 256)[None, :], cmap=SEQUENTIAL, aspect="auto",
                extent=(0, _BAR_LENGTH, 0, 1))  # fmt: skip
    scale = Scale(0.0, 1.0, _BAR_LENGTH)
    ticks = scale.ticks(percent_tick)
    axes.set_xticks([position for position, _ in ticks], [label for _, label in ticks])
    axes.set_yticks([])
    axes.tick_params(length=2, pad=1, labelsize=SMALL)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _description(names: list[str], chances: npt.NDArray[np.float64], together: IntArray) -> str:
    text = (
        f"Matrix of {counted(len(names), 'class')}: among the masks with the class of a row, the"
        " share that has the class of a column too"
    )
    if len(names) < 2:
        return f"{text}."
    upper = np.triu(together, 1)
    row, column = np.unravel_index(int(np.argmax(upper)), upper.shape)
    never = int((together[np.triu_indices(len(names), 1)] == 0).sum())
    return (
        f"{text}. {printable(names[row])} and {printable(names[column])} share the most masks,"
        f" {together[row, column]:,}; {counted(never, 'pair')} never meet."
    )
