"""Certificate: what a split holds, class by class and part by part, and what chance would make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskstat.showing import one_line
from maskstat.splits.features import UnitCounts
from maskstat.splits.floors import error_floor
from maskstat.values.tally import IntArray

FloatArray = NDArray[np.float64]
RANDOM_SPLITS = 200
Search = Literal["enumerated", "exhausted", "stopped", "random", "given"]


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """What a split of K classes into F parts holds. Errors are relative: 0.01 is 1%.

    Attributes:
        classes: names of the K classes.
        parts: names of the F parts.
        ratio: float64[F], the share that each part is to have.
        sizes: int64[F], masks.
        pixels: int64[F, K], labelled pixels.
        masks: int64[F, K], masks that have the class.
        groups_with: int64[K], groups (or masks) that have it.
        unavoidable: int64[K], parts that can't have the class: there are too few groups with it.
        pixel_floor, presence_floor: float64[K], no split has a smaller largest error of the class;
            0 where it never occurs.
        pixel_floor_met, presence_floor_met: bool[K], whether some split of this class alone has
            it.
        js: largest Jensen-Shannon distance of two parts' class frequencies, 0 to 1.
        js_random, share_random: float64[R], that of random splits of the same groups, and their
            largest share error of a common class: of those of 200 whose sizes miss their targets
            by no more than this one's, which may be none.
        search: "enumerated": every assignment was looked at, and none is better; "exhausted": no
            move and no exchange of two units is; "stopped": the search ended before it had tried
            them all; "random": a random split was better than what the search found; "given".
        assignments: where all were looked at, how many there are; 0 elsewhere.
    """

    classes: tuple[str, ...]
    parts: tuple[str, ...]
    ratio: FloatArray
    sizes: IntArray
    pixels: IntArray
    masks: IntArray
    groups_with: IntArray
    unavoidable: IntArray
    pixel_floor: FloatArray
    presence_floor: FloatArray
    pixel_floor_met: NDArray[np.bool_]
    presence_floor_met: NDArray[np.bool_]
    js: float
    js_random: FloatArray
    share_random: FloatArray
    search: Search
    assignments: int = 0

    __repr__ = one_line

    @property
    def share_error(self) -> FloatArray:
        """float64[F, K], the class's share of a part's labelled pixels over that of all, less 1.

        0 for classes that never occur, and -1 in a part without a labelled pixel.
        """
        return share_errors(self.pixels)

    @property
    def pixel_error(self) -> FloatArray:
        """float64[F, K], pixels in a part over ratio * all its pixels, less 1."""
        return _relative(self.pixels, self.ratio[:, None] * self.pixels.sum(0))

    @property
    def presence_error(self) -> FloatArray:
        """float64[F, K], masks with the class in a part over ratio * all of them, less 1."""
        return _relative(self.masks, self.ratio[:, None] * self.masks.sum(0))

    @property
    def common(self) -> NDArray[np.bool_]:
        """bool[K], classes that can be even: in 4 groups a part or more; all where none is."""
        return common_classes(self.groups_with, len(self.parts))

    @property
    def worst_share(self) -> float:
        """The largest share error of a common class in any part."""
        return largest(self.share_error, self.common)

    @property
    def worst_presence(self) -> float:
        """The largest presence error of a common class in any part."""
        return largest(self.presence_error, self.common)

    @property
    def missing(self) -> int:
        """Pairs of a class that occurs and a part without it."""
        return int((self.masks[:, self.groups_with > 0] == 0).sum())

    def to_dict(self) -> dict[str, Any]:
        """What JSON documents hold. Finite numbers only."""
        share, pixel, presence = self.share_error, self.pixel_error, self.presence_error
        return {
            "search": self.search,
            "assignments": self.assignments,
            "worst_share_error": self.worst_share,
            "worst_presence_error": self.worst_presence,
            "missing": {"pairs": self.missing, "unavoidable": int(self.unavoidable.sum())},
            "js": {
                "distance": self.js,
                "random_median": middle(self.js_random),
                "random_best": least(self.js_random),
            },
            "random_share_error": {
                "splits": len(self.share_random),
                "median": middle(self.share_random),
                "best": least(self.share_random),
            },
            "classes": [
                {
                    "name": name,
                    "groups": int(self.groups_with[k]),
                    "common": bool(self.common[k]),
                    "unavoidable": int(self.unavoidable[k]),
                    "pixels": self.pixels[:, k].tolist(),
                    "masks": self.masks[:, k].tolist(),
                    "share_error": share[:, k].tolist(),
                    "pixel_error": pixel[:, k].tolist(),
                    "presence_error": presence[:, k].tolist(),
                    "pixel_floor": float(self.pixel_floor[k]),
                    "pixel_floor_met": bool(self.pixel_floor_met[k]),
                    "presence_floor": float(self.presence_floor[k]),
                    "presence_floor_met": bool(self.presence_floor_met[k]),
                }
                for k, name in enumerate(self.classes)
            ],
        }


def certified(
    counts: UnitCounts,
    part: IntArray,
    ratio: FloatArray,
    parts: tuple[str, ...],
    classes: tuple[str, ...],
    fixed: IntArray,
    random: tuple[FloatArray, FloatArray],
    search: Search,
) -> Certificate:
    """The certificate of an assignment int64[U] of units.

    Args:
        fixed: int64[U], the part of units that had to stay, -1: free.
        random: JS distances and share errors of random splits.
    """
    pixels, masks = counts.tables(part, len(ratio))
    where, k = fixed[counts.unit], counts.class_count
    held = np.zeros((len(ratio), k), bool)
    held[where[where >= 0], counts.classes[where >= 0]] = True
    free = np.bincount(counts.classes[where < 0], minlength=k)
    unavoidable = np.maximum(len(ratio) - held.sum(0) - free, 0)
    groups_with = counts.groups_with
    unavoidable[groups_with == 0] = 0
    order = np.argsort(counts.classes, kind="stable")
    ends = np.cumsum(groups_with)[:-1]
    floors = [
        [
            error_floor(each, ratio) if each.size else (0.0, True)
            for each in np.split(a[order], ends)
        ]
        for a in (counts.pixels, counts.masks)
    ]
    (pixel_floor, pixel_met), (presence_floor, presence_met) = (
        (np.array([f for f, _ in one]), np.array([met for _, met in one], bool)) for one in floors
    )
    return Certificate(
        classes,
        parts,
        ratio,
        np.bincount(part[part >= 0], counts.size[part >= 0], len(ratio)).astype(np.int64),
        pixels,
        masks,
        groups_with,
        unavoidable,
        pixel_floor,
        presence_floor,
        pixel_met,
        presence_met,
        js_between(pixels),
        *random,
        search,
        len(ratio) ** int((fixed < 0).sum()) if search == "enumerated" else 0,
    )


def middle(values: FloatArray) -> float | None:
    """The median, where there is any."""
    return float(np.median(values)) if values.size else None


def least(values: FloatArray) -> float | None:
    """The smallest, where there is any."""
    return float(values.min()) if values.size else None


def common_classes(groups_with: IntArray, parts: int) -> NDArray[np.bool_]:
    """bool[K]: rarer ones can't be even, and their errors would drown the others'."""
    common = groups_with >= 4 * parts
    return common if common.any() else groups_with > 0


def share_errors(pixels: IntArray) -> FloatArray:
    """float64[F, K] from pixels of parts."""
    held = pixels.sum(1, keepdims=True)
    total = pixels.sum(0)
    share = pixels / np.maximum(held, 1)
    return _relative(share, np.broadcast_to(total / max(int(total.sum()), 1), share.shape))


def largest(errors: FloatArray, chosen: NDArray[np.bool_]) -> float:
    """The largest absolute error of the chosen classes; 0 where there are none."""
    return float(np.abs(errors[:, chosen]).max(initial=0.0))


def js_between(pixels: IntArray) -> float:
    """The largest Jensen-Shannon distance (base 2; Lin 1991) of two parts, int64[F, K]."""
    share = pixels / np.maximum(pixels.sum(1, keepdims=True), 1)
    first, second = np.triu_indices(len(share), 1)
    p, q = share[first], share[second]
    middle = (p + q) / 2
    divergence = np.zeros(len(p))
    for side in (p, q):
        ratio = np.divide(side, middle, out=np.ones(middle.shape), where=side > 0)
        divergence += (side * np.log2(ratio)).sum(1) / 2
    return float(np.sqrt(np.clip(divergence, 0.0, 1.0).max(initial=0.0)))


def _relative(held: NDArray[Any], ideal: FloatArray) -> FloatArray:
    return np.asarray(np.divide(held, ideal, out=np.ones(held.shape), where=ideal > 0) - 1.0)
