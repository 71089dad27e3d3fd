"""The words that say how masks are read; no heavy import."""

from __future__ import annotations

from typing import Literal

Channels = Literal[
    "one-hot", "bitmask", "multilabel", "one-hot-first", "bitmask-first", "multilabel-first"
]
CHANNELS: tuple[Channels, ...] = (
    "one-hot",
    "bitmask",
    "multilabel",
    "one-hot-first",
    "bitmask-first",
    "multilabel-first",
)
"""How several channels make one value: the number of the one that is set, or the sum of 2^k. As
"multilabel" that sum is of labels, of which a pixel has any number. With "-first" where an array's
channels are its first axis rather than its last."""

Channel = Literal["r", "grey", "ade20k"]
CHANNEL: tuple[Channel, ...] = ("r", "grey", "ade20k")
"""Which channel of a colour image holds the index: red, or any, since all are equal. Of ADE20K's
full release it is R / 10 * 256 + G, and blue numbers instances."""

DIVISORS: dict[str, tuple[int, bool]] = {
    "cityscapes": (1000, False),
    "kitti": (256, True),
    "mapillary": (256, True),
    "scannet": (1000, True),
}
"""What instances' ids are divided by in these data sets, and whether those below that are, too."""

NONE = -1
"""The value of a pixel that is in none of several channels, as "one-hot" has it."""


def is_multilabel(mode: str | None) -> bool:
    """Whether channels are labels, of which a pixel has any number."""
    return mode is not None and mode.startswith("multilabel")
