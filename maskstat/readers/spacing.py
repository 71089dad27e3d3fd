"""How large a voxel is: what readers of volumes say beside the values of a mask.

A reader of a format whose headers have a spacing says it of every mask, in one place:

    Volume.of(axes, dtype, "mha", voxel=voxel_volume(spacing))               # lengths in mm
    encoding._replace(voxel=voxel_volume(directions, unit=1e-3))             # vectors in µm

and puts its container into `SPATIAL`. Everything else (rows, merging, workers, planes) follows: it
is kept in the store with the encoding, and no mask of another format pays for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from maskstat.values.tally import NO_SPACING

SPATIAL = frozenset({"nifti", "nrrd", "metaimage", "dicom"})
"""Containers whose masks all say how large a voxel is, or `NO_SPACING`."""

_SMALLEST, _LARGEST = 1e-24, 1e24  # mm³: far below a cubic nanometre, and above a cubic kilometre


def voxel_volume(edges: ArrayLike, *, unit: float = 1.0) -> float:
    """Cubic millimetres of a voxel, rounded once, so that the order of its axes changes nothing.

    Args:
        edges: the lengths of the three edges of a voxel [3], or the edges as vectors [3, 3] (rows
            or columns), whatever a header says; signs do not matter.
        unit: of the edges, in millimetres.

    Returns:
        the absolute determinant, or `NO_SPACING` where a header has none that can be: not three
        edges, NaN or infinite lengths, edges that span nothing, or a size that no voxel has
        (outside of 1e-24 to 1e24 mm³).
    """
    given = np.asarray(edges, np.float64)
    if given.shape not in {(3,), (3, 3)} or not np.isfinite(given).all():
        return NO_SPACING
    from fractions import Fraction

    # In fractions: LAPACK's determinant differs in the last bit between machines.
    rows = np.diag(given) if given.ndim == 1 else given
    (a, b, c), (d, e, f), (g, h, i) = ([Fraction(x) for x in row] for row in rows.tolist())
    exact = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    exact = abs(exact) * Fraction(str(unit)) ** 3
    return float(exact) if _SMALLEST <= exact <= _LARGEST else NO_SPACING
