"""Where the frames of a DICOM segmentation lie: in which slice of a stack each of them is.

Frames without any pixel of a segment are left out of most files. Between slices that are at regular
distances those that no frame is of are background; what was above the highest frame, and below the
lowest, no file says. Slices at irregular distances are taken as they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.readers.spacing import voxel_volume
from maskstat.values.tally import NO_SPACING

_FAR = 1e9  # mm
_MOST_SLICES = 1 << 16
_SAME = 1e-4  # mm between frames of one slice
# Of the distance of two slices: how far places are off, the more the farther they are apart.
_IRREGULAR, _ROUNDED, _MOST_IRREGULAR = 0.05, 0.002, 0.3


class FrameGroups(NamedTuple):
    """What is said of a frame, and of all frames."""

    own: Any
    shared: Any

    def item(self, name: str) -> Any:
        """The item of a sequence; an empty one where there is none."""
        return (self.own.get(name) or self.shared.get(name) or [{}])[0]


def places_of(frames: list[FrameGroups]) -> tuple[list[int], int, float]:
    """In which slice each frame is, how many there are, and cubic millimetres of a voxel."""
    said = [one.item("PlanePositionSequence").get("ImagePositionPatient") for one in frames]
    if not any(said):
        return _by_source(frames)
    axes = {
        tuple(one.item("PlaneOrientationSequence")["ImageOrientationPatient"].value)
        for one in frames
    }
    positions = np.array(said, np.float64)
    if len(axes) != 1 or positions.shape != (len(frames), 3) or not (abs(positions) < _FAR).all():
        raise MaskError("frames that are not above each other")
    across, down = np.array(axes.pop(), np.float64).clip(-1, 1).reshape(2, 3)
    heights = positions @ np.cross(across, down)
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order])
    is_next = steps > _SAME
    aside = np.diff(positions[order], axis=0)[~is_next]
    if not (np.abs(aside) <= _SAME).all():
        raise MaskError("frames beside each other, as tiles are")
    measures = frames[0].item("PixelMeasuresSequence")
    spacing = measures.get("PixelSpacing")
    between = float(measures.get("SpacingBetweenSlices") or 0)
    gaps, step = _gaps(steps[is_next], between)
    climbed = np.zeros(len(frames), np.int64)
    climbed[1:][is_next] = gaps
    places = np.empty_like(climbed)
    places[order] = np.cumsum(climbed)
    voxel = voxel_volume([*map(float, spacing), step]) if spacing else NO_SPACING
    return places.tolist(), int(places.max()) + 1, voxel


def _gaps(steps: NDArray[np.float64], between: float) -> tuple[NDArray[np.int64], float]:
    """By how many slices each is above the last one, and their distance; 0 where there is none.

    Args:
        steps: mm from each slice to the next.
        between: what a file says of their distance, in mm; 0 where it says nothing.
    """
    if not steps.size:
        return np.empty(0, np.int64), between
    step = float(steps.min())
    if between > 0 and _is_whole(np.array([step / between])):
        step /= round(step / between)
    if not _is_whole(steps / step) or steps.sum() / step > _MOST_SLICES:
        return np.ones(steps.size, np.int64), 0.0
    counts = np.rint(steps / step).astype(np.int64)
    # Differences of places are rounded: a file says it better, if it says the same.
    return counts, between if abs(step - between) < _SAME else step


def _is_whole(ratios: NDArray[np.float64]) -> bool:
    """Whether numbers are whole, and above 0, as far as places are written."""
    whole = np.rint(ratios)
    rounded = np.minimum(_IRREGULAR + _ROUNDED * whole, _MOST_IRREGULAR)
    return bool((whole >= 1).all() and (np.abs(ratios - whole) <= rounded).all())


def _by_source(frames: list[FrameGroups]) -> tuple[list[int], int, float]:
    """The same of frames that lie nowhere: those of one source image are one slice."""
    slices: dict[tuple[str, str], int] = {}
    places = []
    for one in frames:
        source = (one.item("DerivationImageSequence").get("SourceImageSequence") or [{}])[0]
        key = (
            str(source.get("ReferencedSOPInstanceUID")),
            str(source.get("ReferencedFrameNumber")),
        )
        places.append(slices.setdefault(key, len(slices)))
    return places, len(slices), NO_SPACING
