"""Splits: masks whose folder, or whose shard, is called train, val, test or the like."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from maskstat.naming import natural_key

SPLITS = (
    "train",
    "training",
    "trainval",
    "val",
    "valid",
    "validation",
    "dev",
    "test",
    "testing",
)
_ALTERNATIVES = "|".join(sorted(SPLITS, key=len, reverse=True))
# "train" and "Train", "train-0001.tar" and "train-00000-of-00002.parquet", but not "train_masks".
_SPLIT = re.compile(
    rf"(?P<name>{_ALTERNATIVES})(?:(?:[-_.].*)?\.(?:tar|tar\.gz|tgz|tar\.zst|tzst|zip|parquet|arrow))?",
    re.IGNORECASE,
)


def split_of(name: str) -> str | None:
    """The split a mask of this name is in: its first folder or shard called like one, if any."""
    return _split_of_folder(name.rpartition("/")[0])


@lru_cache(4096)
def _split_of_folder(folder: str) -> str | None:
    for part in folder.split("/"):
        if found := _SPLIT.fullmatch(part):
            return found["name"]
    return None


def in_order(splits: Iterable[str]) -> tuple[str, ...]:
    """Names of splits as people list them: train, val, test, then any others."""

    def place(split: str) -> tuple[int, tuple[object, ...]]:
        known = split.lower() in SPLITS
        return SPLITS.index(split.lower()) if known else len(SPLITS), natural_key(split)

    return tuple(sorted(splits, key=place))
