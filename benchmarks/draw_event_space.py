"""The picture of event space in docs/performance.md, drawn from a real mask.

python -m benchmarks.draw_event_space [--output docs/images/event-space.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from benchmarks import mask_sets


def draw(path: Path, shape: tuple[int, int] = (96, 160)) -> tuple[int, int]:
    """Draw a mask, its label changes and its filtered rows; returns (pixels, events)."""
    mask = mask_sets.labels(shape, 3, cells=3, classes=8)
    left = np.zeros_like(mask, bool)
    left[:, 1:] = mask[:, 1:] != mask[:, :-1]
    above = mask.copy()
    above[1:] = mask[1:] - mask[:-1]  # the Up filter, modulo 256
    figure = Figure(figsize=(11, 2.9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    colours = ListedColormap(
        ["#303030", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"]
    )
    panels[0].imshow(mask, cmap=colours, interpolation="nearest")
    panels[0].set_title(f"the mask: {mask.size:,} pixels", fontsize=10)
    panels[1].imshow(~left, cmap="gray", interpolation="nearest")
    panels[1].set_title(f"changes along rows: {int(left.sum()):,} events", fontsize=10)
    panels[2].imshow(above == 0, cmap="gray", interpolation="nearest")
    panels[2].set_title(
        f"rows as the Up filter stores them: {int((above != 0).sum()):,} bytes not 0", fontsize=10
    )
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return mask.size, int(left.sum())


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/images/event-space.png"))
    print(draw(parser.parse_args().output))


if __name__ == "__main__":
    main()
