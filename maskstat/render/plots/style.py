"""How plots look: inks, class colours, fonts, and names and numbers as they stand on axes.

The series colours are Okabe and Ito's, which people with any colour vision tell apart; every series
has its own marker too.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import NDArray

from maskstat.naming import printable
from maskstat.parameters import check_word
from maskstat.render.plots.choices import ORDERS, Order
from maskstat.values.catalog import ClassCatalog

POINTS_PER_INCH = 72
SIZE, SMALL = 8.5, 7.0  # points

PAPER = "#ffffff"
INK = "#1b1f24"
MUTED = "#545d68"
GRID = "#d3d9df"
ACCENT = "#0072b2"
SECOND = "#d55e00"
NEUTRAL = "#8794a3"
SERIES = (ACCENT, SECOND, "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a4fa3", "#8c564b")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
SEQUENTIAL = "cividis"
# Blue over white to red in nine steps, ColorBrewer's RdBu: both ends are darker than the middle,
# and people with any colour vision tell them apart.
DIVERGING = (
    (33, 102, 172),
    (67, 147, 195),
    (146, 197, 222),
    (209, 229, 240),
    (247, 247, 247),
    (253, 219, 199),
    (244, 165, 130),
    (214, 96, 77),
    (178, 24, 43),
)
NEVER = (120, 124, 132)  # two that never meet

ELLIPSIS = "…"
_EDGE, _LINE = 8.0, 10.0  # of lines above a figure
_SCRIPTS = (  # fonts for scripts that DejaVu Sans lacks, where the machine has one
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans CJK KR",
    "Source Han Sans",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Noto Sans Thai",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
)
# matplotlib's settings are global while a figure is made or saved.
_turn = threading.RLock()


@contextmanager
def drawing_style() -> Iterator[None]:
    """Our settings over matplotlib's defaults, whatever a user's matplotlibrc says."""
    import matplotlib.style

    with _turn, warnings.catch_warnings():
        # A name in a script that no installed font has is drawn as boxes; SVG keeps its text.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support")
        with matplotlib.style.context(["default", _settings()]):
            yield


@cache
def _settings() -> dict[str, Any]:
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return {
        "font.family": ["DejaVu Sans", *(name for name in _SCRIPTS if name in installed)],
        "font.size": SIZE,
        "text.parse_math": False,  # a class may be called "$x_1$"
        "text.usetex": False,
        "text.color": INK,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.labelsize": SIZE,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SIZE,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "grid.color": GRID,
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "legend.fontsize": SIZE,
        "figure.facecolor": PAPER,
        "axes.facecolor": "none",
        "image.composite_image": False,
        "image.interpolation": "none",
        "svg.fonttype": "none",
        "svg.hashsalt": "maskstat",
        "pdf.fonttype": 42,
        "path.simplify": False,
    }


def figure_of(width: float, height: float) -> Any:
    """An empty figure of this size in points."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH))
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Any, left: float, bottom: float, width: float, height: float) -> Any:
    """Axes at a position in points."""
    across, up = (float(inches) * POINTS_PER_INCH for inches in figure.get_size_inches())
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def write_at(figure: Any, x: float, y: float, text: str, **style: Any) -> Any:
    """Text at a position in points."""
    across, up = (float(inches) * POINTS_PER_INCH for inches in figure.get_size_inches())
    return figure.text(x / across, y / up, text, **style)


def head(figure: Any, text: str) -> None:
    """Write lines of text above a finished figure, which grows by them. Under `drawing_style`."""
    across, up = (float(inches) * POINTS_PER_INCH for inches in figure.get_size_inches())
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, SMALL) <= across - 2 * _EDGE:
            lines[-1] = longer
        else:
            lines.append(fitted(word, SMALL, across - 2 * _EDGE))
    higher = up + _LINE * len(lines)
    figure.set_size_inches(across / POINTS_PER_INCH, higher / POINTS_PER_INCH)
    # What is drawn stays as far from the lower left corner as it was.
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position().bounds
        axes.set_position((left, bottom * up / higher, width, height * up / higher))
    for written in figure.texts:
        written.set_y(written.get_position()[1] * up / higher)
    for line in (*figure.lines, *figure.artists):
        line.set_ydata([y * up / higher for y in line.get_ydata()])
    for number, shown in enumerate(lines):
        y = higher - _LINE * (number + 1)
        write_at(figure, _EDGE, y, shown, fontsize=SMALL, color=MUTED)


@cache
def _ruler() -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    renderer: Any = RendererAgg  # matplotlib's own types leave it untyped
    return renderer(16, 16, POINTS_PER_INCH * 10)  # ten times as fine: hinting matters less


@lru_cache(maxsize=65536)
def text_width(text: str, size: float) -> float:
    """Width in points of a line of text. Call it under `drawing_style`."""
    from matplotlib.font_manager import FontProperties

    width, _, _ = _ruler().get_text_width_height_descent(text, FontProperties(size=size), False)
    # Where the font lacks them, wide characters are measured as narrow boxes.
    wide = sum(east_asian_width(character) in "WF" for character in text)
    return float(width) / 10 + 0.5 * size * wide


def fitted(name: str, size: float, room: float) -> str:
    """A printable name, shortened in its middle to this many points.

    The middle goes because names of one family differ at their ends.
    """
    name = printable(name)
    if text_width(name, size) <= room:
        return name
    low, high = 0, len(name) - 1
    while low < high:  # the most characters that fit
        kept = (low + high + 1) // 2
        if text_width(_shortened(name, kept), size) <= room:
            low = kept
        else:
            high = kept - 1
    return _shortened(name, low)


def _shortened(name: str, kept: int) -> str:
    tail = kept * 2 // 5
    return name[: kept - tail].rstrip() + ELLIPSIS + name[len(name) - tail :].lstrip()


def class_colours(catalog: ClassCatalog) -> list[str]:
    """A colour a class: its own where the catalogue knows it, otherwise the accent."""
    return [ACCENT if info.colour is None else f"#{info.colour:06x}" for info in catalog.classes]


def percent_tick(fraction: float) -> str:
    """A share as a tick: 30%, 0.001%."""
    return f"{np.format_float_positional(round(fraction * 100, 10), trim='-')}%"


def plain_tick(value: float) -> str:
    """A number as a tick: 1,000,000 or 0.05."""
    if abs(value) >= 1:
        return f"{value:,.10g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return str(np.format_float_positional(round(value, 12), trim="-"))


def order_of(pixels: Sequence[int] | NDArray[np.int64], order: Order) -> NDArray[np.int64]:
    """Class indices from the most to the least frequent, or as the catalogue has them."""
    check_word(order, ORDERS, parameter="order")
    counts = np.asarray(pixels)
    return np.argsort(-counts, kind="stable") if order == "frequency" else np.arange(counts.size)
