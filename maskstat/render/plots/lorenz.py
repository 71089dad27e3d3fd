"""`lorenz`: how unequally pixels, masks and components are shared out among the classes."""

from __future__ import annotations

from maskstat.naming import counted
from maskstat.render.plots.drawing import Drawing, ScanView
from maskstat.render.plots.rows import Line
from maskstat.render.plots.scale import Scale, set_x_axis, set_y_axis
from maskstat.render.plots.style import (
    ACCENT,
    MUTED,
    SECOND,
    SERIES,
    SIZE,
    axes_at,
    figure_of,
    percent_tick,
)
from maskstat.statistics.imbalance import imbalance, lorenz_curve
from maskstat.values.known import known
from maskstat.values.tally import IntArray

_SIDE = 270.0


def draw(view: ScanView) -> Drawing:
    """Cumulative share of pixels, and of presences in masks, against the share of classes.

    Of masks where they are known, and of connected components where the scan has a pixel profile.
    """
    histogram, profile = view.histogram, view.profile
    curves: list[tuple[str, IntArray, str, Line]] = [
        ("pixels", histogram.pixels, ACCENT, "-"),
    ]
    if (masks := known(histogram, "masks")) is not None:
        curves.append((f"{histogram.row}s", masks, SECOND, (0, (6, 2))))
    if profile is not None:
        curves.append(("components", profile.components, SERIES[2], (0, (2, 1.5))))
    figure = figure_of(_SIDE + 68, _SIDE + 46)
    axes = axes_at(figure, 50, 36, _SIDE, _SIDE)
    scale = Scale(0.0, 1.0, _SIDE)
    set_x_axis(axes, scale, percent_tick)
    set_y_axis(axes, scale, percent_tick)
    axes.set_xlabel("share of classes, from the rarest to the most frequent")
    axes.set_ylabel("cumulative share")
    axes.plot([0, _SIDE], [0, _SIDE], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.text(
        _SIDE / 2 - 4,
        _SIDE / 2 + 4,
        "all equal",
        color=MUTED,
        fontsize=SIZE,
        rotation=45,
        ha="center",
        va="bottom",
        rotation_mode="anchor",
    )
    parts = []
    for row, (what, counts, colour, line) in enumerate(curves):
        gini = imbalance(counts).gini
        classes, shares = lorenz_curve(counts)
        marker = "o" if counts.size <= 42 else None
        axes.plot(
            scale(classes),
            scale(shares),
            color=colour,
            linestyle=line,
            linewidth=1.6,
            marker=marker,
            markersize=2.6,
            zorder=3,
            clip_on=False,
        )
        # The upper left corner is empty: no Lorenz curve rises above the diagonal.
        y = _SIDE - 12 - 15 * row
        axes.plot([8, 30], [y, y], color=colour, linestyle=line, linewidth=1.6)
        axes.text(36, y, f"{what}, Gini {gini:.3f}", fontsize=SIZE, va="center_baseline")
        parts.append(f"{what} Gini {gini:.3f}")
    return Drawing(
        figure,
        f"Lorenz curves over {counted(len(view.catalog), 'class')}: {', '.join(parts)}"
        " (0: all classes equal, near 1: one class has nearly everything).",
    )
