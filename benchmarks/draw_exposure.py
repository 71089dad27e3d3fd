"""The pictures of docs/exposure.md: where crops look, and what that does to the sample masks.

python -m benchmarks.draw_exposure [--output docs/images]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

import maskstat
from maskstat.exposure.recipe import Recipe
from maskstat.kernels.crop_views import Axis

SHAPE = (360, 480)
SIDES = (128, 256, 321)
SAMPLES = Path(__file__).resolve().parents[1] / "sample_masks"


def factor(shape: tuple[int, int], side: int) -> NDArray[np.float64]:
    """float64[H, W]: how often each pixel is in a crop, 1 on average."""
    rows, columns = (np.diff(Axis.of(length, side, length).cover) for length in shape)
    seen = np.outer(rows, columns)
    return np.asarray(seen / seen.mean())


def draw_factor(path: Path) -> list[float]:
    """Draw the factor for crops of some sides; returns the largest of each."""
    figure = Figure(figsize=(11, 3.1), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(SIDES))
    largest = []
    for axes, side in zip(panels, SIDES, strict=True):
        times = factor(SHAPE, side)
        picture = axes.imshow(np.log2(times), cmap="RdBu_r", vmin=-3, vmax=3)
        axes.contour(times, levels=[1.0], colors="black", linewidths=0.8)
        axes.set_title(f"crops of {side}²: at most {times.max():.2f} times", fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        largest.append(float(times.max()))
    bar = figure.colorbar(picture, ax=panels, shrink=0.9, extend="min")
    bar.set_ticks(range(-3, 4), labels=["1/8", "1/4", "1/2", "1", "2", "4", "8"])
    figure.savefig(path, dpi=110)
    return largest


def draw_shares(path: Path, masks: Path) -> dict[str, float]:
    """Draw how many times its share in the folder each class has in crops of 128²."""
    with maskstat.scan(masks, classes=masks / "classes.yaml") as scan:
        folder, crops = scan.histogram.frequency, scan.exposure(Recipe((128, 128))).frequency
        names = [info.name for info in scan.catalog.classes]
    times = crops / folder
    order = np.argsort(times)
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    at = np.arange(len(order))
    colours = np.where(times[order] > 1, "#b2182b", "#2166ac")
    axes.vlines(at, 1.0, times[order], colors=colours, linewidth=3)
    axes.scatter(at, times[order], color=colours, s=30, zorder=3)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("share of crops / share of folder")
    axes.set_xticks(at, [names[k] for k in order], rotation=55, ha="right", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    return dict(zip(names, times.tolist(), strict=True))


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    folder = parser.parse_args().output
    print(draw_factor(folder / "exposure-factor.png"))
    print(draw_shares(folder / "exposure-shares.png", SAMPLES))


if __name__ == "__main__":
    main()
