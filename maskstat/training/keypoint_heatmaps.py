"""Heat maps for distance-aware losses: bumps around key points, or around the classes of a mask.

Both are y = exp(-d^2 / (2 sigma^2)) with d the Euclidean distance in pixels to the nearest key
point or pixel of the class: the largest of overlapping bumps belongs to the nearest centre. So one
distance transform replaces a loop over bumps. y is exactly 1 at centres and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from maskstat.errors import ParameterError
from maskstat.training.loss_arguments import IgnoreIndex, ignored_labels

HeatMap = NDArray[np.float32]

IGNORED = np.float32(-1)
"""The value of elements that losses leave out."""

LARGEST = 2**31
"""Elements of a heat map that may be asked for."""


def gaussian_heatmap(
    points: npt.ArrayLike,
    shape: Sequence[int],
    *,
    sigma: float | None = None,
    radius: int | None = None,
) -> HeatMap:
    """Bumps around key points (Law & Deng 2018, arXiv 1808.01244, section 3.2).

    Args:
        points: [P, D] positions in pixels, as indices (row, column for D = 2); the nearest pixel
            gets the 1. P = 0 gives zeros.
        shape: D sizes of the map in pixels.
        sigma: of the bumps, in pixels; they reach everywhere.
        radius: instead of sigma, in pixels: bumps end at this distance along every axis, and
            sigma = (2 radius + 1) / 6, as in CornerNet's code. 0 marks the points alone.

    Returns:
        float32 of `shape`. Classes are stacked by the caller:
        `np.stack([gaussian_heatmap(p, shape, sigma=2) for p in points_of_classes])`.

    Raises:
        ParameterError: not exactly one of sigma and radius, points outside the map, or sizes that
            mean nothing.
    """
    size = _checked_shape(shape)
    centres = _centres(points, size)
    marks = np.zeros(size, dtype=bool)
    marks[tuple(centres.T)] = True
    if sigma is not None and radius is None:
        return _bumps(marks, _positive(sigma, "sigma"))
    if radius is None or sigma is not None:
        raise ParameterError("a heat map needs either sigma or radius")
    if not 0 <= radius < math.inf or radius != int(radius):
        raise ParameterError(f"radius is {radius}, but must be a whole number of pixels from 0")
    return _windows(centres, size, int(radius))


def mask_distance_heatmap(
    target: npt.ArrayLike,
    class_count: int,
    sigma: float,
    *,
    ignore_index: IgnoreIndex = None,
    axis: int = 0,
) -> HeatMap:
    """How near every pixel is to every class of one mask.

    Args:
        target: integer labels of one mask, [H, W] or [D, H, W].
        class_count: K.
        sigma: in pixels.
        ignore_index: labels of pixels that are left out: -1 in every channel. They are of no
            class and do not change the distances of others.
        axis: where the class axis goes: 0 for torch, -1 for Keras.

    Returns:
        float32 [K, H, W] (with axis 0): 1 on the class itself, all 0 where the class is absent.

    Raises:
        ParameterError: labels outside 0..K-1, or sizes that mean nothing.
    """
    labels = np.asarray(target)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ParameterError(f"labels are {labels.dtype}, not integers")
    width = _positive(sigma, "sigma")
    if class_count < 1 or class_count * labels.size > LARGEST:
        raise ParameterError(
            f"{class_count} channels of {labels.size} pixels are no heat map of 1 to {LARGEST} "
            "elements"
        )
    if not -labels.ndim - 1 <= axis <= labels.ndim:
        raise ParameterError(f"a heat map of {labels.ndim + 1} axes has no axis {axis}")
    ignored = np.isin(labels, ignored_labels(ignore_index))
    known = labels[~ignored]
    if known.size and not 0 <= known.min() <= known.max() < class_count:
        wrong = known.min() if known.min() < 0 else known.max()
        raise ParameterError(
            f"label {wrong} is none of the {class_count} classes 0..{class_count - 1}",
            remedy="give ignore_index=, or map such labels to classes",
        )
    heat = np.zeros((class_count, *labels.shape), np.float32)
    for index in np.unique(known):
        heat[index] = _bumps((labels == index) & ~ignored, width)
    heat[:, ignored] = IGNORED
    return np.ascontiguousarray(np.moveaxis(heat, 0, axis))


def _bumps(marks: NDArray[np.bool_], sigma: float) -> HeatMap:
    from scipy.ndimage import distance_transform_edt

    if not marks.any():
        return np.zeros(marks.shape, np.float32)
    return _heat(distance_transform_edt(~marks), sigma)


def _heat(distance: NDArray[np.float64], sigma: float) -> HeatMap:
    heat = np.exp(-0.5 * (distance / sigma) ** 2).astype(np.float32)
    # Next to a centre of a very wide bump, rounding must not make another centre.
    return np.where(distance > 0, np.minimum(heat, np.nextafter(np.float32(1), 0)), heat)


def _windows(centres: NDArray[np.int64], size: tuple[int, ...], radius: int) -> HeatMap:
    """CornerNet's bumps: square windows, the largest value where they overlap."""
    heat = np.zeros(size, np.float32)
    reach = [min(radius, length) for length in size]
    offsets = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    squares = sum((o.astype(np.float64) ** 2 for o in offsets), np.zeros([1] * len(size)))
    bump = _heat(np.sqrt(squares), (2 * radius + 1) / 6)
    for centre in centres:
        inside = tuple(
            slice(max(0, c - r), min(n, c + r + 1))
            for c, r, n in zip(centre, reach, size, strict=True)
        )
        part = tuple(
            slice(s.start - c + r, s.stop - c + r)
            for s, c, r in zip(inside, centre, reach, strict=True)
        )
        np.maximum(heat[inside], bump[part], out=heat[inside])
    return heat


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    size = tuple(int(length) for length in shape)
    if not size or min(size) < 1 or math.prod(size) > LARGEST:
        raise ParameterError(f"{size} is no shape of a heat map of 1 to {LARGEST} elements")
    return size


def _centres(points: npt.ArrayLike, size: tuple[int, ...]) -> NDArray[np.int64]:
    given = np.asarray(points, np.float64)
    if given.size == 0:
        return np.zeros((0, len(size)), np.int64)
    if given.ndim != 2 or given.shape[1] != len(size):
        raise ParameterError(
            f"points of shape {given.shape} do not fit a map of {len(size)} axes",
            remedy=f"give [P, {len(size)}] positions",
        )
    rounded = np.floor(given + 0.5)
    outside = ~(np.isfinite(given).all(1) & (rounded >= 0).all(1) & (rounded < size).all(1))
    if outside.any():
        first = given[outside][0].tolist()
        raise ParameterError(f"point {first} is outside a map of shape {size}")
    return np.asarray(rounded, np.int64)


def _positive(value: float, name: str) -> float:
    if not 0 < value < math.inf:
        raise ParameterError(f"{name} is {value}, but must be above 0")
    return float(value)
