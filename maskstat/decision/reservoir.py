"""`Reservoir`: a sample of the labelled pixels of a stream of images, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maskstat.decision.ascent import Logits, PixelSample
from maskstat.values.tally import IntArray

PIXELS = 3_000  # a class; on CamVid the choice from so many loses 0.1 points of mean IoU
MEMORY = 256 << 20  # bytes, where so many pixels of many classes would take more
_LOWEST = -60_000.0  # of a kept logit below the largest of its pixel, which float16 can hold


class Reservoir:
    """A uniform sample of at most so many pixels of every true class; rare classes are kept whole.

    Which pixels are kept follows from the images' names, and not from the order they come in.
    What is kept of a pixel are its logits less their largest, in half precision: a decision asks
    for differences only.

    Args:
        class_count: K.
        size: most pixels of a class; without, `PIXELS`, or fewer where these would take more
            than `MEMORY` bytes.
    """

    def __init__(self, class_count: int, size: int | None = None) -> None:
        most = MEMORY // (class_count * (2 * class_count + 24))
        self.size = max(min(PIXELS, most), 1) if size is None else size
        self.class_count = class_count
        self._kept = [np.empty((0, class_count), np.float16) for _ in range(class_count)]
        self._keys = [np.empty(0) for _ in range(class_count)]
        self._images = [np.empty(0, np.int64) for _ in range(class_count)]
        self._groups: list[int] = []
        self._seen: list[IntArray] = []

    def add(self, name: str, logits: Logits, labels: IntArray, group: int) -> None:
        """The labelled pixels of one image: float32[K, N], int64[N] in 0..K-1, and its group."""
        image = len(self._groups)
        self._groups.append(group)
        self._seen.append(np.bincount(labels, minlength=self.class_count).astype(np.int64))
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        drawn = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
        keys = drawn.random(labels.size)
        for c in np.unique(labels).tolist():
            old = self._keys[c]
            which = np.flatnonzero(labels == c)
            if old.size == self.size:
                which = which[keys[which] < old[-1]]
            if not which.size:
                continue
            every = np.concatenate([old, keys[which]])
            order = np.argsort(every, kind="stable")[: self.size]
            # Only what stays is gathered: of a large image most pixels do not.
            is_new = order >= old.size
            new = logits[:, which[order[is_new] - old.size]].T
            kept = np.empty((order.size, self.class_count), np.float16)
            kept[is_new] = np.maximum(new - new.max(1, keepdims=True), _LOWEST)
            kept[~is_new] = self._kept[c][order[~is_new]]
            images = np.full(order.size, image)
            images[~is_new] = self._images[c][order[~is_new]]
            self._kept[c], self._keys[c], self._images[c] = kept, every[order], images

    def number_groups(self, numbers: IntArray) -> None:
        """Give each group another number: int64[G], that of the group that was g."""
        self._groups = numbers[self.groups].tolist()

    def labelled(self, image: int) -> IntArray:
        """int64[K], labelled pixels of the image that came as this one."""
        return self._seen[image]

    def group(self, image: int) -> int:
        """The group of the image that came as this one."""
        return self._groups[image]

    @property
    def seen(self) -> IntArray:
        """int64[B, K], labelled pixels of every image."""
        return np.array(self._seen, np.int64).reshape(-1, self.class_count)

    @property
    def groups(self) -> IntArray:
        """int64[B], of every image."""
        return np.array(self._groups, np.int64)

    def pixels(self, group_rows: NDArray[np.bool_]) -> PixelSample:
        """The kept pixels of some groups, bool[G]; each stands for as many as were seen there."""
        rows = group_rows[self.groups]
        seen = self.seen[rows].sum(0)
        parts = [rows[images] for images in self._images]
        counts = np.array([int(part.sum()) for part in parts])
        kept = np.concatenate([kept[part] for kept, part in zip(self._kept, parts, strict=True)])
        images = np.concatenate([i[part] for i, part in zip(self._images, parts, strict=True)])
        return PixelSample(
            np.ascontiguousarray(kept.T, np.float32),
            np.repeat(np.arange(self.class_count), counts),
            np.repeat(seen / np.maximum(counts, 1), counts),
            self.groups[images],
            images,
        )

    def digest(self, places: Mapping[str, int]) -> str:
        """16 hexadecimal digits of what is kept, and of the names of the images it is of."""
        names = {place: name for name, place in places.items()}
        found = hashlib.sha256()
        for name in sorted(places):
            found.update(name.encode("utf-8", "surrogatepass") + b"\0")
        for kept, images in zip(self._kept, self._images, strict=True):
            found.update(kept.tobytes())
            for image in images.tolist():
                found.update(names[image].encode("utf-8", "surrogatepass") + b"\0")
        return found.hexdigest()[:16]
