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
TRAINING = ("train", "training", "trainval")
"""Those to train on, the one that is meant first where there are several."""
LABELS = {"labelsTr": "train", "labelsTs": "test"}
"""What folders of labels are called in data sets of nnU-Net and MSD, and the splits they are."""
_ALTERNATIVES = "|".join(sorted(SPLITS, key=len, reverse=True))
_SUFFIXES = r"tar|tar\.gz|tgz|tar\.zst|tzst|zip|parquet|arrow|(?:tfrecords?|tfrec|record)(?:\.gz)?"
_RECORDS = r"\.(?:tfrecord|record)-\d+-of-\d+"
# "train" and "Train", "train-0001.tar" and "train-00000-of-00002.parquet", but not "train_masks";
# "pet-train.tfrecord-00000-of-00002" is what TensorFlow Datasets write.
_SPLIT = re.compile(
    rf"(?:.*-)?(?P<records>{_ALTERNATIVES}){_RECORDS}"
    rf"|(?P<name>{_ALTERNATIVES})(?:(?:[-_.].*)?\.(?:{_SUFFIXES}))?",
    re.IGNORECASE,
)


def split_of(name: str) -> str | None:
    """The split a mask of this name is in: its first folder or shard called like one, if any."""
    return _split_of_folder(name.rpartition("/")[0])


@lru_cache(4096)
def _split_of_folder(folder: str) -> str | None:
    return next(filter(None, map(split_word, folder.split("/"))), None)


def split_word(part: str) -> str | None:
    """The split that a folder or shard of this name is, if it is called like one."""
    found = _SPLIT.fullmatch(part)
    return LABELS.get(part) if found is None else found["records"] or found["name"]


def in_order(splits: Iterable[str]) -> tuple[str, ...]:
    """Names of splits as people list them: train, val, test, then any others."""

    def place(split: str) -> tuple[int, tuple[object, ...]]:
        known = split.lower() in SPLITS
        return SPLITS.index(split.lower()) if known else len(SPLITS), natural_key(split)

    return tuple(sorted(splits, key=place))
