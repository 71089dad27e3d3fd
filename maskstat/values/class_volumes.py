"""What classes measure in space, where the voxels of masks differ in size.

    V_c = sum over masks i of n_ic · v_i,        p_c = V_c / sum over classes k of V_k

n_ic are the voxels of class c in mask i, and v_i is the volume of a voxel of it. p_c are the shares
of voxels once all masks are resampled to one spacing, whichever that is: what a network sees that
is trained on such (Isensee et al. 2021, nnU-Net, Nature Methods 18, "resampling").
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maskstat.showing import one_line
from maskstat.values.tally import TallyTable

if TYPE_CHECKING:
    from maskstat.values.histogram import ClassHistogram
    from maskstat.values.ledger import MaskLedger

FloatArray = NDArray[np.float64]

_ALIKE = 1.01  # sizes of voxels that differ by no more make no difference
# A whole number of these parts of a cubic millimetre is every size that a reader gives: the least
# is above 2**-80, and a float has 53 bits.
_PARTS = 1 << 140
_BITS = 61  # of the whole numbers that stand for volumes


@dataclass(frozen=True, slots=True)
class VoxelSizes:
    """How large voxels are, of the masks whose files have a spacing; `+` is of both.

    Attributes:
        masks: how many masks have one.
        smallest, largest: mm³ of a voxel; 0.0 where no mask has one.
    """

    masks: int = 0
    smallest: float = 0.0
    largest: float = 0.0

    __repr__ = one_line

    @classmethod
    def of(cls, table: TallyTable) -> VoxelSizes:
        """Those of tallies."""
        if not any(encoding.voxel for encoding in set(table.encodings)):
            return cls()
        sizes = [encoding.voxel for encoding in table.encodings if encoding.voxel]
        return cls(len(sizes), min(sizes), max(sizes))

    def __add__(self, other: VoxelSizes) -> VoxelSizes:
        if not self.masks or not other.masks:
            return self if self.masks else other
        return VoxelSizes(
            self.masks + other.masks,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )

    @property
    def differ(self) -> bool:
        """Whether by more than 1%, so that shares of volume are others than those of pixels."""
        return self.largest > _ALIKE * self.smallest


@dataclass(frozen=True, slots=True, eq=False)
class ClassVolumes:
    """What K classes measure: sums over masks that are exact, and rounded once.

    So they depend on no order of masks, and a mask that is cut in two changes nothing.

    Attributes:
        mm3: float64[K], cubic millimetres of each class.
        image_mm3: float64[K], of all voxels of the masks that contain it.
        labelled_mm3, total_mm3: of all classes, and of all voxels.
        histogram: counts of the same masks whose `unit` is "volume".
        unit: cubic millimetres that 1 stands for in its `pixels`.
    """

    mm3: FloatArray
    image_mm3: FloatArray
    labelled_mm3: float
    total_mm3: float
    histogram: ClassHistogram
    unit: float

    __repr__ = one_line

    @classmethod
    def of(
        cls, histogram: ClassHistogram, blocks: Iterable[tuple[MaskLedger, Iterable[float]]]
    ) -> ClassVolumes:
        """Volumes of masks whose totals are these.

        Args:
            histogram: of pixels.
            blocks: the masks, some at a time, and mm³ of a voxel of each.
        """
        sums = np.zeros((3, len(histogram.catalog)), object)  # Python's integers, which are exact
        whole, divisor = 0, 0
        for ledger, voxels in blocks:
            sizes = np.array([_in_parts(voxel) for voxel in voxels], object)
            rows = np.repeat(np.arange(len(ledger)), ledger.class_counts)
            each = ledger.pixels, ledger.areas[rows], ledger.labelled[rows]
            for total, counts in zip(sums, each, strict=True):
                np.add.at(total, ledger.classes, counts.astype(object) * sizes[rows])
            whole += int((ledger.areas.astype(object) * sizes).sum())
            divisor = math.gcd(divisor, *sizes.tolist())
        # Where all voxels are of one size, volumes are the counts themselves.
        unit = max(divisor, 1) << max(0, (whole // max(divisor, 1)).bit_length() - _BITS)
        pixels, image_pixels, labelled = (
            np.array([_rounded(volume, unit) for volume in row], np.int64) for row in sums.tolist()
        )
        return cls(
            _mm3(sums[0].tolist()),
            _mm3(sums[1].tolist()),
            sum(sums[0].tolist()) / _PARTS,
            whole / _PARTS,
            replace(
                histogram,
                pixels=pixels,
                image_pixels=image_pixels,
                labelled_image_pixels=labelled,
                unit="volume",
            ),
            unit / _PARTS,
        )


def _in_parts(voxel: float) -> int:
    numerator, denominator = voxel.as_integer_ratio()
    return numerator * (_PARTS // denominator)


def _rounded(volume: int, unit: int) -> int:
    """A volume in whole units; one that is there is 1 at least."""
    return max((2 * volume + unit) // (2 * unit), volume > 0)


def _mm3(volumes: list[int]) -> FloatArray:
    found = np.array([volume / _PARTS for volume in volumes], np.float64)
    found.flags.writeable = False
    return found
