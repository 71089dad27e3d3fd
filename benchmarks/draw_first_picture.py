"""The picture of README.md, drawn from the sample masks.

python -m benchmarks.draw_first_picture [--output docs/images/first.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import maskstat

SAMPLES = Path(__file__).parents[1] / "sample_masks"
SHOWN = (
    "street/mask_1",
    "street/mask_2",
    "street/mask_9",
    "park/mask_15",
    "park/mask_22",
    "park/mask_24",
)


def tile(path: Path, colours: np.ndarray) -> np.ndarray:
    """A mask in the colours of its classes, uint8 (180, 240, 3)."""
    labels = Image.open(path).resize((240, 180), Image.Resampling.NEAREST)
    return colours[np.asarray(labels)]


def draw(path: Path) -> None:
    """Masks, their pixels by class, and what it costs to answer one class everywhere."""
    scan = maskstat.scan(SAMPLES, classes=SAMPLES / "classes.yaml")
    order = np.argsort(-scan.histogram.pixels)
    shares = 100 * scan.histogram.frequency[order]
    prices = scan.costs(scheme="equal-cost")
    colours = np.full((256, 3), 255, np.uint8)
    for k, info in enumerate(scan.catalog.classes):
        colours[k] = list((info.colour or 0).to_bytes(3, "big"))
    figure = Figure(figsize=(12, 3), layout="constrained")
    FigureCanvasAgg(figure)
    masks, bars, costs = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    tiles = [
        np.pad(
            tile(SAMPLES / f"{name}.png", colours), ((3, 3), (3, 3), (0, 0)), constant_values=255
        )
        for name in SHOWN
    ]
    masks.imshow(np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])]), interpolation="nearest")
    masks.axis("off")
    masks.set_title(f"{scan.histogram.mask_count} masks of {len(order)} classes", fontsize=11)
    bars.bar(range(len(order)), shares, color=colours[order] / 255)
    bars.set_title(
        f"{shares[0]:.0f}% of the pixels are {scan.catalog.names[order[0]]}", fontsize=11
    )
    bars.set_ylabel("% of pixels")
    for label, values, style in (
        ("without weights", prices.plain.costs, "o-"),
        ("with equal-cost weights", prices.weighted.costs, "-"),
    ):
        costs.plot(range(len(order)), values[order] / values.max(), style, label=label)
    costs.set_ylim(0, 1.1)
    costs.set_ylabel("cost, dearest = 1")
    costs.set_title("what it costs to answer one class everywhere", fontsize=11)
    costs.legend(frameon=False, loc="lower right")
    for axes in (bars, costs):
        axes.set_xticks([])
        axes.set_xlabel("classes, most frequent first")
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/images/first.png"))
    draw(parser.parse_args().output)


if __name__ == "__main__":
    main()
