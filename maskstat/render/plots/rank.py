"""`rank`: the long tail. Pixels by rank, the masks of the same classes below."""

from __future__ import annotations

from typing import Any

import numpy as np

from maskstat.naming import counted, percent, printable
from maskstat.render.plots.drawing import Drawing, ScanView, presence_of
from maskstat.render.plots.scale import Scale, set_x_axis, set_y_axis
from maskstat.render.plots.style import (
    INK,
    MUTED,
    NEUTRAL,
    PAPER,
    SMALL,
    axes_at,
    class_colours,
    figure_of,
    fitted,
    order_of,
    percent_tick,
    plain_tick,
    text_width,
)
from maskstat.render.plots.whiskers import Whiskers
from maskstat.statistics.imbalance import HEAD_SHARE, TAIL_SHARE

_WIDTH, _PIXELS, _MASKS = 400.0, 200.0, 80.0
_MARKS = (0.5, HEAD_SHARE, TAIL_SHARE)
_LABEL = 110.0


def draw(view: ScanView) -> Drawing:
    """Pixels of each class by rank on a logarithmic axis, with the share of masks below.

    Vertical lines stand where the most frequent classes together reach 50, 80 (the head) and
    95% (without the tail) of the labelled pixels. Of given counts, what is unknown is left out:
    the masks, and where they are shares, the numbers of pixels.
    """
    histogram = view.histogram
    order = order_of(histogram.pixels, "frequency")
    pixels = histogram.pixels[order]
    shares = histogram.unit == "shares"
    heights, tick = (histogram.frequency[order], percent_tick) if shares else (pixels, plain_tick)
    presence = presence_of(histogram)
    across = Scale.over([1, order.size], _WIDTH, margin=10)
    whole = 1.0 if shares else float(histogram.labelled_pixels)
    whiskers = Whiskers.of_shares(view, whole)
    shown = np.asarray(heights, np.float64)
    if whiskers is not None:
        shown = np.append(shown, whiskers.ends(shown, order, log=True))
    up = Scale.over(shown, _PIXELS, log=True, margin=14)
    widest = max((text_width(label, SMALL) for _, label in up.ticks(tick)), default=0.0)
    left = widest + 32
    words = "" if whiskers is None else whiskers.words
    below = 48 if words else 36
    room = below if presence is None else below + _MASKS + 14
    figure = figure_of(left + _WIDTH + 12, _PIXELS + room + 24)
    top = axes_at(figure, left, room, _WIDTH, _PIXELS)
    x = across(np.arange(1, order.size + 1))
    y = up(heights)
    set_y_axis(top, up, tick)
    top.set_xlim(0, _WIDTH)
    top.set_xticks([])
    top.set_ylabel("share of labelled pixels" if shares else "labelled pixels")
    reached = _mark_shares(top, across, pixels)
    of_classes = class_colours(view.catalog)
    colours = [of_classes[k] for k in order]
    size = 26 if order.size <= 42 else 14
    some = pixels > 0
    top.plot(x[some], y[some], color=NEUTRAL, linewidth=0.8, zorder=2)
    top.scatter(x, y, s=size, c=colours, edgecolors=INK, linewidths=0.4, zorder=3, clip_on=False)
    low = high = y
    if whiskers is not None:
        whiskers.draw(top, order, up, at=x, upright=True, half=2.0)
        low, high = (
            np.where(np.isnan(end[order]), y, np.clip(up(end[order]), 0, _PIXELS))
            for end in (whiskers.low, whiskers.high)
        )
    names = view.catalog.names
    _name_points(top, [names[k] for k in order], x, low, high)
    panels = [top]
    if presence is not None:
        under = axes_at(figure, left, below, _WIDTH, _MASKS)
        height = Scale(0.0, 1.0, _MASKS)
        set_y_axis(under, height, percent_tick)
        bar = max(0.6, min(14.0, 0.72 * (x[1] - x[0]))) if order.size > 1 else 14.0
        under.bar(x, height(presence[order]), width=bar, color=NEUTRAL, linewidth=0, zorder=2)
        under.set_ylabel(f"share of {histogram.row}s")
        panels.append(under)
    set_x_axis(panels[-1], across, _rank_tick, grid=False)
    panels[-1].set_xlabel("rank of the class by pixels" + (f"\n(lines: {words})" if words else ""))
    for axes in panels:
        axes.yaxis.set_label_coords(-(left - 12) / _WIDTH, 0.5)
    return Drawing(figure, _description(view, reached, words))


