"""Masks to measure on: real ones where a folder is given, made ones otherwise, all seeded.

Every set is a folder of PNG files written the way people write them: by Pillow (adaptive filters
for grey, none for palettes) and by OpenCV (the Sub filter).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Labels = NDArray[np.uint8]
CLASSES = 31


def smooth_noise(
    shape: tuple[int, int], cells: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A random field (H, W) that varies over H / cells pixels, made by bicubic enlargement."""
    height, width = shape
    grid = rng.standard_normal((cells, max(1, cells * width // height))).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def labels(shape: tuple[int, int], seed: int, *, cells: int = 8, classes: int = CLASSES) -> Labels:
    """A label map with smooth regions and ragged borders; few classes cover most of it."""
    rng = np.random.default_rng(seed)
    height = sum(
        smooth_noise(shape, min(cells * factor, shape[0]), rng) * weight
        for factor, weight in ((1, 1.0), (4, 0.25), (16, 0.06))
    )
    ranks = np.asarray(height, np.float32)
    # Borders between classes as quantiles of a geometric law: the long tail of real data.
    cumulative = np.cumsum(0.8 ** np.arange(classes))
    inner = cumulative[:-1] / cumulative[-1]
    edges = np.quantile(ranks[::4, ::4], inner)
    return np.searchsorted(edges, ranks).astype(np.uint8)


def warped(mask: Labels, shape: tuple[int, int], seed: int) -> Labels:
    """A small real mask enlarged with nearest neighbours along a smooth random displacement."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    for field in (rows, columns):
        # Pixels between independent values, and how far borders move, in pixels.
        for spacing, amplitude in ((60, 5.0), (15, 2.5), (5, 0.8)):
            displacement = smooth_noise(shape, max(2, shape[0] // spacing), rng)
            field += amplitude * displacement / displacement.std()
    height, width = mask.shape
    y = np.clip((rows + 0.5) * (height / shape[0]), 0, height - 1).astype(np.intp)
    x = np.clip((columns + 0.5) * (width / shape[1]), 0, width - 1).astype(np.intp)
    return np.ascontiguousarray(mask[y, x])


def photograph(shape: tuple[int, int], seed: int) -> Labels:
    """What a photograph looks like to a filter: detail at every scale, and sensor noise."""
    rng = np.random.default_rng(seed)
    field = np.zeros(shape, np.float32)
    cells = 4
    while cells < shape[0]:
        field += smooth_noise(shape, cells, rng) * (4 / cells)
        cells *= 2
    field = (field - field.min()) / np.ptp(field) * 240 + rng.normal(0, 2, shape)
    return np.clip(field, 0, 255).astype(np.uint8)


def noise(shape: tuple[int, int], seed: int) -> Labels:
    """Every pixel at random: no mask is worse."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save_grey(path: Path, pixels: Labels) -> None:
    """8-bit grey PNG by Pillow: filters chosen row by row."""
    Image.fromarray(pixels).save(path)


def save_palette(path: Path, pixels: Labels) -> None:
    """8-bit palette PNG by Pillow: no filters."""
    image = Image.fromarray(pixels)
    image = image.convert("L")
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    image.save(path)


def save_opencv(path: Path, pixels: Labels) -> None:
    """8-bit grey PNG by OpenCV: the Sub filter."""
    import cv2

    cv2.imwrite(str(path), pixels)


def colours(classes: int = CLASSES) -> Labels:
    """uint8[classes, 3], a colour for each class, all different."""
    found = np.arange(classes) * 0x9E3779 % (1 << 24)  # odd: none comes twice
    return np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.uint8)


def save_rgb(path: Path, pixels: Labels) -> None:
    """8-bit RGB PNG by Pillow, a colour a class."""
    Image.fromarray(colours(256)[pixels]).save(path)


def save_rgba(path: Path, pixels: Labels) -> None:
    """The same with an alpha channel; every pixel is opaque."""
    Image.fromarray(colours(256)[pixels]).convert("RGBA").save(path)


def write_set(
    folder: Path,
    count: int,
    distinct: int,
    make: Callable[[int], Labels],
    save: Callable[[Path, Labels], None],
) -> Path:
    """Fill a folder with `count` files, copies of `distinct` masks, unless it holds them already.

    Runs must last long enough to mean something, and making large masks is slow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"mask_{number:05d}.png"
        if path.exists():
            continue
        if number < distinct:
            save(path, make(number))
        else:
            path.write_bytes((folder / f"mask_{number % distinct:05d}.png").read_bytes())
    return folder


def real_masks(folder: Path | None) -> Sequence[Path]:
    """PNG masks below a folder that the user has."""
    return sorted(folder.rglob("*.png")) if folder is not None else []


def maker(shape: tuple[int, int], real: Sequence[Path]) -> Callable[[int], Labels]:
    """Masks of a size: warped from real ones where they have another, or made."""

    def make(number: int) -> Labels:
        if not real:
            return labels(shape, number)
        # Spread over the real ones: neighbours in a folder are often frames of one video.
        with Image.open(real[number * 7 % len(real)]) as image:
            pixels = np.asarray(image, np.uint8)
        return pixels if pixels.shape == shape else warped(pixels, shape, number)

    return make


def arguments(about: str) -> argparse.ArgumentParser:
    """The options of benchmarks that measure on sets of masks."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--masks", type=Path, help="folder of real PNG masks to start from")
    parser.add_argument("--folder", type=Path, help="where the sets are kept between runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of files")
    parser.add_argument("--only", help="sets whose name holds this text")
    return parser


def asked_sets(
    options: argparse.Namespace, make: Callable[[Path, Path | None, float], Sequence[Any]]
) -> Iterator[tuple[int, Any]]:
    """The sets (name, folder, ...) that are asked for, and how many masks each has."""
    with tempfile.TemporaryDirectory() as scratch:
        for one in make(options.folder or Path(scratch), options.masks, options.scale):
            name, folder = one[:2]
            if not options.only or options.only in name:
                yield sum(1 for _ in folder.rglob("*.png")), one
                print(f"measured {name}", flush=True)
