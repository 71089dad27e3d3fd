"""Where a class lies: its share of each place of the masks, as a small image."""

from __future__ import annotations

import numpy as np

from maskstat.regions.profile import PixelProfile
from maskstat.render.report.palette_png import Colour, data_uri, palette_png

_FINE, _COARSE, _FEW_CLASSES = 64, 32, 40
# Dark to light in sixteen steps of even lightness (blue, green, yellow): also read without colour.
SEQUENTIAL: tuple[Colour, ...] = (
    (19, 24, 38),
    (24, 38, 66),
    (26, 55, 92),
    (24, 74, 112),
    (20, 94, 124),
    (22, 114, 130),
    (34, 134, 131),
    (56, 152, 127),
    (86, 169, 119),
    (122, 184, 110),
    (160, 197, 103),
    (197, 208, 104),
    (228, 219, 118),
    (246, 232, 148),
    (252, 243, 187),
    (255, 252, 225),
)


class HeatMaps:
    """The maps of a profile's classes, coarser where there are many."""

    def __init__(self, profile: PixelProfile):
        side = _FINE if len(profile.catalog) <= _FEW_CLASSES else _COARSE
        self._heat = _pooled(profile.heat, side)
        self._all = self._heat.sum(axis=0).astype(np.float64)

    def of(self, index: int) -> tuple[str, float]:
        """A class's map as a data URI, on a scale of its own, and the share in its fullest cell."""
        share = self._heat[index] / np.maximum(self._all, 1.0)
        peak = float(share.max())
        steps = np.round(share / (peak or 1.0) * (len(SEQUENTIAL) - 1)).astype(np.uint8)
        return data_uri(palette_png(steps, SEQUENTIAL)), peak


def _pooled(heat: np.ndarray, side: int) -> np.ndarray:
    """[K + 1, G, G] with cells added up so that at most `side` are left along each axis."""
    grid = heat.shape[1]
    if grid <= side:
        return heat
    starts = (np.arange(side) * grid + side - 1) // side
    return np.add.reduceat(np.add.reduceat(heat, starts, axis=1), starts, axis=2)
