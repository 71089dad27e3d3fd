"""Pixel profiles to draw and report on, made up of counts alone: consistent, but of no mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from maskstat.regions.components import Components, CountTable
from maskstat.regions.profile import MOMENT_BITS, SIDE_BINS, SMALLEST, PixelProfile, SmallComponent
from maskstat.regions.profile_bytes import check
from maskstat.values.histogram import ClassHistogram


def made_up_profile(histogram: ClassHistogram, *, grid: int = 16, seed: int = 0) -> PixelProfile:
    """A profile with the pixels and masks of these totals; anything else is by chance."""
    draw = np.random.default_rng(seed)
    catalog, count = histogram.catalog, len(histogram.catalog)
    outside = histogram.total_pixels - histogram.labelled_pixels
    pixels = np.append(histogram.pixels, outside)
    ys, xs = np.mgrid[:grid, :grid] / max(grid - 1, 1)
    heat = np.zeros((count + 1, grid, grid), np.int64)
    sides = np.zeros((count, 2, SIDE_BINS), np.int64)
    sizes, in_mask = [], []
    for k in np.flatnonzero(pixels).tolist():
        y, x = draw.random(2)
        chances = np.exp(-((ys - y) ** 2 + (xs - x) ** 2) * draw.integers(1, 40)).ravel()
        cells = draw.multinomial(pixels[k], chances / chances.sum())
        heat[k] = cells.reshape(grid, grid) * grid**2
        if k < count:
            masks = int(histogram.masks[k])
            found = int(min(pixels[k], masks * draw.integers(1, 30)))
            areas = 1 + draw.multinomial(pixels[k] - found, draw.dirichlet(np.full(found, 0.3)))
            sizes.append((np.full(found, k), areas))
            spread = 1 + draw.multinomial(found - masks, np.full(masks, 1 / masks))
            in_mask.append((np.full(masks, k), spread))
            for axis in range(2):
                bins = draw.integers(0, 30, found)
                sides[k, axis] = np.bincount(bins, minlength=SIDE_BINS)
    eight = Components(count, _table(sizes), _table(in_mask))
    edges = np.triu(draw.integers(0, 3, (count + 1, count + 1)) * (pixels > 0), 1)
    edges = np.minimum(edges, (pixels[:, None] > 0) * pixels // (count + 1))
    adjacency = edges + edges.T
    adjacency[:, adjacency.sum(axis=0) > 4 * pixels] = 0
    adjacency = np.minimum(adjacency, adjacency.T)
    profile = replace(
        PixelProfile.empty(catalog, grid),
        mask_count=histogram.mask_count,
        extent=(256 * histogram.mask_count, 320 * histogram.mask_count),
        pixels=pixels,
        heat=heat,
        moments=(pixels[:-1, None] * draw.random((count, 2)) * (1 << MOMENT_BITS)).astype(np.int64),
        frame=((4 * pixels - adjacency.sum(axis=1))[:-1] * draw.random(count)).astype(np.int64),
        adjacency=adjacency,
        four=eight,
        eight=eight,
        sides=sides,
        smallest=tuple(
            tuple(
                SmallComponent(int(area), f"mask_{at}.png", 3 * at, at)
                for at, area in enumerate(_first(eight, k))
            )
            for k in range(count)
        ),
    )
    check(profile)
    return profile


def _table(parts: list[tuple[np.ndarray, np.ndarray]]) -> CountTable:
    if not parts:
        return CountTable.empty()
    classes, numbers = (np.concatenate(column) for column in zip(*parts, strict=True))
    return CountTable.of(classes, numbers)


def _first(components: Components, k: int) -> np.ndarray:
    numbers, counts = components.sizes.of_class(k)
    return np.repeat(numbers[:SMALLEST], np.minimum(counts[:SMALLEST], SMALLEST))[:SMALLEST]
