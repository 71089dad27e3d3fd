"""How loaders resize masks before they crop: which sizes a mask gets, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from maskstat.errors import ParameterError
from maskstat.kernels.crop_views import Nearest
from maskstat.showing import one_line

Law = Literal["uniform", "log-uniform", "steps"]
Relative = Literal["mask", "short-side", "fit"]
Shape = tuple[int, int]

MIDPOINTS = 8  # of a continuous law: within 0.2% of all sizes that ratios 0.5 to 2 give on CamVid


@dataclass(frozen=True, slots=True)
class Rescaling:
    """The law of the size that a mask is resized to; its shape keeps its proportions.

    Attributes:
        law: "uniform" or "log-uniform" between two ratios, or "steps", one of some at random.
        ratios: (lowest, highest), or the steps.
        of: what a ratio is multiplied with. "mask": its sides, cut to whole numbers as by
            albumentations' RandomScale and DeepLab. "short-side": the shorter side
            becomes a whole number between base * lowest and base * highest, as torchvision's
            segmentation reference draws it. "fit": the mask is fitted into (width, height) times
            the ratio, as mmcv's RandomResize with keep_ratio does.
        base: () for "mask", (side,) for "short-side", (width, height) for "fit".
        nearest: which pixel is the nearest neighbour: "floor" (OpenCV, torch), "centred" (Pillow,
            torchvision) or "corners" (TensorFlow with align_corners).
    """

    law: Law = "uniform"
    ratios: tuple[float, ...] = (1.0, 1.0)
    of: Relative = "mask"
    base: tuple[int, ...] = ()
    nearest: Nearest = "floor"

    __repr__ = one_line

    def __post_init__(self) -> None:
        if self.law not in get_args(Law) or self.of not in get_args(Relative):
            raise ParameterError(
                f"is one of {', '.join(get_args(Law))} of one of {', '.join(get_args(Relative))}",
                parameter="scale",
            )
        if self.nearest not in get_args(Nearest):
            raise ParameterError(
                f"nearest is one of {', '.join(get_args(Nearest))}", parameter="scale"
            )
        if not self.ratios or not all(0.01 <= ratio <= 100 for ratio in self.ratios):
            raise ParameterError("ratios are numbers from 0.01 to 100", parameter="scale")
        if self.law != "steps" and (len(self.ratios) != 2 or self.ratios[0] > self.ratios[1]):
            raise ParameterError(
                "a law between two ratios needs the lower and the higher one", parameter="scale"
            )
        needed = {"mask": 0, "short-side": 1, "fit": 2}[self.of]
        if len(self.base) != needed or not all(0 < side < 1 << 20 for side in self.base):
            raise ParameterError(f"{self.of} needs {needed} sizes in pixels", parameter="scale")

    def size(self, shape: Shape, u: float) -> Shape:
        """(H, W) that a mask of this shape gets, for u uniform in [0, 1)."""
        if self.of == "short-side":
            return self._short(shape, self._whole(u))
        return self._sized(shape, self._ratio(u))

    def sizes(self, shape: Shape) -> list[Shape]:
        """Sizes whose plain average stands for the law: all steps, or midpoints of quantiles."""
        count = len(self.ratios) if self.law == "steps" else MIDPOINTS
        if self.law != "steps" and self.ratios[0] == self.ratios[1]:
            count = 1
        return [self.size(shape, (k + 0.5) / count) for k in range(count)]

    def _ratio(self, u: float) -> float:
        low, high = self.ratios[0], self.ratios[-1]
        if self.law == "steps":
            return self.ratios[int(u * len(self.ratios))]
        return low + u * (high - low) if self.law == "uniform" else low * (high / low) ** u

    def _whole(self, u: float) -> int:
        """The shorter side: whole numbers, both ends included, where the law is uniform."""
        if self.law != "uniform":
            return max(1, int(self.base[0] * self._ratio(u)))
        low, high = (int(self.base[0] * ratio) for ratio in self.ratios)
        return max(1, low + int(u * (high - low + 1)))

    @staticmethod
    def _short(shape: Shape, side: int) -> Shape:
        height, width = shape
        if height <= width:
            return side, max(1, int(side * width / height))
        return max(1, int(side * height / width)), side

    def _sized(self, shape: Shape, ratio: float) -> Shape:
        height, width = shape
        if self.of == "mask":
            return max(1, int(height * ratio)), max(1, int(width * ratio))
        target = int(self.base[0] * ratio), int(self.base[1] * ratio)
        factor = min(max(target) / max(shape), min(target) / min(shape))
        return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))