def _rank_tick(rank: float) -> str:
    return f"{rank:,.0f}" if rank >= 1 and rank == round(rank) else ""


def _mark_shares(axes: Any, across: Scale, pixels: np.ndarray) -> list[tuple[float, int]]:
    """Lines where the first classes reach a share of all pixels: [(share, classes)]."""
    total = int(pixels.sum())
    if not total:
        return []
    cumulative = np.cumsum(pixels)
    reached = [(m, int(np.searchsorted(cumulative, m * total)) + 1) for m in _MARKS]
    free = -np.inf
    for rank in sorted({count for _, count in reached}):
        # Several shares may be reached by the same class, and labels may not touch.
        label = ", ".join(f"{mark:.0%}" for mark, count in reached if count == rank)
        position = float(across(rank)) + (float(across(2)) - float(across(1))) / 2
        half = text_width(label, SMALL) / 2
        axes.axvline(position, color=MUTED, linewidth=0.7, linestyle=(0, (3, 3)), zorder=1.2)
        centre = min(max(position, half, free + half), across.length - half)
        if centre - half >= free:
            axes.text(centre, _PIXELS + 3, label, fontsize=SMALL, color=MUTED, ha="center")
            free = centre + half + 4
    return reached


def _name_points(
    axes: Any, names: list[str], x: np.ndarray, low: np.ndarray, high: np.ndarray
) -> None:
    """Names of as many points, or lines from low to high, as have room beside the falling curve.

    Above it to the right for its first half, below it to the left for the second.
    """
    taken: list[tuple[float, float, float, float]] = []
    half = (len(names) + 1) // 2
    ranks = [*range(half), *reversed(range(half, len(names)))]
    height = 1.3 * SMALL
    for rank in ranks:
        right = rank < half
        edge = x[rank] + (5 if right else -5)
        bottom = high[rank] + 1 if right else low[rank] - 1 - height
        beside = slice(*np.searchsorted(x, (edge - 3, edge + 3)))
        if ((high[beside] > bottom - 3) & (low[beside] < bottom + height + 3)).any():
            continue  # no name has room, however short: of very many classes few are measured
        name = fitted(names[rank], SMALL, _LABEL)
        width = text_width(name, SMALL)
        left = x[rank] + 5 if right else x[rank] - 5 - width
        box = (left, bottom, left + width, bottom + height)
        inside = left > 1 and box[2] < _WIDTH and bottom > 0 and box[3] < _PIXELS
        blocked = any(
            box[0] < b[2] + 2 and b[0] < box[2] + 2 and box[1] < b[3] and b[1] < box[3]
            for b in taken
        )
        blocked |= bool(
            ((x > left - 3) & (x < box[2] + 3) & (high > bottom - 3) & (low < box[3] + 3)).any()
        )
        if inside and not blocked:
            taken.append(box)
            axes.text(
                left,
                bottom + 0.3 * SMALL,
                name,
                fontsize=SMALL,
                va="baseline",
                zorder=1.5,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
            )


def _description(view: ScanView, reached: list[tuple[float, int]], lines: str) -> str:
    parts = [
        f"{share:.0%} of the pixels are in {counted(count, 'class')}" for share, count in reached
    ]
    order = order_of(view.histogram.pixels, "frequency")
    text = f"Pixels of {counted(len(view.catalog), 'class')} by rank, on a logarithmic axis"
    if parts:
        first, last = order[0], order[int(view.histogram.present.sum()) - 1]
        names, shares = view.catalog.names, view.histogram.unit == "shares"
        most, least = (
            percent(view.histogram.frequency[k]) if shares else f"{view.histogram.pixels[k]:,}"
            for k in (first, last)
        )
        text += (
            f", from {printable(names[first])} with {most} to {printable(names[last])}"
            f" with {least}. {'; '.join(parts)}"
        )
    text += f". Lines: {lines}" if lines else ""
    if presence_of(view.histogram) is None:
        return f"{text}. The share of masks is unknown."
    return f"{text}. Below, the share of {view.histogram.row}s that contain the class of that rank."
